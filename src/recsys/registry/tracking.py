"""MLflow: one parent run per training, one child run per contender."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
from filelock import FileLock
from mlflow import MlflowClient

from recsys.data.databases import redact
from recsys.errors import InputError, UnavailableError
from recsys.registry.options import RegistryOptions
from recsys.registry.orphans import owner_tags

MODEL_TRAINING = {"mlflow.experimentKind": "custom_model_development"}  # opens on the training runs, not on traces
MONITORING = "monitoring.json"  # artifact of a training's run, written before its version exists
RUNBOOK = "docs/runbook.md#store-locked-or-corrupt"
MAX_PARAM = 500  # characters of one MLflow parameter
MAX_TAG = 4000  # and of one tag, with room to spare


def connect(options: RegistryOptions) -> MlflowClient:
    """Point MLflow at the store, creating a fresh local one under a lock, and select the experiment."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    if options.tracking_uri.startswith("sqlite:///"):
        _create_database(options.tracking_uri)
    mlflow.set_tracking_uri(options.tracking_uri)
    try:
        client = MlflowClient()
        if client.get_experiment_by_name(options.experiment) is None:
            _create_experiment(client, options)
        mlflow.set_experiment(options.experiment)
    except Exception as error:
        local = options.tracking_uri.startswith("sqlite:")
        remedy = f"see {RUNBOOK}" if local else "is the server up, and does its version fit?"
        said = str(getattr(error, "orig", error))  # of SQLAlchemy's errors, what the database said
        raise UnavailableError(
            f"MLflow at registry.tracking_uri {redact(options.tracking_uri)} does not answer: {redact(said)}; {remedy}"
        ) from None
    return client


def _create_database(uri: str) -> None:
    """Make the store or bring an older one up to date, once for each version of MLflow, under a lock."""
    file = Path(uri.removeprefix("sqlite:///"))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{file}.lock"):
            ready = Path(f"{file}.ready")
            if file.exists() and ready.exists() and ready.read_text() == mlflow.__version__:
                return
            _upgrade(file) if file.exists() else _create(file)
            ready.write_text(mlflow.__version__)
    except OSError as error:
        raise InputError(
            f"cannot write to registry.tracking_uri {uri}: {error.strerror}; free it or set another"
        ) from None


def _create(file: Path) -> None:
    """A fresh store under its name at once: a killed run leaves none that is half made."""
    for left in file.parent.glob(f"{file.name}.fresh-*"):
        left.unlink(missing_ok=True)
    fresh = file.with_name(f"{file.name}.fresh-{os.getpid()}")
    _upgrade(fresh)
    os.replace(fresh, file)


def _upgrade(file: Path) -> None:
    words = [sys.executable, "-m", "mlflow", "db", "upgrade", f"sqlite:///{file}"]
    made = subprocess.run(words, capture_output=True, text=True, check=False)
    if made.returncode:
        said = " ".join(made.stderr.split())[-500:]
        raise InputError(f"MLflow {mlflow.__version__} cannot use the store sqlite:///{file}: {said}; name another")


def _create_experiment(client: MlflowClient, options: RegistryOptions) -> None:
    local = options.tracking_uri.startswith("sqlite:")
    folder = Path(options.artifacts).absolute().as_uri() if local else None
    try:
        client.create_experiment(options.experiment, artifact_location=folder, tags=MODEL_TRAINING)
    except mlflow.exceptions.MlflowException:
        if client.get_experiment_by_name(options.experiment) is None:  # not made by another process meanwhile
            raise


@contextmanager
def training_run(name: str, tags: dict[str, str]) -> Iterator[str]:
    """The parent run; killed or failed ones are marked so by MLflow."""
    with mlflow.start_run(run_name=name, tags=tags | owner_tags()) as run:
        yield str(run.info.run_id)


def log_params(options: dict[str, Any]) -> None:
    """Nested options as section.key parameters."""
    mlflow.log_params({k: str(v)[:MAX_PARAM] for k, v in flatten(options).items()})


def flatten(options: dict[str, Any], at: str = "") -> dict[str, Any]:
    """{'a': {'b': 1}} → {'a.b': 1}; empty sections and lists stay values."""
    out: dict[str, Any] = {}
    for key, value in options.items():
        name = f"{at}.{key}" if at else key
        out |= flatten(value, name) if isinstance(value, dict) and value else {name: value}
    return out


def drift_tags(monitoring: dict[str, Any]) -> dict[str, str]:
    """How the run compared with the last accepted one, and whether a person accepted what would have stopped it."""
    if not monitoring:
        return {}
    return {"drift": str(monitoring["verdict"]), "drift_accepted": "yes" if monitoring["accepted"] else "no"}


def log_contender(contender: str, records: list[dict[str, Any]]) -> None:
    """A child run with the contender's figures, as metrics task_segment_metric_at_k."""
    mine = [r for r in records if r["contender"] == contender and r["value"] is not None]
    tags = {"contender": contender, "kind": mine[0]["kind"]}
    with mlflow.start_run(run_name=contender, nested=True, tags=tags | owner_tags()):
        mlflow.log_metrics({f"{r['task']}_{r['segment']}_{r['metric']}_at_{r['k']}": r["value"] for r in mine})


def log_text(content: Any, file: str) -> None:
    """JSON for objects, text as it is."""
    mlflow.log_text(content if isinstance(content, str) else json.dumps(content, indent=1), file)


def digest_of(content: Any) -> str:
    """Short digest of plain JSON."""
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=8).hexdigest()
