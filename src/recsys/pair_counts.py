"""Sparse counting for `recsys.affinity`: orders × items, joint orders, the customers behind them, what they explain.

Everything here is exact and in bounded memory: work is cut into stretches of `max_cells` cells.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from .data.histories import Csr, Floats, IdMap, Ints

if TYPE_CHECKING:
    import polars as pl

# least size of an order in each bin: exact where orders are small, a quarter wider with each step after that
SIZE_BINS = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 18, 22, 27, 33, 41, 51, 64, 80, 100, 125, 160, 200, 400])
CELLS = 10_000_000  # pair cells held at once while counting; about 16 bytes each


@dataclass(frozen=True)
class Baskets:
    """Orders and what they hold, a customer's orders in a row.

    items      the n sorted keys
    matrix     CSR int32 (n_orders, n), 1 where the order holds the key; columns sorted
    customer   int64 (n_orders,): 0, 1, …; -1 = guest; guests first
    """

    items: IdMap
    matrix: Csr
    customer: Ints

    @property
    def sizes(self) -> Ints:
        """int64 (n_orders,): distinct keys of each order."""
        return np.diff(self.matrix.indptr).astype(np.int64)

    @property
    def returning(self) -> np.ndarray:
        """bool (n_orders,): the order's customer has at least two orders."""
        orders = np.bincount(self.customer[self.customer >= 0], minlength=1)
        return np.asarray((self.customer >= 0) & (orders[self.customer] > 1))

    def by_size(self, orders: np.ndarray | None = None) -> tuple[Ints, Ints]:
        """Orders with each key (bins, n) and all orders (bins,) by size; `orders` bool (n_orders,) or all."""
        matrix = self.matrix if orders is None else self.matrix[orders]
        size = np.diff(matrix.indptr)
        place = np.searchsorted(SIZE_BINS, size, side="right") - 1
        cells = np.repeat(place, size).astype(np.int64) * matrix.shape[1] + matrix.indices
        sold = np.bincount(cells, minlength=len(SIZE_BINS) * matrix.shape[1]).reshape(len(SIZE_BINS), -1)
        return sold.astype(np.int64), np.bincount(place, minlength=len(SIZE_BINS)).astype(np.int64)


def baskets(orders: "pl.DataFrame", key: str) -> Baskets:
    """Order lines with order_id, customer_id and `key`; lines without a key count for nothing."""
    import polars as pl  # not part of serving

    lines = orders.lazy().select("order_id", "customer_id", pl.col(key).cast(pl.String).alias("item")).collect()
    items = IdMap.of(lines["item"].drop_nulls().unique().to_list())
    per_order = (
        order_heads(lines.lazy())
        .with_columns(customer=pl.col("customer_id").rank("dense").cast(pl.Int64).fill_null(0) - 1)
        .with_row_index("order")
    )
    cells = (
        lines.lazy()
        .filter(pl.col("item").is_not_null())
        .join(per_order.select("order_id", "order"), on="order_id")
        .select(pl.col("order").cast(pl.Int64), item=pl.col("item").cast(pl.Enum(items.ids)).to_physical())
        .unique()
        .sort("order", "item")
    )
    found, customers = pl.collect_all([cells, per_order.select("customer")])
    where = (found["order"].to_numpy(), found["item"].to_numpy().astype(np.int32))
    matrix = sp.csr_matrix((np.ones(found.height, np.int32), where), shape=(customers.height, len(items)))
    return Baskets(items, matrix, customers["customer"].to_numpy())


def order_heads(orders: "pl.LazyFrame", *facts: str) -> "pl.LazyFrame":
    """order_id, customer_id and the least value of each of `facts`, a row per order in the order of `Baskets`."""
    import polars as pl  # not part of serving

    told = orders.group_by("order_id").agg(pl.col("customer_id").min(), *(pl.col(fact).min() for fact in facts))
    return told.sort("customer_id", "order_id")  # guests come first


def joint_cells(matrix: Csr, a: Ints, b: Ints, max_cells: int) -> Iterator[tuple[slice, Any]]:
    """(stretch of the pairs, CSC of the orders × those pairs, 1 where the order holds both)."""
    columns = matrix.tocsc()
    width = np.diff(columns.indptr).astype(np.int64)
    for low, high in _stretches(width[a] + width[b], max_cells):
        yield slice(low, high), sp.csc_matrix(columns[:, a[low:high]].multiply(columns[:, b[low:high]]))


def joint_orders(matrix: Csr, min_joint: int, max_cells: int) -> tuple[Ints, Ints, Ints]:
    """Pairs (a < b) with at least `min_joint` orders of both, and that number; item blocks of bounded products."""
    found = []
    columns = matrix.tocsc()
    by_item = sp.csr_matrix(columns.T)
    work = by_item @ np.diff(matrix.indptr)  # cells that a row of the product can have at most
    for low, high in _stretches(np.minimum(work, matrix.shape[1]), max_cells):
        block = (by_item[low:high] @ columns[:, low:].tocsr()).tocoo()
        keep = (block.data >= min_joint) & (block.col > block.row)
        found.append(np.stack([block.row[keep] + low, block.col[keep] + low, block.data[keep]]).astype(np.int64))
    a, b, joint = np.concatenate([*found, np.zeros((3, 0), np.int64)], axis=1)
    order = np.lexsort((b, a))
    return a[order], b[order], joint[order]


def distinct_customers(matrix: Csr, customer: Ints, a: Ints, b: Ints, max_cells: int) -> Ints:
    """int64 (m,): customers with at least one order of both. A customer's orders lie in a row of `matrix`."""
    n = matrix.shape[1]
    place = sp.csr_matrix((np.arange(1, len(a) + 1), (a, b)), shape=(n, n))  # 1-based place of a kept pair, else 0
    known = np.flatnonzero(customer >= 0)
    sizes = np.diff(matrix.indptr)[known].astype(np.int64)
    first = np.flatnonzero(np.diff(customer[known], prepend=-1))  # the customer's first order
    work = np.add.reduceat(sizes * (sizes - 1) // 2, first) if len(first) else np.zeros(0, np.int64)
    ends = np.append(first, len(known))
    out = np.zeros(len(a) + 1, np.int64)
    for low, high in _stretches(work, max_cells // 2):
        rows = known[ends[low] : ends[high]]
        order, left, right = _pairs_of_orders(sp.csr_matrix(matrix[rows]))
        pair = np.asarray(place[left, right]).ravel() if len(left) else left
        behind = np.sort(pair[pair > 0] * (len(work) + 1) + customer[rows][order[pair > 0]])
        first_of = np.flatnonzero(np.diff(behind, prepend=-1))  # np.unique takes ten times as long
        out += np.bincount(behind[first_of] // (len(work) + 1), minlength=len(out))
    return out[1:]


def _pairs_of_orders(matrix: Csr) -> tuple[Ints, Ints, Ints]:
    """Every pair of every order: row of the order, smaller item, larger item."""
    matrix.sort_indices()
    sizes = np.diff(matrix.indptr).astype(np.int64)
    later = np.repeat(sizes, sizes) - 1 - _places(sizes)  # lines after each line in its order
    left = np.repeat(np.arange(len(later)), later)
    right = left + 1 + _places(later)
    items = matrix.indices.astype(np.int64)
    return np.repeat(np.arange(len(sizes)), sizes * (sizes - 1) // 2), items[left], items[right]


def _places(counts: Ints) -> Ints:
    """0, 1, … count - 1 for each count, one after the other."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


def _stretches(work: Ints, most: int) -> Iterator[tuple[int, int]]:
    """Half-open ranges that cover `work`, each of at most `most` in sum, or of one element."""
    upto = np.cumsum(work)
    low = 0
    while low < len(work):
        done = upto[low - 1] if low else 0
        high = max(low + 1, int(np.searchsorted(upto, done + most, side="right")))
        yield low, high
        low = high


def expected_by_size(a: Ints, b: Ints, sold_by_size: Ints, orders_by_size: Ints) -> Floats:
    """Joint orders (m,) of items independent within each size of order: Σ_bins n_bin · p_a,bin · p_b,bin."""
    out = np.zeros(len(a))
    for sold, n in zip(sold_by_size, orders_by_size, strict=True):
        if n:
            out += sold[a].astype(float) * sold[b] / n
    return out


def expected_by_customer(found: Baskets, a: Ints, b: Ints, max_cells: int = CELLS) -> Floats:
    """Joint orders (m,) that customers' tastes explain: who buys both at all would often have both in one order.

    For a customer with several orders of sizes s: c_a · c_b · Σ s² / (Σ s)², as if each of the c_a orders with a fell
    on any order in proportion to its size. All who came once, and guests, make one more customer, with
    `expected_by_size`.
    """
    back = found.returning
    sold, n = found.by_size(~back)
    out = expected_by_size(a, b, sold, n)
    orders, who, sizes = found.matrix[back], found.customer[back], found.sizes[back].astype(float)
    total, squares = np.bincount(who, sizes), np.bincount(who, sizes**2)
    ones = sp.csr_matrix((np.ones(len(who)), (who, np.arange(len(who)))), shape=(len(total), len(who)))
    weight = np.sqrt(squares) / np.maximum(total, 1)
    scaled = sp.csr_matrix((sp.diags_array(weight) @ (ones @ orders)).T)  # items × customers
    width = np.diff(scaled.indptr)
    for low, high in _stretches(width[a] + width[b], max_cells):
        both = scaled[a[low:high]].multiply(scaled[b[low:high]])
        out[low:high] += np.asarray(both.sum(axis=1)).ravel()
    return out


def hypergeometric_tail(joint: Ints, n: int, sold_a: Ints, sold_b: Ints) -> Floats:
    """P(at least `joint` orders of both) (m,) where `sold_a` and `sold_b` of n orders are drawn without knowledge.

    Summed from the observed count away from the mean, where terms fall, until they add nothing: all pairs at once, in
    a hundredth of the time of scipy.stats.hypergeom.
    """
    from scipy.special import gammaln

    x, a, b = (np.asarray(part, float) for part in (joint, sold_a, sold_b))
    above = x * n > a * b
    start = np.where(above, x, x - 1)  # the tail itself, or what lies below it
    rest = n - a - b + start
    allowed = (start >= 0) & (rest >= 0) & (start <= np.minimum(a, b))
    k, rest = np.where(allowed, start, 0.0), np.where(allowed, rest, 0.0)
    ways = gammaln(a + 1) + gammaln(n - a + 1) + gammaln(b + 1) + gammaln(n - b + 1) - gammaln(n + 1.0)
    log_p = ways - gammaln(k + 1) - gammaln(np.abs(a - k) + 1) - gammaln(np.abs(b - k) + 1) - gammaln(rest + 1)
    total = np.where(allowed, np.exp(np.minimum(log_p, 0.0)), 0.0)
    active, term = np.flatnonzero(allowed), total[allowed]
    while len(active):
        at, up = k[active], above[active]
        left_a, left_b, others = a[active] - at, b[active] - at, n - a[active] - b[active] + at
        times = np.where(up, left_a * left_b / ((at + 1) * (others + 1)), at * others / ((left_a + 1) * (left_b + 1)))
        term = term * times
        total[active] += term
        k[active] += np.where(up, 1.0, -1.0)
        more = term > total[active] * 1e-17
        active, term = active[more], term[more]
    return np.asarray(np.clip(np.where(above, total, 1.0 - total), 0.0, 1.0))
