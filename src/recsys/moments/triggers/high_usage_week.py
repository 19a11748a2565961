"""A week of unusually high use.

│◀──── weeks before, their mean ────▶│◀── 7 days ──▶│ moment
"""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from recsys.moments.known import Known
from recsys.moments.triggers.base import NOBODY, OfferKind, Trigger, days, found, no_anchors
from recsys.moments.triggers.usage import used_between, uses
from recsys.schemas import UTC


@dataclass(frozen=True, kw_only=True)
class HighUsageWeek(Trigger):
    """The last seven days saw much more use than the weeks before; found on the first day that this is so."""

    priority: int = 55  # of a customer's triggers of a day the lowest comes first
    times: float = 1.5  # the mean of the weeks before
    weeks: int = 4  # before; the customer must have used something before them

    offer: ClassVar[OfferKind] = "upsell"
    moment: ClassVar[str] = "a week of high use"
    why: ClassVar[str] = "the customer is engaged and feels what more would bring"

    def find(self, known: Known) -> pl.DataFrame:
        rows = self._high(known)
        if rows.is_empty():
            return NOBODY
        rows = rows.join(self._high(known.at(known.earlier)), on="customer_id", how="anti")
        fact = pl.format("{} uses in 7 days, {} a week before", pl.col("value").round(1), pl.col("usual").round(1))
        since = pl.lit(known.moment, UTC) - days(7)
        return found(rows.with_columns(no_anchors(), since=since, fact=fact))

    def _high(self, known: Known) -> pl.DataFrame:
        """Customers in such a week: value, usual (per week)."""
        week = known.moment - days(7)
        start = week - days(7 * self.weeks)
        lately = known.of_kind("feature_used").filter(pl.col("at") >= pl.lit(week, UTC))
        if lately.is_empty():
            return NOBODY.with_columns(usual="value")
        events = uses(known, lately)
        rows = used_between(events, "value", week, known.moment).join(
            used_between(events, "usual", start, week), on="customer_id"
        )
        old = events.filter(pl.col("at") < pl.lit(start, UTC))
        rows = rows.with_columns(pl.col("usual") / self.weeks).join(old, on="customer_id", how="semi")
        return rows.filter(pl.col("usual") > 0, pl.col("value") >= self.times * pl.col("usual"))
