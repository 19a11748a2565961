"""G-, P- and GP-TopFreq: baskets with the item over all customers, over the own ones, own first.

Li et al., "A Next Basket Recommendation Reality Check", TOIS 2023. Guests' baskets count as everybody's.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from recsys.data.histories import Csr, Floats, Histories, TrainData
from recsys.models.base import dense


def own_baskets(queries: Histories) -> Csr:
    """CSR (n, n_items): the query's baskets with the item."""
    return queries.sums(np.ones(len(queries.items)))


@dataclass(kw_only=True)
class GTopFreq:
    """Baskets with the item, the same for every query."""

    def fit(self, data: TrainData) -> Self:
        self.baskets_ = np.asarray(data.orders.sum(axis=0), np.float32).ravel()
        return self

    def score(self, queries: Histories) -> Floats:
        return np.tile(self.baskets_, (len(queries), 1))


@dataclass(kw_only=True)
class PTopFreq:
    """The query's own baskets with the item; NaN for items it never bought, so lists may be short."""

    def fit(self, data: TrainData) -> Self:  # noqa: ARG002 - nothing is learned from others
        return self

    def score(self, queries: Histories) -> Floats:
        scores = dense(own_baskets(queries))
        scores[scores == 0] = np.nan
        return scores


@dataclass(kw_only=True)
class GPTopFreq:
    """Own baskets first; a share < 1 of everybody's breaks ties and fills the rest."""

    def fit(self, data: TrainData) -> Self:
        baskets = np.asarray(data.orders.sum(axis=0), np.float64).ravel()
        self.share_ = np.asarray(baskets / (baskets.max(initial=0) + 1), np.float32)
        return self

    def score(self, queries: Histories) -> Floats:
        return dense(own_baskets(queries)) + self.share_
