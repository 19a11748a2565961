"""The served model: a Recommender logged from code, with a copy of just the code that it needs.

The copy goes under a name of its own (recsys_served_<digest>), so that champion and challenger of different code
can be loaded in one process, and so that nothing of this repository is needed where the model serves.
"""

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types.schema import AnyType, Array, ColSpec, DataType, Schema

SERVED = ("__init__.py", "errors.py", "data/__init__.py", "data/histories.py", "data/manifest.py", "data/store.py",
          "data/pack_sizes.py", "data/rewind.py", "affinity.py", "pair_counts.py", "models/*.py", "ranking/*.py",
          "offers/*.py", "serving/*.py")  # fmt: skip
REQUIREMENTS = ("numpy", "scipy", "lightgbm", "pandas", "mlflow-skinny")  # skinny: loads and serves, no store

ANY = AnyType()  # type: ignore[no-untyped-call]  # types are checked row by row: docs/decisions/0014
SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec(ANY, name, required=False) for name in ("customer_id", "basket", "options")]),
    outputs=Schema(
        [
            ColSpec(Array(DataType.string), "item_ids"),
            ColSpec(Array(DataType.double), "scores"),
            ColSpec(Array(DataType.double), "probabilities"),
            ColSpec(Array(DataType.string), "reasons"),
            ColSpec(Array(DataType.string), "reason_codes"),
            ColSpec(Array(DataType.string), "offers"),
            ColSpec(DataType.string, "why_none"),
            ColSpec(DataType.string, "fallback"),
            ColSpec(DataType.string, "model_version"),
            ColSpec(DataType.string, "error"),
        ]
    ),
)


def served_files() -> list[Path]:
    """The modules that a served model is made of, relative to the package."""
    root = Path(__file__).parents[1]
    return sorted({f.relative_to(root) for pattern in SERVED for f in root.glob(pattern)})


@contextmanager
def served_code() -> Iterator[tuple[Path, Path]]:
    """A copy of the served modules under a name of its own, and the script that makes the model from it."""
    root = Path(__file__).parents[1]
    files = served_files()
    digest = hashlib.blake2b(digest_size=6)
    for file in files:
        digest.update(file.as_posix().encode() + (root / file).read_bytes())
    name = f"recsys_served_{digest.hexdigest()}"
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / name
        for file in files:
            (package / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / file, package / file)
        script = Path(folder) / "model.py"
        script.write_text(
            f"from mlflow.models import set_model\n\nfrom {name}.serving.model import RecommenderModel\n\n"
            "set_model(RecommenderModel())\n"
        )
        sys.path.insert(0, folder)  # MLflow runs the script once while logging
        try:
            yield package, script
        finally:
            sys.path.remove(folder)


def example_rows(customer: str, items: list[str]) -> pd.DataFrame:
    """By customer, by cart, by both."""
    return pd.DataFrame(
        {"customer_id": [customer, "", customer], "basket": [[], items, items], "options": ['{"k": 5}'] * 3}
    )


def log_model(recommender: Path, example: pd.DataFrame, model_version: str) -> Any:
    """Log the model to the active run; returns MLflow's ModelInfo. `recommender` is a saved Recommender."""
    with served_code() as (package, script):
        return mlflow.pyfunc.log_model(
            name="recommender",
            python_model=str(script),
            artifacts={"recommender": str(recommender)},
            code_paths=[str(package)],
            pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
            signature=SIGNATURE,
            input_example=example,
            model_config={"version": model_version, "warm": True},
        )
