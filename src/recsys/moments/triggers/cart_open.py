"""An item was laid in the cart yesterday and is not bought yet."""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import polars as pl

from recsys.moments.known import Known
from recsys.moments.triggers.base import OfferKind, Trigger
from recsys.moments.triggers.carts import carts_left


@dataclass(frozen=True, kw_only=True)
class CartOpen(Trigger):
    """An item was laid in the cart yesterday."""

    priority: int = 10  # of a customer's triggers of a day the lowest comes first
    channel: str = "cart"  # where its offer is shown; a file of its own

    offer: ClassVar[OfferKind] = "cross_sell"
    placement: ClassVar[str] = "cart"
    moment: ClassVar[str] = "an item was laid in the cart and is not bought yet"
    why: ClassVar[str] = "the customer is in the mood to buy; what goes with the cart fits now"

    def find(self, known: Known) -> pl.DataFrame:
        return carts_left(known, timedelta())
