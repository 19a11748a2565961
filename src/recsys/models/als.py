"""Collaborative filtering for implicit feedback (Hu, Koren, Volinsky 2008), fitted by `implicit`.

Customers are folded in by the normal equations (eq. 4 there), in evaluation as in serving; the stored customer
factors of the fit are not used, since they differ from the fold-in.
"""

import itertools
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np

from ..data.histories import Csr, Floats, Histories, TrainData, with_data
from ..errors import InputError
from .base import unknown_rows


def no_gpu() -> str:
    """Why implicit cannot use a GPU here; empty where it can."""
    import implicit.gpu  # not part of serving

    if not implicit.gpu.HAS_CUDA:
        return "this build of implicit has no CUDA, or finds no driver"
    try:
        implicit.gpu.get_device_count()
    except Exception as error:  # a RuntimeError of its own kind, from CUDA
        return f"CUDA finds no card: {error}"
    return ""


@dataclass(kw_only=True)
class Als:
    """Confidence 1 + alpha * damped count; the open cart counts as one more purchase."""

    factors: int = 64
    regularization: float = 20.0
    alpha: float = 10.0
    damping: Literal["log", "none"] = "log"  # log: log(1 + count)
    iterations: int = 12
    seed: int = 0
    device: Literal["cpu", "gpu"] = "cpu"  # gpu: implicit's CUDA build, where it finds a card; only for the fit

    def fit(self, data: TrainData) -> Self:
        """InputError where `device` is gpu and there is none."""
        from threadpoolctl import threadpool_limits  # not part of serving

        with threadpool_limits(1, "blas"):  # faster, and only so is the result the same on every machine
            solver = self._solver()
            solver.fit(self._confidence(data.histories.counts), show_progress=False)
        found = solver.item_factors
        return self.with_items(found.to_numpy() if self.device == "gpu" else found)

    def _solver(self) -> Any:
        """implicit's own, on the device; the matrix will hold the confidences, so that alpha is 1."""
        if self.device == "cpu":
            from implicit.cpu.als import AlternatingLeastSquares  # not part of serving
        elif why := no_gpu():
            raise InputError(f"models.als.device is gpu, but {why}; set it to cpu")
        else:
            from implicit.gpu.als import AlternatingLeastSquares  # not part of serving
        return AlternatingLeastSquares(
            factors=self.factors,
            regularization=self.regularization,
            alpha=1.0,
            iterations=self.iterations,
            random_state=self.seed,
        )

    def with_items(self, factors: Floats) -> Self:
        """Fitted with item factors (n_items, factors), whoever has found them."""
        self.items_ = np.ascontiguousarray(factors, np.float32)
        self.gram_ = self.items_.T @ self.items_ + self.regularization * np.eye(self.factors, dtype=np.float32)
        return self

    def _confidence(self, counts: Csr) -> Csr:
        damped = np.log1p(counts.data) if self.damping == "log" else counts.data
        return with_data(counts, 1 + np.float32(self.alpha) * damped)

    def fold_in(self, queries: Histories) -> Floats:
        """float32 (n, factors): x = (YᵀY + λI + Σ (c − 1) y yᵀ)⁻¹ Σ c y over the items of history and cart."""
        bought = queries.counts if not queries.cart.nnz else (queries.counts + queries.cart).tocsr()
        confidence = self._confidence(bought)
        left = np.empty((len(queries), self.factors, self.factors), np.float32)
        right = np.empty((len(queries), self.factors, 1), np.float32)
        more = (confidence.data - 1)[:, None]
        for row, (begin, end) in enumerate(itertools.pairwise(confidence.indptr.tolist())):
            y = self.items_.take(confidence.indices[begin:end], axis=0)
            np.matmul((y * more[begin:end]).T, y, out=left[row])
            np.matmul(confidence.data[begin:end], y, out=right[row, :, 0])
        left += self.gram_
        return np.linalg.solve(left, right)[..., 0].astype(np.float32, copy=False)

    def score(self, queries: Histories) -> Floats:
        scores = self.fold_in(queries) @ self.items_.T
        return unknown_rows(scores, queries.has_history | queries.has_cart)
