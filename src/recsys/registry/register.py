"""From a finished training to a version in the registry: log, reload, predict, decide, move the alias last."""

import platform
import subprocess
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import mlflow
import polars as pl
from mlflow import MlflowClient
from mlflow.data.polars_dataset import from_polars

from recsys.errors import InputError
from recsys.registry import promotion, served, tracking
from recsys.registry.options import RegistryOptions

SETTLED = "settled"  # tag of a version whose alias was moved


@dataclass(frozen=True)
class Training:
    """What a finished training hands to the registry.

    recommender  directory of the saved Recommender (deployed fit)
    orders       Parquet file of the accepted orders
    key          digest of all that the recommender depends on
    """

    name: str
    recommender: Path
    orders: Path
    key: str
    data_digest: str
    config: dict[str, Any]
    recipe: dict[str, Any]
    metrics: dict[str, Any]
    coverage: dict[str, Any]
    known_items: int
    example: tuple[str, list[str]]
    monitoring: dict[str, Any] = field(default_factory=dict)  # profiles for the next run to be compared with


def register(
    training: Training, options: RegistryOptions, compare: Callable[[dict[str, Any]], tuple[float, float]]
) -> dict[str, Any]:
    """Register the deployed fit and give it an alias; returns name, version, alias, uri, reason.

    `compare(recipe)` judges a champion's recipe on today's queries: (ratio, low) of new over old. A training that
    is registered already keeps its version; one that was killed before its alias was moved gets it now.
    """
    client = tracking.connect(options)
    _refuse_other_shop(client, options.model_name, training.name)
    found = _version_of(client, options.model_name, training.key)
    if found is None:
        found = _log_training(client, training, options)
    if SETTLED not in found.tags:
        _settle(client, found, training, options, compare)
        found = client.get_model_version(options.model_name, found.version)
    alias = next(iter(found.aliases), "")  # a version that came after it may have taken its alias
    return {
        "name": options.model_name,
        "version": int(found.version),
        "alias": alias,
        "reason": found.tags["decision"],
        "uri": f"models:/{options.model_name}" + (f"@{alias}" if alias else f"/{found.version}"),
        "run_id": found.run_id,
    }


def attach_report(options: RegistryOptions, run_id: str, report: Path) -> None:
    """Log the report's directory to the training's run; done again, it replaces the files."""
    tracking.connect(options).log_artifacts(run_id, str(report), "report")


def _refuse_other_shop(client: MlflowClient, name: str, title: str) -> None:
    """Another shop's model is no champion to compare with, nor one to replace."""
    standing = promotion.champion(client, name)
    held = standing.tags.get("title", title) if standing else title
    if held != title:
        raise InputError(
            f"registered model {name!r} serves {held!r}, this training is of {title!r}; "
            f"give the shop a model of its own, e.g. --set registry.model_name={name}-2, or the same title"
        )


def _settle(
    client: MlflowClient,
    found: Any,
    training: Training,
    options: RegistryOptions,
    compare: Callable[[dict[str, Any]], tuple[float, float]],
) -> None:
    """Decide, write the decision down, then move the alias; a run killed in between carries the decision out."""

    def tag(key: str, value: str) -> None:
        client.set_model_version_tag(options.model_name, found.version, key, value)

    alias = found.tags.get("alias")
    if alias is None:
        decision = _decide(client, training, options, compare)
        alias = decision.alias
        client.log_text(found.run_id, decision.markdown(), "decision.md")
        tag("decision", decision.reason)
        tag("alias", alias)
    promotion.set_alias(client, options.model_name, alias, found.version)
    tag(SETTLED, "yes")


def _version_of(client: MlflowClient, name: str, key: str) -> Any | None:
    found = client.search_model_versions(f"name = '{name}' and tags.`key` = '{key}'")
    ready = [v for v in found if v.status == "READY"]
    return client.get_model_version(name, ready[0].version) if ready else None


def _log_training(client: MlflowClient, training: Training, options: RegistryOptions) -> Any:
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
    version_tags = {"key": training.key, "recipe": tracking.digest_of(training.recipe), "title": training.name}
    return client.create_model_version(
        options.model_name, info.model_uri, run_id, tags=version_tags, model_id=getattr(info, "model_id", None)
    )


def _log_figures(training: Training) -> None:
    """Metrics, data set, environment, report and plots; a child run per contender."""
    metrics = training.metrics
    mlflow.log_metric("primary", metrics["primary_value"])
    best = [r for r in metrics["records"] if r["contender"] == metrics["best"] and r["value"] is not None]
    mlflow.log_metrics({f"{r['task']}_{r['segment']}_{r['metric']}_at_{r['k']}": r["value"] for r in best})
    mlflow.log_input(_dataset(training), context="training")
    tracking.log_text(training.recipe, "recipe.json")
    tracking.log_text(training.monitoring, tracking.MONITORING)
    tracking.log_text(training.config, "config.json")
    tracking.log_text("\n".join(environment()), "environment.txt")
    for contender in sorted({r["contender"] for r in metrics["records"]}):
        tracking.log_contender(contender, metrics["records"])


def _dataset(training: Training) -> Any:
    orders = pl.read_parquet(training.orders)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # MLflow knows two readers of a local path, both fit
        return from_polars(orders, source=str(training.orders), name=training.name, digest=training.data_digest[:36])


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


def _decide(
    client: MlflowClient,
    training: Training,
    options: RegistryOptions,
    compare: Callable[[dict[str, Any]], tuple[float, float]],
) -> promotion.Decision:
    best = training.metrics["best"]
    checks = promotion.guardrails(training.metrics, training.known_items, training.coverage[best]["counts"], options)
    standing = promotion.champion(client, options.model_name)
    if standing is None:
        return promotion.decide(checks, None, lambda: (1.0, 1.0))
    same = standing.tags.get("recipe") == tracking.digest_of(training.recipe)
    try:
        return promotion.decide(checks, same, lambda: compare(_recipe_of(standing)))
    except InputError as error:  # a champion of other code, or registered by hand, must not stop the training
        reason = f"the champion's recipe cannot be refit: {error}; compare by hand, then move the alias"
        return promotion.Decision(False, reason, checks)


def _recipe_of(version: Any) -> dict[str, Any]:
    try:
        recipe: dict[str, Any] = mlflow.artifacts.load_dict(f"runs:/{version.run_id}/recipe.json")
    except mlflow.exceptions.MlflowException as error:
        raise InputError(f"version {version.version} has no recipe.json ({error.message})") from None
    return recipe


@contextmanager
def quiet() -> Iterator[None]:
    """MLflow's progress lines go where logs go, not between ours."""
    import logging

    names = ("mlflow", "alembic", "mlflow.store.db.utils")
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


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
