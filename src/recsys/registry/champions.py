"""Which version serves, which served before it, and how the alias moves from one to the other.

A tag of the registered model, `champions`, lists the versions that served, oldest first. It is written before the
alias moves, and the alias alone says who serves: a process that is killed in between leaves an entry that never
served, after the one that does, which the next move overwrites.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from recsys.data.databases import redact
from recsys.errors import InputError
from recsys.registry import tracking
from recsys.registry.options import RegistryOptions
from recsys.registry.promotion import CHALLENGER, CHAMPION

HISTORY = "champions"
KEPT = 100  # versions of the history
TRAIN = "run make train first (with the same CONFIG), or name a model by --model"


def champion(client: MlflowClient, name: str) -> Any | None:
    """The model version that serves now, or None."""
    try:
        return client.get_model_version_by_alias(name, CHAMPION)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise  # a store that does not answer is no shop without a champion


def require(options: RegistryOptions) -> Any:
    """The version that serves; where none does, an InputError says why and what to do. Makes no store."""
    name, file = options.model_name, Path(options.tracking_uri.removeprefix("sqlite:///"))
    if options.tracking_uri.startswith("sqlite:///") and not file.exists():
        raise InputError(f"no model {name!r} is registered: there is no store {file}; {TRAIN}")
    client = tracking.connect(options)
    found = champion(client, name)
    if found is None:
        latest = max(client.search_model_versions(f"name = '{name}'"), key=lambda v: int(v.version), default=None)
        why = why_none(int(latest.version), latest.tags) if latest else f"it has no version; {TRAIN}"
        raise InputError(f"the registered model {name!r} in {redact(options.tracking_uri)} has no champion: {why}")
    return found


def why_none(latest: int, tags: Mapping[str, str]) -> str:
    """Why the latest version of a model without a champion does not serve, and how a person makes it serve."""
    by_hand, decision = f"recsys promote {latest} makes it the champion", tags.get("decision", "")
    if tags.get("outcome") == CHALLENGER:
        force = " with --force --why TEXT" if "guardrail" in decision else ""
        return f"version {latest} was not promoted ({decision}); recsys models lists all, {by_hand}{force}"
    if tags.get("outcome") == CHAMPION:
        return f"version {latest} was promoted, but its alias is gone; {by_hand} again"
    return f"version {latest} is not decided, its training was killed or still runs; train again, or {by_hand}"


def serving(client: MlflowClient, name: str) -> int | None:
    """Its number."""
    found = champion(client, name)
    return int(found.version) if found else None


def history(client: MlflowClient, name: str) -> list[int]:
    """Versions that served, oldest first, as the tag holds them."""
    text = client.get_registered_model(name).tags.get(HISTORY, "[]")
    try:
        return [int(v) for v in json.loads(text)]
    except (ValueError, TypeError):  # written by hand
        return []


def up_to(served: list[int], current: int | None) -> list[int]:
    """The history that ends with the version which serves; what stands after it never served or was taken back."""
    if current is None:
        return []
    if current not in served:  # its alias was moved by hand
        return [*served, current]
    last = len(served) - 1 - served[::-1].index(current)
    return served[: last + 1]


def promote(client: MlflowClient, name: str, version: int) -> None:
    """Move the alias to a version and remember the one before it. The caller holds the lock."""
    current = serving(client, name)
    if current != version:
        served = up_to(history(client, name), current)
        _remember(client, name, [*served, version])
    client.set_registered_model_alias(name, CHAMPION, str(version))
    if client.get_registered_model(name).aliases.get(CHALLENGER) == str(version):
        client.delete_registered_model_alias(name, CHALLENGER)


def before(client: MlflowClient, name: str, current: int) -> int | None:
    """The version that served before the current one and is still there; None if there is none."""
    for version in up_to(history(client, name), current)[-2::-1]:
        if version != current and _ready(client, name, version):
            return version
    return None


def step_back(client: MlflowClient, name: str, version: int) -> None:
    """Move the alias to an earlier version and end the history there. The caller holds the lock."""
    served = up_to(history(client, name), serving(client, name))
    _remember(client, name, up_to(served[:-1], version))
    client.set_registered_model_alias(name, CHAMPION, str(version))


def _remember(client: MlflowClient, name: str, served: list[int]) -> None:
    client.set_registered_model_tag(name, HISTORY, json.dumps(served[-KEPT:]))


def _ready(client: MlflowClient, name: str, version: int) -> bool:
    try:
        return str(client.get_model_version(name, str(version)).status) == "READY"
    except MlflowException:
        return False
