"""From a finished training to a version in the registry: log, reload, decide, move the alias last.

    locked   clean up what killed trainings left · find the version of this training, or log it
    free     guardrails · refit the champion's recipe and compare         (minutes; other trainings go on)
    locked   is the champion still the one compared with? decide again if not · write the decision · move the alias

A process that is killed anywhere leaves the standing champion; the same training, run again, goes on.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from mlflow import MlflowClient

from recsys.errors import InputError
from recsys.registry import champions, orphans, promotion, tracking
from recsys.registry.champions import champion
from recsys.registry.evidence import logged, model_guardrails
from recsys.registry.guardrails import Guardrail, of_figures
from recsys.registry.locks import registry_lock
from recsys.registry.log_training import RECIPE, Training, git_commit, log_training
from recsys.registry.options import RegistryOptions
from recsys.registry.promotion import Comparison, Decision, Standing

logger = logging.getLogger(__name__)
SETTLED = "settled"  # tag of a version whose alias was moved
ROLLED_BACK = "rolled_back"  # tag of a version that a person took back; its recipe is held until one promotes it
TRIES = 20  # decisions against a champion that others keep replacing
Compare = Callable[[dict[str, Any]], Comparison]  # the champion's recipe → how the new one does beside it


def register(training: Training, options: RegistryOptions, compare: Compare) -> dict[str, Any]:
    """Register the deployed fit and give it an alias; returns name, version, alias, uri, reason, run_id, decision.

    `compare(recipe)` judges a champion's recipe on today's queries. A training that is registered already keeps its
    version; one that was killed before its alias was moved gets it now.
    """
    client = tracking.connect(options)
    _refuse_other_shop(client, options.model_name, training.name)
    with registry_lock(options):
        left = orphans.end_orphaned_runs(client, options.experiment)
        found = _version_of(client, options.model_name, training.key) or log_training(client, training, options)
    if left:
        logger.warning("%d runs of killed trainings were ended: %s", len(left), ", ".join(left))
    found = _settle(client, found, training, options, compare)
    alias = next(iter(sorted(found.aliases)), "")  # a version that came after it may have taken its alias
    return {
        "name": options.model_name,
        "version": int(found.version),
        "alias": alias,
        "reason": found.tags["decision"],
        "uri": f"models:/{options.model_name}" + (f"@{alias}" if alias else f"/{found.version}"),
        "run_id": found.run_id,
        "decision": logged(found, "decision.json"),
    }


def attach_report(options: RegistryOptions, run_id: str, report: Any) -> None:
    """Log the report's directory to the training's run; done again, it replaces the files."""
    tracking.connect(options).log_artifacts(run_id, str(report), "report")


def _refuse_other_shop(client: MlflowClient, name: str, title: str) -> None:
    """Another shop's model is no champion to compare with, nor one to replace."""
    versions = client.search_model_versions(f"name = '{name}'", max_results=1)
    standing = champion(client, name) or next(iter(versions), None)
    held = standing.tags.get("title", title) if standing else title
    if held != title:
        raise InputError(
            f"registered model {name!r} is of {held!r}, this training is of {title!r}; "
            f"give the shop a model of its own, e.g. --set registry.model_name={name}-2, or the same title"
        )


def _version_of(client: MlflowClient, name: str, key: str) -> Any | None:
    found = client.search_model_versions(f"name = '{name}' and tags.`key` = '{key}'")
    ready = sorted((v for v in found if v.status == "READY"), key=lambda v: int(v.version))
    return client.get_model_version(name, ready[0].version) if ready else None


def _settle(client: MlflowClient, found: Any, training: Training, options: RegistryOptions, compare: Compare) -> Any:
    """Decide without the lock, carry it out with it; decide again where the champion changed in between."""
    name = options.model_name
    checks: list[Guardrail] | None = None
    for _ in range(TRIES):
        found = client.get_model_version(name, found.version)
        if SETTLED in found.tags:
            return found
        standing = champion(client, name)
        before = int(standing.version) if standing else None
        if before != int(found.version):
            checks = checks or _checks(training, found, options)
            decision = _decide(client, standing, training, options, checks, compare)
        with registry_lock(options):
            now = champions.serving(client, name)
            if now == int(found.version):  # the alias was moved, then this training was killed
                client.set_model_version_tag(name, found.version, SETTLED, "yes")
            elif now == before:
                _carry_out(client, options, found, decision)
            else:
                logger.warning("the champion of %s became version %s meanwhile; deciding again", name, now)
    found = client.get_model_version(name, found.version)
    if SETTLED not in found.tags:
        raise InputError(
            f"the champion of {name!r} was replaced {TRIES} times while version {found.version} was judged; "
            "run this training again when the others are done"
        )
    return found


def _checks(training: Training, found: Any, options: RegistryOptions) -> list[Guardrail]:
    return [*of_figures(training.figures, options.gate), *model_guardrails(found, options)]


def _carry_out(client: MlflowClient, options: RegistryOptions, found: Any, decision: Decision) -> None:
    """Write the decision down, then move the alias. The caller holds the lock."""
    name, run_id = options.model_name, found.run_id
    client.log_text(run_id, decision.markdown(), "decision.md")
    client.log_dict(run_id, decision.as_dict(), "decision.json")
    tags = {"decision": decision.reason[: tracking.MAX_TAG], "outcome": decision.alias}
    if decision.against is not None:
        tags["decided_against"] = str(decision.against)
    if decision.promoted:
        tags["promoted_by"] = "the gate"
    for key, value in tags.items():
        client.set_tag(run_id, key, value)
        client.set_model_version_tag(name, found.version, key, value)
    if decision.promoted:
        champions.promote(client, name, int(found.version))
    else:
        client.set_registered_model_alias(name, promotion.CHALLENGER, found.version)
    client.set_model_version_tag(name, found.version, SETTLED, "yes")


def _decide(
    client: MlflowClient,
    standing: Any | None,
    training: Training,
    options: RegistryOptions,
    checks: list[Guardrail],
    compare: Compare,
) -> Decision:
    recipe = tracking.digest_of(training.recipe)
    held = rolled_back(client, options.model_name, recipe)
    against = _standing(standing, recipe, training) if standing else None
    try:
        found = promotion.decide(checks, against, lambda: compare(logged(standing, RECIPE)), options.gate, held)
        return replace(found, notes=_notes(against, git_commit()))
    except InputError as error:  # a champion of other code, or registered by hand, must not stop the training
        reason = f"the champion's recipe cannot be refit: {error}; compare by hand, then recsys promote"
        return Decision(False, reason, checks, against=against.version if against else None)


def _standing(version: Any, recipe: str, training: Training) -> Standing:
    tags = version.tags
    trained = tags.get("trained_at")
    then = datetime.fromisoformat(trained).timestamp() if trained else version.creation_timestamp / 1000
    return Standing(
        version=int(version.version),
        same_recipe=tags.get("recipe") == recipe,
        age_days=(training.at.timestamp() - then) / 86_400,
        knows_later=tags.get("data_until", "") > training.data_until,
        commit=tags.get("git_commit", ""),
    )


def _notes(against: Standing | None, commit: str) -> tuple[str, ...]:
    """What a reader must know of the comparison: code is not compared, options are."""
    if against is None or against.commit == commit:
        return ()
    return (f"The champion was trained by code {against.commit or 'unknown'}, this version by {commit or 'unknown'}. "
            "Recipes are compared by their options; both run with today's code.",)  # fmt: skip


def rolled_back(client: MlflowClient, name: str, recipe: str) -> str:
    """Who rolled a version of this recipe back, when and why; '' where nobody did, or it was lifted."""
    found = client.search_model_versions(f"name = '{name}' and tags.`recipe` = '{recipe}'")
    held = [v.tags[ROLLED_BACK] for v in found if v.tags.get(ROLLED_BACK)]
    return str(held[0]) if held else ""


@contextmanager
def quiet() -> Iterator[None]:
    """MLflow's progress lines go where logs go, not between ours."""
    names = ("mlflow", "alembic", "mlflow.store.db.utils")
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
