"""Items that a customer is expected to buy again soon.

today ──── days ahead ────▶ expected: due once, when it comes within that reach
"""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from recsys.moments.known import Known
from recsys.moments.triggers.base import FOUND, OfferKind, Trigger, day_of, days, found, items_of


@dataclass(frozen=True, kw_only=True)
class ReorderDue(Trigger):
    """Items fall due for a customer; needs `Known.expected`, without which there are none."""

    priority: int = 40  # of a customer's triggers of a day the lowest comes first
    days: float = 3.0  # ahead of the expected date
    min_probability: float = 0.5  # of the purchase, as the table of expected items has it

    offer: ClassVar[OfferKind] = "cross_sell"
    moment: ClassVar[str] = "items fall due"
    why: ClassVar[str] = "the customer is about to shop anyway; the reminder is a service and takes others along"

    def find(self, known: Known) -> pl.DataFrame:
        if known.expected is None:
            return pl.DataFrame(schema=FOUND)
        near = known.new(pl.col("expected_at") - days(self.days))
        items = known.expected.filter(near, pl.col("probability") >= self.min_probability)
        rows = items.sort("customer_id", -pl.col("probability"), "item_id").group_by("customer_id", maintain_order=True)
        told = rows.agg(
            anchors=pl.col("item_id"),
            since=pl.col("expected_at").min(),
            value=pl.col("probability").max().cast(pl.Float64),
        )
        fact = pl.format("{} expected from {} on", items_of(pl.col("anchors").list.len()), day_of("since"))
        return found(told.with_columns(fact=fact))
