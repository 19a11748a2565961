"""What is bought together: shrunk cosine of items over whole orders, guests' orders too."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp

from ..data.histories import Csr, Floats, Histories, TrainData
from .base import dense, unknown_rows


def co_purchases(orders: Csr) -> tuple[Csr, np.ndarray]:
    """Orders with both items, CSR (n_items, n_items) with an empty diagonal, and orders with each (n_items,)."""
    together = (orders.T @ orders).tocsr()
    sold = np.asarray(together.diagonal(), np.float32)
    together.setdiag(0)
    together.eliminate_zeros()
    together.sort_indices()
    return together, sold


@dataclass(kw_only=True)
class ItemKnn:
    """Σ C(i, j) / √((f_i + s)(f_j + s)) over the cart, or over the decayed history where the cart is empty."""

    shrink: float = 20.0  # s: orders added to each item's own
    half_life: float = 60.0  # days; decay of the history
    min_joint: int = 2  # orders with both items; fewer say nothing and are most of the matrix

    def fit(self, data: TrainData) -> Self:
        together, sold = co_purchases(data.orders)
        together.data[together.data < self.min_joint] = 0
        together.eliminate_zeros()
        scale = sp.diags_array(1 / np.sqrt(sold + self.shrink))
        self.cosine_ = sp.csr_matrix(scale @ together @ scale, dtype=np.float32)
        return self

    def score(self, queries: Histories) -> Floats:
        has_cart = queries.has_cart
        keep = sp.diags_array((~has_cart).astype(np.float32))
        source = queries.cart + keep @ queries.decayed(self.half_life)
        return unknown_rows(dense((source @ self.cosine_).tocsr()), has_cart | queries.has_history)
