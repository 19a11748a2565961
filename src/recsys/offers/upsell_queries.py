"""What an upgrade is looked for, among which items, and which of them the customer went on to buy."""

from dataclasses import dataclass

import numpy as np

from ..data.histories import Floats, Histories, Ints
from .switches import owned, usual_items

ROUNDING = 1e-6  # relative; a price of exactly 1.1 times the anchor's counts as reached


@dataclass(frozen=True)
class Asked:
    """Queries (customer, type with a usual item) and their candidates, query after query.

    customers  int64 (n,): row of the histories
    anchors    int64 (n,): the usual item
    times      int64 (n,): orders with it
    query      int64 (m,): of each candidate, ascending
    items      int64 (m,): the candidate, by position within a query
    bought     bool (m,)
    """

    customers: Ints
    anchors: Ints
    times: Ints
    query: Ints
    items: Ints
    bought: np.ndarray

    @property
    def sizes(self) -> Ints:
        """int64 (n,): candidates of each query."""
        return np.bincount(self.query, minlength=len(self.customers))


def dearer_items(types: Ints, prices: Floats, anchors: Ints, low: float, high: float) -> tuple[Ints, Ints]:
    """Items of the type of each of n anchors at `low` to `high` times its price: query and item, both int64 (m,)."""
    priced = np.flatnonzero((types >= 0) & (prices > 0))
    shelf = priced[np.argsort(types[priced], kind="stable")]
    first, last = (np.searchsorted(types[shelf], types[anchors], side) for side in ("left", "right"))
    sizes = np.where(types[anchors] >= 0, last - first, 0)
    query = np.repeat(np.arange(len(anchors)), sizes)
    item = shelf[np.repeat(first - (np.cumsum(sizes) - sizes), sizes) + np.arange(len(query))]
    ratio = prices[item] / prices[anchors[query]]
    within = _within(ratio, low, high)
    return query[within], item[within]


def asked_upgrades(
    before: Histories,
    bought: tuple[Ints, Ints],
    types: Ints,
    prices: Floats,
    *,
    low: float,
    high: float,
    skip_owned: bool = True,
) -> Asked:
    """Queries in which the customer went on to buy a candidate for the first time.

        before │ bought (customers, items)
        A A C  │  B          A = the usual item of the type, B = never bought before, at `low` to `high` times A's price

    bought       rows of `before` and item positions, as often as bought; -1 in either is ignored
    skip_owned   leave out candidates that the customer had before; they cannot be bought for the first time
    """
    usual = usual_items(before, types, prices)
    n, n_types = before.n_items, int(types.max(initial=0)) + 1
    cells = owned(before)
    had = cells.customers * n + cells.items
    known = (bought[0] >= 0) & (bought[1] >= 0)
    new = np.unique(bought[0][known] * n + bought[1][known])
    new = new[~_among(had, new)]
    customer, item = new // n, new % n
    place = _places(usual.customers * n_types + usual.types, customer * n_types + types[item])
    at_all = (place >= 0) & (types[item] >= 0) & (prices[item] > 0)
    place, item = place[at_all], item[at_all]
    used = np.unique(place[_within(prices[item] / prices[usual.items[place]], low, high)])
    query, item = dearer_items(types, prices, usual.items[used], low, high)
    cell = usual.customers[used][query] * n + item
    if skip_owned:
        free = ~_among(had, cell)
        query, item, cell = query[free], item[free], cell[free]
    return Asked(
        usual.customers[used],
        usual.items[used],
        usual.times[used],
        query.astype(np.int64),
        item.astype(np.int64),
        _among(new, cell),
    )


def _within(ratio: Floats, low: float, high: float) -> np.ndarray:
    return np.asarray((ratio >= low * (1 - ROUNDING)) & (ratio <= high * (1 + ROUNDING)))


def _places(keys: Ints, wanted: Ints) -> Ints:
    """int64 (m,): place of each wanted key among ascending ones, -1 where it is missing."""
    at = np.searchsorted(keys, wanted)
    return np.where(np.append(keys, -1)[at] == wanted, at, -1)


def _among(keys: Ints, wanted: Ints) -> np.ndarray:
    """bool (m,): the key is one of ascending ones."""
    return np.asarray(_places(keys, wanted) >= 0)
