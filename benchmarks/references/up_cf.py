"""UP-CF@r: customers alike in the shares of their last r baskets.

Faggioli et al., "Recency Aware Collaborative Filtering for Next Basket Recommendation", UMAP 2020.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp

from recsys.data.histories import Csr, Floats, Histories, TrainData
from recsys.models.base import unknown_rows


def scaled(matrix: Csr, power: float) -> Csr:
    """Rows divided by their Euclidean length to the 2·`power`; empty rows stay empty."""
    squares = np.asarray(matrix.multiply(matrix).sum(axis=1), np.float64).ravel()
    return sp.csr_matrix(sp.diags_array(np.maximum(squares, 1e-12) ** -power) @ matrix, dtype=np.float32)


@dataclass(kw_only=True)
class UpCf:
    """Σ_v w(u, v)^q p_v(i) over all customers, the asking one included with w = 1.

    p_u(i) = share of the last min(r, n) baskets with i
    w(u, v) = p_u·p_v / (|p_u|^2α |p_v|^2(1 − α))
    """

    recency: int = 10  # r: baskets looked at; 0 = all
    asymmetry: float = 0.25  # α: 1 = only the asking customer's length divides, 0 = only the other's
    locality: float = 5.0  # q: how much closer customers outweigh the others

    def fit(self, data: TrainData) -> Self:
        shares = self._shares(data.histories)
        self.scaled_by_item_ = scaled(shares, 1 - self.asymmetry).T.tocsr()
        self.shares_by_item_ = shares.T.tocsr()
        return self

    def score(self, queries: Histories) -> Floats:
        own = self._shares(queries)
        weights = (scaled(own, self.asymmetry) @ self.scaled_by_item_).toarray()
        same = np.flatnonzero(queries.customers >= 0)
        weights[same, queries.customers[same]] = 0
        weights **= np.float32(self.locality)
        # all customers count, so the weights are dense: a row of them per item is fastest
        others = (self.shares_by_item_ @ np.ascontiguousarray(weights.T)).T
        scores = np.ascontiguousarray(others, np.float32)
        scores += own.toarray()
        return unknown_rows(scores, queries.has_history)

    def _shares(self, histories: Histories) -> Csr:
        """p of every query, CSR float32 (n, n_items)."""
        n = histories.n_orders[histories.rows]
        seen = np.minimum(n, self.recency) if self.recency else n
        shares = histories.sums((histories.orders < seen) / np.maximum(seen, 1)).copy()  # it shares its pattern
        shares.eliminate_zeros()
        return shares
