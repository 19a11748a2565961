"""From ranker outputs to probabilities: logistic calibration (Platt 1999) on orders that the trees did not see."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.histories import Floats, Ints

ENOUGH = 50  # bought rows that a fit of its own needs
TERMS = 3


def terms(raw: Floats) -> Floats:
    """float64 (m, TERMS): constant, raw output of the reading booster, its square: bends at both ends can be mended."""
    return np.asarray(np.stack([np.ones(len(raw)), raw, raw**2 / 10], axis=1))


@dataclass(frozen=True)
class Chances:
    """weights float64 (2, TERMS): log odds of a candidate per term, for queries without (0) and with (1) a cart."""

    weights: Floats

    def probabilities(self, raw: Floats, with_cart: np.ndarray) -> Floats:
        """float32 (m,): that the order holds the item; `with_cart` bool (m,)."""
        odds = np.einsum("ij,ij->i", terms(raw), self.weights[with_cart.astype(np.int64)])
        return np.asarray(1 / (1 + np.exp(-np.clip(odds, -30, 30))), np.float32)

    @classmethod
    def fit(cls, raw: Floats, y: np.ndarray, with_cart: np.ndarray, negatives: float) -> "Chances":
        """`negatives` is the share of the rows not bought that were kept: each stands for 1 / negatives rows.

        A kind of query with fewer than ENOUGH bought rows shares the fit of all.
        """
        x, weight = terms(raw), np.where(y, 1.0, 1 / negatives)
        every = _logistic(x, y, weight)
        of_kind = [with_cart == bool(kind) for kind in (0, 1)]
        return cls(np.stack([_logistic(x[m], y[m], weight[m]) if y[m].sum() >= ENOUGH else every for m in of_kind]))


def _logistic(x: Floats, y: np.ndarray, weight: Floats) -> Floats:
    """Weights (TERMS,) of a logistic regression; of one kind of answer only, the smoothed base rate for all rows."""
    bought, total = float(weight[y].sum()), float(weight.sum())
    if not 0 < bought < total:
        return np.array([np.log((bought + 0.5) / (total - bought + 0.5)), 0.0, 0.0])
    from sklearn.linear_model import LogisticRegression  # not part of serving

    model: Any = LogisticRegression(C=100.0, fit_intercept=False, max_iter=500)
    return np.asarray(model.fit(x, y, weight / weight.mean()).coef_[0], np.float64)


def held_rows(sizes: Ints, held: np.ndarray, y: np.ndarray) -> np.ndarray:
    """bool (m,): rows of the queries held back, none where they hold too few bought ones to learn from."""
    rows = np.repeat(held, sizes)
    return rows if y[rows].sum() >= ENOUGH else np.zeros(len(rows), bool)
