"""What was known at a moment: the one place where time is cut, for triggers and for silence.

    order lines   ordered_at < moment; a return counts where returned_at < moment
    events        known_at < moment, and the customer's first order < moment
    catalog       has no time: names and categories of the last export

Tables are sorted by time once, so that a cut is a slice: a backfill cuts the same tables for every day.
"""

from dataclasses import dataclass, replace
from datetime import UTC as UTC_ZONE
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from recsys.data.cells import localise
from recsys.data.histories import Ints
from recsys.errors import InputError
from recsys.schemas import EVENTS, UTC

DAY, NO_TIME, TICK = timedelta(days=1), timedelta(), timedelta(microseconds=1)
MICRO = 1e6  # sums are of whole millionths: those of floats depend on how rows meet, which varies from run to run
EPOCH = datetime(1970, 1, 1, tzinfo=UTC_ZONE)
ORDERS: dict[str, Any] = {
    "order_id": pl.String,
    "customer_id": pl.String,
    "ordered_at": UTC,
    "lines": pl.UInt32,  # distinct items
    "value": pl.Float64,  # in the shop's currency; lines without a price count nothing
}


@dataclass(frozen=True)
class Timeline:
    """A table sorted by a column of times; `times`: int64 (n,), microseconds since 1970."""

    rows: pl.DataFrame
    times: Ints

    @classmethod
    def of(cls, rows: pl.DataFrame, column: str) -> "Timeline":
        return cls(rows, rows[column].to_physical().to_numpy())

    def between(self, start: datetime, end: datetime) -> pl.DataFrame:
        """The rows of [start, end)."""
        first, last = (int(np.searchsorted(self.times, (one - EPOCH) // TICK)) for one in (start, end))
        return self.rows.slice(first, max(last - first, 0))

    def before(self, end: datetime) -> pl.DataFrame:
        return self.rows.head(int(np.searchsorted(self.times, (end - EPOCH) // TICK)))


@dataclass(frozen=True)
class Everything:
    """The tables that cuts are slices of; events also by their kind."""

    lines: Timeline
    orders: Timeline
    events: Timeline
    catalog: pl.DataFrame
    by_kind: dict[str, Timeline]


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
    _all: Everything
    expected: pl.DataFrame | None = None

    @classmethod
    def of(cls, lines: pl.DataFrame, events: pl.DataFrame, catalog: pl.DataFrame, moment: datetime) -> "Known":
        """All that was known at `moment` (aware). `lines`: schemas.Orders; `events`: of data.events.check_events.

        An event of a customer is known from the customer's first order on, as before nobody knows the customer.
        """
        if moment.tzinfo is None:
            raise InputError(f"moment {moment} has no time zone; pass an aware datetime")
        orders = _orders(lines)
        events = _events(events, orders)
        kinds = {str(kind): rows for (kind,), rows in events.partition_by("kind", as_dict=True).items()}
        everything = Everything(
            Timeline.of(lines.sort("ordered_at", "order_id", "item_id"), "ordered_at"),
            Timeline.of(orders, "ordered_at"),
            Timeline.of(events, "known_at"),
            catalog,
            {kind: Timeline.of(rows, "known_at") for kind, rows in kinds.items()},
        )
        return cls(moment, moment - DAY, moment.date(), everything)

    def on(self, day: date, time_zone: str = "UTC") -> "Known":
        """What was known when that day began, on the clock of that zone; yesterday is new, today is not known yet."""
        start, before = (day_start(one, time_zone) for one in (day, day - DAY))
        return replace(self.at(start), earlier=before, day=day)

    def at(self, moment: datetime) -> "Known":
        """What was known at an earlier moment, whose day before is 24 hours before. `expected` is not known."""
        if moment > self.moment:
            raise InputError(f"{moment} lies after {self.moment}, up to which things are known; give an earlier moment")
        return Known(moment, moment - DAY, moment.date(), self._all)

    @cached_property
    def lines(self) -> pl.DataFrame:
        return self._told(self._all.lines.before(self.moment))

    @cached_property
    def orders(self) -> pl.DataFrame:
        return self._all.orders.before(self.moment)

    @cached_property
    def events(self) -> pl.DataFrame:
        return self._all.events.before(self.moment)

    @property
    def catalog(self) -> pl.DataFrame:
        return self._all.catalog

    def of_kind(self, kind: str) -> pl.DataFrame:
        """The events of that kind, in the order in which they became known."""
        return self._of(kind).before(self.moment)

    def news(self, kind: str) -> pl.DataFrame:
        """Those of [earlier, moment)."""
        return self._of(kind).between(self.earlier, self.moment)

    def _of(self, kind: str) -> Timeline:
        return self._all.by_kind.get(kind) or Timeline.of(self._all.events.rows.clear(), "known_at")

    def new(self, time: pl.Expr) -> pl.Expr:
        """Whether a time lies in [earlier, moment): it came since the day before."""
        return (time >= pl.lit(self.earlier, UTC)) & (time < pl.lit(self.moment, UTC))

    def new_orders(self, ago: timedelta = NO_TIME) -> pl.DataFrame:
        """The orders that lie `ago` before what is new today: of [earlier - ago, moment - ago)."""
        return self.orders_between(self.earlier - ago, self.moment - ago)

    def orders_between(self, start: datetime, end: datetime) -> pl.DataFrame:
        """The orders of [start, end)."""
        return self._all.orders.between(start, min(end, self.moment))

    def lines_of(self, orders: pl.DataFrame) -> pl.DataFrame:
        """Their lines, without what came back whole; `orders`: order_id and ordered_at of some of `orders`."""
        if orders.is_empty():
            return self._all.lines.rows.clear()
        times = orders["ordered_at"].sort()
        near = self._told(self._all.lines.between(times[0], min(times[-1] + TICK, self.moment)))
        kept = pl.col("returned_quantity").fill_null(0.0) < pl.col("quantity")
        return near.join(orders, on="order_id", how="semi", maintain_order="left").filter(kept)

    def _told(self, lines: pl.DataFrame) -> pl.DataFrame:
        """Lines without the returns that came later."""
        told = pl.col("returned_at") < pl.lit(self.moment, UTC)
        return lines.with_columns(pl.when(told).then(n).alias(n) for n in ("returned_at", "returned_quantity"))


def day_start(day: date, time_zone: str = "UTC") -> datetime:
    """The first moment of a day on the clock of an IANA zone, in UTC."""
    clock = pl.Series([day]).cast(pl.Datetime("us"))
    start: datetime = localise(clock, time_zone)[0]
    return start


def _orders(lines: pl.DataFrame) -> pl.DataFrame:
    """Columns ORDERS; guests are left out."""
    return (
        lines.lazy()
        .filter(pl.col("customer_id").is_not_null())
        .group_by("order_id")
        .agg(
            pl.col("customer_id", "ordered_at").first(),
            lines=pl.len(),
            value=(pl.col("quantity") * pl.col("unit_price") * MICRO).round().cast(pl.Int64).sum() / MICRO,
        )
        .select(pl.col(name).cast(dtype) for name, dtype in ORDERS.items())
        .sort("ordered_at", "order_id")
        .collect()
    )


def _events(events: pl.DataFrame, orders: pl.DataFrame) -> pl.DataFrame:
    """Those of known customers and of everybody, known from the customer's first order on; sorted by known_at."""
    first = orders.group_by("customer_id").agg(first=pl.col("ordered_at").min())
    joined = events.select(list(EVENTS)).join(first, on="customer_id", how="left")
    named = joined.filter(pl.col("customer_id").is_null() | pl.col("first").is_not_null())
    known = named.with_columns(known_at=pl.max_horizontal("known_at", "first"))
    rest = [name for name in EVENTS if name not in ("known_at", "at")]
    return known.select(list(EVENTS)).sort("known_at", "at", *rest)
