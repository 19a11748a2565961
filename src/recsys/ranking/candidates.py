"""Which items are worth a closer look for a query."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..data.histories import Floats, Histories, Ints
from ..models.base import high_cells
from .topk import top_k_of_rows

ROWS = 48  # looked at together: of one query all sources, of many queries one source at a time


@dataclass(frozen=True)
class Candidates:
    """(query, item) rows sorted by query, then item; items of the cart are never among them.

    query, item  int64 (m,)
    scores       source → float32 (m,), NaN = the source cannot say
    ranks        source → float32 (m,), place among the best that the source proposes from 1, NaN = not one of them
    best         source → float32 (n_queries,), its highest score of any item, NaN = nothing above zero
    """

    query: Ints
    item: Ints
    scores: dict[str, Floats]
    ranks: dict[str, Floats]
    best: dict[str, Floats]

    def __len__(self) -> int:
        return len(self.query)

    def take(self, rows: np.ndarray) -> "Candidates":
        return Candidates(
            self.query[rows],
            self.item[rows],
            {name: column[rows] for name, column in self.scores.items()},
            {name: column[rows] for name, column in self.ranks.items()},
            self.best,
        )


def candidates(
    scores: dict[str, Floats],
    queries: Histories,
    proposals: Mapping[str, int],
    barred: np.ndarray | None = None,
) -> Candidates:
    """The best items of every source that says more than nothing (> 0), as many as `proposals` allows it.

    What the customer bought is among them where a source lists it, as frequency does with the most bought lately.
    `barred` bool (n_queries, n_items): items that may not be listed, beside those of the cart. They keep their places
    in the sources' lists, since the ranker learned from lists in which nothing was barred:

    ```
    a source's list   A ── B ── C ── D        B barred, 3 of a source
    candidates        A, C, D                 places 1, 3 and none: D is not among the first 3
    ```
    """
    shape = queries.cart.shape
    usable = queries.cart.toarray() == 0
    chosen = np.zeros(shape, bool)
    best = best_scores(scores)
    speak = [at for at, top in enumerate(best.values()) if not np.isnan(top).all()]
    values, most = list(scores.values()), np.array([proposals[name] for name in scores], np.int64)
    source, query, item, rank = _all_listed(values, speak, usable, most)
    if barred is None:
        chosen[query, item] = True
    else:
        chosen[_all_listed(values, speak, usable & ~barred, most)[1:3]] = True
    cells = np.flatnonzero(chosen)
    at = np.full(shape, -1, np.int32)  # row of each chosen cell
    at.put(cells, np.arange(len(cells)))
    row = at[query, item]
    ranks = np.full((len(scores), len(cells)), np.nan, np.float32)
    ranks[source[row >= 0], row[row >= 0]] = rank[row >= 0]
    of_query = cells // max(shape[1], 1)
    found = {name: of_all.take(cells) for name, of_all in scores.items()}
    return Candidates(of_query, cells - of_query * shape[1], found, dict(zip(scores, ranks, strict=True)), best)


def best_scores(scores: dict[str, Floats]) -> dict[str, Floats]:
    """Highest score of each source per query, NaN where it says nothing above zero."""
    out = {}
    for name, values in scores.items():
        top = np.fmax.reduce(values, axis=1)
        out[name] = np.where(top > 0, top, np.float32(np.nan))
    return out


def _all_listed(scores: list[Floats], speak: list[int], usable: np.ndarray, most: Ints) -> tuple[Ints, ...]:
    """Number of the source, query, item and place from 1, of the best usable items above 0 of those that `speak`."""
    n = max(len(usable), 1)
    spare = int(usable.shape[1] - np.count_nonzero(usable, axis=1).min(initial=usable.shape[1]))
    parts = [np.zeros((4, 0), np.int64)]
    for at in range(0, len(speak), max(1, ROWS // n)):
        some = np.array(speak[at : at + max(1, ROWS // n)])
        lists = _listed(np.concatenate([scores[one] for one in some]), usable, int(most[some].max()), spare)
        short = np.arange(lists.shape[1]) < np.repeat(most[some], n)[:, None]
        row, place = np.nonzero((lists >= 0) & short)
        parts.append(np.stack([some[row // n], row % n, lists[row, place], place + 1]))
    source, query, item, rank = np.concatenate(parts, axis=1)
    return source, query, item, rank


def _listed(values: Floats, usable: np.ndarray, k: int, spare: int) -> Ints:
    """int64 (len(values), k) with -1: the k best usable items above 0 of every row of one or more sources.

    `spare` places of a source's list may be taken by items that are not usable.
    """
    row, column = high_cells(values, k + spare)
    value = values[row, column]
    kept = usable[row % len(usable), column] & (value > 0)
    return top_k_of_rows(row[kept], column[kept], value[kept], len(values), k)[0]
