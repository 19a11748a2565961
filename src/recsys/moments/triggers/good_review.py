"""A customer praised an item."""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from recsys.moments.known import Known
from recsys.moments.triggers.base import OfferKind, Trigger, found


@dataclass(frozen=True, kw_only=True)
class GoodReview(Trigger):
    """A customer gave an item many stars; of several the best."""

    priority: int = 50  # of a customer's triggers of a day the lowest comes first
    stars: float = 4.0  # at least, of 1 to 5

    offer: ClassVar[OfferKind] = "cross_sell"
    placement: ClassVar[str] = "product"
    moment: ClassVar[str] = "a good review"
    why: ClassVar[str] = "the customer has just said how much the item is liked; what goes with it is welcome"

    def find(self, known: Known) -> pl.DataFrame:
        good = known.news("review").filter(pl.col("value") >= self.stars)
        rows = good.sort("customer_id", -pl.col("value"), "at", "item_id").unique(
            "customer_id", keep="first", maintain_order=True
        )
        anchors = pl.concat_list("item_id")
        return found(
            rows.with_columns(anchors=anchors, since="at", fact=pl.format("{} of 5 stars for {}", "value", "item_id"))
        )
