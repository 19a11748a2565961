"""Order lines known at a moment, column by column: what an order has once is held once, the rest is read when needed.

    orders   a  a  a  b  b  c      starts  0  3  5  6
    items    0  2  5  1  2  4      customers, ages: one per order

Out of a frame, or out of the checked orders on disk without ever holding all their columns.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from recsys.data.coding import coded, read_codes, read_ids
from recsys.data.histories import Floats, IdMap, Ints

DAY = 86_400_000_000  # microseconds
BLOCK = 1 << 20  # lines looked at together
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class KnownLines:
    """m lines of n orders in time order; a line is one item of one order, and an order is not empty.

    starts     int64 (n + 1,): lines of order o are starts[o]:starts[o + 1]
    customers  int32 (n,): code of the customer, -1 = a guest
    ages       float32 (n,): days from the order to the moment
    items      unsigned (m,): code of the item
    column     name → values (m,) of unit_price, or of quantity with what came back before the moment taken off
    ids        customer_id or item_id → the id of each code
    """

    starts: Ints
    customers: Ints
    ages: Floats
    items: Ints
    column: Callable[[str], pl.Series]
    ids: Callable[[str], pl.Series]

    @classmethod
    def of(cls, lines: "pl.DataFrame | KnownLines") -> "KnownLines":
        """Out of `interactions.lines_before(...)`."""
        if isinstance(lines, KnownLines):
            return lines
        ids = coded(lines.select("order_id", "customer_id", "item_id"))
        starts = starts_of(ids["order_id"])
        return cls(
            starts,
            _codes(ids["customer_id"].to_physical(), starts[:-1]),
            lines["age"].gather(starts[:-1]).to_numpy(),
            ids["item_id"].to_physical().to_numpy(),
            lambda name: lines[name],
            lambda name: ids[name].dtype.categories,  # type: ignore[attr-defined]
        )

    @classmethod
    def read(cls, directory: Path, at: datetime, max_age_days: float | None = None) -> "KnownLines":
        """The same out of a folder of `coding.write_coded`, one moment for all; as `interactions.lines_before`."""
        starts = starts_of(read_codes(directory, "order_id"))
        times = read_codes(directory, "ordered_at").to_physical().gather(starts[:-1]).to_numpy()
        moment = (at - EPOCH) // timedelta(microseconds=1)
        ages = ((moment - times) / DAY).astype(np.float32)
        last = int(np.searchsorted(times, moment))
        first = int(np.count_nonzero(ages[:last] > max_age_days)) if max_age_days is not None else 0
        orders = np.arange(first, last)
        begin, end = int(starts[first]), int(starts[last])
        starts = starts[first : last + 1] - begin

        def of_lines(name: str) -> pl.Series:
            return read_codes(directory, name).slice(begin, end - begin)

        left, kept = _left(of_lines, at)
        if kept is not None:
            starts, full = thinned(starts, kept.to_numpy())
            orders = orders[full]

        def column(name: str) -> pl.Series:
            found = left if name == "quantity" and left is not None else of_lines(name)
            return found if kept is None else found.filter(kept)

        return cls(
            starts,
            _codes(of_lines("customer_id"), starts[:-1] if kept is None else _first_lines(kept, starts)),
            ages[orders],
            column("item_id").to_numpy(),
            column,
            lambda name: read_ids(directory, name),
        )

    def __len__(self) -> int:
        return int(self.starts[-1])

    def blocks(self) -> Iterator[tuple[slice, slice]]:
        """Runs of whole orders of about BLOCK lines, and their lines."""
        edges = np.unique(np.searchsorted(self.starts, [*range(0, len(self), BLOCK), len(self)]))
        for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            yield slice(first, last), slice(int(self.starts[first]), int(self.starts[last]))

    def ages_of_lines(self, orders: slice) -> Floats:
        """float32: age of each line of a run of orders."""
        return np.repeat(self.ages[orders], np.diff(self.starts[orders.start : orders.stop + 1]))

    def places(self, name: str, of: IdMap) -> Ints:
        """int32 (codes + 1,): position in `of` of each code of customer_id or item_id; -1 = unknown, and at the end."""
        return np.append(of.positions(self.ids(name).to_list()), -1).astype(np.int32)


def starts_of(order_ids: pl.Series) -> Ints:
    """int64 (n + 1,): first line of each run of the same order, and the number of lines."""
    codes = order_ids.to_physical().to_numpy()
    first = np.ones(len(codes), bool)
    np.not_equal(codes[1:], codes[:-1], out=first[1:])
    return np.append(np.flatnonzero(first), len(codes))


def thinned(starts: Ints, kept: np.ndarray) -> tuple[Ints, np.ndarray]:
    """`starts` of the lines that are kept, bool (m,), and bool (n,): orders of which any is; the others are dropped."""
    ends = np.append(0, np.cumsum(kept, dtype=np.int32))[starts]
    full = ends[1:] > ends[:-1]
    return np.append(ends[:-1][full], ends[-1]).astype(np.int64), full


def quantity_left(moment: pl.Expr) -> pl.Expr:
    """Quantity of a line less what came back before the moment."""
    back = pl.when(pl.col("returned_at") < moment).then("returned_quantity").otherwise(0.0).fill_null(0.0)
    return pl.col("quantity") - back


def _left(of_lines: Callable[[str], pl.Series], at: datetime) -> tuple[pl.Series | None, pl.Series | None]:
    """`quantity_left`, and which lines keep some; None where nothing came back."""
    returned = of_lines("returned_at")
    if returned.null_count() == len(returned):
        return None, None
    lines = pl.DataFrame([returned, of_lines("returned_quantity"), of_lines("quantity")])
    left = lines.select(quantity=quantity_left(pl.lit(at).dt.cast_time_unit("us")))["quantity"]
    return left, left > 0


def _codes(codes: pl.Series, lines: Ints) -> Ints:
    return codes.gather(lines).cast(pl.Int32).fill_null(-1).to_numpy()


def _first_lines(kept: pl.Series, starts: Ints) -> Ints:
    """Line, of all, of the first kept line of each order."""
    return np.flatnonzero(kept.to_numpy())[starts[:-1]]
