"""Dirty rows of every kind for a clean export, with the rule that validation should name for each.

Every dirty row has an order of its own (duplicates aside) and one fault, so clean rows stay as they are.
"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl

from recsys.data.synthetic.options import SyntheticOptions
from recsys.errors import InputError

DIRT_STREAM = 3  # of the seed
FUTURE = timedelta(days=20 * 365)  # after the last clean order
RAW = ("order_id", "customer_id", "item_id", "ordered_at", "quantity", "unit_price")


@dataclass(frozen=True)
class Fault:
    """One kind of dirty row. `rule` is null where validation should keep the row."""

    kind: str
    rule: str | None
    column: str
    values: tuple[str | None, ...]  # taken in turn


FAULTS = (
    Fault("blank_order_id", "blank_order_id", "order_id", (None, "  ")),
    Fault("blank_item_id", "blank_item_id", "item_id", (None, "  ")),
    Fault("unparsable_quantity", "unparsable_quantity", "quantity", ("two", "1..5", "?")),
    Fault("zero_quantity", "zero_quantity", "quantity", ("0",)),
    Fault("unmatched_return", "unmatched_return", "quantity", ("-1", "-3")),
    Fault("unparsable_price", "unparsable_price", "unit_price", ("free", "12..5", "#REF!")),
    Fault("negative_price", "negative_price", "unit_price", ("-4.99", "-11062.06")),
    Fault("zero_price", "zero_price", "unit_price", ("0", "0.00")),
    Fault("absurd_price", "absurd_price", "unit_price", ("99999999.99",)),
    Fault("absurd_quantity", "absurd_quantity", "quantity", ("80000000",)),
    Fault("unparsable_time", "unparsable_time", "ordered_at", ("yesterday", "2024-13-45T99:00:00", "31.31.2024")),
    Fault("future_time", "future_time", "ordered_at", ()),  # FUTURE after the last clean order
    Fault("excluded_item", "excluded_item", "item_id", ("POST", "BANK CHARGES")),
    Fault("not_in_catalog", "not_in_catalog", "item_id", ("X0001", "X0002", "X0003")),
    Fault("duplicate", "repeated_line", "order_id", ()),  # the clean line once more
    Fault("guest", None, "customer_id", (None,)),
    Fault("leading_zeros", None, "order_id", ()),  # "0000042"
    Fault("cancelled_purchase", None, "order_id", ()),  # the purchase that a cancellation takes back
    Fault("cancellation", None, "order_id", ()),  # "C" + its order id, negative quantity
)
NEW_CUSTOMERS = ("unmatched_return", "leading_zeros", "cancelled_purchase", "cancellation")


def as_text(orders: pl.DataFrame) -> pl.DataFrame:
    """All columns String as a CSV reader sees them; times as 2024-01-31T13:05:00, blank = null."""
    return orders.select(RAW).with_columns(
        pl.col("ordered_at").dt.strftime("%Y-%m-%dT%H:%M:%S"),
        pl.col("quantity", "unit_price").cast(pl.String),
    )


def dirty(orders: pl.DataFrame, options: SyntheticOptions | None = None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Mix dirty rows into a clean export (`SyntheticShop.orders`), `dirty_share` of its rows over all kinds.

    Returns `raw`, all String, and `planted`: row (0-based, in raw), kind, rule (null = to be kept), column
    and value as they stand in raw; sorted by row. A "duplicate" is to be merged with the line it repeats.
    """
    options = options or SyntheticOptions()
    rng = np.random.default_rng([options.seed, DIRT_STREAM])
    each = max(2, round(options.dirty_share * orders.height / len(FAULTS)))
    soiled = _soil(_templates(orders, each, rng), orders["ordered_at"].max())
    clean = as_text(orders).with_columns(kind=pl.lit(None, pl.String), at=pl.int_range(pl.len()).cast(pl.Float64))
    at = rng.uniform(-1, orders.height, soiled.height)
    mixed = pl.concat([clean, soiled.with_columns(at=pl.Series(at))], how="vertical").sort("at", maintain_order=True)
    return mixed.select(RAW), _planted(mixed)


def _templates(orders: pl.DataFrame, each: int, rng: np.random.Generator) -> pl.DataFrame:
    """`each` clean purchases of known customers for every kind, as text, with `kind` and `turn` (0 …)."""
    usable = as_text(orders.filter(pl.col("quantity") > 0, pl.col("customer_id").is_not_null()))
    if usable.height < each:
        raise InputError(f"dirty needs {each} purchases of known customers to copy; orders hold {usable.height}")
    kinds = np.repeat([fault.kind for fault in FAULTS], each)
    # lines are distinct within a kind; a purchase and its cancellation are the same line
    picks = {fault.kind: np.sort(rng.permutation(usable.height)[:each]) for fault in FAULTS}
    picks["cancellation"] = picks["cancelled_purchase"]
    rows = np.concatenate([picks[fault.kind] for fault in FAULTS])
    return usable.gather(rows).with_columns(
        kind=pl.Series(kinds.tolist()), turn=pl.Series(np.tile(np.arange(each), len(FAULTS)))
    )


def _soil(templates: pl.DataFrame, last: object) -> pl.DataFrame:
    """Give every template an order of its own and its fault; columns RAW and kind."""
    number = pl.int_range(pl.len()).cast(pl.String).str.zfill(7)
    turn = pl.col("turn").cast(pl.String)
    kind = pl.col("kind")
    own_order = (
        pl.when(kind == "duplicate").then("order_id")
        .when(kind == "leading_zeros").then(turn.str.zfill(7))
        .when(kind == "cancelled_purchase").then("5" + turn.str.zfill(5))
        .when(kind == "cancellation").then("C5" + turn.str.zfill(5))
        .otherwise("D" + number)
    )  # fmt: skip
    # customers whom nobody has seen buy: their returns match nothing but what is planted here
    newcomer = pl.when(kind.str.starts_with("cancel")).then("N1" + turn).otherwise("N2" + number)
    later = (pl.col("ordered_at").str.to_datetime() + pl.duration(hours=6)).dt.strftime("%Y-%m-%dT%H:%M:%S")
    cancelled = kind == "cancellation"
    rows = templates.with_columns(
        order_id=own_order,
        customer_id=pl.when(kind.is_in(NEW_CUSTOMERS)).then(newcomer).otherwise("customer_id"),
        quantity=pl.when(cancelled).then("-" + pl.col("quantity")).otherwise("quantity"),
        ordered_at=pl.when(cancelled).then(later).otherwise("ordered_at"),
    )
    return pl.concat([_spoil(rows.filter(kind == fault.kind), fault, last) for fault in FAULTS])


def _spoil(rows: pl.DataFrame, fault: Fault, last: object) -> pl.DataFrame:
    values = fault.values
    if fault.kind == "future_time":
        values = (pl.select((pl.lit(last) + FUTURE).dt.strftime("%Y-%m-%dT%H:%M:%S")).item(),)
    if values:
        cycled = pl.Series(values, dtype=pl.String).gather(rows["turn"] % len(values))
        rows = rows.with_columns(cycled.alias(fault.column))
    return rows.select(*RAW, "kind")


def _planted(mixed: pl.DataFrame) -> pl.DataFrame:
    faults = pl.DataFrame(
        [(fault.kind, fault.rule, fault.column) for fault in FAULTS],
        schema={"kind": pl.String, "rule": pl.String, "column": pl.String},
        orient="row",
    )
    value = pl.coalesce(pl.when(pl.col("column") == name).then(name) for name in RAW)
    return (
        mixed.with_columns(row=pl.int_range(pl.len(), dtype=pl.Int64))
        .filter(pl.col("kind").is_not_null())
        .join(faults, on="kind", validate="m:1")
        .sort("row")
        .select("row", "kind", "rule", "column", value=value)
    )
