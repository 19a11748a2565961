"""PerNIR: the next item of an open cart from own and neighbours' baskets.

Ariannezhad et al., "A Personalized Neighborhood-based Model for Within-basket Recommendation in Grocery
Shopping", WSDM 2023.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp

from recsys.data.histories import Csr, Floats, Histories, TrainData
from recsys.models.base import dense, product, unit_rows, unknown_rows
from recsys.models.user_knn import nearest


def basket_recency(histories: Histories) -> Floats:
    """float32 (m,): 1 / (n − t + 1) of each line's basket t of n."""
    return np.asarray(1 / (histories.orders + 1.0), np.float32)


def basket_rows(histories: Histories) -> np.ndarray:
    """int64 (m,): basket of each line, counted over all queries, latest first within a query."""
    before = np.concatenate([[0], np.cumsum(histories.n_orders)[:-1]]) if len(histories) else np.zeros(0, np.int64)
    return np.asarray(before[histories.rows] + histories.orders, np.int64)


@dataclass(kw_only=True)
class PerNir:
    """b·personal + (1 − b)·neighbours, personal = a·h_u + (1 − a)·C_u f.

    h_u(i) = Σ_t b_t(i) / (n − t + 1); C_u(i, j) = Σ_t 1 / ((n − t + 1)·d_t(i, j)) over baskets with both, i ≠ j;
    f = 1 / (c − position + 1) of the c items of the cart. A query is a set of items and a history a set of lines:
    the order in which a cart was filled is unknown, so d = 1 and f = 1. The neighbours' h and C are the mean over
    the k customers with the highest cosine of h, each times that cosine (so the published code).
    """

    k: int = 100
    history: float = 0.3  # a: weight of h against C f
    personal: float = 0.3  # b: weight of the own part against the neighbours'

    def fit(self, data: TrainData) -> Self:
        histories = data.histories
        recency = histories.sums(basket_recency(histories))
        self.recency_by_item_ = recency.T.tocsr()
        self.unit_by_item_ = unit_rows(recency).T.tocsr()
        shape = (int(histories.n_orders.sum()), histories.n_items)
        ones = np.ones(len(histories.items), np.float32)
        self.baskets_ = sp.csr_matrix((ones, (basket_rows(histories), histories.items)), shape=shape)
        self.baskets_by_item_ = self.baskets_.T.tocsr()
        self.owner_ = np.repeat(np.arange(len(histories)), histories.n_orders)
        back = np.arange(shape[0]) - np.repeat(np.cumsum(histories.n_orders) - histories.n_orders, histories.n_orders)
        self.basket_recency_ = np.asarray(1 / (back + 1.0), np.float32)
        return self

    def score(self, queries: Histories) -> Floats:
        own = queries.sums(basket_recency(queries))
        cosine = self._neighbours(own, queries)
        near = np.ascontiguousarray((self.recency_by_item_ @ np.ascontiguousarray(cosine.T)).T)
        scores = self._part(own.toarray(), self._own_joint(queries), queries.cart, self.personal)
        scores += self._part(near, self._near_joint(queries, cosine), queries.cart, 1 - self.personal)
        return unknown_rows(scores, queries.has_history)

    def _part(self, h: Floats, joint: Csr, cart: Csr, share: float) -> Floats:
        """`share`·(a·h + (1 − a)·C f); `joint` still counts every item as its own companion, which is h."""
        row = np.repeat(np.arange(cart.shape[0]), np.diff(cart.indptr))
        together = joint.toarray()
        together[row, cart.indices] -= h[row, cart.indices]
        return np.asarray(share * (self.history * h + (1 - self.history) * together), np.float32)

    def _neighbours(self, own: Csr, queries: Histories) -> Floats:
        """Cosine / number of neighbours of the k nearest customers, float32 (n, n_customers), else 0."""
        similarity = product(unit_rows(own), self.unit_by_item_)
        same = np.flatnonzero(queries.customers >= 0)
        similarity[same, queries.customers[same]] = 0
        near = nearest(similarity, self.k)
        near.data /= np.repeat(np.diff(near.indptr), np.diff(near.indptr))
        return dense(near)

    def _own_joint(self, queries: Histories) -> Csr:
        """C_u f: each line gets the items that its basket shares with the cart, over the basket's age."""
        basket = basket_rows(queries)
        shown = queries.cart.toarray()[queries.rows, queries.items]
        shared = np.bincount(basket, shown, minlength=int(queries.n_orders.sum()))[basket]
        return queries.sums(shared * basket_recency(queries))

    def _near_joint(self, queries: Histories, cosine: Floats) -> Csr:
        """Σ_v cosine · C_v f over the neighbours, by way of the baskets that hold an item of the cart."""
        shared = sp.coo_matrix(queries.cart @ self.baskets_by_item_)
        weight = cosine[shared.row, self.owner_[shared.col]]
        kept = weight > 0
        row, basket = shared.row[kept], shared.col[kept]
        value = shared.data[kept] * weight[kept] * self.basket_recency_[basket]
        weights = sp.csr_matrix((value, (row, basket)), shape=shared.shape, dtype=np.float32)
        return sp.csr_matrix(weights @ self.baskets_)
