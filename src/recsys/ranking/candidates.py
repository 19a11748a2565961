"""Which items are worth a closer look for a query."""

from dataclasses import dataclass

import numpy as np

from ..data.histories import Floats, Histories, Ints
from ..models.base import high_cells
from .topk import top_k_of_rows


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
    places = {}
    for name, values in scores.items():
        row, column = high_cells(values, per_source + spare)
        kept = usable[row, column] & (values[row, column] > 0)
        row, column = row[kept], column[kept]
        lists, _ = top_k_of_rows(row, column, values[row, column], shape[0], per_source)
        listed, rank = np.nonzero(lists >= 0)
        places[name] = np.zeros(shape, np.int16)
        places[name][listed, lists[listed, rank]] = rank + 1
        chosen[listed, lists[listed, rank]] = True
    chosen &= usable
    query, item = np.nonzero(chosen)
    return Candidates(
        query,
        item,
        {name: values[query, item] for name, values in scores.items()},
        {
            name: np.where(place[query, item] > 0, place[query, item], np.nan).astype(np.float32)
            for name, place in places.items()
        },
    )
