"""What kinds of goods are bought together, and what sells within a kind: for items too rare to speak for themselves."""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import scipy.sparse as sp

from ..data.histories import LEVELS, Csr, Floats, Histories, TrainData
from .base import in_rows, product, unknown_rows
from .item_knn import shrunk_cosine, sold_in
from .joint_counts import joint_counts
from .popularity import recent_share


def share_within(codes: np.ndarray, share: Floats) -> Floats:
    """float32 (n_items,): each item's part of the `share` of its code; NaN where the code is unknown (-1).

    0 where nothing of the code was sold.
    """
    place = np.where(codes < 0, codes.max(initial=-1) + 1, codes)
    total = np.bincount(place, share)[place]
    return np.where(codes < 0, np.nan, share / np.where(total > 0, total, 1)).astype(np.float32)


def kinds_in(orders: Csr, codes: np.ndarray, n: int) -> Csr:
    """CSR float32 (n_orders, n), 1 where the order holds an item of the kind; `codes` (n_items,), -1 = unknown."""
    known = codes[orders.indices] >= 0
    ends = np.concatenate([[0], np.cumsum(known)])[orders.indptr]
    held = sp.csr_matrix((known[known].astype(np.float32), codes[orders.indices[known]], ends), (orders.shape[0], n))
    held.sum_duplicates()
    held.data[:] = 1
    return held


@dataclass(kw_only=True)
class TypeKnn:
    """Σ cosine of types over the cart, or over the decayed history where the cart is empty, · share in the type.

    The share is the item's part of the recent lines of its type, of all lines where there are no recent ones. Types are
    counted once per order, and a type is no neighbour of its own. Items without a type cannot be scored.
    """

    level: Literal["department", "category", "type"] = "type"  # of the catalog: what counts as a kind
    shrink: float = 20.0  # orders added to each type's own
    half_life: float = 60.0  # days; decay of the history
    days: float = 84.0  # shares look this far back

    def fit(self, data: TrainData) -> Self:
        codes = data.facts.levels[:, LEVELS.index(self.level)]
        kinds = int(codes.max(initial=0)) + 1
        held = kinds_in(data.orders, codes, kinds)
        together, _ = joint_counts(held, np.ones(held.shape[0], np.float32), 1, kinds**2)
        self.cosine_ = shrunk_cosine(together, sold_in(held), self.shrink, 1)
        self.share_ = share_within(codes, recent_share(data, self.days))
        self.code_ = np.maximum(codes, 0)  # of an unknown type: any, since its share is NaN
        return self

    def score(self, queries: Histories) -> Floats:
        linked = product(self._types(queries.cart_or_decayed(self.half_life)), self.cosine_)
        scores = linked.take(self.code_, axis=1)
        scores *= self.share_
        return unknown_rows(scores, queries.has_cart | queries.has_history)

    def _types(self, items: Csr) -> Csr:
        """CSR (n, n_types): values of the items of each type summed; items of an unknown one add nothing."""
        shape = (items.shape[0], self.cosine_.shape[0])
        cell = np.repeat(np.arange(shape[0]) * shape[1], np.diff(items.indptr)) + self.code_[items.indices]
        values = np.where(np.isnan(self.share_[items.indices]), 0, items.data)
        sums: Floats = np.bincount(cell, values, minlength=shape[0] * shape[1]).astype(np.float32)
        some = np.flatnonzero(sums)
        return in_rows(some // shape[1], some % shape[1], sums[some], shape)
