"""Orders with both of two items, for all pairs at once: compiled, on the upper triangle, in bounded memory."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
import scipy.sparse as sp

from ..data.histories import Csr, Floats, with_data

Pairs = tuple[np.ndarray, ...]  # a < b, orders with both, their weight
VISITS = 20_000_000  # pairs of lines looked at in one stretch of items
THREADS = 2


def joint_counts(orders: Csr, weights: Floats, least: int, most: int) -> tuple[Csr, Floats]:
    """Orders with both items, CSR float32 (n_items, n_items) with an empty diagonal, and their weight per cell.

    `orders`: 0/1, sorted columns; `weights` float32 (n_orders,). Cells of fewer than `least` orders are left out; where
    more than `most` cells are left, of fewer than the smallest number that leaves no more.
    """
    orders = orders if orders.has_sorted_indices else orders.sorted_indices()
    by_item = orders.tocsc()
    arrays = (by_item.indptr, by_item.indices, orders.indptr, orders.indices, weights.astype(np.float64))
    count, found = _compiled(), [_none()]
    with ThreadPoolExecutor(THREADS) as pool:
        stretches = _stretches(orders, by_item)
        while batch := list(islice(stretches, THREADS)):
            found += pool.map(lambda items, low=least: count(*items, *arrays, low, orders.shape[1]), batch)
            least, found = _bounded(found, least, most)
    a, b, joint, weight = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return _both_ways(a, b, joint, weight, orders.shape[1])


def _none() -> Pairs:
    return np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32)


def _stretches(orders: Csr, by_item: Any) -> Iterator[tuple[int, int]]:
    """Half-open ranges of items with about as many visits each."""
    sizes = np.append(0, np.cumsum(np.diff(orders.indptr)[by_item.indices], dtype=np.int64))
    upto = sizes[by_item.indptr]
    marks = np.arange(0, upto[-1] + VISITS, VISITS)
    edges = np.unique(np.append(np.searchsorted(upto, marks).clip(max=len(upto) - 1), [0, len(upto) - 1]))
    return zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)


def _bounded(found: list[Pairs], least: int, most: int) -> tuple[int, list[Pairs]]:
    """`least` raised until no more than `most` cells are left, and what is left."""
    enough = least_joint(np.concatenate([pairs[2] for pairs in found]), least, most // 2)
    if enough == least:
        return least, found
    return enough, [tuple(part[pairs[2] >= enough] for part in pairs) for pairs in found]


def least_joint(joint: np.ndarray, least: int, most: int) -> int:
    """The smallest number from `least` on that no more than `most` of the cells, of `joint` orders each, reach."""
    if len(joint) <= most:
        return least
    reach = np.append(np.cumsum(np.bincount(joint.astype(np.int64))[::-1])[::-1], 0)
    return max(least, int(np.argmax(reach <= most)))


def _both_ways(a: np.ndarray, b: np.ndarray, joint: np.ndarray, weight: np.ndarray, n: int) -> tuple[Csr, Floats]:
    """The symmetric whole of an upper triangle, sorted columns."""
    place = np.arange(len(a), dtype=np.int32)
    cells = (np.concatenate([place, place]), (np.concatenate([a, b]), np.concatenate([b, a])))
    pairs = sp.csr_matrix(cells, (n, n))
    pairs.sort_indices()
    return with_data(pairs, joint[pairs.data]), weight[pairs.data]


@cache
def _compiled() -> Callable[..., Pairs]:
    import numba  # not part of serving

    compiled: Callable[..., Pairs] = numba.njit(nogil=True, cache=True)(_pairs)
    return compiled


def _pairs(first, last, item_ends, item_orders, order_ends, order_items, weights, least, n_items):  # type: ignore[no-untyped-def]
    """Every order of every item in [first, last), and the items after it there; compiled by Numba."""
    count, weight = np.zeros(n_items, np.int32), np.zeros(n_items)
    seen = np.empty(n_items, np.int32)
    room, n = 1024, 0
    pairs, weighed = np.empty((3, room), np.int32), np.empty(room, np.float32)
    for item in range(first, last):
        met = 0
        for place in range(item_ends[item], item_ends[item + 1]):
            order = item_orders[place]
            for line in range(order_ends[order + 1] - 1, order_ends[order] - 1, -1):
                other = order_items[line]
                if other <= item:
                    break
                if count[other] == 0:
                    seen[met] = other
                    met += 1
                count[other] += 1
                weight[other] += weights[order]
        if n + met > room:
            room = 2 * (n + met)
            wider, more = np.empty((3, room), np.int32), np.empty(room, np.float32)
            wider[:, :n], more[:n] = pairs[:, :n], weighed[:n]
            pairs, weighed = wider, more
        for other in np.sort(seen[:met]):
            if count[other] >= least:
                pairs[0, n], pairs[1, n], pairs[2, n], weighed[n] = item, other, count[other], weight[other]
                n += 1
            count[other], weight[other] = 0, 0.0
    return pairs[0, :n].copy(), pairs[1, :n].copy(), pairs[2, :n].copy(), weighed[:n].copy()
