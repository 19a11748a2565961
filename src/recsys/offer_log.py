"""`recsys offers-log`: what became of the offers of some days, out of the events that came back under their keys.

offers-log/20241124T030000-1f2e3d4c5b6a/
    report.html             due, refused by rules and at which cost, shown, accepted, promised against taken
    outcomes.parquet        a row per offer that was due
    customers.parquet       offers of each customer in these days, and without any rule of silence
    plots/acceptance.png
    manifest.json           every figure of the page, days, digests of files
offers-log/latest → the folder published last
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
from rich.table import Table

from recsys import dated_folders, folders, pipeline
from recsys.config import Config
from recsys.customer_privacy import hash_column
from recsys.daily_shop import events_of
from recsys.daily_summary import HEAD, rows
from recsys.data.checked_store import read_checked
from recsys.errors import InputError
from recsys.folders import MANIFEST
from recsys.hashing import hash_id, key_from_environment
from recsys.moments.day import summed
from recsys.moments.known import day_start
from recsys.moments.outcomes import BY, LIST, acceptance, commerce, conversion_by, lists_of, outcomes
from recsys.progress import step
from recsys.registry.offer_log_page import PAGE, share, write_log_page
from recsys.registry.wording import label
from recsys.stages import code_digest, read_json

OUT = "moments.daily.log_out"
OF_OFFERS = ("offer_shown", "offer_accepted", "offer_refused")


def publish_log(config: Config, first: date | None, last: date | None, clock: Callable[[], datetime]) -> Path:
    """The published folder, of all days that have offers or of those from `first` to `last`."""
    options, started = config.moments.daily, clock()
    out = Path(options.log_out)
    folders.refuse_unwritable(out, OUT)
    days = days_between(Path(options.out), first, last)
    secret = _secret(config, days)
    with step("ingest orders"):
        ingested = pipeline.ingest_orders(config, started)
    checked = read_checked(ingested / "checked")
    with step("read events"):
        events, digest = events_of(config, checked, started, secret)
    lines = checked.orders
    if secret:
        lines, events = (table.with_columns(hash_column(table["customer_id"], secret)) for table in (lines, events))
    known = [[str(day), read_json(folder / MANIFEST)["key"]] for day, folder in days]
    text = json.dumps([known, ingested.name, digest, f"{started:%Y-%m-%d}", code_digest(), config.title, config.notes])
    key = hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
    facts = {"key": key, "shop": config.title, "notes": list(config.notes), "started": started.isoformat(),
             "first": str(days[0][0]), "last": str(days[-1][0]), "head": HEAD}  # fmt: skip
    fill = partial(_fill, config, [folder for _, folder in days], events, lines, facts)
    return folders.publish(out, key, options.log_keep, started, fill)


def days_between(out: Path, first: date | None, last: date | None) -> list[tuple[date, Path]]:
    """The days with a folder; InputError where there is none."""
    found = [
        (day, folder)
        for day, folder in dated_folders.days_in(out)
        if (first is None or day >= first) and (last is None or day <= last)
    ]
    if not found:
        raise InputError(
            f"no day from {first or 'the first'} to {last or 'the last'} has offers in {out}; run recsys due"
        )
    return found


def _secret(config: Config, days: Sequence[tuple[date, Path]]) -> bytes | None:
    """The key for hashed ids; InputError where the offers of a day bear ids that are shown otherwise."""
    secret = key_from_environment() if config.moments.daily.hash_ids else None
    own = hash_id("fingerprint of the key", secret) if secret else "as they are"
    for day, folder in days:
        if read_json(folder / MANIFEST)["ids"] != own:
            raise InputError(
                f"{folder} shows customers by other ids than this configuration would, so no event can be matched on "
                f"{day}; set moments.daily.hash_ids and RECSYS_ID_KEY as they were then"
            )
    return secret


def _fill(
    config: Config, days: Sequence[Path], events: pl.DataFrame, lines: pl.DataFrame, facts: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """Write all files but the manifest, which is returned."""
    told, customers = outcomes(_all(days, "offers"), events, lines), customers_of(_all(days, "customers"))
    since = day_start(date.fromisoformat(facts["first"]), config.moments.time_zone)
    later = lines.filter(pl.col("ordered_at") >= since)
    facts = facts | figures(config, days, told, events, later) | {"customers": told_of_customers(customers)}
    told.write_parquet(folder / "outcomes.parquet")
    customers.write_parquet(folder / "customers.parquet")
    written: dict[str, int | None] = {"outcomes.parquet": told.height, "customers.parquet": customers.height}
    with step("write the page"):
        written |= dict.fromkeys(write_log_page(facts, folder))
    return {**facts, "files": folders.entries(folder, written)}


def _all(days: Sequence[Path], name: str) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(folder / f"{name}.parquet") for folder in days])


def figures(
    config: Config, days: Sequence[Path], told: pl.DataFrame, events: pl.DataFrame, lines: pl.DataFrame
) -> dict[str, Any]:
    """Everything that the page shows but customers; `lines`: the orders since the first day."""
    options = config.evaluation
    lists, how = lists_of(told), (options.resamples, options.level, options.seed)
    own = events.filter(pl.col("kind").is_in(OF_OFFERS))
    other = own.join(told.select(LIST).unique(), on=LIST, how="anti")
    untold = told.filter(
        pl.col("shown_at").is_null(), pl.col("accepted_at").is_not_null() | pl.col("refused_at").is_not_null()
    )
    costs = summed([pl.read_parquet(folder / "rule_costs.parquet") for folder in days])
    return {
        "days": [list(row) for row in rows(days)],
        "rules": costs.to_dicts(),
        "conversion": {by: conversion_by(told, by).records(*how) for by in BY},
        "commerce": commerce(told, lines).records(*how),
        "acceptance": acceptance(told, options.level),
        "counts": {
            "due": sum(read_json(folder / MANIFEST)["counts"]["due"] for folder in days),
            "lists": told.select(LIST).unique().height,
            "offers": told.height,
            "shown": lists.height,
            "accepted": int(lists["taken"].sum()),
            "refused": int(lists["refused"].sum()),
            "unshown": untold.select(LIST).unique().height,
            "other": other.height,
        },
    }


def customers_of(days: pl.DataFrame) -> pl.DataFrame:
    """customer_id, days with something due, offers, without_silence (null where that was not worked out)."""
    return (
        days.group_by("customer_id")
        .agg(
            days=pl.len(),
            offers=pl.col("offers").sum(),
            without_silence=pl.when(pl.col("without_silence").is_not_null().all()).then(
                pl.col("without_silence").sum()
            ),
        )
        .sort("customer_id")
    )


def told_of_customers(customers: pl.DataFrame) -> list[dict[str, Any]]:
    """A row for what customers got, and for what they would have got without silence."""
    named = {"offers": "with the rules of silence", "without_silence": "without any of them"}
    return [_spread(customers[column].drop_nulls(), words) for column, words in named.items()]


def _spread(offers: pl.Series, what: str) -> dict[str, Any]:
    return {
        "what": what,
        "customers": len(offers),
        "any": int((offers > 0).sum()),
        "offers": int(offers.sum()),
        "mean": float(offers.sum()) / len(offers) if len(offers) else None,
        "most_of": offers.quantile(0.9, "higher"),
        "most": offers.max(),
    }


def log_table(folder: Path) -> Table:
    """Lists due, shown, accepted and refused, and conversion of each trigger."""
    manifest = read_json(folder / MANIFEST)
    counts = manifest["counts"]
    table = Table(title=f"offers of {manifest['first']} to {manifest['last']}", title_justify="left",
                  caption=f"page: {folder / PAGE}", caption_justify="left")  # fmt: skip
    table.add_column("what")
    table.add_column("number", justify="right")
    for name in ("due", "lists", "offers", "shown", "accepted", "refused"):
        table.add_row(name, f"{counts[name]:,}")
    for row in manifest["conversion"]["trigger"]:
        table.add_row(f"accepted of shown, {label(row['measure'])}", share(row))
    return table
