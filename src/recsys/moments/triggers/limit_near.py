"""A limit of the customer's plan is nearly reached.

reading below share ──▶ reading at or above it: due; again only after one below
"""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from recsys.moments.known import Known
from recsys.moments.triggers.base import NOBODY, OfferKind, Trigger, found, no_anchors


@dataclass(frozen=True, kw_only=True)
class LimitNear(Trigger):
    """A limit of the plan is nearly reached; of several the one that is nearest."""

    priority: int = 15  # of a customer's triggers of a day the lowest comes first
    share: float = 0.8  # of the limit

    offer: ClassVar[OfferKind] = "upsell"
    moment: ClassVar[str] = "a limit is nearly reached"
    why: ClassVar[str] = "the need for more is felt, and the offer spares the customer the wall"

    def find(self, known: Known) -> pl.DataFrame:
        if known.news("plan_limit").is_empty():
            return NOBODY
        before = pl.col("value").shift(1).over("customer_id", "source")
        readings = known.of_kind("plan_limit").with_columns(before=before.fill_null(0.0))
        crossed = readings.filter(
            known.new(pl.col("known_at")), pl.col("value") >= self.share, pl.col("before") < self.share
        )
        rows = crossed.sort("customer_id", -pl.col("value"), "source", "at").unique(
            "customer_id", keep="first", maintain_order=True
        )
        fact = pl.format(
            "{}% of {} used", (100 * pl.col("value")).round(0).cast(pl.Int64), pl.col("source").fill_null("the limit")
        )
        return found(rows.with_columns(no_anchors(), since="at", fact=fact))
