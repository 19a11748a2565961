"""Dirty rows of every kind for clean events, with the rule that `data.events` should name for each."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl

DIRT_STREAM = 5  # of the seed
Cells = dict[str, str | None]
LATE = timedelta(days=45)


def dirty_events(events: pl.DataFrame, now: datetime, seed: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Mix dirty rows into clean events (`MomentsShop.events`) and shuffle them all.

    Returns `raw`, all String as a CSV reader sees it, and `planted`: row (0-based, in raw), rule; sorted by row.
    Exact repeats come last, so that the earlier of two equal rows is the one to keep.
    """
    rng = np.random.default_rng([seed, DIRT_STREAM])
    clean = as_texts(events)
    at = events["at"].sort()[events.height // 2]
    customer, item = clean.drop_nulls(["customer_id", "item_id"]).select("customer_id", "item_id").row(0)
    soiled = [(rule, {**cells}) for rule, cells in _faults(str(customer), str(item), at, now)]
    keyed = clean.filter(pl.col("key").is_not_null()).row(0, named=True)
    soiled.append(("duplicate", {**keyed, "at": _text(datetime.fromisoformat(keyed["at"]) + timedelta(hours=1))}))
    rows = pl.concat([clean, pl.DataFrame([cells for _, cells in soiled], schema=clean.schema)])
    rules = pl.Series("rule", [None] * clean.height + [rule for rule, _ in soiled], dtype=pl.String)
    order = rng.permutation(rows.height)
    again = clean.filter(pl.col("key").is_null()).head(2)
    repeats = pl.Series("rule", ["duplicate"] * again.height)
    raw = pl.concat([rows[order], again])
    marked = pl.concat([rules.gather(order), repeats]).to_frame().with_row_index("row")
    return raw, marked.filter(pl.col("rule").is_not_null())


def as_texts(events: pl.DataFrame) -> pl.DataFrame:
    """All columns String as a CSV reader sees them; blank = null."""
    times = [
        pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%S%:z") for name, dtype in events.schema.items() if dtype.is_temporal()
    ]
    return events.with_columns(times).cast(pl.String)


def _faults(customer: str, item: str, at: datetime, now: datetime) -> list[tuple[str, Cells]]:
    """(rule, cells) of rows with one fault each."""
    good: Cells = {"customer_id": customer, "kind": "review", "at": _text(at), "item_id": item, "value": "5"}
    changes: list[tuple[str, Cells]] = [
        ("unknown_kind", {"kind": "purchase"}),
        ("unknown_kind", {"kind": None}),
        ("no_customer", {"customer_id": " "}),
        ("unknown_customer", {"customer_id": "nobody"}),
        ("no_item", {"item_id": None}),
        ("unknown_item", {"item_id": "X99"}),
        ("unreadable_time", {"at": "yesterday"}),
        ("unreadable_time", {"at": None}),
        ("unreadable_time", {"received_at": "soon"}),
        ("future_time", {"at": _text(now + timedelta(seconds=1))}),
        ("future_time", {"received_at": _text(now + timedelta(days=1))}),
        ("late", {"received_at": _text(at + LATE)}),
        ("unreadable_until", {"until": "never"}),
        ("until_before_at", {"until": _text(at - timedelta(seconds=1))}),
        ("no_until", {"kind": "renewal"}),
        ("unreadable_value", {"value": "many"}),
        ("no_value", {"value": None}),
        ("value_out_of_range", {"value": "6"}),
        ("value_out_of_range", {"kind": "price_rise", "value": "-0.1"}),
    ]
    return [(rule, good | cells) for rule, cells in changes]


def _text(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
