"""The files of one run directory, read once and refused with a reason when one is missing or broken."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recsys.errors import InputError

Row = Mapping[str, Any]

TASKS = ("next_basket", "cart")
SEGMENTS = ("all", "repeat", "new")
REQUIRED_KEYS: dict[str, tuple[str, ...]] = {
    "metrics.json": ("records", "paired", "primary", "best", "baseline_best_single"),
    "ingest.json": (
        "read",
        "kept",
        "rejected",
        "rules",
        "checks",
        "first",
        "last",
        "customers",
        "items",
        "orders",
    ),
    "importances.json": (),
    "examples.json": (),
    "coverage.json": (),
    "run.json": ("name", "shop", "seconds", "versions", "queries", "known_items"),
}


@dataclass(frozen=True, kw_only=True)
class RunFiles:
    """What one run left behind; what it may leave out (`calibration` and on) is empty where it did."""

    metrics: Row
    ingest: Row
    importances: list[Row]
    examples: list[Row]
    coverage: Mapping[str, Row]
    run: Row
    calibration: Mapping[str, Row]
    segments: list[Row]
    cold_start: list[Row]
    drift: Row = field(default_factory=dict)
    commerce: list[Row] = field(default_factory=list)
    shop: list[Row] = field(default_factory=list)

    @property
    def best(self) -> str:
        return str(self.metrics["best"])

    @property
    def primary(self) -> Row:
        """Task, segment, metric and k by which contenders are ranked."""
        primary: Row = self.metrics["primary"]
        return primary

    def baseline(self, task: str) -> str | None:
        """The best single model of a task, null where the run names none."""
        name = self.metrics["baseline_best_single"].get(task)
        return None if name is None else str(name)


def load_run_files(directory: Path) -> RunFiles:
    """Read every file of a run. Raises InputError that names the file and what to do about it."""
    if not directory.is_dir():
        raise InputError(f"{directory} is not a run directory; give the folder that a run wrote metrics.json to")
    return RunFiles(
        metrics=_required(directory, "metrics.json"),
        ingest=_required(directory, "ingest.json"),
        importances=_required(directory, "importances.json"),
        examples=_required(directory, "examples.json"),
        coverage=_required(directory, "coverage.json"),
        run=_required(directory, "run.json"),
        calibration=_optional(directory, "calibration.json", {}),
        segments=_optional(directory, "segments.json", []),
        cold_start=_optional(directory, "cold_start.json", []),
        drift=_optional(directory, "drift.json", {}),
        commerce=_optional(directory, "commerce.json", []),
        shop=_optional(directory, "shop.json", []),
    )


def select(rows: Iterable[Row], **wanted: object) -> list[Row]:
    """Rows whose named fields all equal the wanted values and whose `value`, if any, is a number."""
    return [
        row
        for row in rows
        if all(row.get(name) == value for name, value in wanted.items())
        and ("value" not in row or number(row["value"]) is not None)
    ]


def number(value: object) -> float | None:
    """A finite float, or None for null, NaN and infinities: those are printed as a dash and never drawn."""
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def tasks_of(rows: Iterable[Row]) -> list[str]:
    """Tasks that occur, known ones first and in reading order."""
    return _in_order((str(row["task"]) for row in rows), TASKS)


def segments_of(rows: Iterable[Row]) -> list[str]:
    """Segments that occur: all, repeat, new, then any other."""
    return _in_order((str(row["segment"]) for row in rows), SEGMENTS)


def _in_order(values: Iterable[str], known: tuple[str, ...]) -> list[str]:
    found = dict.fromkeys(values)
    return [v for v in known if v in found] + [v for v in found if v not in known]


def _required(directory: Path, name: str) -> Any:
    path = directory / name
    if not path.is_file():
        raise InputError(f"{path} is missing; the report needs it: run the evaluation stage again")
    content = _parse(path)
    absent = [key for key in REQUIRED_KEYS[name] if key not in content]
    if absent:
        raise InputError(f"{path} has no {', '.join(map(repr, absent))}; run the evaluation stage again")
    return content


def _optional(directory: Path, name: str, default: Any) -> Any:
    path = directory / name
    return _parse(path) if path.is_file() else default


def _parse(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not JSON ({error}); delete it and run its stage again") from error
