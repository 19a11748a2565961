"""How far two samples lie apart (effect sizes), and whether chance does as much (SciPy's tests).

A large sample makes every difference significant, a small one makes large differences by chance. So a limit is
set on the effect, and it counts only where the test says that chance is unlikely.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
BINS = 10  # of numbers: deciles of the reference
LEAST_EXPECTED = 5.0  # of a cell of the chi-square test; rarer ones are merged
HALF = 0.5  # count added to each bin, so that an empty one has a finite logarithm


def psi(reference: Sequence[float] | Floats, new: Sequence[float] | Floats, add: float = HALF) -> float:
    """Population stability index Σ (q − p) ln(q / p) over bins, of counts; p, q shares after `add` to each count.

    Siddiqi, Credit Risk Scorecards (2006): below 0.1 little has changed, from 0.25 on much has. 0 for equal shares,
    symmetric, 0 where either side is empty.
    """
    p, q = np.asarray(reference, float), np.asarray(new, float)
    if not p.sum() or not q.sum():
        return 0.0
    p, q = p + add, q + add
    p, q = p / p.sum(), q / q.sum()
    return float(np.sum((q - p) * np.log(q / p)))


def decile_edges(values: Sequence[float] | Floats) -> list[float]:
    """Inner edges of up to ten bins at the deciles of the reference; equal ones fall together."""
    found = np.quantile(np.asarray(values, float), np.arange(1, BINS) / BINS)
    return [float(edge) for edge in np.unique(found)]


def binned(values: Sequence[float] | Floats, edges: Sequence[float]) -> list[int]:
    """Counts of len(edges) + 1 bins; a value at an edge lies in the bin below it: (−∞, e₁], (e₁, e₂], …, (eₙ, ∞)."""
    at = np.searchsorted(np.asarray(edges, float), np.asarray(values, float), side="left")
    return [int(n) for n in np.bincount(at, minlength=len(edges) + 1)]


def aligned(reference: Mapping[str, float], new: Mapping[str, float]) -> tuple[list[str], Floats, Floats]:
    """Names in order, and the counts of both."""
    names = sorted({*reference, *new})
    then, now = (np.array([side.get(n, 0) for n in names], float) for side in (reference, new))
    return names, then, now


def mix_p(reference: Floats, new: Floats, units: tuple[float, float]) -> float:
    """P of the chi-square test that both counts follow one mix.

    Lines of an order and items of a list hang together; `units` are the orders or lists of the reference and of the
    new counts, and the counts are scaled down to them (Rao and Scott 1981, with the largest design effect).
    """
    if not reference.sum() or not new.sum():
        return 1.0
    scaled = [side * min(1.0, n / side.sum()) for side, n in zip((reference, new), units, strict=True)]
    table = np.vstack(scaled)
    expected = table.sum(axis=0) * min(t.sum() for t in scaled) / table.sum()
    rare = expected < LEAST_EXPECTED
    table = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    table = table[:, table.sum(axis=0) > 0]
    return float(stats.chi2_contingency(table, correction=False).pvalue) if table.shape[1] > 1 else 1.0


def cramers_v(reference: Floats, new: Floats) -> float:
    """√(χ² / n) of two mixes, each weighing half: 0 = the same, 1 = nothing in common."""
    if not reference.sum() or not new.sum():
        return 0.0
    p, q = reference / reference.sum(), new / new.sum()
    return float(np.sqrt(np.sum((p - q) ** 2 / np.where(p + q > 0, p + q, 1)) / 2))


def shift_p(reference: Sequence[float], new: Sequence[float]) -> tuple[float, float]:
    """(D, p) of the two-sample Kolmogorov-Smirnov test; (0, 1) where either is empty. Values must be independent."""
    if not len(reference) or not len(new):
        return 0.0, 1.0
    found = stats.ks_2samp(reference, new, method="asymp")
    return float(found.statistic), float(found.pvalue)


def shares_p(reference: tuple[float, float], new: tuple[float, float], units: tuple[float, float]) -> float:
    """P of Fisher's exact test that two shares (part, whole) are one, scaled down to `units` as in `mix_p`."""
    table = []
    for (part, whole), n in zip((reference, new), units, strict=True):
        size = round(min(whole, n))
        inside = round(size * part / whole) if whole else 0
        table.append([inside, size - inside])
    return float(stats.fisher_exact(np.array(table)).pvalue) if all(map(sum, table)) else 1.0


def volume_p(new: int, before: int, share: float) -> float:
    """P of the exact binomial test: of all `new + before` orders the new days should hold `share`."""
    return float(stats.binomtest(new, new + before, share).pvalue) if new + before else 1.0


def sign_p(changes: Floats) -> float:
    """P of the sign test that changes go up as often as down; unchanged ones do not count."""
    moved = changes[changes != 0]
    return float(stats.binomtest(int((moved > 0).sum()), len(moved)).pvalue) if len(moved) else 1.0


def jaccard(a: Sequence[str], b: Sequence[str]) -> float:
    """|a ∩ b| / |a ∪ b|; 1 for two empty lists."""
    both = {*a, *b}
    return len({*a} & {*b}) / len(both) if both else 1.0


def rank_biased_overlap(a: Sequence[str], b: Sequence[str], p: float = 0.9) -> float:
    """RBO_ext of two lists without repeats (Webber, Moffat and Zobel 2010, equation 23, both cut to one length k):

    X_k / k · p^k + (1 − p) / p · Σ_{d ≤ k} X_d / d · p^d, X_d = items in common in the first d. 1 for equal lists.
    """
    k = min(len(a), len(b))
    if not k:
        return float(len(a) == len(b))
    common = np.array([len({*a[:d]} & {*b[:d]}) for d in range(1, k + 1)])
    depth = np.arange(1, k + 1)
    return float(common[-1] / k * p**k + (1 - p) / p * np.sum(common / depth * p**depth))
