"""Some years after a customer's first order, on the same day of the year; a 29th of February counts on the 28th."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

import polars as pl

from recsys.moments.known import Known
from recsys.moments.triggers.base import NOBODY, OfferKind, Trigger, day_of, days, found, with_anchors
from recsys.moments.triggers.firsts import first_orders


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
        first = known.orders.clear().with_columns(years=pl.lit(0))
        for years in range(1, known.moment.year - _first_year(known) + 1):
            start, end = _years_before(known.earlier, years), _years_before(known.moment, years)
            then = first_orders(known, known.orders_between(start, end), self.history_days)
            first = pl.concat([first, then.with_columns(years=pl.lit(years))])
        if first.is_empty():
            return NOBODY
        recent = known.orders_between(known.moment - days(self.active_days), known.moment)
        active = first.join(recent, on="customer_id", how="semi", maintain_order="left")
        fact = pl.format("{} years since the first order on {}", "years", day_of("ordered_at"))
        return found(with_anchors(known, active).with_columns(since="ordered_at", fact=fact, value="years"))


def _first_year(known: Known) -> int:
    return int(known.orders["ordered_at"][0].year) if known.orders.height else known.moment.year


def _years_before(moment: datetime, years: int) -> datetime:
    day = 28 if (moment.month, moment.day) == (2, 29) else moment.day
    return moment.replace(year=moment.year - years, day=day)
