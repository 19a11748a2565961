"""A finished training as an MLflow run: figures, data set, recipe, environment, and the model that was reloaded."""

import platform
import subprocess
import warnings
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import mlflow
import polars as pl
from mlflow import MlflowClient
from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.data.meta_dataset import MetaDataset
from mlflow.data.polars_dataset import from_polars

from recsys.errors import InputError
from recsys.registry import served, tracking
from recsys.registry.golden import Golden
from recsys.registry.guardrails import Figures
from recsys.registry.options import RegistryOptions

FIGURES, GOLDEN, RECIPE = "evaluation/figures.json", "evaluation/golden.json", "recipe.json"
PROFILED = 5_000_000  # order lines; of more, MLflow is told source and digest alone


@dataclass(frozen=True)
class Training:
    """What a finished training hands to the registry.

    recommender  directory of the saved Recommender (deployed fit)
    orders       Parquet file of the accepted orders
    key          digest of all that the recommender depends on
    data_until   time of the last order, ISO
    at           when it is registered
    """

    name: str
    recommender: Path
    orders: Path
    key: str
    data_digest: str
    data_until: str
    config: dict[str, Any]
    recipe: dict[str, Any]
    figures: Figures
    example: tuple[str, list[str]]
    golden: Golden
    at: datetime
    monitoring: dict[str, Any] = field(default_factory=dict)  # profiles for the next run to be compared with


def log_training(client: MlflowClient, training: Training, options: RegistryOptions) -> Any:
    """Log the run and the model, load it again, and make a version of it; returns MLflow's ModelVersion."""
    tags = {
        "key": training.key,
        "data_digest": training.data_digest,
        "git_commit": git_commit(),
        "title": training.name,
        **tracking.drift_tags(training.monitoring),
    }
    with tracking.training_run(training.name, tags) as run_id:
        tracking.log_params(training.config)
        _log_figures(training)
        info = served.log_model(training.recommender, served.example_rows(*training.example), run_id)
        _reload(info.model_uri)
    _create_registered_model(client, options.model_name)
    version_tags = {
        "key": training.key,
        "recipe": tracking.digest_of(training.recipe),
        "title": training.name,
        "git_commit": tags["git_commit"],
        "trained_at": training.at.isoformat(),
        "data_until": training.data_until,
        "primary": f"{training.figures.metrics['primary_value']:.6g}",
        "serves": training.figures.best,
    }
    return client.create_model_version(
        options.model_name, info.model_uri, run_id, tags=version_tags, model_id=getattr(info, "model_id", None)
    )


def _log_figures(training: Training) -> None:
    """Metrics, data set, environment, what the gate reads; a child run per contender."""
    metrics = training.figures.metrics
    mlflow.log_metric("primary", metrics["primary_value"])
    best = [r for r in metrics["records"] if r["contender"] == metrics["best"] and r["value"] is not None]
    mlflow.log_metrics({f"{r['task']}_{r['segment']}_{r['metric']}_at_{r['k']}": r["value"] for r in best})
    mlflow.log_input(_dataset(training), context="training")
    tracking.log_text(training.recipe, RECIPE)
    tracking.log_text(training.monitoring, tracking.MONITORING)
    tracking.log_text(training.config, "config.json")
    tracking.log_text("\n".join(environment()), "environment.txt")
    tracking.log_text(training.figures.as_dict(), FIGURES)
    tracking.log_text(training.golden.as_dict(), GOLDEN)
    for contender in sorted({r["contender"] for r in metrics["records"]}):
        tracking.log_contender(contender, metrics["records"])


def _dataset(training: Training) -> Any:
    source, digest = str(training.orders), training.data_digest[:36]
    lines = pl.scan_parquet(training.orders)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # MLflow knows two readers of a local path, both fit
        if lines.select(pl.len()).collect().item() > PROFILED:
            return MetaDataset(resolve_dataset_source(source), name=training.name, digest=digest)  # type: ignore[abstract]
        return from_polars(lines.collect(), source=source, name=training.name, digest=digest)


def _reload(uri: str) -> None:
    """The logged model answers its own example, or the training fails before any version exists."""
    model = mlflow.pyfunc.load_model(uri)
    answers = model.predict(model.input_example)
    wrong = [e for e in answers["error"] if e]
    if wrong or not all(len(items) for items in answers["item_ids"]):
        raise InputError(
            f"the logged model {uri} does not answer its own example: {wrong or answers['item_ids'].tolist()}"
        )


def _create_registered_model(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except mlflow.exceptions.MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def git_commit() -> str:
    """Commit of the working directory, '+' where it has changes, '' outside a repository."""

    def git(*words: str) -> str:
        try:
            found = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
        except FileNotFoundError:  # git is not installed
            return ""
        return found.stdout.strip() if found.returncode == 0 else ""

    commit = git("rev-parse", "--short=12", "HEAD")
    return commit + ("+" if commit and git("status", "--porcelain", "--untracked-files=no") else "")


def environment() -> list[str]:
    """Python, platform and every installed distribution with its version."""
    packages = sorted({f"{d.metadata['Name']}=={d.version}" for d in distributions()}, key=str.lower)
    return [f"# Python {platform.python_version()} on {platform.platform()}", *packages]
