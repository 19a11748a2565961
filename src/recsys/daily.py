"""`recsys due`: the offers due on a date, or on each of a range, as files.

due/date=2024-11-24/
    offers.parquet, .csv, .jsonl      a row per offer that is due, with the key under which outcomes come back
    channels/email.parquet …          the same, a channel a file
    dropped.parquet                   offers that a rule refused, with the rule and its end
    due.parquet                       what was due, and what became of it
    customers.parquet                 to whom something was due
    rule_costs.parquet                what each rule cost; customer_costs.parquet: by customer
    rejected_events.parquet           events that were set aside, with the rule
    manifest.json                     options, digests, kit, counts, files with digests; nothing of the clock
due/latest → the last date

The same date, data, options and code find the folder that is there; other ones replace it whole.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recsys import dated_folders, folders
from recsys.config import Config, as_dict
from recsys.customer_privacy import hash_rejected, key_mark, key_of
from recsys.daily_files import counts_of, tables_of, write_tables
from recsys.daily_shop import (
    DailyShop,
    Prepared,
    digest_of,
    events_digest,
    open_shop,
    prepare,
    rejected_columns,
    stages_of,
)
from recsys.data.events import CheckedEvents
from recsys.hashing import hash_id
from recsys.moments.contacts import ask, kit_at
from recsys.moments.day import Verdict, judge, silent_before
from recsys.moments.due import due
from recsys.moments.known import Known
from recsys.moments.silence.rules import Told
from recsys.progress import step
from recsys.scoring.customers import file_digest, read_ids
from recsys.stages import sweep

OUT = "moments.daily.out"
AT_RISK = "moments.daily.at_risk"
COPIES = ("out", "log_out", "log_keep")  # options on which no content depends
FUTURE = "future_time"


def of_day(config: Config, kit: str | None = None, out: Path | None = None) -> Config:
    """The configuration with another kit or another folder, where one is given."""
    daily = config.moments.daily
    daily = daily if kit is None else replace(daily, kit=kit)  # type: ignore[arg-type]
    daily = daily if out is None else replace(daily, out=str(out))
    return replace(config, moments=replace(config.moments, daily=daily))


def require_place(config: Config) -> None:
    """InputError where the folder cannot be written, before minutes are spent."""
    folders.refuse_unwritable(Path(config.moments.daily.out), OUT)


def publish_due(config: Config, first: date | None, last: date | None, clock: Callable[[], datetime]) -> list[Path]:
    """The published folders of the days, oldest first; without days that of the latest one."""
    now = clock()
    require_place(config)
    sweep(Path(config.run.store), config.run.keep_days, now.timestamp())
    return publish_days(config, prepare(config, first, last, now))


def publish_days(config: Config, prepared: Prepared) -> list[Path]:
    """The folders of the days that were prepared; those that are there already are kept."""
    require_place(config)
    shop, out = open_shop(config, prepared), Path(config.moments.daily.out)
    told = _told(config)
    published = []
    for day in prepared.days:
        with step(f"offers of {day}"):
            facts = day_facts(shop, day)
            published.append(dated_folders.publish(out, day, facts["key"], partial(_fill, shop, day, told, facts)))
    return published


def day_facts(shop: DailyShop, day: date) -> dict[str, Any]:
    """What a day rests on; equal facts, equal content."""
    config, name = shop.config, shop.kit_of(day)
    until = shop.moments.until(name)
    moments = as_dict(config.moments)
    moments["daily"] = {key: value for key, value in moments["daily"].items() if key not in COPIES}
    listed = config.moments.daily.at_risk
    facts = {
        "date": str(day),
        "shop": config.title,
        "notes": list(config.notes),
        "config": moments,
        "stages": stages_of(shop.prepared, name),
        "kit": {"name": name, "until": until.isoformat(), "ahead": until > shop.known.on(
            day, config.moments.time_zone).moment, "no_reorder": shop.no_reorder.get(name, "")},
        "events_digest": events_digest(config, shop.parts),
        "at_risk_digest": file_digest(Path(listed), AT_RISK) if listed else None,
        "ids": hash_id("fingerprint of the key", shop.secret) if shop.secret else "as they are",
        "rejected_ids": key_mark(config),
    }  # fmt: skip
    return {"key": digest_of(facts), **facts}


def _told(config: Config) -> Told:
    """What the shop says beside its events: whom it holds to be at risk."""
    listed = config.moments.daily.at_risk
    return Told(at_risk=frozenset(read_ids(Path(listed), AT_RISK).drop_nulls()) if listed else frozenset())


def _fill(shop: DailyShop, day: date, told: Told, facts: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write all files but the manifest, which is returned."""
    config, known = shop.config, shop.known.on(day, shop.config.moments.time_zone)
    kit = shop.kits[facts["kit"]["name"]]
    rows, verdict = offers_of_day(shop, known, facts["kit"]["name"], told)
    events = shop.events_on(known)
    shown = partial(hash_id, key=shop.secret) if shop.secret else str
    tables = tables_of(day, verdict, rows, _rejected(shop, events), kit.shelf, shown)
    written = write_tables(folder, tables, config.moments.daily)
    counts = counts_of(tables, known.orders["customer_id"].n_unique())
    return {
        **facts,
        "orders": {"known_lines": known.lines.height, "known_until": str(known.orders["ordered_at"].max())},
        "events": event_facts(events),
        "counts": counts,
        "files": folders.entries(folder, written),
    }


def offers_of_day(shop: DailyShop, known: Known, name: str, told: Told) -> tuple[pl.DataFrame, Verdict]:
    """What is due (moments.due.DUE), and what becomes of it, by the kit of that name."""
    options = shop.config.moments
    rows = due(known, options.triggers, shop.expected_on(known, name))
    kit = kit_at(shop.kit_on(known.day), known, rows["customer_id"], shop.config.interactions)
    silent = None if options.daily.costs else silent_before(known, rows, options.triggers, options.silence, told)
    contacts = ask(kit, rows, options.triggers, silent)
    owned = kit.owned_durables(np.arange(len(kit.customers)))
    return rows, judge(known, contacts, kit.shop_rules({}, owned), options.silence, told)


def _rejected(shop: DailyShop, events: CheckedEvents) -> pl.DataFrame:
    """Rows set aside, the customer hashed by option; what lies after the day's beginning is not yet there."""
    rejected = events.rejected.filter(pl.col("rule") != FUTURE)
    key = key_of(shop.config)
    return hash_rejected(rejected, rejected_columns(shop.parts), key) if key else rejected


def event_facts(events: CheckedEvents) -> dict[str, Any]:
    """Rows read; known when the day began; not there yet; set aside, by rule."""
    aside = dict(events.counts.filter(pl.col("outcome") == "rejected").select("rule", "rows").iter_rows())
    return {
        "read": events.read,
        "known": events.events.height,
        "not_yet": aside.pop(FUTURE, 0),
        "set_aside": aside,
        "files": dict(sorted(events.digests.items())),
    }
