"""The customer's own past with an item, and what kind of customer asks."""

import numpy as np

from ..data.histories import Csr, Floats, Histories, Ints
from .candidates import Candidates
from .item_stats import ItemStats


def own_features(rows: Candidates, queries: Histories, stats: ItemStats, cell: Ints) -> dict[str, Floats]:
    """Columns (m,): how often, how lately, in what rhythm. NaN where the item was never (or only once) bought.

    `cell` (m,) of `history_cells`.
    """
    count = at_cells(cell, queries.times, 0)
    age, first = at_cells(cell, queries.last_age), at_cells(cell, queries.first_age)
    back = queries.orders.astype(np.float32)
    ago, first_ago = (
        at_cells(cell, queries.extreme(np.minimum, back)),
        at_cells(cell, queries.extreme(np.maximum, back)),
    )
    again = count > 1
    steps = np.maximum(count - 1, 1)
    interval = np.where(again, (first - age) / steps, np.nan)
    order_interval = np.where(again, (first_ago - ago) / steps, np.nan)
    usual = stats.interval[rows.item]
    return {
        "order_decayed": at_cells(cell, queries.order_decayed(0.95), 0),
        "recent_decayed": at_cells(cell, queries.decayed(14), 0),
        "own_count": count,
        "own_share": count / np.maximum(queries.n_orders, 1)[rows.query].astype(np.float32),
        "own_age": age,
        "own_first_age": first,
        "own_orders_ago": ago,
        "own_interval": interval,
        "own_due": age / np.maximum(interval, 0.5),
        "own_due_orders": (ago + 1) / order_interval,
        "item_interval": usual,
        "item_due": age / np.maximum(usual, 0.5),
    }


def history_cells(rows: Candidates, queries: Histories) -> Ints:
    """Position of each row in the data of the histories' CSR matrices, -1 where the item was never bought."""
    pattern = queries.last_age
    place = np.full(pattern.shape, -1, np.int32)
    place[np.repeat(np.arange(len(queries)), np.diff(pattern.indptr)), pattern.indices] = np.arange(pattern.nnz)
    return np.asarray(place[rows.query, rows.item])


def at_cells(cell: Ints, matrix: Csr, missing: float = np.nan) -> Floats:
    """float32 (m,): values of a matrix on the histories' cells, `missing` where `cell` is -1."""
    if not matrix.nnz:
        return np.full(len(cell), missing, np.float32)
    return np.where(cell >= 0, matrix.data[cell], np.float32(missing))


def context_features(queries: Histories) -> dict[str, Floats]:
    """Per query, (n,): orders, days since the last and between two, lines an order, items, how often something new."""
    lines = np.diff(queries.indptr)
    n_orders = queries.n_orders
    newest, oldest = np.full(len(queries), np.inf), np.full(len(queries), -np.inf)
    np.minimum.at(newest, queries.rows, queries.ages)
    np.maximum.at(oldest, queries.rows, queries.ages)
    some = lines > 0
    gap = np.where(n_orders > 1, (oldest - newest) / np.maximum(n_orders - 1, 1), np.nan)
    distinct = np.diff(queries.last_age.indptr)
    found = {
        "n_orders": n_orders,
        "order_age": np.where(some, newest, np.nan),
        "order_gap": np.where(some, gap, np.nan),
        "basket_size": np.where(some, lines / np.maximum(n_orders, 1), np.nan),
        "distinct_items": distinct,
        "explored": np.where(some, distinct / np.maximum(lines, 1), np.nan),
        "cart_size": np.diff(queries.cart.indptr),
    }
    return {name: values.astype(np.float32) for name, values in found.items()}
