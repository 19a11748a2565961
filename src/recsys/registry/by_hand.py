"""What people do to the champion: promote a version, roll back to the one before; who, when and why stay in tags."""

from datetime import datetime
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from recsys.errors import InputError
from recsys.registry import champions, tracking
from recsys.registry.evidence import all_guardrails, model_uri
from recsys.registry.guardrails import Guardrail
from recsys.registry.locks import registry_lock
from recsys.registry.options import RegistryOptions
from recsys.registry.promotion import CHAMPION
from recsys.registry.register import ROLLED_BACK, SETTLED

LIFTED = "rollback_lifted"


def promote_version(
    options: RegistryOptions, version: int, *, who: str, now: datetime, force: bool = False, why: str = ""
) -> list[Guardrail]:
    """Make a version the champion if it passes the guardrails; returns them (none where forced).

    Lifts the hold on its recipe if a version of it was rolled back. `force` skips the guardrails and needs a `why`.
    """
    if force and not why.strip():
        raise InputError("--force skips every guardrail; say why with --why TEXT")
    client = tracking.connect(options)
    name = options.model_name
    found = _version(client, name, version)
    before = champions.serving(client, name)
    if before == version:
        raise InputError(f"version {version} of {name!r} is the champion already")
    checks = [] if force else all_guardrails(found, options)
    lost = [g for g in checks if not g.passed]
    if lost:
        said = "; ".join(f"{g.name} ({g.text})" for g in lost)
        raise InputError(f"version {version} fails {len(lost)} of {len(checks)} guardrails: {said}; --force overrides")
    with registry_lock(options):
        _refuse_moved(client, name, before)
        _lift(client, name, str(found.tags.get("recipe", "")), _said(who, now, why))
        _tag(client, name, version, {"promoted_by": who, "promoted_at": now.isoformat(), "promoted_why": why,
                                     "promoted_forced": "yes" if force else "no"})  # fmt: skip
        champions.promote(client, name, version)
        client.set_model_version_tag(name, str(version), SETTLED, "yes")
    return checks


def roll_back(options: RegistryOptions, *, who: str, now: datetime, why: str = "") -> tuple[int, int]:
    """Make the champion before the current one serve again, after it was loaded; returns (from, to).

    The recipe that is taken back is held: no training promotes it until a person does.
    """
    client = tracking.connect(options)
    name = options.model_name
    current = champions.serving(client, name)
    if current is None:
        raise InputError(f"{name!r} has no champion to roll back from; recsys models lists its versions")
    earlier = champions.before(client, name, current)
    if earlier is None:
        raise InputError(f"version {current} is the first champion of {name!r}; there is none before it to go back to")
    _refuse_broken(name, earlier)
    with registry_lock(options):
        _refuse_moved(client, name, current)
        _tag(client, name, current, {ROLLED_BACK: _said(who, now, why)})
        champions.step_back(client, name, earlier)
    return current, earlier


def _version(client: MlflowClient, name: str, version: int) -> Any:
    try:
        found = client.get_model_version(name, str(version))
    except MlflowException:
        held = sorted(int(v.version) for v in client.search_model_versions(f"name = '{name}'"))
        known = f"it has {', '.join(map(str, held))}" if held else "it has none: run make train first"
        raise InputError(f"{name!r} has no version {version}; {known}") from None
    if found.status != "READY":
        raise InputError(f"version {version} of {name!r} is {found.status}, not READY; train again")
    return found


def _refuse_broken(name: str, version: int) -> None:
    try:
        mlflow.pyfunc.load_model(model_uri(name, version))
    except Exception as error:  # whatever is wrong with the files or the served code
        said = " ".join(str(error).split())[:300]
        raise InputError(
            f"version {version}, the champion before, does not load: {said}; "
            "choose another of recsys models with recsys promote"
        ) from None


def _refuse_moved(client: MlflowClient, name: str, before: int | None) -> None:
    now = champions.serving(client, name)
    if now != before:
        raise InputError(f"the {CHAMPION} became version {now} meanwhile, it was {before}; look again: recsys models")


def _lift(client: MlflowClient, name: str, recipe: str, said: str) -> None:
    for found in client.search_model_versions(f"name = '{name}' and tags.`recipe` = '{recipe}'"):
        if found.tags.get(ROLLED_BACK):
            _tag(client, name, int(found.version), {LIFTED: said})
            client.delete_model_version_tag(name, str(found.version), ROLLED_BACK)


def _said(who: str, now: datetime, why: str) -> str:
    return f"by {who} at {now:%Y-%m-%d %H:%M} UTC" + (f" ({why})" if why else "")


def _tag(client: MlflowClient, name: str, version: int, tags: dict[str, str]) -> None:
    for key, value in tags.items():
        client.set_model_version_tag(name, str(version), key, value[: tracking.MAX_TAG])
