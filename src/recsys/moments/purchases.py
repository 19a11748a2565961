"""Who bought what on which days: order lines coded once, so that what is known at a moment is a mask of arrays."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from recsys.data.histories import Floats, IdMap, Ints
from recsys.errors import InputError

DAY = 86_400_000_000  # microseconds
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Bought:
    """Order lines of customers before a moment, without what had come back whole; arrays (n,).

    customer, item, order  positions; sorted by customer, item, time, order
    age                    days from the line to the moment, above 0
    """

    customer: Ints
    item: Ints
    order: Ints
    age: Floats


@dataclass(frozen=True)
class Purchases:
    """All order lines of customers; guests have no repeats.

    customers, items       sorted ids
    customer, item, order  int64 (n,): positions; sorted by customer, item, time, order
    time                   int64 (n,): microseconds since 1970
    gone                   int64 (n,): when all units of the line had come back, NEVER where they did not
    types                  int64 (n_items,): the catalog's narrowest level, -1 = unknown
    """

    customers: IdMap
    items: IdMap
    customer: Ints
    item: Ints
    order: Ints
    time: Ints
    gone: Ints
    types: Ints

    @classmethod
    def of(cls, lines: pl.DataFrame, catalog: pl.DataFrame | None = None) -> "Purchases":
        """`lines`: schemas.Orders; `catalog`: schemas.Catalog, for the types."""
        own = lines.filter(pl.col("customer_id").is_not_null())
        customers, customer = _coded(own["customer_id"])
        items, item = _coded(own["item_id"])
        _, order = _coded(own["order_id"])
        whole = pl.col("returned_quantity") >= pl.col("quantity")
        gone = own.select(pl.when(whole).then(pl.col("returned_at").to_physical()).fill_null(NEVER)).to_series()
        time = own["ordered_at"].to_physical().to_numpy()
        sort = np.lexsort((order, time, item, customer))
        customer, item, order, time, back = (c[sort] for c in (customer, item, order, time, gone.to_numpy()))
        return cls(customers, items, customer, item, order, time, back, _types(items, catalog))

    def before(self, at: datetime) -> Bought:
        """What was known at `at` (aware), half-open, as data.interactions.lines_before has it."""
        moment = microseconds(at)
        known = (self.time < moment) & (self.gone >= moment)
        age = (moment - self.time[known]) / DAY
        return Bought(self.customer[known], self.item[known], self.order[known], age)

    def bought_within(self, customer: Ints, item: Ints, at: datetime, days: float) -> np.ndarray:
        """bool (m,): whether each of the (customer, item) pairs, sorted, was bought in [at, at + days)."""
        start = microseconds(at)
        after = (self.time >= start) & (self.time < start + round(days * DAY))
        n = max(len(self.items), 1)
        return np.isin(customer * n + item, self.customer[after] * n + self.item[after])

    @property
    def first(self) -> datetime:
        """The time of the first line. InputError where there is none."""
        if not len(self.time):
            raise InputError(
                "no order line names a customer: nothing can fall due; map data.orders.columns.customer_id"
            )
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(self.time.min()))


@dataclass(frozen=True)
class Repeats:
    """Customer-items bought on at least `min_times` days before a moment, sorted by customer, item.

    customer, item  int64 (m,): positions
    times           int64 (m,): days on which the item was bought; days are counted back from the moment
    start           int64 (m,): where the cell's own begin in `ages` and `orders`
    ages            float64 (Σ times,): days from each purchase to the moment, oldest first
    orders          int64 (Σ times,): order of each purchase
    """

    customer: Ints
    item: Ints
    times: Ints
    start: Ints
    ages: Floats
    orders: Ints

    @classmethod
    def of(cls, bought: Bought, min_times: int = 3) -> "Repeats":
        """InputError where min_times is below 2: one purchase is no repeat."""
        if min_times < 2:
            raise InputError(f"min_times is {min_times}; an interval needs 2 purchases or more")
        new_cell = _changes(bought.customer) | _changes(bought.item)
        first_of_day = new_cell | _changes(np.floor(bought.age).astype(np.int64))
        cell = np.cumsum(new_cell[first_of_day]) - 1
        times = np.bincount(cell) if len(cell) else np.zeros(0, np.int64)
        often = times >= min_times
        kept = np.flatnonzero(first_of_day)[often[cell]]
        head = kept[np.flatnonzero(_changes(cell[often[cell]]))]
        times = times[often]
        start = np.cumsum(times) - times
        return cls(bought.customer[head], bought.item[head], times, start, bought.age[kept], bought.order[kept])

    def __len__(self) -> int:
        return len(self.times)

    @property
    def cell(self) -> Ints:
        """int64 (Σ times,): the cell of each purchase."""
        return np.repeat(np.arange(len(self)), self.times)

    @property
    def last(self) -> Floats:
        """float64 (m,): days since the last purchase."""
        return np.asarray(self.ages[self.start + self.times - 1])

    @property
    def interval(self) -> Floats:
        """float64 (m,): mean days between two purchases."""
        return np.asarray((self.ages[self.start] - self.last) / (self.times - 1))

    @property
    def gaps(self) -> tuple[Floats, Ints]:
        """Days between successive purchases (Σ times - m,), oldest first, and the cell of each."""
        cell = self.cell
        inside = ~_changes(cell)
        return (np.append(0, self.ages[:-1]) - self.ages)[inside], cell[inside]

    @property
    def median_gap(self) -> Floats:
        """float64 (m,)"""
        gaps, cell = self.gaps
        ordered = gaps[np.lexsort((gaps, cell))]
        begin, n = self.start - np.arange(len(self)), self.times - 1
        return np.asarray((ordered[begin + (n - 1) // 2] + ordered[begin + n // 2]) / 2)

    @property
    def spread_gap(self) -> Floats:
        """float64 (m,): standard deviation of the gaps; divides by their number."""
        gaps, cell = self.gaps
        square = np.bincount(cell, gaps**2, len(self)) / (self.times - 1)
        return np.asarray(np.sqrt(np.maximum(square - self.interval**2, 0)))

    def decayed(self, half_life: float) -> Floats:
        """float64 (m,): purchases halved every `half_life` days."""
        return np.asarray(np.bincount(self.cell, 0.5 ** (self.ages / half_life), minlength=len(self)), np.float64)


def microseconds(at: datetime) -> int:
    """Since 1970. InputError for a time without a zone."""
    if at.tzinfo is None:
        raise InputError(f"moment {at} has no time zone; pass an aware datetime")
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def ids_at(ids: IdMap, positions: Ints) -> pl.Series:
    """The ids at these positions."""
    return pl.Series(ids.ids, dtype=pl.String).gather(positions)


def _coded(column: pl.Series) -> tuple[IdMap, Ints]:
    ids = column.unique().sort()
    codes = column.cast(pl.Enum(ids)).to_physical().cast(pl.Int64)
    return IdMap(tuple(ids)), codes.to_numpy()


def _changes(values: Ints) -> np.ndarray:
    """bool (n,): the first of each run of equal values."""
    out = np.ones(len(values), bool)
    out[1:] = values[1:] != values[:-1]
    return out


def _types(items: IdMap, catalog: pl.DataFrame | None) -> Ints:
    if catalog is None:
        return np.full(len(items), -1, np.int64)
    known = catalog.select("item_id", "type").unique("item_id", keep="first", maintain_order=True)
    types = pl.DataFrame({"item_id": items.ids}, schema={"item_id": pl.String}).join(
        known, on="item_id", how="left", maintain_order="left"
    )["type"]
    return types.rank("dense").fill_null(0).to_numpy().astype(np.int64) - 1
