"""What the ranker learns from: the orders that followed a moment, asked in many ways.

Each order is asked without a cart and with a cart of some depth; a seeded share of them once more as if only the
latest few orders, or none, of the customer were known, so that newcomers are no surprise.

    known orders   │ moment   the order that followed
    all            │          nothing shown; half of it, one item, a quarter or three quarters
    the latest 0-3 │          the same
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from recsys.data.histories import TrainData
from recsys.data.splits import Queries, any_depth, ask, held_back, nothing
from recsys.ranking.base_models import BaseModels, cart_scores, history_scores
from recsys.ranking.blend import BLOCK, by_block
from recsys.ranking.candidates import candidates
from recsys.ranking.features import features
from recsys.ranking.hybrid import HybridOptions
from recsys.ranking.training_rows import TrainingRows, is_new

SHORT = (0, 1, 2, 3)  # orders that a shortened history keeps
SHORT_ODDS = (0.4, 0.3, 0.15, 0.15)


def moment_rows(
    models: BaseModels, data: TrainData, asked: pl.DataFrame, options: HybridOptions, block: int = BLOCK
) -> TrainingRows:
    """Rows of one moment; `models` are fitted before it, `asked` are the orders of `asked_orders(...)`."""
    full = [ask(asked, data, shown) for shown in (nothing, any_depth)]
    rng = np.random.default_rng(options.seed)
    some = np.sort(rng.permutation(asked.height)[: round(options.short_histories * asked.height)])
    kept = rng.choice(SHORT, len(some), p=SHORT_ODDS)
    short = [_shortened(queries.take(some), kept) for queries in full]
    given = (options.proposals, options.negatives, options.seed, block)
    return TrainingRows.concatenate([training_rows(models, asks, *given) for asks in (full, short)])


def _shortened(queries: Queries, kept: np.ndarray) -> Queries:
    return replace(queries, histories=queries.histories.latest_orders(kept))


def training_rows(
    models: BaseModels,
    asks: Sequence[Queries],
    proposals: Mapping[str, int],
    negatives: float,
    seed: int,
    block: int = BLOCK,
) -> TrainingRows:
    """Candidates with features and answers: every bought one, and a seeded share of the others.

    `asks`: the same orders, in the same row order and with the same histories, with more or less of them shown.
    """
    held = np.array([held_back(order) for order in asks[0].orders], bool)

    def rows_of(rows: np.ndarray) -> TrainingRows:
        queries = asks[0].histories.take(rows)
        shared = history_scores(models, queries)
        parts = []
        for depth, one in enumerate(asks):
            asked, relevant = queries.with_cart(one.histories.cart[rows]), one.relevant[rows]
            sources = shared | cart_scores(models, asked)
            found = candidates(sources, asked, proposals)
            y = relevant.toarray()[found.query, found.item] > 0
            rng = np.random.default_rng([seed, depth, int(rows[0])])
            kept = np.flatnonzero(y | (rng.random(len(found)) < negatives))
            sampled = found.take(kept)
            x = features(sampled, asked, models)
            sizes = np.bincount(sampled.query, minlength=len(rows))
            parts.append(TrainingRows(x, y[kept], sizes, np.diff(relevant.indptr), asked.has_cart, held[rows]))
        return TrainingRows.concatenate(parts)

    if not len(asks[0]):
        return TrainingRows.empty()
    return TrainingRows.concatenate(by_block(len(asks[0]), rows_of, size=block))


def cart_and_new(rows: TrainingRows) -> TrainingRows:
    """Rows of the queries with a cart about items that the customer had not bought: what cross-sell is asked.

    A query's relevant items are those of its rows; one that is no candidate cannot be learned from.
    """
    return rows.only(is_new(rows.x) & np.repeat(rows.with_cart, rows.sizes))
