"""The served model needs what its requirements name and what those need, and nothing else."""

import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires

import mlflow
import pytest
from packaging.requirements import Requirement

from recsys.registry import tracking
from recsys.registry.served import REQUIREMENTS

# Every finder is wrapped: what is neither of the standard library nor allowed is not found.
CODE = """
import json, sys

allowed = set(json.loads(sys.argv[2]))

class Closed:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):  # what importlib.metadata asks of a finder
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        ours = top in allowed or top.startswith(("recsys_served_", "code_model_", "_"))
        return self.finder.find_spec(name, path, target) if ours or top in sys.stdlib_module_names else None

sys.meta_path[:] = [Closed(finder) for finder in sys.meta_path]
import mlflow

model = mlflow.pyfunc.load_model(sys.argv[1])
rows = [{"customer_id": "00001"}, {"basket": ["P0001"], "options": '{"placement": "product"}'}, {"options": "{"}]
answers = model.predict(rows)[["item_ids", "error"]].to_dict("records")
ours = sorted({n.partition(".")[0] for n in sys.modules} - set(sys.stdlib_module_names))
print(json.dumps([answers, ours]))
"""


def test_the_warm_up_can_be_left_out(judged, trained):
    """Who asks one question in a fresh process need not wait for what makes the thousandth quick."""
    tracking.connect(trained.config.registry)
    ready, cold = (mlflow.pyfunc.load_model(judged.uri, model_config={"warm": warm}) for warm in (True, False))
    made = ["explainer" in vars(one.unwrap_python_model().recommender) for one in (ready, cold)]
    assert made == [True, False]
    version = [one.predict([{"options": "{"}])["model_version"].item() for one in (ready, cold)]
    assert version[0] == version[1] != ""


def test_the_environment_says_on_how_many_threads_a_request_is_judged(judged, trained, monkeypatch):
    tracking.connect(trained.config.registry)
    asked = [{"customer_id": "00001", "basket": ["P0001"]}]
    answers = []
    for threads in ("1", "2"):
        monkeypatch.setenv("RECSYS_THREADS", threads)
        model = mlflow.pyfunc.load_model(judged.uri, model_config={"warm": False})
        assert model.unwrap_python_model().recommender.threads == int(threads)
        answers.append(model.predict(asked).to_dict("records"))
    assert answers[0] == answers[1]
    monkeypatch.setenv("RECSYS_THREADS", "all")
    with pytest.raises(ValueError, match="RECSYS_THREADS='all'; give a number from 1 to 64"):
        mlflow.pyfunc.load_model(judged.uri)


def closure(names: tuple[str, ...]) -> set[str]:
    """Distributions that pip installs for these, optional extras left out."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        try:
            needed = [Requirement(line) for line in requires(name) or []]
        except PackageNotFoundError:  # of another platform
            continue
        found.add(name)
        waiting += [r.name for r in needed if r.marker is None or r.marker.evaluate({"extra": ""})]
    return found


def test_a_fresh_process_with_the_requirements_alone_answers(judged, trained, tmp_path):
    allowed = closure(REQUIREMENTS)
    assert not allowed & {
        "recsys",
        "polars",
        "scikit-learn",
        "matplotlib",
        "sqlalchemy",
        "pyarrow",
        "implicit",
        "prefect",
    }
    modules = [
        m for m, of in packages_distributions().items() if {re.sub(r"[-_.]+", "-", d).lower() for d in of} & allowed
    ]
    tracking.connect(trained.config.registry)
    folder = mlflow.artifacts.download_artifacts(judged.uri, dst_path=str(tmp_path / "served"))
    done = subprocess.run(
        [sys.executable, "-c", CODE, folder, json.dumps(modules)], capture_output=True, text=True, timeout=240,
        check=False, cwd=tmp_path, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path),
                                        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers, loaded = json.loads(done.stdout.splitlines()[-1])
    assert [len(answer["item_ids"]) for answer in answers] == [10, 4, 0]
    assert [answer["error"][:18] for answer in answers] == ["", "", "options is no JSON"]
    assert not {"recsys", "sklearn", "polars", "pyarrow", "matplotlib", "sqlalchemy", "threadpoolctl"} & set(loaded)
    assert {"numpy", "scipy", "lightgbm", "pandas", "mlflow"} <= set(loaded)
