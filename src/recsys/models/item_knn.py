"""What is bought together: shrunk cosine of items over whole orders, guests' orders too."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from ..data.histories import Csr, Floats, Histories, TrainData
from .base import in_rows, product, unknown_rows
from .joint_counts import joint_counts


def shrunk_cosine(together: Csr, sold: np.ndarray, shrink: float, min_joint: int) -> Csr:
    """C(i, j) / √((f_i + s)(f_j + s)) of the cells i ≠ j with at least `min_joint`, CSR float32 (n_items, n_items).

    `sold` holds f; what was never sold (f = 0) has no cells.
    """
    row = np.repeat(np.arange(together.shape[0], dtype=np.int32), np.diff(together.indptr))
    kept = (together.data >= min_joint) & (together.indices != row)
    row, column, joint = row[kept], together.indices[kept], together.data[kept]
    scale = (1 / np.sqrt(np.maximum(sold + shrink, 1))).astype(np.float32)
    cosine = in_rows(row, column, (joint * scale[row] * scale[column]).astype(np.float32), together.shape)
    cosine.sort_indices()
    return cosine


def sold_in(orders: Csr, weights: Floats | None = None) -> Floats:
    """float32 (n_items,): orders with each item, or their weight."""
    of_line = None if weights is None else np.repeat(weights, np.diff(orders.indptr))
    return np.bincount(orders.indices, of_line, minlength=orders.shape[1]).astype(np.float32)


@dataclass(kw_only=True)
class ItemKnn:
    """Σ C(i, j) / √((f_i + s)(f_j + s)) over the cart, or over the decayed history where the cart is empty."""

    shrink: float = 20.0  # s: orders added to each item's own
    half_life: float = 60.0  # days; decay of the history
    min_joint: int = 2  # orders with both items; fewer say nothing and are most of the matrix
    max_cells: int = 20_000_000  # pairs kept, each twice; `min_joint` is raised where there are more
    recent_half_life: float = 90.0  # days; decay of the orders behind `recent_`, which the ranker reads

    def fit(self, data: TrainData) -> Self:
        """`recent_`, float32 per cell of `cosine_`: the same cosine, of orders that count less the older they are."""
        fade = np.maximum(np.float32(0.5) ** (data.order_ages / np.float32(self.recent_half_life)), np.float32(1e-12))
        together, faded = joint_counts(data.orders, fade, self.min_joint, self.max_cells)
        self.sold_ = sold_in(data.orders)
        self.cosine_ = shrunk_cosine(together, self.sold_, self.shrink, 1)
        shrink = self.shrink * float(fade.mean()) if len(fade) else 0.0
        sold = np.maximum(sold_in(data.orders, fade) + shrink, 1e-9)
        scale = (1 / np.sqrt(sold)).astype(np.float32)
        self.recent_ = faded * np.repeat(scale, np.diff(together.indptr)) * scale[together.indices]
        self.orders_ = data.orders.shape[0]
        return self

    def score(self, queries: Histories) -> Floats:
        source = queries.cart_or_decayed(self.half_life)
        return unknown_rows(product(source, self.cosine_), queries.has_cart | queries.has_history)
