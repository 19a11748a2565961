"""What the orders of a run looked like: a small JSON of its last days, to compare later runs with.

─ history ──────────────┤ start      recent      last ├
                         whole days before          the last order
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from recsys.data.coding import as_text, coded, pair_of
from recsys.data.histories import LEVELS
from recsys.errors import InputError
from recsys.monitoring.measures import binned, decile_edges
from recsys.monitoring.options import MonitoringOptions

COLUMNS = ["order_id", "customer_id", "item_id", "ordered_at", "unit_price"]  # of the orders that are looked at
TOP_ITEMS = 1000  # items whose price and share are kept
SAMPLE = 1000  # prices and customers kept
LARGEST = 10  # lines of an order that are told apart
CATALOG = ("name", "description", *LEVELS, "brand", "size", "unit_price", "unit_cost", "in_stock")
NOBODY = "(none)"  # category of an item that has none
SPREAD = 2_654_435_761  # Knuth's multiplier: row numbers in an order that looks random and is always the same
QUANTILES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)


def profile_orders(
    orders: pl.DataFrame, catalog: pl.DataFrame, intake: Mapping[str, Any], options: MonitoringOptions, counted: bool
) -> dict[str, Any]:
    """Profile of a run's orders (schemas.Orders, sorted). `intake`: read, rejected, rules of ingest.json.

    `counted`: time is counted in orders, so that days mean nothing; then all lines stand for the run.
    """
    first, last = _span(orders)
    start = first if counted else max(first, _midnight(last) - timedelta(days=options.recent_days - 1))
    lines = flagged(orders)
    level = category_level(catalog, options.category_level)
    return {
        "first": first.isoformat(),
        "start": start.isoformat(),
        "last": last.isoformat(),
        "counted": counted,
        "level": level,
        "whole_until": whole_until(orders).isoformat(),
        "daily": daily(orders, whole_until(orders) - timedelta(days=2 * options.recent_days)),
        "read": intake["read"],
        "rejected": intake["rejected"],
        "rules": {rule["rule"]: rule["rows"] for rule in intake["rules"]},
        "recent": describe(as_text(lines.filter(pl.col("ordered_at") >= start)), catalog, level),
    }


def flagged(orders: pl.DataFrame) -> pl.DataFrame:
    """COLUMNS, ids coded, with `again` (the customer bought the item before), `item_first` and `customer_first`."""
    return coded(orders.select(COLUMNS)).lazy().with_columns(
        again=pl.col("customer_id").is_not_null() & ~pair_of("customer_id", "item_id").is_first_distinct(),
        item_first=pl.col("ordered_at").min().over("item_id"),
        customer_first=pl.when(pl.col("customer_id").is_not_null()).then(pl.col("ordered_at").min().over("customer_id")),
    ).collect()  # fmt: skip


def describe(
    lines: pl.DataFrame, catalog: pl.DataFrame, level: str, edges: list[float] | None = None
) -> dict[str, Any]:
    """Counts of some lines of `flagged(...)`; `edges` of the price bins, by default at these lines' own deciles."""
    heads = lines.select("order_id", "customer_id").unique("order_id")
    sizes = lines["order_id"].value_counts()["count"].clip(upper_bound=LARGEST).value_counts(name="orders")
    known = lines.filter(pl.col("customer_id").is_not_null())
    return {
        "lines": lines.height,
        "orders": heads.height,
        "guest_orders": heads["customer_id"].null_count(),
        "customers": heads["customer_id"].drop_nulls().n_unique(),
        "basket_size": {str(size): n for size, n in sorted(sizes.iter_rows())},
        "repeat": [int(known["again"].sum()), known.height],
        "nulls": nulls(lines, catalog),
        "price": prices(lines, edges),
        "categories": categories(lines, catalog, level),
        "items": top_items(lines),
        "customer_sample": hashed_sample(heads["customer_id"].drop_nulls().unique(), SAMPLE),
    }


def nulls(lines: pl.DataFrame, catalog: pl.DataFrame) -> dict[str, list[int]]:
    """[nulls, rows] per column: of the lines, and of the catalog's rows of the items they sold."""
    sold = catalog.filter(pl.col("item_id").is_in(lines["item_id"].unique().implode()))
    found = {f"orders.{c}": [lines[c].null_count(), lines.height] for c in ("customer_id", "unit_price")}
    return found | {f"catalog.{c}": [sold[c].null_count(), sold.height] for c in CATALOG if c in sold.columns}


def prices(lines: pl.DataFrame, edges: list[float] | None = None) -> dict[str, Any]:
    """Bins and quantiles of the unit prices of all lines, and one price of each of some orders (independent)."""
    values = lines["unit_price"].drop_nulls().to_numpy()
    edges = edges if edges is not None else decile_edges(values) if len(values) else []
    return {
        "edges": edges,
        "counts": binned(values, edges),
        "quantiles": {f"{q:g}": round(float(np.quantile(values, q)), 6) for q in QUANTILES} if len(values) else {},
        "sample": _one_of_each_order(lines),
    }


def _one_of_each_order(lines: pl.DataFrame) -> list[float]:
    """Price of one line of each of at most SAMPLE orders, chosen by the place of the line in the sorted table."""
    spread = (pl.int_range(pl.len(), dtype=pl.UInt64) * SPREAD) % 2**32
    chosen = (
        lines.select("order_id", "unit_price", at=spread)
        .drop_nulls("unit_price")
        .sort("at")
        .unique("order_id", keep="first", maintain_order=True)
    )
    return [round(float(p), 6) for p in chosen["unit_price"].head(SAMPLE)]


def categories(lines: pl.DataFrame, catalog: pl.DataFrame, level: str) -> dict[str, list[int]]:
    """Category → [lines, orders with it]."""
    of = catalog.select("item_id", category=pl.col(level).fill_null(NOBODY))
    found = (
        lines.select("order_id", "item_id")
        .join(of, on="item_id", how="left")
        .group_by(pl.col("category").fill_null(NOBODY))
        .agg(lines=pl.len(), orders=pl.col("order_id").n_unique())
        .sort("category")
    )
    return {str(name): [n, orders] for name, n, orders in found.iter_rows()}


def top_items(lines: pl.DataFrame, only: Iterable[str] | None = None) -> dict[str, list[float | None]]:
    """Item → [lines, median price] of the most sold items, or of the items `only`."""
    chosen = lines if only is None else lines.filter(pl.col("item_id").is_in(list(only)))
    found = chosen.group_by("item_id").agg(pl.len(), pl.col("unit_price").median())
    found = found.sort("len", "item_id", descending=[True, False])
    return {item: [n, price] for item, n, price in (found.head(TOP_ITEMS) if only is None else found).iter_rows()}


def category_level(catalog: pl.DataFrame, wanted: str) -> str:
    """The level that is asked for, or the first that the catalog fills."""
    return next((c for c in (wanted, *LEVELS) if c in catalog and catalog[c].null_count() < catalog.height), wanted)


def daily(orders: pl.DataFrame, since: date) -> dict[str, int]:
    """Orders of each day (UTC) from `since` on to the last order's day; days without any are 0."""
    heads = orders.select("order_id", day=pl.col("ordered_at").dt.date()).unique("order_id")
    found = dict(heads.filter(pl.col("day") >= since)["day"].value_counts().iter_rows())
    first, last = (moment.date() for moment in _span(orders))
    return {f"{d}": int(found.get(d, 0)) for d in days(max(first, since), last + timedelta(days=1))}


def days(start: date, end: date) -> list[date]:
    """Dates of [start, end)."""
    return [start + timedelta(days=at) for at in range((end - start).days)]


def whole_until(orders: pl.DataFrame) -> date:
    """End, exclusive, of the days that can be counted on as whole.

    The last day is whole where its last order comes no earlier in the day than the last orders of the same weekday
    in the four weeks before did at the earliest; an export made at noon ends in a day that is not.
    """
    _, last = _span(orders)
    day = last.date()
    before = [day - timedelta(days=7 * week) for week in range(1, 5)]
    ends = (
        orders.lazy()
        .filter(pl.col("ordered_at").dt.date().is_in(before))
        .group_by(pl.col("ordered_at").dt.date().alias("day"))
        .agg(pl.col("ordered_at").max().dt.time())
        .collect()["ordered_at"]
    )
    earliest = min(ends, default=None)
    return day if earliest is not None and last.time() < earliest else day + timedelta(days=1)


def hashed_sample(ids: Iterable[str], n: int, seed: int = 0) -> list[str]:
    """The n smallest hashes of ids: of any two runs the same ids come first, and none can be read from it."""
    return sorted(hash_of(name, seed) for name in ids)[:n]


def hash_of(name: str, seed: int = 0) -> str:
    return hashlib.blake2b(f"{seed}|{name}".encode(), digest_size=8).hexdigest()


def _span(orders: pl.DataFrame) -> tuple[datetime, datetime]:
    first, last = orders["ordered_at"].min(), orders["ordered_at"].max()
    if not isinstance(first, datetime) or not isinstance(last, datetime):
        raise InputError("no order was accepted, so nothing can be learned; recsys ingest says what was refused")
    return first, last


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)
