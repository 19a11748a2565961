"""TIFU-KNN: item frequencies that fade within groups of baskets and over groups, mixed with neighbours'.

Hu et al., "Modeling Personalized Item Frequency Information for Next-basket Recommendation", SIGIR 2020.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from ..data.histories import Csr, Floats, Histories, Ints, TrainData
from .base import high_cells, in_rows, places, product, unknown_rows
from .user_knn import own_cells, pool_of


def nearest_mean(closeness: Floats, k: int) -> Csr:
    """CSR float32 of the shape of `closeness`: 1 / k' at the k' = min(k, finite cells) highest cells of each row.

    Ties at the edge go to the lower column; -inf is never among them.
    """
    rows, columns = high_cells(closeness, k)
    order = np.lexsort((-closeness[rows, columns], rows))  # stable: columns come sorted
    rows, columns = rows[order], columns[order]
    kept = places(rows, len(closeness)) < k
    rows, columns = rows[kept], columns[kept]
    share = (1 / np.bincount(rows, minlength=len(closeness))[rows]).astype(np.float32)
    return in_rows(rows, columns, share, closeness.shape)


def squared_lengths(matrix: Csr) -> Floats:
    """float64 (n,): Σ of the squares of each row."""
    return np.asarray(matrix.multiply(matrix).sum(axis=1), np.float64).ravel()


@dataclass(kw_only=True)
class TifuKnn:
    """α·u + (1 − α)·mean u of the k nearest customers by Euclidean distance.

    baskets  1 … n in time order, cut into m groups; the earlier ones are one shorter where n is no multiple,
             and there are n groups of one where n < m
    group    g = 1/s · Σ_j r_b^(s − j) b_j, s = its size
    customer u = 1/m · Σ_i r_g^(m − i) g_i
    """

    k: int = 100  # customers
    groups: int = 7  # m: parts that the baskets of a customer are cut into
    within: float = 0.9  # r_b: what a later basket of the group leaves of a basket
    over: float = 0.7  # r_g: what a later group leaves of a group
    alpha: float = 0.7  # weight of the own vector
    pool: int = 50_000  # customers that may be neighbours: those who ordered last

    def fit(self, data: TrainData) -> Self:
        near, self.place_ = pool_of(data.histories, self.pool)
        vectors = self._vectors(near)
        self.vectors_ = vectors
        self.by_item_ = vectors.T.tocsr()
        self.squares_ = squared_lengths(vectors)
        return self

    def score(self, queries: Histories) -> Floats:
        own = self._vectors(queries)
        # -distance² without the own length, which orders nothing
        closeness = 2 * product(own, self.by_item_).astype(np.float64) - self.squares_
        closeness[own_cells(queries, self.place_)] = -np.inf
        scores = product(nearest_mean(closeness, self.k), self.vectors_)
        scores *= np.float32(1 - self.alpha)
        scores += np.float32(self.alpha) * own.toarray()
        return unknown_rows(scores, queries.has_history)

    def _vectors(self, histories: Histories) -> Csr:
        """u of every query, CSR float32 (n, n_items)."""
        orders = histories.n_orders
        start = np.cumsum(orders) - orders  # of each query's orders, latest first
        n = np.repeat(orders, orders)
        weights = self._basket_weights(n, n - 1 - (np.arange(len(n)) - np.repeat(start, orders)))
        return histories.sums(weights[start[histories.rows] + histories.orders])

    def _basket_weights(self, n: Ints, t: Ints) -> Floats:
        """Weight in u of basket `t` (0 = the first) of `n`: r_b^(s − j) / s · r_g^(m − i) / m."""
        m = np.minimum(self.groups, n)
        short = n // np.maximum(m, 1)
        n_short = m - n % np.maximum(m, 1)  # groups of the shorter size come first
        late = t - n_short * short
        size = np.where(late < 0, short, short + 1)
        group = np.where(late < 0, t // short, n_short + late // (short + 1))
        place = np.where(late < 0, t % short, late % (short + 1))
        return self.within ** (size - 1 - place) / size * self.over ** (m - 1 - group) / m
