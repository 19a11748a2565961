"""The deployments of prefect.yaml, read so that `prefect deploy` and `make schedule` say them once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.deployments.runner import RunnerDeployment
from prefect.flows import load_flow_from_entrypoint
from prefect.schedules import Cron, Schedule

from recsys.errors import InputError

FILE = Path("prefect.yaml")
# what both ways of running understand; anything else would hold for one of them only
KEYS = {
    "name", "entrypoint", "description", "tags", "parameters", "schedules", "concurrency_limit", "work_pool", "paused",
}  # fmt: skip
SCHEDULE_KEYS = {"slug", "cron", "timezone", "active", "parameters"}


@dataclass(frozen=True)
class Planned:
    """One entry of prefect.yaml, checked."""

    name: str
    entrypoint: str
    description: str
    tags: list[str]
    parameters: dict[str, Any]
    schedules: list[Schedule]
    limit: ConcurrencyLimitConfig | None
    paused: bool

    def flow(self) -> Any:
        """The flow that the entry names."""
        return load_flow_from_entrypoint(self.entrypoint, use_placeholder_flow=False)

    def deployment(self) -> RunnerDeployment:
        """The entry as Prefect's `serve` takes it."""
        flow = self.flow()
        flow.validate_parameters(self.parameters)
        made: RunnerDeployment = flow.to_deployment(
            name=self.name,
            schedules=self.schedules,
            concurrency_limit=self.limit,
            parameters=self.parameters,
            description=self.description,
            tags=self.tags,
            paused=self.paused,
        )
        return made


def read_plan(file: Path = FILE) -> list[Planned]:
    """Every deployment of the file; InputError where one holds what `make schedule` would not do."""
    try:
        entries = yaml.safe_load(file.read_text(encoding="utf-8"))["deployments"]
    except FileNotFoundError:
        raise InputError(f"there is no {file} here; start in the root of the project") from None
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise InputError(
            f"{file} holds no list of deployments ({type(error).__name__}); see docs/operations.md"
        ) from None
    return [_planned(entry, f"{file}: {entry.get('name', '?')}") for entry in entries]


def _planned(entry: dict[str, Any], place: str) -> Planned:
    _refuse_unknown(entry, KEYS, place)
    for key in ("name", "entrypoint"):
        if not entry.get(key):
            raise InputError(f"{place} has no {key}; give one, e.g. entrypoint: flows/train.py:train")
    return Planned(
        name=entry["name"],
        entrypoint=entry["entrypoint"],
        description=" ".join(entry.get("description", "").split()),
        tags=list(entry.get("tags", [])),
        parameters=dict(entry.get("parameters", {})),
        schedules=[_schedule(one, place) for one in entry.get("schedules", [])],
        limit=_limit(entry.get("concurrency_limit"), place),
        paused=bool(entry.get("paused", False)),
    )


def _limit(given: dict[str, Any] | None, place: str) -> ConcurrencyLimitConfig | None:
    try:
        return ConcurrencyLimitConfig(**given) if given else None
    except (TypeError, ValueError) as error:
        raise InputError(f"{place}.concurrency_limit: {error}; give limit and collision_strategy") from None


def _schedule(given: dict[str, Any], place: str) -> Schedule:
    _refuse_unknown(given, SCHEDULE_KEYS, f"{place}.schedules")
    if "timezone" not in given:
        raise InputError(f"{place}.schedules has no timezone; name one, e.g. Europe/Berlin or UTC")
    try:
        ZoneInfo(given["timezone"])
        return Cron(
            given["cron"], timezone=given["timezone"], active=given.get("active", True), slug=given.get("slug"),
            parameters=given.get("parameters", {}),
        )  # fmt: skip
    except Exception as error:
        raise InputError(f"{place}.schedules: {error}; give five fields as cron does, and a time zone") from None


def _refuse_unknown(given: dict[str, Any], known: set[str], place: str) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        raise InputError(f"{place} has the key {unknown[0]!r}; known are {', '.join(sorted(known))}")
