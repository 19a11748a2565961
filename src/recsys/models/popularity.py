"""What everybody buys now."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from ..data.histories import Floats, Histories, TrainData


def recent_share(data: TrainData, days: float) -> Floats:
    """float32 (n_items,): each item's share of the order lines of the last `days`, of all lines if there are none."""
    recent = data.orders[data.order_ages < days]
    lines = np.asarray((recent if recent.nnz else data.orders).sum(axis=0), np.float64).ravel()
    return np.asarray(lines / lines.sum(), np.float32)


@dataclass(kw_only=True)
class Popularity:
    """Share of recent order lines, the same for every query."""

    days: float = 84  # how far back

    def fit(self, data: TrainData) -> Self:
        self.share_ = recent_share(data, self.days)
        return self

    def score(self, queries: Histories) -> Floats:
        return np.tile(self.share_, (len(queries), 1))
