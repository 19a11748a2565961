"""What is bought in the order after: items of one order against items of the customer's next order.

A first-order Markov chain over baskets, not factorised (Rendle et al., WWW 2010, eq. 5), with the shrunk cosine in
place of the conditional probability.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp

from ..data.histories import Csr, Floats, Histories, TrainData
from .base import dense, unknown_rows
from .item_knn import shrunk_cosine


def baskets_in_time(histories: Histories) -> tuple[Csr, np.ndarray]:
    """Every order of every history, CSR (n_orders, n_items), and its query, int64 (n_orders,); oldest first."""
    first = (np.diff(histories.rows, prepend=-1) != 0) | (np.diff(histories.orders, prepend=-1) != 0)
    place = np.cumsum(first) - 1
    ones, shape = np.ones(len(place), np.float32), (int(first.sum()), histories.n_items)
    return sp.csr_matrix((ones, (place, histories.items)), shape), histories.rows[first]


@dataclass(kw_only=True)
class Transitions:
    """Σ over the items j of the last orders of decay^age · T(j, i) / √((f_j + s)(f_i + s)), i ≠ j.

    T counts how often i lay in the order after one with j, f the orders of known customers with the item; age
    is counted in orders. Guests have no order after.
    """

    depth: int = 5  # last orders looked at
    decay: float = 0.7  # what each later order leaves of an order
    shrink: float = 20.0  # s: orders added to each item's own
    min_joint: int = 2  # orders with i after one with j; fewer say nothing

    def fit(self, data: TrainData) -> Self:
        orders, who = baskets_in_time(data.histories)
        before = np.flatnonzero(who[1:] == who[:-1])
        after = (orders[before].T @ orders[before + 1]).tocsr()
        sold = np.asarray(orders.sum(axis=0)).ravel()
        self.cosine_ = shrunk_cosine(after, sold, self.shrink, self.min_joint)
        return self

    def score(self, queries: Histories) -> Floats:
        weights = np.where(queries.orders < self.depth, np.float32(self.decay) ** queries.orders, 0)
        recent = queries.sums(weights)
        return unknown_rows(dense((recent @ self.cosine_).tocsr()), queries.has_history)
