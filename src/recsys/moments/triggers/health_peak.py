"""A customer buys more often than ever.

n of an order: the customer's orders of the `window_days` up to it, itself included
first order ── history_days ──┬─ n above every earlier n, and at least min_orders: a peak
                              │  the next one is told `window_days` later at the earliest
"""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from recsys.moments.known import Known
from recsys.moments.triggers.base import NOBODY, OfferKind, Trigger, days, found, latest_of_each, with_anchors


@dataclass(frozen=True, kw_only=True)
class HealthPeak(Trigger):
    """The customer's order rate reached a height that it never had."""

    priority: int = 65  # of a customer's triggers of a day the lowest comes first
    window_days: int = 28  # over which orders are counted
    min_orders: int = 4  # in them
    history_days: float = 84.0  # since the first order; else every order is a peak

    offer: ClassVar[OfferKind] = "upsell"
    moment: ClassVar[str] = "the customer buys more often than ever"
    why: ClassVar[str] = "the relation is at its best; something better is heard with goodwill"

    def find(self, known: Known) -> pl.DataFrame:
        new = known.new_orders()
        if new.is_empty():
            return NOBODY
        own = known.orders.join(new, on="customer_id", how="semi").sort("customer_id", "ordered_at", "order_id")
        counted = own.with_columns(
            value=pl.len().rolling("ordered_at", period=f"{self.window_days}d").over("customer_id").cast(pl.Float64)
        )
        top = pl.col("value").shift(1).cum_max().over("customer_id").fill_null(0.0)
        known_for = pl.col("ordered_at") - pl.col("ordered_at").min().over("customer_id")
        peak = (pl.col("value") > top) & (pl.col("value") >= self.min_orders) & (known_for >= days(self.history_days))
        last = pl.when("peak").then("ordered_at").forward_fill().shift(1).over("customer_id")
        told = counted.with_columns(peak=peak).with_columns(last=last)
        quiet = pl.col("last").is_null() | (pl.col("ordered_at") - pl.col("last") >= days(self.window_days))
        fresh = told.filter("peak", quiet, known.new(pl.col("ordered_at"))).sort("ordered_at", "order_id")
        rows = with_anchors(known, latest_of_each(fresh))
        fact = pl.format(
            "{} orders in {} days, more than ever", pl.col("value").cast(pl.Int64), pl.lit(self.window_days)
        )
        return found(rows.with_columns(since="ordered_at", fact=fact))
