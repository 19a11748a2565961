"""A customer's first order.

shop's first order ── history_days ──┬─ first order of the customer ── days ──▶ due
                      nobody is new  │
"""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from recsys.moments.known import Known
from recsys.moments.triggers.base import OfferKind, Trigger, day_of, days, found, with_anchors
from recsys.moments.triggers.firsts import first_orders


@dataclass(frozen=True, kw_only=True)
class Welcome(Trigger):
    """Some days after a customer's first order."""

    priority: int = 25  # of a customer's triggers of a day the lowest comes first
    days: float = 1.0  # after the first order
    history_days: float = 28.0  # of the shop's orders that must lie before it; else nobody knows who is new

    offer: ClassVar[OfferKind] = "cross_sell"
    moment: ClassVar[str] = "a customer's first order"
    why: ClassVar[str] = (
        "a new customer looks around; one thing that goes with the first order shows what else there is"
    )

    def find(self, known: Known) -> pl.DataFrame:
        first = first_orders(known, known.new_orders(days(self.days)), self.history_days)
        rows = with_anchors(known, first)
        return found(rows.with_columns(since="ordered_at", fact=pl.format("first order on {}", day_of("ordered_at"))))
