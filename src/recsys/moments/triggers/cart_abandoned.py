"""A cart was left alone for a while.

last item laid in ────── hours ──────▶ due, unless an order or another item came in between
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import polars as pl

from recsys.moments.known import Known
from recsys.moments.triggers.base import OfferKind, Trigger
from recsys.moments.triggers.carts import carts_left


@dataclass(frozen=True, kw_only=True)
class CartAbandoned(Trigger):
    """A cart was left alone."""

    priority: int = 20  # of a customer's triggers of a day the lowest comes first
    hours: float = 24.0  # since the last item was laid in

    offer: ClassVar[OfferKind] = "cross_sell"
    placement: ClassVar[str] = "cart"
    moment: ClassVar[str] = "a cart was left alone"
    why: ClassVar[str] = "the wish is still there; a reminder with what completes it brings some back"

    def find(self, known: Known) -> pl.DataFrame:
        return carts_left(known, timedelta(hours=self.hours))
