"""Which kit of offers a date may be served by, and the model of reorders beside it.

    orders ───────────── cut ──────────────── last order
    kit "test" ──────────┤ serves dates that begin here or later
    kit "now" ────────────────────────────────┤ serves dates that begin here or later

A kit serves a date if it learned from nothing that lies after the date's beginning; of both, the kit of everything. So
a date on which orders are known already, as of an export of this morning, is served by the kit before the test, unless
`now` is asked for by name: then the manifest says that the kit was ahead of the date. Triggers, histories and rules of
silence see what was known when the day began, whatever the kit.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from recsys import pipeline
from recsys.config import Config, as_dict
from recsys.data.checked_store import read_checked
from recsys.errors import InputError
from recsys.moments.known import day_start
from recsys.moments.purchases import Purchases
from recsys.moments.reorder import fit_reorder
from recsys.moments.reorder_model import ReorderModel
from recsys.pipeline import NOW, TEST
from recsys.stages import read_json, stage, write_json

DAY, TICK = timedelta(days=1), timedelta(microseconds=1)
REORDER, NONE = "reorder", "none.json"


@dataclass(frozen=True)
class KitMoments:
    """Up to when each kit learned, its end excluded; `test` is None where the test is no window of time."""

    now: datetime
    test: datetime | None
    time_zone: str

    @classmethod
    def of(cls, config: Config, ingested: Path, matrices: Path) -> "KitMoments":
        last = datetime.fromisoformat(read_json(ingested / "ingest.json")["last"])
        window = config.split.kind == "window"
        cut = read_json(matrices / "moments.json")["cut"]
        test = datetime.fromisoformat(cut).replace(tzinfo=UTC) if window else None
        return cls(last + TICK, test, config.moments.time_zone)

    def until(self, name: str) -> datetime:
        """InputError where there is no such moment."""
        if name == NOW:
            return self.now
        if self.test is None:
            raise InputError("split.kind is last_basket: its test has no one moment, so no kit before it; set kit now")
        return self.test

    def serves(self, name: str, day: date) -> bool:
        """Whether the kit learned from nothing after the day's beginning."""
        if name == TEST and self.test is None:
            return False
        return self.until(name) <= day_start(day, self.time_zone)

    def name_for(self, day: date, wanted: str = "auto") -> str:
        """Name of the kit that serves the day; InputError where none does and none was asked for by name."""
        if wanted != "auto":
            self.until(wanted)
            return wanted
        found = next((name for name in (NOW, TEST) if self.serves(name, day)), None)
        if found is None:
            until = f"{self.test or self.now:%Y-%m-%d %H:%M} UTC"
            raise InputError(
                f"no kit of offers may serve {day}: they learned from orders up to {until} and later; give a later "
                "date, or set moments.daily.kit to now (--kit now), and the manifest will "
                "say that the kit was ahead of the date"
            )
        return found


def local_date(moment: datetime, time_zone: str) -> date:
    """The shop's date at a moment."""
    clock: date = pl.select(pl.lit(moment).dt.convert_time_zone(time_zone).dt.date()).item()
    return clock


def latest_day(last_order: datetime, now: datetime, time_zone: str) -> date:
    """Today, or the day after the last order where that is earlier: of later days nothing is known yet."""
    return min(local_date(now, time_zone), local_date(last_order, time_zone) + DAY)


def learn_reorder(config: Config, ingested: Path, until: datetime) -> Path:
    """The model of what falls due, learned from what lay before the day of `until` began."""
    at = day_start(local_date(until, config.moments.time_zone), config.moments.time_zone)
    depends = {"from": ingested.name, "at": at.isoformat(), "reorder": as_dict(config.moments.reorder)}
    return stage(pipeline.store(config), "learn_reorder", depends, lambda out: _learn(config, ingested, at, out))


def _learn(config: Config, ingested: Path, at: datetime, out: Path) -> None:
    checked = read_checked(ingested / "checked")
    try:
        fit_reorder(Purchases.of(checked.orders, checked.catalog), at, config.moments.reorder).save(out / REORDER)
    except InputError as error:
        write_json(out / NONE, str(error))


def load_reorder(learned: Path) -> tuple[ReorderModel | None, str]:
    """The model, or None and why there is none."""
    if (learned / NONE).is_file():
        return None, str(read_json(learned / NONE))
    return ReorderModel.load(learned / REORDER), ""
