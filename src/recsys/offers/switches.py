"""From one item to another of its type: what customers had before, and how many changes went up, down or sideways."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from ..data.histories import Csr, Floats, Histories, Ints
from ..errors import InputError

SAME = 1.1  # prices that differ by less than this factor count as the same


@dataclass(frozen=True)
class Usual:
    """The usual item of each customer in each type: most often bought, ties by the latest, then the lower position.

    customers  int64 (m,): row of the histories; sorted by customer, then type
    types      int64 (m,)
    items      int64 (m,)
    times      int64 (m,): orders with it
    """

    customers: Ints
    types: Ints
    items: Ints
    times: Ints


def usual_items(histories: Histories, types: Ints, prices: Floats) -> Usual:
    """Out of items with a type and a price; `types` int (n_items,), -1 = unknown; `prices` (n_items,)."""
    cells = owned(histories)
    askable = np.flatnonzero((types[cells.items] >= 0) & (prices[cells.items] > 0))
    key = _keys(cells, types)
    order = askable[
        np.lexsort((cells.items[askable], cells.last[askable], -cells.times[askable], key[askable]))
    ]  # fmt: skip
    best = order[np.flatnonzero(np.diff(key[order], prepend=-1))]
    return Usual(cells.customers[best], types[cells.items[best]].astype(np.int64), cells.items[best], cells.times[best])


@dataclass(frozen=True)
class Owned:
    """What each customer has bought, a cell per customer and item, sorted by both.

    customers, items  int64 (m,)
    times             int64 (m,): orders with the item
    first, last       float32 (m,): days since the first and the latest of them
    """

    customers: Ints
    items: Ints
    times: Ints
    first: Floats
    last: Floats


def owned(histories: Histories) -> Owned:
    times = histories.sums(np.ones(len(histories.items)))
    return Owned(
        np.repeat(np.arange(len(histories)), np.diff(times.indptr)),
        times.indices.astype(np.int64),
        times.data.astype(np.int64),
        histories.first_age.data,
        histories.last_age.data,
    )


def _keys(cells: Owned, types: Ints) -> Ints:
    """int64 (m,): customer and type of each cell in one number; -1 where the type is unknown."""
    own = types[cells.items].astype(np.int64)
    return np.where(own < 0, -1, cells.customers * (int(types.max(initial=0)) + 1) + own)


def pairs_within(key: Ints) -> tuple[Ints, Ints]:
    """Both places of every ordered pair of distinct places with the same key; keys below 0 have none."""
    order = np.argsort(key, kind="stable")
    order = order[key[order] >= 0]
    _, sizes = np.unique(key[order], return_counts=True)
    start = np.repeat(np.cumsum(sizes) - sizes, sizes)
    width = np.repeat(sizes, sizes)
    left = np.repeat(np.arange(len(order)), width)
    right = np.repeat(start, width) + np.arange(len(left)) - np.repeat(np.cumsum(width) - width, width)
    other = left != right
    return order[left[other]], order[right[other]]


def joint_customers(histories: Histories, types: Ints) -> Csr:
    """CSR float32 (n_items, n_items): customers who have bought both items of a type; the diagonal is empty."""
    cells = owned(histories)
    a, b = pairs_within(_keys(cells, types))
    n = histories.n_items
    return sp.csr_matrix((np.ones(len(a), np.float32), (cells.items[a], cells.items[b])), shape=(n, n))


# --- the report


@dataclass(frozen=True)
class SwitchCounts:
    """Changes of customers from one item to another, new to them, of the same type; `unknown` lack a price.

    Of those that went up: how many customers bought the former item again later, and how many stayed: bought the new
    one again and the former never again.
    """

    up: int
    same: int
    down: int
    unknown: int
    up_returned: int
    up_stayed: int

    def sentence(self) -> str:
        """What may be said of it: most changes are variety, and the figures say how many."""
        known = self.up + self.same + self.down
        if not known:
            return "No change between items of a type with known prices."
        shares = f"{self.up / known:.0%} up, {self.same / known:.0%} at the same price, {self.down / known:.0%} down"
        stayed = self.up_stayed / max(self.up, 1)
        kind = "most are variety, no step up" if self.up * 2 < known or stayed < 0.5 else "most go up and stay"
        return (
            f"{known:,} changes to another item of the type: {shares}; of those up, {stayed:.0%} stayed with the new "
            f"item and {self.up_returned / max(self.up, 1):.0%} came back to the former: {kind}."
        )


def count_switches(histories: Histories, types: Ints, prices: Floats, same: float = SAME) -> SwitchCounts:
    """A customer's first purchase of an item, after an earlier order of the type, against the item bought last.

    orders of a type:   A     A     B ── new: a switch A → B     A ── came back
                              └── the item bought last (of several in an order, the one of highest position)
    """
    if same < 1:
        raise InputError(f"same is {same}; it is a factor between prices and must be 1 or more")
    before, after, age = _switches(histories, types)
    ratio = prices[after[1]] / prices[before]
    up, down = ratio >= same, ratio <= 1 / same
    cells = owned(histories)
    returned = cells.last[_cell(cells, histories.n_items, after[0], before)] < age
    stayed = ~returned & (cells.times[_cell(cells, histories.n_items, *after)] > 1)
    unknown = np.isnan(ratio)
    return SwitchCounts(
        int(up.sum()),
        int((~up & ~down & ~unknown).sum()),
        int(down.sum()),
        int(unknown.sum()),
        int((up & returned).sum()),
        int((up & stayed).sum()),
    )


def _switches(histories: Histories, types: Ints) -> tuple[Ints, tuple[Ints, Ints], Floats]:
    """Former items, (customers, new items) and ages of all switches."""
    kind = types[histories.items].astype(np.int64)
    known = np.flatnonzero(kind >= 0)
    order = known[np.lexsort((histories.items[known], -histories.orders[known], kind[known], histories.rows[known]))]
    row, item = histories.rows[order], histories.items[order].astype(np.int64)
    group = np.flatnonzero(_changes(row, kind[order]))
    run = np.flatnonzero(_changes(row, kind[order], histories.orders[order]))
    sizes = np.diff(np.append(run, len(order)))
    start = np.repeat(run, sizes)  # of the lines of the same order and type
    opening = np.repeat(np.isin(run, group), sizes)
    first = np.zeros(len(order), bool)
    first[np.unique(row * histories.n_items + item, return_index=True)[1]] = True
    at = np.flatnonzero(first & ~opening)
    return item[start[at] - 1], (row[at], item[at]), histories.ages[order[at]]


def _changes(*columns: Ints) -> np.ndarray:
    """bool (m,): where any column differs from the line before; the first line does."""
    changed = np.zeros(len(columns[0]), bool)
    changed[:1] = True
    for column in columns:
        changed[1:] |= column[1:] != column[:-1]
    return changed


def _cell(cells: Owned, n_items: int, customers: Ints, items: Ints) -> Ints:
    """Place of each customer's cell of an item that the customer has had."""
    return np.searchsorted(cells.customers * n_items + cells.items, customers * n_items + items)


# --- trade-ups: left for good


@dataclass(frozen=True)
class TradeUps:
    """Pairs of a type whose customers went from one to the dearer one for good, beyond chance.

    a, b    int64 (m,): item positions, b the dearer
    left    int64 (m,): customers whose last purchase of a lies before their first of b
    came    int64 (m,): customers the other way round
    """

    a: Ints
    b: Ints
    left: Ints
    came: Ints


def trade_ups(
    histories: Histories,
    types: Ints,
    prices: Floats,
    *,
    low: float = 1.1,
    high: float = 2.0,
    least: int = 10,
    level: float = 0.01,
) -> TradeUps:
    """Pairs at `low` to `high` times the price that more customers left for good than the other way round.

    One-sided sign test of left against came, Benjamini-Hochberg at `level` over all pairs of a type in the range that
    at least `least` customers had in turn. Where customers only vary, both ways are equally frequent. An item that
    replaces another on the shelf passes too: orders cannot tell it from an upgrade.
    """
    from scipy.special import bdtrc

    cells = owned(histories)
    a, b = pairs_within(_keys(cells, types))
    gone = cells.last[a] > cells.first[b]
    n = histories.n_items
    left = sp.csr_matrix((np.ones(gone.sum(), np.int64), (cells.items[a[gone]], cells.items[b[gone]])), shape=(n, n))
    both = (left + left.T).tocoo()
    ratio = prices[both.col] / prices[both.row]
    inside = (ratio >= low * (1 - 1e-6)) & (ratio <= high * (1 + 1e-6)) & (both.data >= least)
    row, col, total = both.row[inside].astype(np.int64), both.col[inside].astype(np.int64), both.data[inside]
    went = np.asarray(left[row, col]).ravel() if len(row) else np.zeros(0, np.int64)
    p = np.where(went > 0, bdtrc(np.maximum(went - 1, 0), total, 0.5), 1.0)
    order = np.argsort(p, kind="stable")
    passed = np.flatnonzero(p[order] <= level * np.arange(1, len(p) + 1) / max(len(p), 1))
    kept = np.sort(order[: passed[-1] + 1]) if len(passed) else np.zeros(0, np.int64)
    return TradeUps(row[kept], col[kept], went[kept], total[kept] - went[kept])
