"""What customers with alike purchases buy."""

import itertools
from dataclasses import dataclass
from typing import Self

import numpy as np

from ..data.histories import Csr, Floats, Histories, Ints, TrainData
from .base import high_cells, in_rows, places, product, unit_rows, unknown_rows


def nearest(similarity: Floats, k: int) -> Csr:
    """CSR: the k largest positive cells of each row; ties at the edge go to the lower column."""
    rows, columns = high_cells(similarity, k)
    return _first(rows, columns, similarity[rows, columns], k, similarity.shape)


def nearest_cells(similarity: Csr, k: int) -> Csr:
    """`nearest` of a sparse matrix of few cells in many columns."""
    enough = np.zeros(similarity.nnz, bool)
    for begin, end in itertools.pairwise(similarity.indptr):
        values = similarity.data[begin:end]
        enough[begin:end] = values >= (-np.partition(-values, k - 1)[k - 1] if len(values) > k else 0)
    rows = np.repeat(np.arange(similarity.shape[0]), np.diff(similarity.indptr))[enough]
    return _first(rows, similarity.indices[enough], similarity.data[enough], k, similarity.shape)


def _first(rows: Ints, columns: Ints, values: Floats, k: int, shape: tuple[int, int]) -> Csr:
    order = np.lexsort((columns, -values, rows))
    rows, columns, values = rows[order], columns[order], values[order]
    kept = (places(rows, shape[0]) < k) & (values > 0)
    return in_rows(rows[kept], columns[kept], values[kept], shape)


def pool_of(histories: Histories, most: int) -> tuple[Histories, np.ndarray]:
    """The customers that may be neighbours, and the row of each customer among them, int32; -1 = none."""
    rows = histories.latest_queries(most)
    place = np.full(len(histories), -1, np.int32)
    place[rows] = np.arange(len(rows))
    return (histories if len(rows) == len(histories) else histories.take(rows)), place


def own_cells(queries: Histories, place: np.ndarray) -> tuple[Ints, Ints]:
    """Row and column of each query's own customer in the (query, neighbour) cells."""
    known = np.flatnonzero(queries.customers >= 0)
    own = place[queries.customers[known]]
    return known[own >= 0], own[own >= 0]


@dataclass(kw_only=True)
class UserKnn:
    """Σ cos² of the k nearest customers times their decayed purchases; cosine of decayed purchases."""

    k: int = 50  # customers
    half_life: float = 60.0  # days
    pool: int = 50_000  # customers that may be neighbours: those who ordered last

    def fit(self, data: TrainData) -> Self:
        near, self.place_ = pool_of(data.histories, self.pool)
        self.decayed_ = near.decayed(self.half_life)
        self.unit_by_item_ = unit_rows(self.decayed_).T.tocsr()
        return self

    def score(self, queries: Histories) -> Floats:
        similarity = product(unit_rows(queries.decayed(self.half_life)), self.unit_by_item_)
        similarity[own_cells(queries, self.place_)] = 0
        weights = nearest(similarity, self.k)
        weights.data **= 2
        return unknown_rows(product(weights, self.decayed_), queries.has_history)
