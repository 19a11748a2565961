"""Do the joint orders of a pair crowd somewhere? Counting them by groups of orders, and the test.

A pair crowds in a place (months, weeks of promotion, a store) where so large a share of its joint orders lies there,
at so many times the odds of any order, that chance is refused: the tail of a binomial with the share of all orders as
its probability, Benjamini-Hochberg over the pairs judged. Orders count one by one; that a few customers placed them
is a flag of its own.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from recsys.affinity import Affinity, benjamini_hochberg
from recsys.data.histories import Csr, Floats, IdMap, Ints
from recsys.pair_counts import CELLS, SIZE_BINS, Baskets, expected_by_size, joint_cells
from recsys.pairs.options import FlagOptions


@dataclass(frozen=True)
class Joint:
    """m pairs and the orders × the n keys that occur in them; `a`, `b` are columns of `matrix`.

    `size` int64 (n_orders,): bin of the distinct keys of each order, those that occur in no pair included.
    """

    keys: IdMap
    matrix: Csr
    customer: Ints
    size: Ints
    a: Ints
    b: Ints
    joint: Ints

    @classmethod
    def of(cls, affinity: Affinity, found: Baskets) -> "Joint":
        used, places = np.unique(np.concatenate([affinity.a, affinity.b]), return_inverse=True)
        ids = np.array(found.items.ids, dtype=object)[used]
        matrix = sp.csr_matrix(found.matrix[:, used])
        size = np.searchsorted(SIZE_BINS, found.sizes, side="right") - 1
        m = len(affinity)
        return cls(IdMap(tuple(ids)), matrix, found.customer, size, places[:m], places[m:], affinity.joint)

    def by(self, group: Ints, n: int) -> Ints:
        """int64 (n, m): joint orders of each group; `group` (n_orders,), -1 belongs to none."""
        told = [by_group(group, n, both).toarray() for _, both in joint_cells(self.matrix, self.a, self.b, CELLS)]
        return np.concatenate([np.zeros((n, 0), np.int64), *told], axis=1)

    def leaders(self, group: Ints, n: int) -> "Leaders":
        """The group with most joint orders of each pair."""
        told = [by_group(group, n, both) for _, both in joint_cells(self.matrix, self.a, self.b, CELLS)]
        parts = [_leaders(counted) for counted in (sp.csc_matrix((n, 0), dtype=np.int64), *told)]
        return Leaders(*(np.concatenate(column) for column in zip(*parts, strict=True)))


class Leaders(NamedTuple):
    """int64 (m,) each: the group with most joint orders (the first of several, -1 = none), how many it has, how many
    all groups have, and the sum of the squares of what each has."""

    group: Ints
    most: Ints
    known: Ints
    squares: Ints


def by_group(group: Ints, n: int, matrix: Any) -> sp.csc_matrix:
    """int64 (n, columns of `matrix`): sums over the orders of each group; -1 belongs to none."""
    known = np.flatnonzero(group >= 0)
    ones = np.ones(len(known), np.int64)
    return sp.csc_matrix(sp.csr_matrix((ones, (group[known], known)), shape=(n, len(group))) @ matrix)


def _leaders(counted: sp.csc_matrix) -> Leaders:
    cells = counted.tocoo()
    order = np.lexsort((cells.row, -cells.data, cells.col))
    column, first = np.unique(cells.col[order], return_index=True)
    group, most = np.full(counted.shape[1], -1), np.zeros(counted.shape[1], np.int64)
    group[column], most[column] = cells.row[order][first], cells.data[order][first]
    sums = [np.asarray(part.sum(axis=0), np.int64).ravel() for part in (counted, counted.multiply(counted))]
    return Leaders(group, most, *sums)


def within(joint: Joint, group: Ints, n: int) -> Floats:
    """float64 (n, m): joint orders to expect in each group of orders, of items independent there.

    sold_a · sold_b / orders of the group; `group` int64 (n_orders,).
    """
    sold = by_group(group, n, joint.matrix).toarray().astype(float)
    orders = np.maximum(np.bincount(group, minlength=n), 1)
    return np.asarray(sold[:, joint.a] * sold[:, joint.b] / orders[:, None])


def within_sizes(joint: Joint, group: Ints) -> Floats:
    """float64 (m,): the same, of items independent among the orders of each group and size, summed."""
    cells, at = np.unique(group * len(SIZE_BINS) + joint.size, return_inverse=True)
    sold = np.asarray(by_group(at, len(cells), joint.matrix).toarray(), np.int64)
    return expected_by_size(joint.a, joint.b, sold, np.bincount(at, minlength=len(cells)))


def ratio(part: Floats | Ints, whole: Floats | Ints) -> Floats:
    """part / whole; NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=np.asarray(whole) > 0)


def tail(hits: Ints, n: Ints, base: Floats) -> Floats:
    """P(at least so many hits of n) at the probability `base`."""
    from scipy.stats import binom

    return np.asarray(binom.sf(hits - 1, n, base), float)


def crowded(share: Floats, base: Floats, p: Floats, options: FlagOptions) -> tuple[np.ndarray, Floats]:
    """(bool (m,), q (m,)): the pairs that crowd. Where `p` is NaN a pair is not judged: False, NaN."""
    judged = ~np.isnan(p)
    q = np.full(len(p), np.nan)
    q[judged] = benjamini_hochberg(p[judged], int(judged.sum()))
    there, all_there = np.nan_to_num(share), np.nan_to_num(base, nan=1.0)
    odds = there * (1 - all_there) >= options.min_odds * all_there * (1 - there)
    return judged & (there >= options.min_share) & odds & (np.nan_to_num(q, nan=1.0) <= options.max_q), q
