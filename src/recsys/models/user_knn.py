"""What customers with alike purchases buy."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp

from ..data.histories import Csr, Floats, Histories, TrainData
from .base import dense, unknown_rows


def unit_rows(matrix: Csr) -> Csr:
    """Rows divided by their Euclidean length; empty rows stay empty."""
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return sp.csr_matrix(sp.diags_array(1 / np.maximum(length, 1e-9)) @ matrix, dtype=np.float32)


def nearest(similarity: Floats, k: int) -> Csr:
    """CSR: the k largest positive cells of each row; ties at the edge go to the lower column."""
    n_rows, n_columns = similarity.shape
    if k >= n_columns:
        return sp.csr_matrix(np.maximum(similarity, 0))
    edge = np.partition(similarity, n_columns - k, axis=1)[:, n_columns - k, None]
    kept = similarity > np.maximum(edge, 0)
    ties = (similarity == edge) & (edge > 0)
    room = k - kept.sum(axis=1, keepdims=True)
    kept |= ties & (np.cumsum(ties, axis=1) <= room)
    rows, columns = np.nonzero(kept)
    return sp.csr_matrix((similarity[rows, columns], (rows, columns)), shape=(n_rows, n_columns))


@dataclass(kw_only=True)
class UserKnn:
    """Σ cos² of the k nearest customers times their decayed purchases; cosine of decayed purchases."""

    k: int = 150
    half_life: float = 60.0  # days

    def fit(self, data: TrainData) -> Self:
        self.decayed_ = data.histories.decayed(self.half_life)
        self.unit_ = unit_rows(self.decayed_)
        return self

    def score(self, queries: Histories) -> Floats:
        similarity = dense((unit_rows(queries.decayed(self.half_life)) @ self.unit_.T).tocsr())
        same = np.flatnonzero(queries.customers >= 0)
        similarity[same, queries.customers[same]] = 0
        weights = nearest(similarity, self.k)
        weights.data **= 2
        return unknown_rows(dense((weights @ self.decayed_).tocsr()), queries.has_history)
