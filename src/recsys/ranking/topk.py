"""The one place where scores become lists."""

import numpy as np

from ..data.histories import Floats, Ints


def top_k(scores: Floats, k: int) -> Ints:
    """int64 (n, k): positions of the k highest scores of each row, best first, -1 where there are no more.

    `scores` (n, m); NaN and -inf are never listed. Ties go to the lower position. Never pads with an item.
    """
    n, m = scores.shape
    filled = np.where(np.isnan(scores), -np.inf, scores)
    k_here = min(k, m)
    if k_here < m:
        picked = np.sort(np.argpartition(-filled, k_here - 1, axis=1)[:, :k_here], axis=1)
        _mend_ties(filled, picked)
    else:
        picked = np.tile(np.arange(m), (n, 1))
    values = np.take_along_axis(filled, picked, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    lists = np.take_along_axis(picked, order, axis=1)
    lists[np.isneginf(np.take_along_axis(values, order, axis=1))] = -1
    out = np.full((n, k), -1, np.int64)
    out[:, :k_here] = lists
    return out


def _mend_ties(filled: Floats, picked: Ints) -> None:
    """Where the edge of the list falls among equal scores, argpartition picks any of them: pick the first ones."""
    values = np.take_along_axis(filled, picked, axis=1)
    edge = values.min(axis=1, keepdims=True)
    tied = (filled == edge).sum(axis=1) > (values == edge).sum(axis=1)
    for row in np.flatnonzero(tied & ~np.isneginf(edge[:, 0])):
        above = np.flatnonzero(filled[row] > edge[row])
        equal = np.flatnonzero(filled[row] == edge[row])[: picked.shape[1] - len(above)]
        picked[row] = np.sort(np.concatenate([above, equal]))


def top_k_of_rows(query: Ints, item: Ints, score: Floats, n_queries: int, k: int) -> tuple[Ints, Floats]:
    """Lists out of (query, item, score) rows: positions int64 (n_queries, k) with -1, scores float32 with NaN.

    Rows are sorted by (query, item); ties go to the lower item.
    """
    order = np.lexsort((item, -score, query))
    query = query[order]
    rank = np.arange(len(query)) - np.searchsorted(query, query)
    kept = rank < k
    lists = np.full((n_queries, k), -1, np.int64)
    values = np.full((n_queries, k), np.nan, np.float32)
    lists[query[kept], rank[kept]] = item[order][kept]
    values[query[kept], rank[kept]] = score[order][kept]
    return lists, values
