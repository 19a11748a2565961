"""Which items are worth a closer look for a query."""

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
    ranks        source → float32 (m,), place in the source's own list from 1, NaN = not in it
    """

    query: Ints
    item: Ints
    scores: dict[str, Floats]
    ranks: dict[str, Floats]

    def __len__(self) -> int:
        return len(self.query)

    def take(self, rows: np.ndarray) -> "Candidates":
        return Candidates(
            self.query[rows],
            self.item[rows],
            {name: column[rows] for name, column in self.scores.items()},
            {name: column[rows] for name, column in self.ranks.items()},
        )


def candidates(
    scores: dict[str, Floats], queries: Histories, per_source: int, barred: np.ndarray | None = None
) -> Candidates:
    """The `per_source` best items of every source that says more than nothing (> 0), and all of the history.

    `barred` bool (n_queries, n_items): items that may not be listed, beside those of the cart.
    """
    shape = queries.cart.shape
    usable = queries.cart.toarray() == 0
    if barred is not None:
        usable &= ~barred
    spare = int((~usable).sum(axis=1).max(initial=0))  # places that refused items may take in a source's list
    chosen = np.zeros(shape, bool)
    chosen[queries.rows, queries.items] = True
    listed = {}
    names, together = list(scores), max(1, ROWS // max(len(queries), 1))
    for some in (names[at : at + together] for at in range(0, len(names), together)):
        found = _listed(np.concatenate([scores[name] for name in some]), usable, per_source, spare)
        for name, lists in zip(some, found.reshape(len(some), -1, per_source), strict=True):
            query, rank = np.nonzero(lists >= 0)
            listed[name] = query, lists[query, rank], rank + 1
            chosen[listed[name][:2]] = True
    chosen &= usable
    query, item = np.nonzero(chosen)
    at = np.empty(shape, np.int32)  # row of each chosen cell
    at[query, item] = np.arange(len(query))
    ranks = {name: np.full(len(query), np.nan, np.float32) for name in names}
    for name, (asked, places, rank) in listed.items():
        ranks[name][at[asked, places]] = rank
    return Candidates(query, item, {name: values[query, item] for name, values in scores.items()}, ranks)


def _listed(values: Floats, usable: np.ndarray, k: int, spare: int) -> Ints:
    """int64 (len(values), k) with -1: the k best usable items above 0 of every row of one or more sources."""
    row, column = high_cells(values, k + spare)
    value = values[row, column]
    kept = usable[row % len(usable), column] & (value > 0)
    return top_k_of_rows(row[kept], column[kept], value[kept], len(values), k)[0]
