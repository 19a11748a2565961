"""What lay in whole past orders that are like the open cart (session-kNN: Jannach & Ludewig, RecSys 2017)."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp

from ..data.histories import Csr, Floats, Histories, TrainData, with_data
from .base import product, unit_rows, unknown_rows
from .user_knn import nearest_cells


@dataclass(kw_only=True)
class BasketKnn:
    """Σ of cosine · recency over the k orders where it is highest, for the items they hold.

    Items weigh log(1 + orders / orders with the item) in the cosine. Without a cart the model says nothing.
    """

    k: int = 200  # orders
    half_life: float = 90.0  # days; decay of past orders
    pool: int = 300_000  # past orders that are looked at: the latest

    def fit(self, data: TrainData) -> Self:
        first = max(0, data.orders.shape[0] - self.pool)  # oldest first
        self.orders_ = data.orders[first:]
        sold = np.asarray(data.orders.sum(axis=0)).ravel()
        self.idf_ = np.log1p(data.orders.shape[0] / np.maximum(sold, 1)).astype(np.float32)
        fade = (np.float32(0.5) ** (data.order_ages / np.float32(self.half_life))).astype(np.float32)
        self.unit_by_item_ = sp.csr_matrix((sp.diags_array(fade[first:]) @ unit_rows(self._weighted(self.orders_))).T)
        return self

    def _weighted(self, baskets: Csr) -> Csr:
        return with_data(baskets, baskets.data * self.idf_[baskets.indices])

    def score(self, queries: Histories) -> Floats:
        alike = sp.csr_matrix(unit_rows(self._weighted(queries.cart)) @ self.unit_by_item_)
        return unknown_rows(product(nearest_cells(alike, self.k), self.orders_), queries.has_cart)
