"""What was known at a moment: the one place where time is cut, for triggers and for silence.

    order lines   ordered_at < moment; a return counts where returned_at < moment
    events        known_at < moment, and the customer's first order < moment
    catalog       has no time: names and categories of the last export

Tables are sorted by time once, so that a cut is a slice: a backfill cuts the same tables for every day.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

import polars as pl

from recsys.data.cells import localise
from recsys.errors import InputError
from recsys.schemas import EVENTS, UTC

DAY, NO_TIME = timedelta(days=1), timedelta()
ORDERS: dict[str, Any] = {
    "order_id": pl.String,
    "customer_id": pl.String,
    "ordered_at": UTC,
    "lines": pl.UInt32,  # distinct items
    "value": pl.Float64,  # in the shop's currency; lines without a price count nothing
}


@dataclass(frozen=True)
class Known:
    """What was known at `moment`, everything half-open: what lies at or after it is not there.

    lines    columns of schemas.Orders, sorted by ordered_at, order_id, item_id; guests' too. A return that came
             later is not told; one of a part leaves the line in place, `returned_quantity` says how much came back
    orders   columns ORDERS, one row per order of a customer, sorted by ordered_at, order_id; guests have none
    events   columns schemas.EVENTS, sorted by known_at
    catalog  schemas.Catalog
    expected customer_id, item_id, expected_at, probability of the items that fall due (moments.reorder); None = unasked
    day      the shop's date of the moment
    earlier  the moment of the day before: what lies in [earlier, moment) is new today
    """

    moment: datetime
    earlier: datetime
    day: date
    orders: pl.DataFrame
    events: pl.DataFrame
    catalog: pl.DataFrame
    _lines: pl.DataFrame
    expected: pl.DataFrame | None = None

    @classmethod
    def of(cls, lines: pl.DataFrame, events: pl.DataFrame, catalog: pl.DataFrame, moment: datetime) -> "Known":
        """All that was known at `moment` (aware). `lines`: schemas.Orders; `events`: of data.events.check_events.

        An event of a customer is known from the customer's first order on, as before nobody knows the customer.
        """
        if moment.tzinfo is None:
            raise InputError(f"moment {moment} has no time zone; pass an aware datetime")
        lines = lines.sort("ordered_at", "order_id", "item_id")
        orders = _orders(lines)
        first = orders.group_by("customer_id").agg(first=pl.col("ordered_at").min())
        shared = events.select(list(EVENTS)).join(first, on="customer_id", how="left", maintain_order="left")
        named = shared.filter(pl.col("customer_id").is_null() | pl.col("first").is_not_null())
        sorted_events = named.with_columns(known_at=pl.max_horizontal("known_at", "first")).drop("first")
        sorted_events = sorted_events.sort("known_at", "at", *(n for n in EVENTS if n not in ("known_at", "at")))
        everything = cls(moment, moment - DAY, moment.date(), orders, sorted_events, catalog, lines)
        return everything.at(moment)

    def on(self, day: date, time_zone: str = "UTC") -> "Known":
        """What was known when that day began, on the clock of that zone; yesterday is new, today is not known yet."""
        start, before = (day_start(one, time_zone) for one in (day, day - DAY))
        return replace(self.at(start), earlier=before, day=day)

    def at(self, moment: datetime) -> "Known":
        """What was known at an earlier moment, whose day before is 24 hours before. `expected` is not known."""
        if moment > self.moment:
            raise InputError(f"{moment} lies after {self.moment}, up to which things are known; give an earlier moment")
        return Known(
            moment,
            moment - DAY,
            moment.date(),
            _before(self.orders, "ordered_at", moment),
            _before(self.events, "known_at", moment),
            self.catalog,
            _before(self._lines, "ordered_at", moment),
        )

    @cached_property
    def lines(self) -> pl.DataFrame:
        told = pl.col("returned_at") < pl.lit(self.moment, UTC)
        return self._lines.with_columns(
            pl.when(told).then(name).alias(name) for name in ("returned_at", "returned_quantity")
        )

    def of_kind(self, *kinds: str) -> pl.DataFrame:
        """The events of these kinds, in the order in which they became known."""
        return self.events.filter(pl.col("kind").is_in(kinds))

    def new(self, time: pl.Expr) -> pl.Expr:
        """Whether a time lies in [earlier, moment): it came since the day before."""
        return (time >= pl.lit(self.earlier, UTC)) & (time < pl.lit(self.moment, UTC))

    def orders_from(self, ago: timedelta = NO_TIME) -> pl.DataFrame:
        """The orders that lie `ago` before what is new today: of [earlier - ago, moment - ago)."""
        return _between(self.orders, self.earlier - ago, self.moment - ago)

    def lines_of(self, orders: pl.DataFrame) -> pl.DataFrame:
        """Their lines, without what came back whole; `orders`: order_id and ordered_at of some of `orders`."""
        if orders.is_empty():
            return self.lines.clear()
        times = orders["ordered_at"].sort()
        near = _between(self.lines, times[0], times[-1] + timedelta(microseconds=1))
        kept = pl.col("returned_quantity").fill_null(0.0) < pl.col("quantity")
        return near.join(orders, on="order_id", how="semi", maintain_order="left").filter(kept)


def day_start(day: date, time_zone: str = "UTC") -> datetime:
    """The first moment of a day on the clock of an IANA zone, in UTC."""
    clock = pl.Series([day]).cast(pl.Datetime("us"))
    start: datetime = localise(clock, time_zone)[0]
    return start


def _between(table: pl.DataFrame, start: datetime, end: datetime) -> pl.DataFrame:
    times = table["ordered_at"]
    return table[times.search_sorted(start, "left") : times.search_sorted(end, "left")]


def _before(table: pl.DataFrame, time: str, moment: datetime) -> pl.DataFrame:
    """The rows before the moment of a table sorted by `time`."""
    return table[: table[time].search_sorted(moment, "left")]


def _orders(lines: pl.DataFrame) -> pl.DataFrame:
    """Columns ORDERS; guests are left out."""
    return (
        lines.lazy()
        .filter(pl.col("customer_id").is_not_null())
        .group_by("order_id")
        .agg(
            pl.col("customer_id", "ordered_at").first(),
            lines=pl.len(),
            value=(pl.col("quantity") * pl.col("unit_price")).sum(),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in ORDERS.items())
        .sort("ordered_at", "order_id")
        .collect()
    )
