"""Some years after a customer's first order, on the same day of the year; a 29th of February counts on the 28th."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

import polars as pl

from recsys.moments.known import Known
from recsys.moments.triggers.base import OfferKind, Trigger, day_of, days, found, with_anchors
from recsys.moments.triggers.firsts import first_orders
from recsys.schemas import UTC


@dataclass(frozen=True, kw_only=True)
class PurchaseAnniversary(Trigger):
    """A year, or some, after a customer's first order."""

    priority: int = 60  # of a customer's triggers of a day the lowest comes first
    active_days: float = 90.0  # the customer must have ordered within them
    history_days: float = 28.0  # of the shop's orders that must lie before the first; else nobody knows who was new

    offer: ClassVar[OfferKind] = "upsell"
    moment: ClassVar[str] = "the anniversary of the first order"
    why: ClassVar[str] = "a natural time to look back and to ask whether something better fits by now"

    def find(self, known: Known) -> pl.DataFrame:
        first = known.orders.clear()
        for years in range(1, known.moment.year - _first_year(known) + 1):
            start, end = _years_before(known.earlier, years), _years_before(known.moment, years)
            then = known.orders.filter(pl.col("ordered_at").is_between(pl.lit(start, UTC), pl.lit(end, UTC), "left"))
            first = pl.concat([first, first_orders(known, then, self.history_days)])
        recent = known.orders.filter(pl.col("ordered_at") >= pl.lit(known.moment, UTC) - days(self.active_days))
        active = first.join(recent, on="customer_id", how="semi", maintain_order="left")
        fact = pl.format("{} years since the first order on {}", pl.col("years"), day_of("ordered_at"))
        years_since = (pl.lit(known.day.year) - pl.col("ordered_at").dt.year()).alias("years")
        return found(
            with_anchors(known, active)
            .with_columns(years_since, since="ordered_at")
            .with_columns(fact=fact, value=pl.col("years"))
        )


def _first_year(known: Known) -> int:
    return int(known.orders["ordered_at"][0].year) if known.orders.height else known.moment.year


def _years_before(moment: datetime, years: int) -> datetime:
    day = 28 if (moment.month, moment.day) == (2, 29) else moment.day
    return moment.replace(year=moment.year - years, day=day)
