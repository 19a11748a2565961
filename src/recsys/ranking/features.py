"""What the ranker knows of a candidate. One function for training, evaluation and serving: no skew.

Groups name what a feature speaks of; a signal that is absent is NaN, which the trees can tell from zero.
"""

import numpy as np

from ..data.histories import Csr, Floats, Histories, Ints
from ..models.base import dense
from .candidates import Candidates
from .item_stats import ItemStats

GROUPS: dict[str, tuple[str, ...]] = {
    "popularity": ("popularity", "popularity_rank", "item_share", "item_trend", "item_order_size"),
    "habit": (
        "frequency", "frequency_rank", "frequency_of_best", "order_decayed", "own_count", "own_share",
        "own_age", "own_first_age", "own_orders_ago", "item_repeat",
    ),
    "rhythm": ("own_interval", "own_due", "item_interval", "item_due"),
    "collaborative": ("als", "als_rank", "als_of_best", "user_knn", "user_knn_rank", "user_knn_of_best"),
    "co_purchase": ("item_knn_history", "item_knn_history_rank", "item_knn_history_of_best"),
    "cart": (
        "item_knn_cart", "item_knn_cart_rank", "item_knn_cart_of_best", "own_overlap", "cart_type", "cart_category",
    ),
    "content": ("content_history", "content_history_rank", "content_cart", "content_cart_rank"),
    "category": ("type_share", "type_age", "category_share", "department_share"),
    "price": ("price", "price_to_habit", "price_to_cart"),
    "context": ("n_orders", "order_age", "order_gap", "basket_size", "distinct_items", "cart_size"),
}  # fmt: skip
FEATURES: tuple[str, ...] = tuple(name for names in GROUPS.values() for name in names)
RANKED = (
    "popularity",
    "frequency",
    "als",
    "user_knn",
    "item_knn_history",
    "item_knn_cart",
    "content_history",
    "content_cart",
)
RELATIVE = ("frequency", "als", "user_knn", "item_knn_history", "item_knn_cart")


def features(rows: Candidates, queries: Histories, stats: ItemStats, best: dict[str, Floats]) -> Floats:
    """float32 (m, len(FEATURES)) of the candidate rows; `best` is the highest score of each source per query."""
    columns: dict[str, np.ndarray] = dict(rows.scores)
    columns |= {f"{name}_rank": rows.ranks[name] for name in RANKED}
    columns |= {f"{name}_of_best": rows.scores[name] / best[name][rows.query] for name in RELATIVE}
    columns |= _own(rows, queries, stats)
    columns |= _item(rows.item, stats)
    columns |= _category(rows, queries, stats)
    columns |= _price(rows, queries, stats)
    columns |= {name: values[rows.query] for name, values in _context(queries).items()}
    out = np.empty((len(rows), len(FEATURES)), np.float32)
    for at, name in enumerate(FEATURES):
        out[:, at] = columns[name]
    return out


def best_scores(scores: dict[str, Floats]) -> dict[str, Floats]:
    """Highest score of each source per query, NaN where it says nothing above zero."""
    out = {}
    for name, values in scores.items():
        top = np.fmax.reduce(values, axis=1)
        out[name] = np.where(top > 0, top, np.nan).astype(np.float32)
    return out


def _own(rows: Candidates, queries: Histories, stats: ItemStats) -> dict[str, Floats]:
    """The customer's own past with the item."""
    cell = _cells(rows, queries)
    lines = queries.sums(np.ones(len(queries.items)))
    count = _at(cell, lines, 0)
    age, first = _at(cell, queries.last_age), _at(cell, queries.first_age)
    n_orders = np.maximum(queries.n_orders, 1)[rows.query].astype(np.float32)
    interval = np.where(count > 1, (first - age) / np.maximum(count - 1, 1), np.nan)
    usual = stats.interval[rows.item]
    return {
        "order_decayed": _at(cell, queries.order_decayed(0.95), 0),
        "own_count": count,
        "own_share": count / n_orders,
        "own_age": age,
        "own_first_age": first,
        "own_orders_ago": _at(cell, _orders_ago(queries)),
        "own_interval": interval,
        "own_due": age / np.maximum(interval, 0.5),
        "item_interval": usual,
        "item_due": age / np.maximum(usual, 0.5),
        "own_overlap": _at(cell, overlap_with_cart(queries), 0),
    }


def _cells(rows: Candidates, queries: Histories) -> Ints:
    """Position of each row in the data of the histories' CSR matrices, -1 where the item was never bought."""
    pattern = queries.last_age
    place = np.full(pattern.shape, -1, np.int32)
    place[np.repeat(np.arange(len(queries)), np.diff(pattern.indptr)), pattern.indices] = np.arange(pattern.nnz)
    return np.asarray(place[rows.query, rows.item])


def _at(cell: Ints, matrix: Csr, missing: float = np.nan) -> Floats:
    if not matrix.nnz:
        return np.full(len(cell), missing, np.float32)
    return np.where(cell >= 0, matrix.data[cell], np.float32(missing))


def _orders_ago(queries: Histories) -> Csr:
    return queries.extreme(np.minimum, queries.orders.astype(np.float32))


def overlap_with_cart(queries: Histories) -> Csr:
    """CSR (n, n_items): over the customer's own orders with the item, Σ items shared with the cart / √size."""
    in_cart = dense_at(queries.cart, queries.rows, queries.items)
    order = np.concatenate([[0], np.cumsum((np.diff(queries.rows) != 0) | (np.diff(queries.orders) != 0))])
    order = order[: len(queries.items)]
    shared, size = np.bincount(order, in_cart), np.bincount(order)
    value = shared / np.sqrt(np.maximum(size, 1))
    return queries.sums(value[order])


def dense_at(matrix: Csr, rows: Ints, columns: np.ndarray) -> Floats:
    """Values of a small CSR matrix at (rows, columns)."""
    return np.asarray(dense(matrix)[rows, columns])


def _item(item: Ints, stats: ItemStats) -> dict[str, Floats]:
    return {
        "item_share": stats.share[item],
        "item_trend": stats.trend[item],
        "item_repeat": stats.repeat[item],
        "item_order_size": stats.size[item],
    }


def _category(rows: Candidates, queries: Histories, stats: ItemStats) -> dict[str, Floats]:
    """Shares of the customer's lines, and of the cart, that lie in the item's department, category and type."""
    out = {}
    n_lines = np.maximum(np.diff(queries.indptr), 1)[rows.query]
    for at, level in enumerate(("department", "category", "type")):
        codes = stats.levels[:, at]
        of_item = codes[rows.item]
        known = of_item >= 0
        table = _by_level(queries.rows, codes[queries.items], np.ones(len(queries.items)), len(queries), codes)
        out[f"{level}_share"] = np.where(known, table[rows.query, of_item] / n_lines, np.nan)
        if level != "department":
            cart_rows = np.repeat(np.arange(len(queries)), np.diff(queries.cart.indptr))
            cart = _by_level(cart_rows, codes[queries.cart.indices], queries.cart.data, len(queries), codes)
            has = known & queries.has_cart[rows.query]
            out[f"cart_{level}"] = np.where(has, cart[rows.query, of_item], np.nan)
    codes = stats.levels[:, 2]
    latest = np.full((len(queries), codes.max(initial=-1) + 2), np.inf, np.float32)
    np.minimum.at(latest, (queries.rows, codes[queries.items]), queries.ages)
    age = latest[rows.query, codes[rows.item]]
    out["type_age"] = np.where((codes[rows.item] >= 0) & np.isfinite(age), age, np.nan)
    return out


def _by_level(rows: Ints, codes: np.ndarray, values: np.ndarray, n: int, all_codes: np.ndarray) -> Floats:
    """float32 (n, number of codes + 1): values summed per row and code; the last column takes the unknown (-1)."""
    width = int(all_codes.max(initial=-1)) + 2
    cells = rows * width + np.where(codes < 0, width - 1, codes)
    return np.bincount(cells, values, minlength=n * width).reshape(n, width).astype(np.float32)


def _price(rows: Candidates, queries: Histories, stats: ItemStats) -> dict[str, Floats]:
    """Price, and its ratio to the mean price of the customer's history and of the cart."""
    price = stats.price[rows.item]
    cart_rows = np.repeat(np.arange(len(queries)), np.diff(queries.cart.indptr))
    return {
        "price": price,
        "price_to_habit": price / _mean_price(queries.rows, stats.price[queries.items], len(queries))[rows.query],
        "price_to_cart": price / _mean_price(cart_rows, stats.price[queries.cart.indices], len(queries))[rows.query],
    }


def _mean_price(rows: Ints, prices: Floats, n: int) -> Floats:
    known = ~np.isnan(prices)
    count = np.bincount(rows[known], minlength=n)
    total = np.bincount(rows[known], prices[known], minlength=n)
    return np.where(total > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _context(queries: Histories) -> dict[str, Floats]:
    """Per query: (n,)."""
    lines = np.diff(queries.indptr)
    n_orders = queries.n_orders
    newest, oldest = np.full(len(queries), np.inf), np.full(len(queries), -np.inf)
    np.minimum.at(newest, queries.rows, queries.ages)
    np.maximum.at(oldest, queries.rows, queries.ages)
    some = lines > 0
    gap = np.where(n_orders > 1, (oldest - newest) / np.maximum(n_orders - 1, 1), np.nan)
    return {
        "n_orders": n_orders.astype(np.float32),
        "order_age": np.where(some, newest, np.nan).astype(np.float32),
        "order_gap": np.where(some, gap, np.nan).astype(np.float32),
        "basket_size": np.where(some, lines / np.maximum(n_orders, 1), np.nan).astype(np.float32),
        "distinct_items": np.diff(queries.last_age.indptr).astype(np.float32),
        "cart_size": np.diff(queries.cart.indptr).astype(np.float32),
    }
