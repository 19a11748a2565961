"""From base models and queries to rows for the ranker, and from the ranker to lists. Blocks bound the memory."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..data.histories import Csr, Floats, Histories, Ints
from .base_models import BaseModels, source_scores
from .candidates import Candidates, candidates
from .features import best_scores, features
from .hybrid import Hybrid, TrainingRows
from .topk import top_k_of_rows

BLOCK = 96  # queries asked at once


def blocks(n: int, size: int = BLOCK) -> Iterator[np.ndarray]:
    """Row numbers 0…n-1 in runs of `size`."""
    return (np.arange(at, min(at + size, n)) for at in range(0, n, size))


def candidate_rows(
    models: BaseModels, queries: Histories, per_source: int, barred: np.ndarray | None = None
) -> tuple[Candidates, dict[str, Floats]]:
    """Candidates of one block, and the best score of each source per query."""
    scores = source_scores(models, queries)
    return candidates(scores, queries, per_source, barred), best_scores(scores)


def training_rows(
    models: BaseModels, histories: Histories, relevant: Csr, per_source: int, negatives: float, seed: int, workers: int = 2
) -> TrainingRows:
    """Candidates with features and answers: every bought one, and a seeded share of the others."""

    def block(rows: np.ndarray) -> TrainingRows:
        queries = histories.take(rows)
        found, best = candidate_rows(models, queries, per_source)
        y = relevant[rows].toarray()[found.query, found.item] > 0
        rng = np.random.default_rng([seed, int(rows[0])])
        kept = np.flatnonzero(y | (rng.random(len(found)) < negatives))
        sampled = found.take(kept)
        sizes = np.bincount(sampled.query, minlength=len(rows))
        return TrainingRows(features(sampled, queries, models.stats, best), y[kept], sizes)

    with ThreadPoolExecutor(workers) as pool:
        return TrainingRows.concatenate(list(pool.map(block, blocks(len(histories)))))


def rank_block(
    models: BaseModels, hybrid: Hybrid, queries: Histories, per_source: int, barred: np.ndarray | None = None
) -> tuple[Candidates, Floats, Floats]:
    """All candidates of a block, their features, their final scores."""
    found, best = candidate_rows(models, queries, per_source, barred)
    x = features(found, queries, models.stats, best)
    return found, x, hybrid.score(x, found.query, len(queries))


def rank(
    models: BaseModels, hybrid: Hybrid, queries: Histories, k: int, per_source: int, barred: np.ndarray | None = None
) -> tuple[Ints, Floats]:
    """Lists int64 (n, k) with -1 and their scores, for one block of queries."""
    found, _, score = rank_block(models, hybrid, queries, per_source, barred)
    return top_k_of_rows(found.query, found.item, score, len(queries), k)
