"""What is bought together: shrunk cosine of items over whole orders, guests' orders too."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp

from ..data.histories import Csr, Floats, Histories, TrainData
from .base import dense, unknown_rows


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

    def fit(self, data: TrainData) -> Self:
        together, self.sold_ = data.together
        self.cosine_ = shrunk_cosine(together, self.sold_, self.shrink, self.min_joint)
        return self

    def score(self, queries: Histories) -> Floats:
        has_cart = queries.has_cart
        keep = sp.diags_array((~has_cart).astype(np.float32))
        source = queries.cart + keep @ queries.decayed(self.half_life)
        return unknown_rows(dense((source @ self.cosine_).tocsr()), has_cart | queries.has_history)
