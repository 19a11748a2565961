"""What is known of each item at a moment, apart from any customer."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..data.histories import Floats, Histories, Ints, TrainData
from ..models.type_knn import share_within

WEEKS, SHORT, MIDDLE, LONG = 14, 28, 84, 365  # days


@dataclass(frozen=True)
class ItemStats:
    """Arrays (n_items,); NaN = unknown.

    share      share of the order lines of the last 365 days
    recent     share of the order lines of the last 14 days
    rise       share of the last 14 days / share of the last 84 days, both shrunk
    trend      share of the last 28 days / share of the last 365 days, both shrunk
    season     share of the 28 days that followed a year ago / share of the last 365 days, both shrunk
    adoption   share of all first purchases of the last 84 days: what customers begin to buy
    in_type    share of its type's lines of the last 84 days
    repeat     share of buyers who bought it again, shrunk to the mean
    interval   median days between two purchases by one customer
    size       mean number of items in the orders that hold it
    price      latest median price per unit
    levels     int32 (n_items, 3): department, category, type
    """

    share: Floats
    recent: Floats
    rise: Floats
    trend: Floats
    season: Floats
    adoption: Floats
    in_type: Floats
    repeat: Floats
    interval: Floats
    size: Floats
    price: Floats
    levels: np.ndarray

    @classmethod
    def fit(cls, data: TrainData) -> "ItemStats":
        long, middle, short, weeks = (_lines(data, 0, days) for days in (LONG, MIDDLE, SHORT, WEEKS))
        share = long / max(long.sum(), 1)
        sold = np.asarray(data.orders.sum(axis=0)).ravel()
        sizes = np.asarray(data.orders.sum(axis=1)).ravel()
        return cls(
            share.astype(np.float32),
            (weeks / max(weeks.sum(), 1)).astype(np.float32),
            _against(weeks, middle / max(middle.sum(), 1)),
            _against(short, share),
            _against(_lines(data, LONG - SHORT, LONG), share),
            _adoption(data.histories),
            share_within(data.facts.levels[:, -1], middle),
            _repeat_share(data.histories),
            _intervals(data.histories),
            ((data.orders.T @ sizes) / np.maximum(sold, 1)).astype(np.float32),
            data.facts.prices,
            data.facts.levels,
        )

    def save(self, file: Path) -> None:
        np.savez(file, **asdict(self))

    @classmethod
    def load(cls, file: Path) -> "ItemStats":
        with np.load(file, allow_pickle=False) as kept:
            return cls(**dict(kept))


def _lines(data: TrainData, newest: float, oldest: float) -> np.ndarray:
    """float64 (n_items,): order lines at ages in [newest, oldest) days."""
    within = (data.order_ages >= newest) & (data.order_ages < oldest)
    return np.asarray(data.orders[within].sum(axis=0), np.float64).ravel()


def _against(lines: np.ndarray, share: np.ndarray) -> Floats:
    """Lines / lines to be expected at `share`, five lines added to both; NaN where there are no lines at all."""
    total = lines.sum()
    return ((lines + 5) / (share * total + 5) if total else np.full(len(lines), np.nan)).astype(np.float32)


def _adoption(histories: Histories) -> Floats:
    """Share of the customers' first purchases of the last 84 days, five spread over all items added."""
    first = histories.first_age
    begun = np.bincount(first.indices[first.data < MIDDLE], minlength=histories.n_items).astype(float)
    begun += 5 / max(histories.n_items, 1)
    return np.asarray(begun / begun.sum(), np.float32)


def _repeat_share(histories: Histories) -> Floats:
    bought = histories.sums(np.ones(len(histories.items)))
    buyers = np.bincount(bought.indices, minlength=histories.n_items)
    again = np.bincount(bought.indices, bought.data > 1, minlength=histories.n_items)
    mean = again.sum() / max(buyers.sum(), 1)
    return np.asarray((again + 10 * mean) / (buyers + 10), np.float32)


def _intervals(histories: Histories) -> Floats:
    """Median over all pairs of successive purchases of the item by one customer; NaN where nobody came back."""
    order, first = histories.by_item  # oldest first
    again = np.flatnonzero(~first)
    waits = histories.ages[order[again - 1]] - histories.ages[order[again]]
    return _median_by(histories.items[order[again]], waits, histories.n_items)


def _median_by(group: Ints, values: Floats, n: int) -> Floats:
    """Lower median of `values`, none below 0, in each of n groups; NaN for an empty one."""
    sizes = np.bincount(group, minlength=n)
    start = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    # floats that are not negative sort as their bits do: one sort of numbers instead of two of places
    bits = np.maximum(values, 0).astype(np.float32).view(np.uint32)
    both = np.sort((group.astype(np.uint64) << np.uint64(32)) | bits)
    out = np.full(n, np.nan, np.float32)
    some = sizes > 0
    out[some] = (both[(start + (sizes - 1) // 2)[some]] & np.uint64(2**32 - 1)).astype(np.uint32).view(np.float32)
    return out
