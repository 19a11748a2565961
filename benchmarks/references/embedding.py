"""Item vectors from joint orders: singular vectors of the positive pointwise mutual information.

What skip-gram with negative sampling factorises (Levy & Goldberg, NIPS 2014, eq. 10), solved exactly; contexts are
smoothed by a power of 3/4 (Levy, Goldberg & Dagan, TACL 2015).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp

from recsys.data.histories import Csr, Floats, Histories, TrainData
from recsys.models.base import unknown_rows


@dataclass(kw_only=True)
class Embedding:
    """Σ u_j·v_i over the items j of the cart, or of the decayed history where the cart is empty."""

    factors: int = 128  # length of the vectors
    half_life: float = 60.0  # days; decay of the history
    min_joint: int = 2  # orders with both items; fewer say nothing
    smoothing: float = 0.75  # power of the context's frequency
    seed: int = 0

    def fit(self, data: TrainData) -> Self:
        from sklearn.utils.extmath import randomized_svd  # not part of serving
        from threadpoolctl import threadpool_limits

        information = self._information(data.together[0])
        factors = min(self.factors, information.shape[0] - 1)  # a shop has two items or more
        with threadpool_limits(1, "blas"):  # the same result on every machine
            left, size, right = randomized_svd(information, factors, n_iter=3, random_state=self.seed)
        self.sources_ = np.ascontiguousarray(left * np.sqrt(size), np.float32)
        self.targets_ = np.ascontiguousarray(right.T * np.sqrt(size), np.float32)
        return self

    def _information(self, together: Csr) -> Csr:
        """CSR (n_items, n_items): max(0, log P(i, j) / (P(i) P(j)^smoothing)) over pairs with enough joint orders."""
        pairs = together.tocoo()
        enough = pairs.data >= self.min_joint
        row, column, joint = pairs.row[enough], pairs.col[enough], pairs.data[enough]
        total = np.bincount(row, joint, minlength=together.shape[0])
        context = total**self.smoothing
        value = np.log(joint * context.sum() / (total[row] * context[column]))
        positive = value > 0
        cells = (value[positive].astype(np.float32), (row[positive], column[positive]))
        return sp.csr_matrix(cells, shape=together.shape)

    def score(self, queries: Histories) -> Floats:
        source = queries.cart_or_decayed(self.half_life)
        scores = np.asarray((source @ self.sources_) @ self.targets_.T, np.float32)
        return unknown_rows(scores, queries.has_cart | queries.has_history)
