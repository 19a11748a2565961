"""The best products of a factor model alone, for many customers at once: most products are never scored.

A score is x · y ≤ |x| |y|. Items are taken longest factors first, a tile at a time, so that a customer is done once
|x| times the longest factors left stays below the customer's k-th best score so far (Teflioudi, Gemulla, Mykytiuk 2015,
LEMP). A tile of scores fits the cache.

    lengths   11 ──── 4 ──── 1.5 ──── .3 ──── .03
    tiles     │ all │ all │ some │ none …           customers that are still asked
"""

from dataclasses import dataclass

import numpy as np

from ..data.histories import Csr, Floats, Ints
from .topk import top_k_of_rows

BLOCK = 256  # customers asked at once: enough for the matrix product to be fast
TILE = 512  # items of the first tiles
WIDEST = 2048  # items of a tile: with BLOCK customers, what a cache of the second level about holds
SPAN = 8  # cells of which the highest alone counts towards the k-th best so far
SLACK = 1.0001  # rounding of a product in float32


@dataclass(frozen=True)
class LongestFirst:
    """Factors of m items in the order of their length.

    items    int64 (m,): position of each
    place    int32 (m,): row of each position in the arrays here
    factors  float32 (m, f)
    lengths  float32 (m,), descending
    """

    items: Ints
    place: Ints
    factors: Floats
    lengths: Floats

    @classmethod
    def of(cls, factors: Floats) -> "LongestFirst":
        lengths = np.sqrt(np.square(factors, dtype=np.float64).sum(axis=1)).astype(np.float32)
        items = np.argsort(-lengths, kind="stable")
        place = np.empty(len(items), np.int32)
        place[items] = np.arange(len(items), dtype=np.int32)
        return cls(items, place, np.ascontiguousarray(factors[items], np.float32), lengths[items])

    def top_k(self, customers: Floats, k: int, barred: Csr) -> Ints:
        """int64 (n, k): `topk.top_k` of customers @ factors.T without the cells of `barred` (n, m).

        `customers` float32 (n, f); a row of NaN gets an empty list.
        """
        n, m = len(customers), len(self.items)
        reach = np.sqrt(np.square(customers, dtype=np.float64).sum(axis=1)) * SLACK
        edge = np.full(n, np.finfo(np.float32).min, np.float32)  # no more than the k-th best so far
        best = np.full((n, k), -np.inf, np.float32)  # what `edge` is the lowest of
        hidden = _Barred(barred, self.place)
        found = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))]
        first, width, asked = 0, TILE, np.arange(n)
        while first < m:
            asked = asked[self.lengths[first] * reach[asked] >= edge[asked]]
            if not len(asked):
                break
            last = min(first + width, m)
            scores = customers[asked] @ self.factors[first:last].T
            hidden.hide(scores, asked, first, last)
            best[asked] = _highest(scores, best[asked], k)
            edge[asked] = np.maximum(edge[asked], best[asked].min(axis=1))
            cells = np.flatnonzero(scores >= edge[asked, None])
            row = cells // (last - first)
            found.append((asked[row], self.items[cells - row * (last - first) + first], scores.take(cells)))
            first, width = last, min(2 * width, WIDEST) if first else width
        row, item, score = (np.concatenate(parts) for parts in zip(*found, strict=True))
        kept = score >= edge[row]
        return _lists(row[kept], item[kept], score[kept], n, k)


def _highest(scores: Floats, best: Floats, k: int) -> Floats:
    """float32 (n, k): the k highest of `best` and of the highest of each SPAN cells of `scores`, in no order."""
    n, m = scores.shape
    if m >= 2 * k * SPAN:
        whole = m // SPAN * SPAN
        spans = np.maximum.reduce(scores[:, :whole].reshape(n, SPAN, whole // SPAN), axis=1)
        scores = np.concatenate([spans, scores[:, whole:]], axis=1)
    both = np.concatenate([best, scores], axis=1)
    return np.partition(both, both.shape[1] - k, axis=1)[:, -k:]


def _lists(row: Ints, item: Ints, score: Floats, n: int, k: int) -> Ints:
    order = np.lexsort((item, row))
    return top_k_of_rows(row[order], item[order], score[order], n, k)[0]


class _Barred:
    """Cells that are never listed, in the order of the items' places."""

    def __init__(self, cells: Csr, place: Ints) -> None:
        column = place[cells.indices]
        order = np.argsort(column)
        self.column = column[order]
        self.row = np.repeat(np.arange(cells.shape[0]), np.diff(cells.indptr))[order]
        self.of = np.full(cells.shape[0], -1)

    def hide(self, scores: Floats, asked: Ints, first: int, last: int) -> None:
        """-inf into the cells of the rows `asked` and the places from `first` to `last`; `scores` is changed."""
        mine = slice(*np.searchsorted(self.column, (first, last)))
        self.of[:] = -1
        self.of[asked] = np.arange(len(asked))
        row = self.of[self.row[mine]]
        scores[row[row >= 0], self.column[mine][row >= 0] - first] = -np.inf
