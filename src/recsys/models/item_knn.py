"""What is bought together: shrunk cosine of items over whole orders, guests' orders too."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from ..data.histories import Csr, Floats, Histories, TrainData
from .base import in_rows, product, unknown_rows
from .joint_counts import joint_counts, least_joint


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


LEAST_FADE = 1e-12  # what is long past still counts more than nothing


def count_pairs(data: TrainData, half_life: float, least: int, most: int) -> Pairs:
    """Pairs of at least `least` orders, of more where else more than `most` cells were left; `half_life` in days."""
    fade = np.float32(0.5) ** (data.order_ages / np.float32(half_life))
    fade = np.maximum(fade, LEAST_FADE).astype(np.float32)
    together, faded = joint_counts(data.orders, fade, least, most)
    mean = float(fade.mean()) if len(fade) else 0.0
    return Pairs(together, faded, sold_in(data.orders), sold_in(data.orders, fade), data.orders.shape[0], mean)


@dataclass(kw_only=True)
class ItemKnn:
    """Σ C(i, j) / √((f_i + s)(f_j + s)) over the cart, or over the decayed history where the cart is empty."""

    shrink: float = 20.0  # s: orders added to each item's own
    half_life: float = 60.0  # days; decay of the history
    min_joint: int = 2  # orders with both items; fewer say nothing and are most of the matrix
    max_cells: int = 20_000_000  # pairs kept, each twice; `min_joint` is raised where there are more
    recent_half_life: float = 90.0  # days; decay of the orders behind `recent_`, which the ranker reads

    def fit(self, data: TrainData) -> Self:
        return self.with_pairs(count_pairs(data, self.recent_half_life, self.min_joint, self.max_cells))

    def with_pairs(self, pairs: Pairs) -> Self:
        """Fitted with counts, whoever has counted them; cells below `min_joint` may be missing."""
        least = least_joint(pairs.together.data, self.min_joint, self.max_cells)
        self.sold_ = pairs.sold
        self.cosine_ = shrunk_cosine(pairs.together, pairs.sold, self.shrink, least)
        self.recent_ = self._recent(pairs, least)
        self.orders_ = pairs.orders
        return self

    def _recent(self, pairs: Pairs, least: int) -> Floats:
        """float32, one per cell of `cosine_`: the same cosine, of orders that count less the older they are."""
        sold = np.maximum(pairs.faded_sold + self.shrink * pairs.mean_fade, 1e-9)
        scale = (1 / np.sqrt(sold)).astype(np.float32)
        kept = pairs.together.data >= least
        row = np.repeat(np.arange(len(scale), dtype=np.int32), np.diff(pairs.together.indptr))[kept]
        return np.asarray(pairs.faded[kept] * scale[row] * scale[pairs.together.indices[kept]], np.float32)

    def score(self, queries: Histories) -> Floats:
        source = queries.cart_or_decayed(self.half_life)
        return unknown_rows(product(source, self.cosine_), queries.has_cart | queries.has_history)
