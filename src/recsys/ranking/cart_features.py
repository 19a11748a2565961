"""What the open cart says of an item beyond the sources' own scores."""

from typing import Any

import numpy as np

from ..data.histories import Csr, Floats, Histories
from ..models.base import dense
from .candidates import Candidates
from .own_features import at_cells, history_cells


def cart_features(rows: Candidates, queries: Histories, item_knn: Any) -> dict[str, Floats]:
    """Columns (m,): the customer's own orders that overlap the cart, and the cart items that the item goes with.

    own_overlap   over the own orders with the item, Σ items shared with the cart / √size
    own_together  the same, a share of what all own orders share with the cart: how surely it lies beside the cart
    cart_best     highest cosine of the item with one item of the cart; NaN without a cart
    cart_linked   share of the cart's items that the item was ever bought with; NaN without a cart
    cart_confidence  -log Π_j (1 - P(item | j)) over the cart: how surely one of its items brings it
    """
    overlap, whole = overlap_with_cart(queries)
    own = at_cells(history_cells(rows, queries), overlap, 0)
    best, linked, sure = cart_links(item_knn, queries)
    has, size = queries.has_cart[rows.query], np.diff(queries.cart.indptr)[rows.query]
    return {
        "own_overlap": own,
        "own_together": own / np.where(whole > 0, whole, np.nan)[rows.query].astype(np.float32),
        "cart_best": np.where(has, best[rows.query, rows.item], np.nan),
        "cart_linked": np.where(has, linked[rows.query, rows.item] / np.maximum(size, 1), np.nan),
        "cart_confidence": np.where(has, sure[rows.query, rows.item], np.nan),
    }


def overlap_with_cart(queries: Histories) -> tuple[Csr, Floats]:
    """Σ over own orders of items shared with the cart / √size: CSR (n, n_items) of orders with the item; all (n,)."""
    in_cart = dense(queries.cart)[queries.rows, queries.items]
    starts = np.concatenate([[0], np.cumsum((np.diff(queries.rows) != 0) | (np.diff(queries.orders) != 0))])
    order = starts[: len(queries.items)]
    shared, size = np.bincount(order, in_cart), np.bincount(order)
    value = shared / np.sqrt(np.maximum(size, 1))
    first = np.concatenate([[0], np.flatnonzero(np.diff(order)) + 1])[: len(value)]
    return queries.sums(value[order]), np.bincount(queries.rows[first], value, minlength=len(queries)).astype(
        np.float64
    )


def cart_links(item_knn: Any, queries: Histories) -> tuple[Floats, Floats, Floats]:
    """float32 (n, n_items) each: highest cosine with an item of the cart, number of its items with any, confidence."""
    linked = item_knn.cosine_[queries.cart.indices]
    owner = np.repeat(np.arange(len(queries)), np.diff(queries.cart.indptr))
    sizes = np.diff(linked.indptr)
    row, source = np.repeat(owner, sizes), np.repeat(queries.cart.indices, sizes)
    best = np.zeros(queries.cart.shape, np.float32)
    np.maximum.at(best, (row, linked.indices), linked.data)
    cell = row * queries.n_items + linked.indices
    sold = item_knn.sold_ + item_knn.shrink
    chance = np.minimum(linked.data * np.sqrt(sold[linked.indices] / sold[source]), 0.95)
    number, sure = (np.bincount(cell, w, best.size).reshape(best.shape) for w in (None, -np.log1p(-chance)))
    return best, number.astype(np.float32), sure.astype(np.float32)
