"""A support case was solved to the customer's satisfaction."""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from recsys.moments.known import Known
from recsys.moments.triggers.base import OfferKind, Trigger, found, no_anchors


@dataclass(frozen=True, kw_only=True)
class SupportSolvedWell(Trigger):
    """A case was solved and the customer said so; of several the one solved best."""

    priority: int = 45  # of a customer's triggers of a day the lowest comes first
    channel: str = "service"  # where its offer is shown; a file of its own
    satisfaction: float = 4.0  # at least, of 1 to 5

    offer: ClassVar[OfferKind] = "upsell"
    moment: ClassVar[str] = "a support case was solved well"
    why: ClassVar[str] = "help that worked leaves goodwill"

    def find(self, known: Known) -> pl.DataFrame:
        solved = known.news("support_solved").filter(pl.col("value") >= self.satisfaction)
        rows = solved.sort("customer_id", -pl.col("value"), "at", "key").unique(
            "customer_id", keep="first", maintain_order=True
        )
        fact = pl.format("a case was solved, satisfaction {} of 5", pl.col("value"))
        return found(rows.with_columns(no_anchors(), since="at", fact=fact))
