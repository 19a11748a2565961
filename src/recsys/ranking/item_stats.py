"""What is known of each item at a moment, apart from any customer."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..data.histories import Floats, Histories, Ints, TrainData

SHORT, LONG = 28, 365  # days


@dataclass(frozen=True)
class ItemStats:
    """Arrays (n_items,); NaN = unknown.

    share      share of the order lines of the last 365 days
    trend      share of the last 28 days / share of the last 365 days, both shrunk
    repeat     share of buyers who bought it again, shrunk to the mean
    interval   median days between two purchases by one customer
    size       mean number of items in the orders that hold it
    price      latest median price per unit
    levels     int32 (n_items, 3): department, category, type
    """

    share: Floats
    trend: Floats
    repeat: Floats
    interval: Floats
    size: Floats
    price: Floats
    levels: np.ndarray

    @classmethod
    def fit(cls, data: TrainData) -> "ItemStats":
        long, short = (_lines(data, days) for days in (LONG, SHORT))
        share = long / max(long.sum(), 1)
        expected = share * short.sum()
        sold = np.asarray(data.orders.sum(axis=0)).ravel()
        sizes = np.asarray(data.orders.sum(axis=1)).ravel()
        return cls(
            share.astype(np.float32),
            ((short + 5) / (expected + 5)).astype(np.float32),
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


def _lines(data: TrainData, days: float) -> np.ndarray:
    return np.asarray(data.orders[data.order_ages < days].sum(axis=0), np.float64).ravel()


def _repeat_share(histories: Histories) -> Floats:
    bought = histories.sums(np.ones(len(histories.items)))
    buyers = np.bincount(bought.indices, minlength=histories.n_items)
    again = np.bincount(bought.indices, bought.data > 1, minlength=histories.n_items)
    mean = again.sum() / max(buyers.sum(), 1)
    return np.asarray((again + 10 * mean) / (buyers + 10), np.float32)


def _intervals(histories: Histories) -> Floats:
    """Median over all pairs of successive purchases of the item by one customer; NaN where nobody came back."""
    order = np.lexsort((-histories.ages, histories.items, histories.rows))
    items, rows, ages = histories.items[order], histories.rows[order], histories.ages[order]
    same = (items[1:] == items[:-1]) & (rows[1:] == rows[:-1])
    return _median_by(items[1:][same].astype(np.int64), (ages[:-1] - ages[1:])[same], histories.n_items)


def _median_by(group: Ints, values: Floats, n: int) -> Floats:
    """Lower median of `values` in each of n groups; NaN for an empty one."""
    order = np.lexsort((values, group))
    sizes = np.bincount(group, minlength=n)
    start = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    out = np.full(n, np.nan, np.float32)
    some = sizes > 0
    out[some] = values[order][(start + (sizes - 1) // 2)[some]]
    return out
