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


@dataclass(kw_only=True)
class UserKnn:
    """Σ cos² of the k nearest customers times their decayed purchases; cosine of decayed purchases."""

    k: int = 150
    half_life: float = 60.0  # days

    def fit(self, data: TrainData) -> Self:
        self.decayed_ = data.histories.decayed(self.half_life)
        self.unit_by_item_ = unit_rows(self.decayed_).T.tocsr()
        return self

    def score(self, queries: Histories) -> Floats:
        similarity = product(unit_rows(queries.decayed(self.half_life)), self.unit_by_item_)
        same = np.flatnonzero(queries.customers >= 0)
        similarity[same, queries.customers[same]] = 0
        weights = nearest(similarity, self.k)
        weights.data **= 2
        return unknown_rows(product(weights, self.decayed_), queries.has_history)
