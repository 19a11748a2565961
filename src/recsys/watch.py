"""Monitoring as stages: profile what a run has, compare it with the last accepted run, stop the run where it says so.

ingest ─ watch_orders ─ … hours of fitting … ─ package ─ watch_lists ─ register ─ report
             └ stop: nothing was fitted               └ stop: nothing is registered, the champion stays
"""

import hashlib
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys.config import Config, as_dict
from recsys.data.cells import moment_of
from recsys.data.checked_store import read_checked
from recsys.errors import InputError
from recsys.monitoring import charts, list_profile
from recsys.monitoring.checks import STOP, WARN, plain, sentences, worst
from recsys.monitoring.list_checks import compare_lists
from recsys.monitoring.list_profile import profile_lists
from recsys.monitoring.order_checks import compare_orders
from recsys.monitoring.order_profile import COLUMNS, profile_orders
from recsys.pipeline import recipe, store
from recsys.registry.accepted import FORMAT, Accepted, accepted_run
from recsys.registry.tracking import digest_of
from recsys.serving.recommender import Recommender
from recsys.stages import read_json, stage, write_json

ORDERS, LISTS = "orders", "lists"
PROFILED = ("recent_days", "category_level", "sample", "seed")  # options that a profile depends on
log = logging.getLogger("recsys.monitoring")


class DriftError(InputError):
    """Orders or recommendations differ too much from the last accepted ones; a person decides."""


@dataclass(frozen=True)
class Reference:
    """What a part is compared with. `settled`: the champion holds this very part, so it cannot be stopped by it."""

    label: str | None
    profile: dict[str, Any] | None
    settled: bool = False
    why: str = ""


def watch_orders(config: Config, ingested: Path, gate: bool = True) -> Path:
    """Compare the checked orders with those of the last accepted run; directory with drift.json and profile.json.

    With `gate`, DriftError where a check says stop and neither monitoring.accept is set nor the champion was made
    of these very orders.
    """
    profiled = stage(
        store(config), "profile", _depends(config, ingested.name), lambda out: _orders(config, ingested, out)
    )

    def compare(mine: dict[str, Any], reference: dict[str, Any]) -> tuple[Any, list[str], Any]:
        checked = read_checked(ingested / "checked", COLUMNS)
        found, notes, parts = compare_orders(checked.lines, checked.catalog, mine, reference, config.monitoring)
        return found, notes, charts.of_orders(mine, reference, parts)

    return _watch(config, ORDERS, profiled, compare, gate)


def watch_lists(config: Config, ingested: Path, packaged: Path, gate: bool = True) -> Path:
    """The same of the packaged model's recommendations, before anything is registered."""
    depends = _depends(config, ingested.name, packaged.name)
    profiled = stage(store(config), "profile", depends, lambda out: _lists(config, ingested, packaged, out))

    def compare(mine: dict[str, Any], reference: dict[str, Any]) -> tuple[Any, list[str], Any]:
        return *compare_lists(mine, reference, config.monitoring), charts.of_lists(mine, reference)

    return _watch(config, LISTS, profiled, compare, gate)


def _depends(config: Config, *stages: str) -> dict[str, Any]:
    options = as_dict(config.monitoring)
    return {"from": list(stages), "monitoring": {name: options[name] for name in PROFILED}}


def _orders(config: Config, ingested: Path, out: Path) -> None:
    checked = read_checked(ingested / "checked", COLUMNS)
    epoch = moment_of(config.data.orders.order_number_epoch, "data.orders.order_number_epoch")
    counted = checked.lines["ordered_at"].max() == epoch
    intake = read_json(ingested / "ingest.json")
    write_json(out / "profile.json", profile_orders(checked.lines, checked.catalog, intake, config.monitoring, counted))


def _lists(config: Config, ingested: Path, packaged: Path, out: Path) -> None:
    checked = read_checked(ingested / "checked", list_profile.COLUMNS)
    model = Recommender.load(packaged / "recommender")
    found = profile_lists(model, checked.lines, checked.catalog, config.monitoring, digest_of(recipe(config)))
    write_json(out / "profile.json", found)


def _watch(config: Config, part: str, profiled: Path, compare: Any, gate: bool) -> Path:
    mine = read_json(profiled / "profile.json")
    reference = reference_of(config, part, mine, gate)
    options = {name: value for name, value in as_dict(config.monitoring).items() if name != "accept"}
    depends = {"from": profiled.name, "part": part, "monitoring": options, "label": reference.label,
               "reference": digest_of(reference.profile), "why": reference.why}  # fmt: skip

    def build(out: Path) -> None:
        checks, notes, drawn = [], [reference.why] if reference.why else [], {}
        if reference.profile is not None:
            checks, more, drawn = compare(mine, reference.profile)
            notes += more
        found: dict[str, Any] = {"reference": reference.label, "why": reference.why, "notes": notes}
        found |= {"checks": plain(checks), "charts": drawn}
        write_json(out / "drift.json", found)
        write_json(out / "profile.json", mine)
        write_json(out / "reference.json", reference.profile)

    done = stage(store(config), "drift", depends, build)
    found = read_json(done / "drift.json")
    _keep_latest(config, part, found)
    _speak(config, part, found, gate and not reference.settled)
    return done


def reference_of(config: Config, part: str, mine: dict[str, Any], gate: bool = True) -> Reference:
    """The champion's profile of the part; where that is this very one, what the champion was compared with."""
    if not config.monitoring.enabled:
        return Reference(None, None, why="monitoring.enabled is false: nothing is compared")
    try:
        found = accepted_run(config.registry, config.title)
    except InputError as error:
        if gate:
            raise
        return Reference(None, None, why=f"nothing is compared: {error}")
    if found is None:
        return Reference(None, None, why="the first run: there is no champion to compare with")
    return _chosen(found, part, mine)


def _chosen(found: Accepted, part: str, mine: dict[str, Any]) -> Reference:
    if found.record is None:
        return Reference(
            None, None, why=f"{found.label} was registered without a profile of this form: nothing is compared"
        )
    if found.record[part] != mine:
        return Reference(found.label, found.record[part])
    before = found.record["before"][part]
    return Reference(before["label"], before["profile"], True, before["why"])


def _speak(config: Config, part: str, found: dict[str, Any], gate: bool) -> None:
    """Log the warnings; DriftError on a stop."""
    for line in sentences(found["checks"], WARN):
        log.warning("drift of the %s: %s", part, line)
    stops = sentences(found["checks"], STOP)
    if stops and gate and not config.monitoring.accept:
        raise DriftError(
            f"the {part} differ too much from those of the last accepted run ({found['reference']}), nothing is "
            f"registered and the champion stays: {'; '.join(f'({n}) {line}' for n, line in enumerate(stops, 1))}. "
            "`recsys drift` shows every check; mend the cause, change the limit in the section monitoring, or accept "
            "it once with --set monitoring.accept=true"
        )
    for line in stops:
        log.warning("drift of the %s, beyond the stop limit: %s", part, line)


def summary(config: Config, watched: dict[str, Path]) -> dict[str, Any]:
    """drift.json of the report: the parts, the hardest verdict, and whether a stop was accepted by hand."""
    parts = {part: read_json(path / "drift.json") for part, path in watched.items()}
    verdict = worst(check for found in parts.values() for check in found["checks"])
    return {"verdict": verdict, "accepted": verdict == STOP and config.monitoring.accept, "parts": parts}


def record(config: Config, watched: dict[str, Path]) -> dict[str, Any]:
    """What the training's MLflow run keeps for the next one: both profiles, and what they were compared with."""
    if not watched:
        return {}
    told = summary(config, watched)
    before = {
        part: {"label": found["reference"], "why": found["why"], "profile": read_json(watched[part] / "reference.json")}
        for part, found in told["parts"].items()
    }
    profiles = {part: read_json(path / "profile.json") for part, path in watched.items()}
    return {"format": FORMAT, **profiles, "before": before, "verdict": told["verdict"], "accepted": told["accepted"]}


def latest(config: Config) -> dict[str, Any]:
    """What the latest run of this shop found, stopped or not: {"parts": {"orders": …, "lists": …}}."""
    file = _latest_file(config)
    if not file.is_file():
        raise InputError(f"no run of {config.title!r} was compared yet in run.store {store(config)}; run recsys train")
    found: dict[str, Any] = read_json(file)
    return found


def _keep_latest(config: Config, part: str, found: dict[str, Any]) -> None:
    """A run begins with its orders, so these replace the lists of the run before."""
    file = _latest_file(config)
    before = read_json(file)["parts"] if part == LISTS and file.is_file() else {}
    fresh = file.with_suffix(f".{os.getpid()}")
    write_json(fresh, {"title": config.title, "parts": {**before, part: found}})
    os.replace(fresh, file)


def _latest_file(config: Config) -> Path:
    """In the store, named by shop and model: several shops may share a store."""
    name = hashlib.blake2b(json.dumps([config.title, config.registry.model_name]).encode(), digest_size=6).hexdigest()
    return store(config) / f"drift-{name}.json"
