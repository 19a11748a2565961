"""Percentile bootstrap of means, paired differences and paired ratios over queries, or over their groups.

Resampling n queries with replacement is a product: a row of multinomial counts times the table of values.
Groups (customers, for example) are drawn whole, since the queries of one customer are not independent; the
mean stays the mean over queries. All metrics and both sides of a pair use the same resamples. The same seed
gives the same numbers for the same row order; another order of the queries agrees in distribution only.
Efron & Tibshirani, An Introduction to the Bootstrap (1993), ch. 13 (percentile) and 8 (paired, grouped).
"""

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.errors import InputError
from recsys.evaluation.metrics import divide_or_nan

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
WEIGHTS_AT_ONCE = 4_000_000  # float64 cells of resampling weights held in memory: 32 MB


class Means(NamedTuple):
    """One entry per metric, (n_metrics,). `n` counts the queries with a value."""

    mean: Floats
    low: Floats
    high: Floats
    n: Ints


class Difference(NamedTuple):
    """Mean of a - b with its interval; one entry per metric, (n_metrics,)."""

    mean: Floats
    low: Floats
    high: Floats
    share_above: Floats  # share of the resamples in which a - b > 0
    p: Floats  # two-sided: 2 · (1 + resamples on the smaller side of 0, ties included) / (1 + resamples), ≤ 1
    n: Ints


class Ratio(NamedTuple):
    """Mean of a / mean of b with its interval; one entry per metric, (n_metrics,)."""

    ratio: Floats
    low: Floats
    high: Floats
    n: Ints


class _Draws(NamedTuple):
    """`mean`: (n_metrics,); `means`: (n_resamples, n_metrics), NaN where a resample holds no value."""

    mean: Floats
    means: Floats
    n: Ints  # queries with a value
    units: Ints  # queries or groups with a value


def bootstrap_mean(
    values: NDArray[Any],
    n_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    groups: NDArray[Any] | None = None,
) -> Means:
    """Mean of every column with its percentile interval.

    `values`: (n_queries, n_metrics); NaN leaves the query out of that metric. `groups`: int ≥ 0
    (n_queries,). A metric without any value has NaN and n = 0; one that only a single query (or group) holds
    has a mean but NaN bounds: one unit says nothing about spread. Refuses infinite values.
    """
    draws = _draw(_table(values), n_resamples, seed, groups)
    return Means(draws.mean, *_interval(draws.means, level, draws.units), draws.n)


def paired_difference(
    a: NDArray[Any],
    b: NDArray[Any],
    n_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    groups: NDArray[Any] | None = None,
) -> Difference:
    """Mean of a - b over the queries that have both, its interval, and how surely its sign is known.

    `a`, `b`: (n_queries, n_metrics), row q of both about the same query.
    """
    a, b = _pair(a, b)
    draws = _draw(a - b, n_resamples, seed, groups)
    low, high = _interval(draws.means, level, draws.units)
    above, p = _sign(draws.means, draws.units)
    return Difference(draws.mean, low, high, above, p, draws.n)


def paired_ratio(
    a: NDArray[Any],
    b: NDArray[Any],
    n_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    groups: NDArray[Any] | None = None,
) -> Ratio:
    """Mean of a / mean of b over the queries that have both, with its interval.

    It is the ratio of the means, not the mean of ratios. Where the mean of b is 0 the ratio is infinite, or
    NaN where the mean of a is 0 too; such resamples count as infinite, or are left out.
    """
    a, b = _pair(a, b)
    draws = _draw(np.hstack([a, b]), n_resamples, seed, groups)
    m = a.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio, ratios = draws.mean[:m] / draws.mean[m:], draws.means[:, :m] / draws.means[:, m:]
    return Ratio(ratio, *_interval(ratios, level, draws.units[:m]), draws.n[:m])


def _draw(values: Floats, n_resamples: int, seed: int, groups: NDArray[Any] | None) -> _Draws:
    if n_resamples < 1:
        raise InputError(f"n_resamples = {n_resamples}; at least 1 is needed, 1000 is usual")
    held = ~np.isnan(values)
    sums, counts = np.where(held, values, 0.0), held.astype(np.float64)
    if groups is not None:
        member = _membership(groups, len(values))
        sums, counts = member @ sums, member @ counts
    m = values.shape[1]
    totals = _resampled(np.hstack([sums, counts]), n_resamples, seed)
    mean = divide_or_nan(sums.sum(axis=0), counts.sum(axis=0))
    return _Draws(mean, divide_or_nan(totals[:, :m], totals[:, m:]), held.sum(axis=0), (counts > 0).sum(axis=0))


def _resampled(table: Floats, n_resamples: int, seed: int) -> Floats:
    """Column sums of each resample of the rows: (n_resamples, n_columns), a block of weights at a time."""
    n = len(table)
    totals = np.zeros((n_resamples, table.shape[1]))
    if n == 0:
        return totals
    random = np.random.default_rng(seed)
    block = max(1, WEIGHTS_AT_ONCE // n)
    for start in range(0, n_resamples, block):
        size = min(block, n_resamples - start)
        totals[start : start + size] = np.stack([_counts(random, n) for _ in range(size)]) @ table
    return totals


def _counts(random: np.random.Generator, n: int) -> Floats:
    """How often each of n rows is drawn in n draws; 9 × faster than `Generator.multinomial`."""
    return np.bincount((random.random(n) * n).astype(np.int64), minlength=n).astype(np.float64)


def _interval(means: Floats, level: float, units: Ints) -> tuple[Floats, Floats]:
    """Order statistics, the outer ones at each end, so an infinite resample needs no interpolation."""
    if not 0 < level < 1:
        raise InputError(f"level = {level} does not lie between 0 and 1; 0.95 is usual")
    bounds = np.full((2, means.shape[1]), np.nan)
    for column in np.flatnonzero(units > 1):
        drawn = means[~np.isnan(means[:, column]), column]
        if drawn.size:
            bounds[0, column] = np.quantile(drawn, (1 - level) / 2, method="lower")
            bounds[1, column] = np.quantile(drawn, (1 + level) / 2, method="higher")
    return bounds[0], bounds[1]


def _sign(means: Floats, units: Ints) -> tuple[Floats, Floats]:
    """Share of resamples above 0, and the two-sided p-value; NaN under two units."""
    drawn = np.where(units > 1, (~np.isnan(means)).sum(axis=0), 0)
    smaller = np.minimum((means <= 0).sum(axis=0), (means >= 0).sum(axis=0))
    p = np.minimum(1.0, 2 * (1 + smaller) / (1 + drawn))
    return divide_or_nan((means > 0).sum(axis=0), drawn), np.where(drawn > 0, p, np.nan)


def _table(values: NDArray[Any]) -> Floats:
    """float64 (n_queries, n_metrics); a single metric may come as (n_queries,)."""
    table = np.asarray(values, np.float64)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2:
        raise InputError(f"values have shape {table.shape}; (n_queries, n_metrics) is due")
    if np.isinf(table).any():
        row, column = np.argwhere(np.isinf(table))[0]
        raise InputError(f"query row {row}, metric {column} is infinite; a mean needs finite values or NaN")
    return table


def _pair(a: NDArray[Any], b: NDArray[Any]) -> tuple[Floats, Floats]:
    """Both tables, NaN in each wherever either has NaN."""
    a, b = _table(a), _table(b)
    if a.shape != b.shape:
        raise InputError(f"a has shape {a.shape}, b {b.shape}; a pair needs the same queries and metrics")
    both = ~(np.isnan(a) | np.isnan(b))
    return np.where(both, a, np.nan), np.where(both, b, np.nan)


def _membership(groups: NDArray[Any], n: int) -> sp.csr_matrix:
    """(n_groups, n_queries) of 0 and 1."""
    groups = np.asarray(groups)
    if groups.shape != (n,) or groups.dtype.kind not in "iu":
        raise InputError(f"groups must be int ({n},), one code per query, not {groups.dtype} {groups.shape}")
    if (groups < 0).any():
        row = np.flatnonzero(groups < 0)[0]
        raise InputError(f"query row {row} has group {groups[row]}; give a query without a customer a code of its own")
    codes = np.unique(groups, return_inverse=True)[1]
    return sp.csr_matrix((np.ones(n), (codes, np.arange(n))), shape=(codes.max(initial=-1) + 1, n))
