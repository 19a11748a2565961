"""An order came yesterday: its confirmation has room for one thing."""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from recsys.moments.known import Known
from recsys.moments.triggers.base import OfferKind, Trigger, found, items_of, latest_of_each, with_anchors


@dataclass(frozen=True, kw_only=True)
class OrderConfirmation(Trigger):
    """An order came yesterday; of several the last."""

    priority: int = 30  # of a customer's triggers of a day the lowest comes first

    offer: ClassVar[OfferKind] = "cross_sell"
    placement: ClassVar[str] = "post_purchase"
    moment: ClassVar[str] = "an order came"
    why: ClassVar[str] = "the confirmation is read by everybody, and what goes with the order is on the mind"

    def find(self, known: Known) -> pl.DataFrame:
        orders = with_anchors(known, latest_of_each(known.new_orders()))
        return found(
            orders.with_columns(since="ordered_at", fact=pl.format("order {} of {}", "order_id", items_of("lines")))
        )
