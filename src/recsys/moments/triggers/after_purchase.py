"""Some days after an order, when what was bought is in use.

order ────── days ──────▶ due, without what came back by then
"""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from recsys.moments.known import Known
from recsys.moments.triggers.base import OfferKind, Trigger, day_of, days, found, latest_of_each, with_anchors


@dataclass(frozen=True, kw_only=True)
class AfterPurchase(Trigger):
    """Some days after an order."""

    priority: int = 45  # of a customer's triggers of a day the lowest comes first
    days: float = 7.0  # after the order

    offer: ClassVar[OfferKind] = "cross_sell"
    moment: ClassVar[str] = "some days after an order"
    why: ClassVar[str] = "what was bought is in use by now: accessories, supplies and services are missed"

    def find(self, known: Known) -> pl.DataFrame:
        orders = with_anchors(known, latest_of_each(known.new_orders(days(self.days))))
        fact = pl.format("order {} of {}", "order_id", day_of("ordered_at"))
        return found(orders.with_columns(since="ordered_at", fact=fact))
