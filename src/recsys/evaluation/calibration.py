"""Whether probabilities mean what they say: reliability by bins, Brier score, log loss.

A row is a (query, candidate) pair: `p` the probability that the order holds the item, `y` whether it did. Most rows
are of small probability, so bins are narrow there: 1-2-5 steps below .1, tenths above.
Brier (1950); reference and skill as in Murphy (1973); interval of a share: Wilson (1927) with the effective number of
rows of Korn & Graubard (1998), since the rows of one query hang together.
"""

from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.data.histories import Ints
from recsys.data.splits import Queries
from recsys.errors import InputError
from recsys.evaluation.metrics import divide_or_nan
from recsys.evaluation.protocols import HYBRID, Lists, number

Floats = NDArray[np.float64]
EDGES = np.array([0, *(s * 10.0**e for e in range(-5, -1) for s in (1, 2, 5)), *np.arange(1, 11) / 10])
SMALLEST = 50  # rows of a bin; a smaller one is merged with the next lower, the lowest with the next higher
NEAR = 1e-7  # log loss keeps this far from 0 and 1
LISTED = 10  # ranks of a list that are judged on their own
QUERIES = 5000  # queries whose candidates are judged; a seeded sample of more, since each has hundreds


class Rows(NamedTuple):
    """Candidate rows of all queries: (m,) each."""

    query: Ints
    item: Ints
    p: NDArray[np.float32]


@dataclass
class ProbabilityRows:
    """Gathers the hybrid's probabilities block by block; handed to `contender_lists` as `watch`.

    `judged` bool (n_queries,): whose candidates are kept.
    """

    judged: NDArray[np.bool_]
    parts: dict[str, list[tuple[int, Rows]]] = field(default_factory=dict)

    @classmethod
    def of_sample(cls, n: int, seed: int) -> "ProbabilityRows":
        """For at most QUERIES of n queries."""
        judged = np.zeros(n, bool)
        judged[np.random.default_rng(seed).permutation(n)[:QUERIES]] = True
        return cls(judged)

    def __call__(self, task: str, rows: Ints, ranked: Any) -> None:
        """`rows` int64: queries of the block; `ranked` their candidates."""
        query = rows[ranked.candidates.query]
        kept = self.judged[query]
        part = Rows(query[kept], ranked.candidates.item[kept], ranked.probabilities[kept])
        self.parts.setdefault(task, []).append((int(rows[0]), part))

    def of(self, task: str) -> Rows:
        """All rows of a task in the order of their queries, whatever order blocks came in."""
        blocks = [part for _, part in sorted(self.parts[task], key=lambda block: block[0])]
        return Rows(*(np.concatenate(column) for column in zip(*blocks, strict=True)))


def calibration_records(
    gathered: ProbabilityRows, tasks: dict[str, Queries], lists: Lists, level: float = 0.95
) -> dict[str, dict[str, Any]]:
    """Task → `calibration` of all candidates, and under `listed` that of the first ten ranks of the lists.

    Empty where the ranker gives no probabilities. Items that are no candidate have no row: they were said no chance.
    """
    out = {}
    for task in [t for t in tasks if t in gathered.parts]:
        rows, n_items = gathered.of(task), tasks[task].relevant.shape[1]
        cell = rows.query * n_items + rows.item
        relevant = tasks[task].relevant.tocoo()
        y = np.isin(cell, relevant.row.astype(np.int64) * n_items + relevant.col)
        query, rank = np.nonzero(lists[HYBRID, task, "all"][:, :LISTED] >= 0)
        shown = np.isin(cell, query * n_items + lists[HYBRID, task, "all"][query, rank])
        every, top = (calibration(rows.p[m], y[m], rows.query[m], level) for m in (np.ones(len(y), bool), shown))
        out[task] = {**every, "listed": top}
    return out


def calibration(
    p: NDArray[Any], y: NDArray[Any], query: NDArray[Any] | None = None, level: float = 0.95
) -> dict[str, Any]:
    """All figures of (m,) rows; `query` int (m,) says which rows hang together, by default none.

    predicted, observed     mean of p and of y
    brier                   mean of (p - y)²; brier_reference: that of the constant `observed`
    skill                   1 - brier / brier_reference; null where the reference is 0
    log_loss                mean of -log of the probability given to what happened, and its reference
    ece                     Σ |observed - predicted| of the bins, weighed by their rows
    bins                    predicted, observed, low, high, n of each bin, lowest first
    """
    p, y = _checked(p, y)
    if not len(p):
        names = ("brier", "brier_reference", "skill", "log_loss", "log_loss_reference", "ece", "predicted", "observed")
        return {**dict.fromkeys(names), "n": 0, "bins": []}
    base = y.mean()
    brier, reference = np.mean((p - y) ** 2), base * (1 - base)
    bins = reliability_bins(p, y, query, level)
    gaps = [b["n"] * abs(b["observed"] - b["predicted"]) for b in bins]
    return {
        "n": len(p), "predicted": float(p.mean()), "observed": float(base),
        "brier": float(brier), "brier_reference": float(reference),
        "skill": number(1 - brier / reference) if reference > 0 else None,
        "log_loss": _log_loss(p, y), "log_loss_reference": _log_loss(np.full(len(y), base), y),
        "ece": float(sum(gaps) / len(p)), "bins": bins,
    }  # fmt: skip


def _checked(p: NDArray[Any], y: NDArray[Any]) -> tuple[Floats, Floats]:
    p, y = np.asarray(p, np.float64), np.asarray(y, np.float64)
    if p.shape != y.shape or p.ndim != 1:
        raise InputError(f"p has shape {p.shape}, y {y.shape}; one probability and one outcome per row are due")
    bad = np.flatnonzero(~((p >= 0) & (p <= 1)))
    if len(bad):
        raise InputError(f"row {bad[0]} has probability {p[bad[0]]}; it must lie between 0 and 1")
    return p, y


def _log_loss(p: Floats, y: Floats) -> float:
    kept = np.clip(p, NEAR, 1 - NEAR)
    return float(-np.mean(np.where(y > 0, np.log(kept), np.log1p(-kept))))


def reliability_bins(
    p: Floats, y: Floats, query: NDArray[Any] | None = None, level: float = 0.95
) -> list[dict[str, float]]:
    """Rows grouped by p at EDGES, small bins merged; mean of p, and of y with its interval."""
    edges = _merged(np.bincount(_bin(p, EDGES), minlength=len(EDGES) - 1))
    at, m = _bin(p, edges), len(edges) - 1
    n, bought = np.bincount(at, minlength=m), np.bincount(at, y, minlength=m)
    observed = divide_or_nan(bought, n)
    low, high = wilson(observed, effective_rows(at, y, query, n, observed), level)
    predicted = divide_or_nan(np.bincount(at, p, minlength=m), n)
    return [
        {"predicted": float(predicted[b]), "observed": float(observed[b]), "low": float(low[b]), "high": float(high[b]),
         "n": int(n[b])}
        for b in np.flatnonzero(n)
    ]  # fmt: skip


def _bin(p: Floats, edges: Floats) -> Ints:
    """Bin of each row: edges[b] ≤ p < edges[b + 1], the last closed."""
    return np.clip(np.searchsorted(edges, p, side="right") - 1, 0, len(edges) - 2)


def _merged(n: Ints) -> Floats:
    """The EDGES that are left when every bin holds SMALLEST rows or more, as far as there are that many."""
    kept, above = [float(EDGES[-1])], 0
    for at in range(len(n) - 1, -1, -1):
        above += int(n[at])
        if above >= SMALLEST:
            kept.append(float(EDGES[at]))
            above = 0
    return np.array([0.0, *kept[-2:0:-1], 1.0])  # the lowest bin takes what is left below


def effective_rows(at: Ints, y: Floats, query: NDArray[Any] | None, n: Ints, observed: Floats) -> Floats:
    """float64 (n_bins,): independent rows that would tell as much; never more than there are.

    n / max(1, design effect); the effect is Σ_q (bought_q - observed · n_q)² over n · observed · (1 - observed).
    """
    if query is None:
        return n.astype(np.float64)
    m = len(n)
    cells, inverse = np.unique(np.asarray(query, np.int64) * m + at, return_inverse=True)
    gap = np.bincount(inverse, y - observed[at])
    spread = np.bincount(cells % m, gap**2, minlength=m)
    effect = divide_or_nan(spread, n * observed * (1 - observed))
    return np.asarray(n / np.maximum(np.nan_to_num(effect, nan=1.0), 1.0))


def wilson(share: Floats, n: Floats, level: float = 0.95) -> tuple[Floats, Floats]:
    """Score interval of a share of n rows, both (m,); NaN where n is 0."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    n = np.where(n > 0, n, np.nan)
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)
