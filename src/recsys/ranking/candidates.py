"""Which items are worth a closer look for a query."""

from dataclasses import dataclass

import numpy as np

from ..data.histories import Floats, Histories, Ints
from .topk import top_k


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
    chosen = np.zeros(shape, bool)
    chosen[queries.rows, queries.items] = True
    refused = queries.cart.toarray() > 0
    if barred is not None:
        refused |= barred
    places = {}
    for name, values in scores.items():
        places[name] = np.zeros(shape, np.int16)
        lists = top_k(np.where((values > 0) & ~refused, values, -np.inf), per_source)
        rows, rank = np.nonzero(lists >= 0)
        places[name][rows, lists[rows, rank]] = rank + 1
        chosen[rows, lists[rows, rank]] = True
    chosen &= ~refused
    query, item = np.nonzero(chosen)
    return Candidates(
        query,
        item,
        {name: values[query, item] for name, values in scores.items()},
        {name: np.where(place[query, item] > 0, place[query, item], np.nan).astype(np.float32) for name, place in places.items()},
    )
