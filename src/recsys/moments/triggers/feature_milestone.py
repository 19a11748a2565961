"""A feature has been used so often that the customer is at home with it."""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from recsys.moments.known import Known
from recsys.moments.triggers.base import NOBODY, OfferKind, Trigger, found, no_anchors
from recsys.moments.triggers.usage import uses


@dataclass(frozen=True, kw_only=True)
class FeatureMilestone(Trigger):
    """A feature reached a number of uses; of several the highest."""

    priority: int = 50  # of a customer's triggers of a day the lowest comes first
    uses: tuple[float, ...] = (10.0, 50.0, 100.0)  # of one feature, in all

    offer: ClassVar[OfferKind] = "upsell"
    moment: ClassVar[str] = "a feature was used often enough to be at home with it"
    why: ClassVar[str] = "who masters a feature is ready for the next one"

    def find(self, known: Known) -> pl.DataFrame:
        today = known.news("feature_used")
        if today.is_empty():
            return NOBODY
        total = pl.col("amount").cum_sum().over("customer_id", "source")
        counted = uses(known, today).with_columns(total=total, before=total - pl.col("amount"))
        new = counted.filter(known.new(pl.col("known_at")))
        reached = [
            new.filter(pl.col("before") < milestone, pl.col("total") >= milestone).with_columns(value=pl.lit(milestone))
            for milestone in self.uses
        ]
        rows = pl.concat([new.clear(), *reached]).sort("customer_id", -pl.col("value"), "source", "at")
        rows = rows.unique("customer_id", keep="first", maintain_order=True)
        fact = pl.format("{} uses of {}", pl.col("value").cast(pl.Int64), pl.col("source").fill_null("a feature"))
        return found(rows.with_columns(no_anchors(), since="at", fact=fact))
