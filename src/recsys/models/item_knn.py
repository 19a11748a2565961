"""What is bought together: shrunk cosine of items over whole orders, guests' orders too."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp

from ..data.histories import Csr, Floats, Histories, TrainData
from .base import product, unknown_rows


def shrunk_cosine(together: Csr, sold: np.ndarray, shrink: float, min_joint: int) -> Csr:
    """C(i, j) / √((f_i + s)(f_j + s)) of the cells i ≠ j with at least `min_joint`, CSR float32 (n_items, n_items).

    `sold` holds f; what was never sold (f = 0) has no cells.
    """
    kept = together.copy()
    row = np.repeat(np.arange(kept.shape[0]), np.diff(kept.indptr))
    kept.data[(kept.data < min_joint) | (kept.indices == row)] = 0
    kept.eliminate_zeros()
    kept.sort_indices()
    scale = sp.diags_array(1 / np.sqrt(np.maximum(sold + shrink, 1)))
    return sp.csr_matrix(scale @ kept @ scale, dtype=np.float32)


@dataclass(kw_only=True)
class ItemKnn:
    """Σ C(i, j) / √((f_i + s)(f_j + s)) over the cart, or over the decayed history where the cart is empty."""

    shrink: float = 20.0  # s: orders added to each item's own
    half_life: float = 60.0  # days; decay of the history
    min_joint: int = 2  # orders with both items; fewer say nothing and are most of the matrix
    recent_half_life: float = 90.0  # days; decay of the orders behind `recent_`, which the ranker reads

    def fit(self, data: TrainData) -> Self:
        together, self.sold_ = data.together
        self.cosine_ = shrunk_cosine(together, self.sold_, self.shrink, self.min_joint)
        self.recent_ = self._recent(data, together)
        self.orders_ = data.orders.shape[0]
        return self

    def _recent(self, data: TrainData, together: Csr) -> Floats:
        """float32, one per cell of `cosine_`: the same cosine, of orders that count less the older they are."""
        fade = np.float32(0.5) ** (data.order_ages / np.float32(self.recent_half_life))
        fade = np.maximum(fade, 1e-12).astype(np.float32)  # a product of 0 would lose its cell
        orders = data.orders.copy()
        orders.data *= np.repeat(fade, np.diff(orders.indptr))
        faded = (data.orders.T @ orders).tocsr()
        faded.sort_indices()
        shrink = self.shrink * float(fade.mean()) if len(fade) else 0.0
        scale = 1 / np.sqrt(np.maximum(faded.diagonal() + shrink, 1e-9))
        row = np.repeat(np.arange(faded.shape[0]), np.diff(faded.indptr))
        others = np.flatnonzero(row != faded.indices)  # the cells of `together`, in its order
        kept = others[together.data >= self.min_joint]
        return np.asarray(faded.data[kept] * scale[row[kept]] * scale[faded.indices[kept]], np.float32)

    def score(self, queries: Histories) -> Floats:
        source = queries.cart_or_decayed(self.half_life)
        return unknown_rows(product(source, self.cosine_), queries.has_cart | queries.has_history)
