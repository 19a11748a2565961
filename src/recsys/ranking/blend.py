"""From base models and queries to ranked candidates and lists. Blocks bound the memory."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ..data.histories import Floats, Histories, Ints
from .base_models import BaseModels, cart_scores, history_scores
from .candidates import Candidates, candidates
from .features import features
from .hybrid import Hybrid
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
    """All candidates of a block of queries with their features (m, n_features), final scores (m,) and probabilities.

    probabilities  float32 (m,): that the order holds the item; it does not order the list
    """

    candidates: Candidates
    features: Floats
    scores: Floats
    probabilities: Floats


def rank(
    models: BaseModels,
    hybrid: Hybrid,
    queries: Histories,
    barred: np.ndarray | None = None,
    sources: dict[str, Floats] | None = None,
    threads: int = 1,
) -> Ranked:
    """Score every candidate of a block of queries; `barred` bool (n, n_items) are never listed.

    `sources` are the scores of all sources where the caller has them already; `threads` are LightGBM's.
    """
    sources = sources or history_scores(models, queries) | cart_scores(models, queries)
    found = candidates(sources, queries, hybrid.proposals, barred)
    x = features(found, queries, models)
    return Ranked(found, x, *hybrid.judge(x, found.query, queries.has_cart, threads))


def lists(ranked: Ranked, n_queries: int, k: int) -> tuple[Ints, Floats]:
    """The k best items of each query, int64 (n, k) with -1 where there are no more, and their scores."""
    found = ranked.candidates
    return top_k_of_rows(found.query, found.item, ranked.scores, n_queries, k)
