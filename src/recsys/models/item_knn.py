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


@dataclass(frozen=True)
class Pairs:
    """What the orders before a moment say of items and of pairs of them; an order fades to f, 0.5 per half-life.

    together    CSR (n_items, n_items), i ≠ j, columns sorted: orders with both
    faded       float32, one per cell of `together`: Σ f over those orders
    sold        float32 (n_items,): orders with the item
    faded_sold  float32 (n_items,): Σ f over those orders
    orders      number of orders with a known item
    mean_fade   mean of f over them; 0 where there are none
    """

    together: Csr
    faded: Floats
    sold: Floats
    faded_sold: Floats
    orders: int
    mean_fade: float


LEAST_FADE = 1e-12  # a product of 0 would lose its cell


def count_pairs(data: TrainData, half_life: float) -> Pairs:
    """The pairs of `data`, all of them; `half_life` in days."""
    together, sold = data.together
    fade = np.float32(0.5) ** (data.order_ages / np.float32(half_life))
    fade = np.maximum(fade, LEAST_FADE).astype(np.float32)
    orders = data.orders.copy()
    orders.data *= np.repeat(fade, np.diff(orders.indptr))
    faded = (data.orders.T @ orders).tocsr()
    faded.sort_indices()
    row = np.repeat(np.arange(faded.shape[0]), np.diff(faded.indptr))
    others = row != faded.indices  # the cells of `together`, in its order
    mean = float(fade.mean()) if len(fade) else 0.0
    return Pairs(together, faded.data[others], sold, faded.diagonal(), data.orders.shape[0], mean)


@dataclass(kw_only=True)
class ItemKnn:
    """Σ C(i, j) / √((f_i + s)(f_j + s)) over the cart, or over the decayed history where the cart is empty."""

    shrink: float = 20.0  # s: orders added to each item's own
    half_life: float = 60.0  # days; decay of the history
    min_joint: int = 2  # orders with both items; fewer say nothing and are most of the matrix
    recent_half_life: float = 90.0  # days; decay of the orders behind `recent_`, which the ranker reads

    def fit(self, data: TrainData) -> Self:
        return self.with_pairs(count_pairs(data, self.recent_half_life))

    def with_pairs(self, pairs: Pairs) -> Self:
        """Fitted with counts, whoever has counted them; cells below `min_joint` may be missing."""
        self.sold_ = pairs.sold
        self.cosine_ = shrunk_cosine(pairs.together, pairs.sold, self.shrink, self.min_joint)
        self.recent_ = self._recent(pairs)
        self.orders_ = pairs.orders
        return self

    def _recent(self, pairs: Pairs) -> Floats:
        """float32, one per cell of `cosine_`: the same cosine, of orders that count less the older they are."""
        scale = 1 / np.sqrt(np.maximum(pairs.faded_sold + self.shrink * pairs.mean_fade, 1e-9))
        kept = np.flatnonzero(pairs.together.data >= self.min_joint)
        row = np.repeat(np.arange(len(scale)), np.diff(pairs.together.indptr))[kept]
        return np.asarray(pairs.faded[kept] * scale[row] * scale[pairs.together.indices[kept]], np.float32)

    def score(self, queries: Histories) -> Floats:
        source = queries.cart_or_decayed(self.half_life)
        return unknown_rows(product(source, self.cosine_), queries.has_cart | queries.has_history)
