"""From base models and queries to rows for the ranker, and from the ranker to lists. Blocks bound the memory."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ..data.histories import Csr, Floats, Histories, Ints
from .base_models import BaseModels, cart_scores, history_scores
from .candidates import Candidates, candidates
from .features import best_scores, features
from .hybrid import Hybrid, TrainingRows
from .topk import top_k_of_rows

BLOCK = 48  # queries asked at once: small enough for the cache, large enough for NumPy
T = TypeVar("T")


def by_block(n: int, work: Callable[[np.ndarray], T], workers: int = 2, size: int = BLOCK) -> list[T]:
    """`work(row numbers)` for 0…n-1 in runs of `size`, results in order; NumPy and SciPy let threads run.

    BLAS gets one thread meanwhile: its own threads would wait for ours, and spin.
    """
    from threadpoolctl import threadpool_limits  # not part of serving

    runs: Iterator[np.ndarray] = (np.arange(at, min(at + size, n)) for at in range(0, n, size))
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, runs))


@dataclass(frozen=True)
class Ranked:
    """All candidates of a block of queries with their features (m, n_features) and final scores (m,)."""

    candidates: Candidates
    features: Floats
    scores: Floats


def rank(
    models: BaseModels,
    hybrid: Hybrid,
    queries: Histories,
    per_source: int,
    barred: np.ndarray | None = None,
    sources: dict[str, Floats] | None = None,
) -> Ranked:
    """Score every candidate of a block of queries; `barred` bool (n, n_items) are never listed.

    `sources` are the scores of all sources where the caller has them already.
    """
    sources = sources or history_scores(models, queries) | cart_scores(models, queries)
    found = candidates(sources, queries, per_source, barred)
    x = features(found, queries, models.stats, best_scores(sources))
    return Ranked(found, x, hybrid.score(x, found.query, len(queries)))


def lists(ranked: Ranked, n_queries: int, k: int) -> tuple[Ints, Floats]:
    """The k best items of each query, int64 (n, k) with -1 where there are no more, and their scores."""
    found = ranked.candidates
    return top_k_of_rows(found.query, found.item, ranked.scores, n_queries, k)


def training_rows(
    models: BaseModels,
    histories: Histories,
    hidden: Sequence[tuple[Csr, Csr]],
    per_source: int,
    negatives: float,
    seed: int,
) -> TrainingRows:
    """Candidates with features and answers: every bought one, and a seeded share of the others.

    `hidden` holds (cart, relevant) pairs, CSR (n, n_items) each: the same orders with more or less of them shown.
    """

    def block(rows: np.ndarray) -> TrainingRows:
        queries = histories.take(rows)
        shared = history_scores(models, queries)
        parts = []
        for depth, (cart, relevant) in enumerate(hidden):
            asked = queries.with_cart(cart[rows])
            sources = shared | cart_scores(models, asked)
            found = candidates(sources, asked, per_source)
            y = relevant[rows].toarray()[found.query, found.item] > 0
            rng = np.random.default_rng([seed, depth, int(rows[0])])
            kept = np.flatnonzero(y | (rng.random(len(found)) < negatives))
            sampled = found.take(kept)
            sizes = np.bincount(sampled.query, minlength=len(rows))
            parts.append(TrainingRows(features(sampled, asked, models.stats, best_scores(sources)), y[kept], sizes))
        return TrainingRows.concatenate(parts)

    return TrainingRows.concatenate(by_block(len(histories), block))
