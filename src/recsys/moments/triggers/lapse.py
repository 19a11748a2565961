"""A customer stays away longer than usual.

│◀ gap ▶│◀ gap ▶│◀─── times · median gap, at least min_days ───▶ due, unless an order came in between
order   order   last order
"""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from recsys.moments.known import Known
from recsys.moments.triggers.base import NOBODY, OfferKind, Trigger, day_of, days, found, with_anchors
from recsys.schemas import UTC


@dataclass(frozen=True, kw_only=True)
class Lapse(Trigger):
    """A customer with a rhythm stays away much longer than it."""

    priority: int = 80  # of a customer's triggers of a day the lowest comes first
    times: float = 2.0  # the median of the days between the customer's days of order
    min_orders: int = 4  # days of order that make a rhythm
    min_days: float = 21.0  # since the last order at least

    offer: ClassVar[OfferKind] = "cross_sell"
    moment: ClassVar[str] = "a customer stays away"
    why: ClassVar[str] = "a reminder of what was bought last brings some back before the habit is gone"

    def find(self, known: Known) -> pl.DataFrame:
        quiet = pl.lit(known.moment, UTC) - days(self.min_days)
        last = known.orders.unique("customer_id", keep="last", maintain_order=True).filter(pl.col("ordered_at") < quiet)
        if last.is_empty():
            return NOBODY
        gaps = (
            known.orders.join(last, on="customer_id", how="semi")
            .select("customer_id", day=pl.col("ordered_at").dt.date())
            .unique()
            .sort("customer_id", "day")
            .group_by("customer_id")
            .agg(gap=pl.col("day").diff().dt.total_days().median(), n=pl.len())
            .filter(pl.col("n") >= self.min_orders)
        )
        wait = pl.max_horizontal(self.times * pl.col("gap"), pl.lit(self.min_days))
        due = pl.col("ordered_at") + (wait * 86_400_000_000).cast(pl.Int64).cast(pl.Duration("us"))
        away = last.join(gaps, on="customer_id", maintain_order="left").filter(known.new(due))
        rows = with_anchors(known, away).with_columns(value=wait)
        fact = pl.format("no order since {}, one every {} days before", day_of("ordered_at"), "gap")
        return found(rows.with_columns(since="ordered_at", fact=fact))
