"""What the open cart says of an item beyond the sources' own scores."""

from typing import Any

import numpy as np

from ..data.histories import Csr, Floats, Histories, Ints
from ..models.base import dense
from .candidates import Candidates
from .own_features import at_cells

RARE = 5  # orders added to each item's own in a lift: of rare items it says little


LINKS = ("cart_best", "cart_linked", "cart_confidence", "cart_recent", "cart_lift", "cart_lift_best")


def cart_features(rows: Candidates, queries: Histories, item_knn: Any, cell: Ints) -> dict[str, Floats]:
    """Columns (m,): the customer's own orders that overlap the cart, and the cart items that the item goes with.

    own_overlap   over the own orders with the item, Σ items shared with the cart / √size
    own_together  the same, a share of what all own orders share with the cart: how surely it lies beside the cart
    cart_…        of `cart_links`; NaN without a cart

    `cell` (m,) of `history_cells`.
    """
    if not queries.has_cart.any():
        nothing = np.full(len(rows), np.nan, np.float32)
        return {"own_overlap": np.zeros(len(rows), np.float32), "own_together": nothing} | dict.fromkeys(LINKS, nothing)
    overlap, whole = overlap_with_cart(queries)
    own = at_cells(cell, overlap, 0)
    has = queries.has_cart[rows.query]
    columns: dict[str, Floats] = {
        "own_overlap": own,
        "own_together": np.asarray(own / np.where(whole > 0, whole, np.nan)[rows.query], np.float32),
    }
    for name, values in cart_links(rows, queries, item_knn).items():
        columns[name] = np.where(has, values, np.float32(np.nan))
    return columns


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


def cart_links(rows: Candidates, queries: Histories, item_knn: Any) -> dict[str, Floats]:
    """Float32 columns (m,) over the n items j of the cart that the item i was bought with; 0 where there are none.

    cart_best        highest cosine
    cart_linked      how many there are / n
    cart_confidence  -log Π_j (1 - P(i | j)): how surely one of them brings it
    cart_recent      Σ cosine of orders that fade with age
    cart_lift        Σ log lift / n, lift = C(i, j) N / ((f_i + 5)(f_j + 5)); below 1 counts as 1
    cart_lift_best   highest log lift
    """
    to, item, source, cosine, recent = _links(rows, queries, item_knn)
    m, n = len(rows), np.maximum(np.diff(queries.cart.indptr), 1)[rows.query]
    sold, s = item_knn.sold_, item_knn.shrink
    of_item, of_source = sold[item] + s, sold[source] + s
    chance = np.minimum(cosine * np.sqrt(of_item / of_source), 0.95)
    joint = cosine * np.sqrt(of_item * of_source)
    lift = np.log(np.maximum(joint * item_knn.orders_ / ((sold[item] + RARE) * (sold[source] + RARE)), 1))
    found = (
        _highest(cosine, to, m),
        np.bincount(to, minlength=m) / n,
        np.bincount(to, -np.log1p(-chance), m),
        np.bincount(to, recent, m),
        np.bincount(to, lift, m) / n,
        _highest(lift, to, m),
    )
    return {name: values.astype(np.float32) for name, values in zip(LINKS, found, strict=True)}


def _links(rows: Candidates, queries: Histories, item_knn: Any) -> tuple[Ints, Ints, Ints, Floats, Floats]:
    """Candidates' links with the cart: row of `rows`, its item, the cart's item, cosine, recent cosine."""
    matrix, cart = item_knn.cosine_, queries.cart
    sizes = np.diff(matrix.indptr)[cart.indices]
    cells = np.repeat(matrix.indptr[cart.indices] - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
    query = np.repeat(np.repeat(np.arange(len(queries)), np.diff(cart.indptr)), sizes)
    place = np.full(cart.shape, -1, np.int32)
    place[rows.query, rows.item] = np.arange(len(rows))
    to = place[query, matrix.indices[cells]]
    kept = to >= 0
    cells = cells[kept]
    source = np.repeat(cart.indices, sizes)[kept]
    return to[kept], matrix.indices[cells], source, matrix.data[cells], item_knn.recent_[cells]


def _highest(values: Floats, to: Ints, m: int) -> Floats:
    """(m,): the largest of the values that go to each place, 0 where none does."""
    out = np.zeros(m, np.float32)
    np.maximum.at(out, to, values.astype(np.float32))
    return out
