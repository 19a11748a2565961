"""The one place where scores become lists."""

import numpy as np

from ..data.histories import Floats, Ints
from ..models.base import high_cells, places


def top_k(scores: Floats, k: int) -> Ints:
    """int64 (n, k): positions of the k highest scores of each row, best first, -1 where there are no more.

    `scores` (n, m); NaN and -inf are never listed. Ties go to the lower position. Never pads with an item.
    """
    query, item = high_cells(scores, k)
    return top_k_of_rows(query, item, scores[query, item], len(scores), k)[0]


def top_k_of_rows(query: Ints, item: Ints, score: Floats, n_queries: int, k: int) -> tuple[Ints, Floats]:
    """Lists out of (query, item, score) rows: positions int64 (n_queries, k) with -1, scores float32 with NaN.

    Rows come sorted by query, then item, which is how ties go to the lower item.
    """
    order = np.lexsort((-score, query))  # stable
    query = query[order]
    rank = places(query, n_queries)
    kept = rank < k
    lists = np.full((n_queries, k), -1, np.int64)
    values = np.full((n_queries, k), np.nan, np.float32)
    lists[query[kept], rank[kept]] = item[order][kept]
    values[query[kept], rank[kept]] = score[order][kept]
    return lists, values
