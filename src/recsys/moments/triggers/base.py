"""What every trigger is made of, and the table that all of them fill.

A trigger is found on the day after its moment: the daily run knows all of [earlier, moment), yesterday.

    a moment ──┬── earlier ─────── the moment lies here ─────── moment ──▶ time
               │                                                the run of the day
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Literal

import polars as pl

from recsys.moments.known import Known
from recsys.schemas import UTC

OfferKind = Literal["cross_sell", "upsell"]
FOUND: dict[str, Any] = {
    "customer_id": pl.String,
    "anchors": pl.List(pl.String),  # items that the offer starts from, the dearest or likeliest first; maybe none
    "since": UTC,  # when the fact was there that the trigger rests on
    "value": pl.Float64,  # its size, as `fact` tells it
    "fact": pl.String,  # the fact in words
}


NOBODY = pl.DataFrame(schema=FOUND)


@dataclass(frozen=True, kw_only=True)
class Trigger(ABC):
    """The parameters are fields; `find` gives FOUND, at most one row per customer, of the moments new today."""

    enabled: bool = True  # whether it is looked for
    priority: int = 50  # of a customer's triggers of a day the lowest comes first
    channel: str = "email"  # where its offer is shown; a file of its own

    offer: ClassVar[OfferKind]
    placement: ClassVar[str] = "reminder"  # what its cross-sell takes the anchors for, see offers.cross_seller.PLACES
    moment: ClassVar[str]  # when, in words
    why: ClassVar[str]  # why an offer works then

    @abstractmethod
    def find(self, known: Known) -> pl.DataFrame: ...


def days(number: float) -> timedelta:
    return timedelta(days=number)


def found(rows: pl.DataFrame) -> pl.DataFrame:
    """The columns FOUND, sorted by customer."""
    if rows.is_empty():
        return NOBODY
    return rows.select(pl.col(name).cast(dtype) for name, dtype in FOUND.items()).sort("customer_id")


def latest_of_each(orders: pl.DataFrame) -> pl.DataFrame:
    """The last order of every customer in a table sorted by time."""
    return orders.unique("customer_id", keep="last", maintain_order=True)


def with_anchors(known: Known, orders: pl.DataFrame) -> pl.DataFrame:
    """Orders and `anchors`: their items, the dearest line first; an order of which everything came back is left out."""
    if orders.is_empty():
        return orders.with_columns(no_anchors())
    worth = (pl.col("quantity") * pl.col("unit_price")).fill_null(0.0)
    lines = known.lines_of(orders).select("order_id", "item_id", worth=worth)
    items = lines.sort("order_id", -pl.col("worth"), "item_id").group_by("order_id", maintain_order=True)
    return orders.join(items.agg(anchors=pl.col("item_id")), on="order_id", how="inner", maintain_order="left")


def no_anchors() -> pl.Expr:
    return pl.lit([], pl.List(pl.String)).alias("anchors")


def day_of(time: str) -> pl.Expr:
    return pl.col(time).dt.strftime("%Y-%m-%d")


def items_of(number: str | pl.Expr) -> pl.Expr:
    """1 item, 2 items, …"""
    n = pl.col(number) if isinstance(number, str) else number
    return pl.format("{} item{}", n, pl.when(n == 1).then(pl.lit("")).otherwise(pl.lit("s")))
