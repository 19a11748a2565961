"""A contract ends soon and the customer uses more than before.

│◀─ usage_days before ─▶│◀─ usage_days ─▶│ moment ──── within days ────▶ until
"""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from recsys.moments.known import Known
from recsys.moments.triggers.base import NOBODY, OfferKind, Trigger, day_of, days, found, no_anchors
from recsys.moments.triggers.usage import used_between, uses
from recsys.schemas import UTC


@dataclass(frozen=True, kw_only=True)
class Renewal(Trigger):
    """A contract ends soon and use is up; found on the first day that both are so."""

    priority: int = 35  # of a customer's triggers of a day the lowest comes first
    channel: str = "sales"  # where its offer is shown; a file of its own
    days: float = 30.0  # to the end of the contract
    rise: float = 0.2  # of use against the same time before
    usage_days: float = 30.0  # over which use is counted

    offer: ClassVar[OfferKind] = "upsell"
    moment: ClassVar[str] = "a renewal is near and use has grown"
    why: ClassVar[str] = "the customer decides anyway, and has grown out of the present plan"

    def find(self, known: Known) -> pl.DataFrame:
        rows = self._grown(known)
        if rows.is_empty():
            return NOBODY
        before = self._grown(known.at(known.earlier))
        rows = rows.join(before, on=["customer_id", "until"], how="anti")
        rows = rows.sort("customer_id", "until").unique("customer_id", keep="first", maintain_order=True)
        fact = pl.format(
            "contract ends on {}, use up {}%", day_of("until"), (100 * pl.col("value")).round(0).cast(pl.Int64)
        )
        return found(rows.with_columns(no_anchors(), since="at", fact=fact))

    def _grown(self, known: Known) -> pl.DataFrame:
        """Contracts that end within `days`, of customers whose use is up: customer_id, at, until, value (the rise)."""
        last = known.of_kind("renewal").unique(["customer_id", "source"], keep="last", maintain_order=True)
        start, end = pl.lit(known.moment, UTC), pl.lit(known.moment + days(self.days), UTC)
        last = last.filter(pl.col("until").is_between(start, end)).drop("value")
        if last.is_empty():
            return last
        half = known.moment - days(self.usage_days)
        events = uses(known, last)
        late = used_between(events, "late", half, known.moment)
        use = late.join(used_between(events, "early", half - days(self.usage_days), half), on="customer_id")
        use = use.filter(pl.col("early") > 0, pl.col("late") >= (1 + self.rise) * pl.col("early"))
        return last.join(use.select("customer_id", value=pl.col("late") / pl.col("early") - 1), on="customer_id")
