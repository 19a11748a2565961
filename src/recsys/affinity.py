"""Which items are bought together, how surely: counts of pairs over whole orders, measures derived from them.

`Affinity` holds counts only; every measure is a function of it. Offers import this module, so polars is imported
where a frame is read or made and nowhere else.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from . import pair_counts as counts
from .data.histories import Floats, IdMap, Ints
from .errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl


@dataclass(frozen=True)
class Affinity:
    """Counts of m pairs out of n items; item `a` of a pair comes before item `b`, pairs are sorted.

    items           the n ids (or names of a type, category or department)
    a, b            int64 (m,): positions in `items`
    joint           int64 (m,): orders with both; at least `min_joint`
    customers       int64 (m,): distinct customers behind those orders; guests are nobody
    sold            int64 (n,): orders with the item
    n_orders        all orders, also those without any pair
    sold_by_size    int64 (bins, n): orders with the item, by the order's distinct items (SIZE_BINS)
    orders_by_size  int64 (bins,): all orders
    by_taste        float64 (m,): joint orders that customers' own tastes explain (pair_counts.expected_by_customer)
    min_joint       pairs with fewer joint orders were not kept
    """

    items: IdMap
    a: Ints
    b: Ints
    joint: Ints
    customers: Ints
    sold: Ints
    n_orders: int
    sold_by_size: Ints
    orders_by_size: Ints
    by_taste: Floats
    min_joint: int

    def __len__(self) -> int:
        return len(self.joint)

    @property
    def possible_pairs(self) -> int:
        """Pairs that could have been bought together: n (n - 1) / 2."""
        return len(self.items) * (len(self.items) - 1) // 2


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a pair must show to be called a rule. The trade's customary bar is Evidence.customary().

    Order size explains most of a raw lift, so the bar that matters by default is `min_adjusted_low`.
    """

    min_joint: int = 10  # orders with both
    min_customers: int = 5  # distinct customers behind them; 0 where orders name nobody
    min_support: float = 0.0  # share of all orders
    min_lift: float = 1.5  # raw lift
    min_adjusted_low: float = 1.5  # lower bound of the size-adjusted lift
    min_taste_low: float = 1.2  # lower bound of the lift beyond customers' own tastes
    max_q: float = 0.05  # false discovery rate over all possible pairs, against chance and against taste
    confidence: float = 0.95  # of the one-sided lower bounds

    @classmethod
    def customary(cls) -> "Evidence":
        """Support of 3% and lift of 1.5, as trade articles have it: no test, no correction."""
        return cls(min_joint=1, min_customers=0, min_support=0.03, min_adjusted_low=0.0, min_taste_low=0.0, max_q=1.0)


# --- counting


def count_pairs(
    orders: "pl.DataFrame", *, min_joint: int = 5, key: str = "item_id", max_cells: int = counts.CELLS
) -> Affinity:
    """Count the pairs of `key` over whole orders, guests' orders too.

    `orders`: lines of purchases (returns taken off, see `lines_before`) with order_id, customer_id and `key`: item_id,
    or a joined type, category or department. An order counts once per key however many lines it has; lines whose
    key is null make the order larger by nothing. Memory is bounded by `max_cells` and the result.
    InputError where a column is missing or min_joint is below 1.
    """
    _require(orders, key, min_joint)
    return count_baskets(counts.baskets(orders, key), min_joint, max_cells)


def count_baskets(found: counts.Baskets, min_joint: int, max_cells: int = counts.CELLS) -> Affinity:
    """Count the pairs of `found`, as `count_pairs` does."""
    sold = np.asarray(found.matrix.sum(axis=0), np.int64).ravel()
    kept = np.flatnonzero(sold >= min_joint)  # no pair of a rarer item can reach min_joint
    frequent = found.matrix[:, kept]
    a, b, joint = counts.joint_orders(frequent, min_joint, max_cells)
    customers = counts.distinct_customers(frequent, found.customer, a, b, max_cells)
    return _counted(found, kept[a], kept[b], joint, customers, min_joint, max_cells)


def count_these(found: counts.Baskets, a: Ints, b: Ints, max_cells: int = counts.CELLS) -> Affinity:
    """Count these pairs alone (a < b, sorted), however few orders hold both; 0 is an answer."""
    joint = np.zeros(len(a), np.int64)
    for part, both in counts.joint_cells(found.matrix, a, b, max_cells):
        joint[part] = np.diff(both.indptr)
    customers = counts.distinct_customers(found.matrix, found.customer, a, b, max_cells)
    return _counted(found, a, b, joint, customers, 0, max_cells)


def _counted(
    found: counts.Baskets, a: Ints, b: Ints, joint: Ints, customers: Ints, min_joint: int, max_cells: int
) -> Affinity:
    sold_by_size, orders_by_size = found.by_size()
    return Affinity(
        items=found.items,
        a=a,
        b=b,
        joint=joint,
        customers=customers,
        sold=sold_by_size.sum(axis=0),
        n_orders=len(found.customer),
        sold_by_size=sold_by_size,
        orders_by_size=orders_by_size,
        by_taste=counts.expected_by_customer(found, a, b, max_cells),
        min_joint=min_joint,
    )


def _require(orders: "pl.DataFrame", key: str, min_joint: int) -> None:
    missing = [name for name in ("order_id", "customer_id", key) if name not in orders.columns]
    if missing:
        raise InputError(f"orders have no column {missing[0]!r} to count pairs with; join the catalog or rename it")
    if min_joint < 1:
        raise InputError(f"min_joint is {min_joint}; it must be at least 1, or every possible pair would be kept")


# --- measures, each an array over the pairs


def support(affinity: Affinity) -> Floats:
    """Share of all orders that hold both. Divides by all orders."""
    return np.asarray(affinity.joint / max(affinity.n_orders, 1))


def confidence(affinity: Affinity) -> tuple[Floats, Floats]:
    """(P(b | a), P(a | b)): joint orders by the orders with the first, with the second."""
    return affinity.joint / affinity.sold[affinity.a], affinity.joint / affinity.sold[affinity.b]


def expected(affinity: Affinity) -> Floats:
    """Joint orders to expect of independent items: sold_a · sold_b / n_orders."""
    return affinity.sold[affinity.a].astype(float) * affinity.sold[affinity.b] / max(affinity.n_orders, 1)


def expected_by_size(affinity: Affinity) -> Floats:
    """Joint orders to expect of items independent within each bin of order size: Σ_bins n_bin · p_a,bin · p_b,bin.

    Large orders hold more of everything, so this lies above `expected` wherever sizes differ.
    """
    return counts.expected_by_size(affinity.a, affinity.b, affinity.sold_by_size, affinity.orders_by_size)


def lift(affinity: Affinity) -> Floats:
    """Joint orders by `expected`; never below joint · n / sold², always above 0."""
    return np.asarray(affinity.joint / expected(affinity))


def adjusted_lift(affinity: Affinity) -> Floats:
    """Joint orders by `expected_by_size`."""
    return np.asarray(affinity.joint / expected_by_size(affinity))


def taste_lift(affinity: Affinity) -> Floats:
    """Joint orders by those that customers' tastes explain. About 1: the same people like both, no more than that."""
    return np.asarray(affinity.joint / affinity.by_taste)


def low_of(joint: Ints, expectation: Floats, level: float = 0.95) -> Floats:
    """One-sided lower bound of joint / expectation, the orders of each item taken as given.

    The exact Poisson bound: half the (1 - level) quantile of χ² with 2 · joint degrees of freedom (Garwood, F.
    (1936): Fiducial limits for the Poisson distribution. Biometrika 28). Joint orders vary a little less than
    a Poisson count, so the bound errs downwards. One joint order of 0.05 expected has a bound of 1.03, not 20.
    """
    from scipy.special import gammaincinv  # the quantile of a gamma distribution, without scipy.stats

    return np.asarray(gammaincinv(joint, 1 - level)) / expectation


def fisher_p(affinity: Affinity) -> Floats:
    """Fisher's one-sided exact test: P(at least so many joint orders) with both items' orders given."""
    sold = affinity.sold
    return counts.hypergeometric_tail(affinity.joint, affinity.n_orders, sold[affinity.a], sold[affinity.b])


def taste_p(affinity: Affinity) -> Floats:
    """P(at least so many joint orders) if tastes alone brought the two together: the tail of a Poisson count."""
    from scipy.special import gammainc

    return np.asarray(gammainc(affinity.joint, affinity.by_taste), float)


def benjamini_hochberg(p: Floats, tests: int) -> Floats:
    """q-values of the given p out of `tests`; the others count as tested without any finding.

    q of the r-th smallest p is min over s ≥ r of p_s · tests / s (Benjamini and Hochberg 1995). Pairs below the floor
    of joint orders are not listed: taking their p as 1 can only raise the q of those that are.
    """
    if tests < len(p):
        raise InputError(f"{len(p)} p-values cannot come of {tests} tests; give the number of all possible pairs")
    order = np.argsort(p, kind="stable")
    scaled = p[order] * tests / np.arange(1, len(p) + 1)
    out = np.empty(len(p))
    out[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return out


# --- rules


def evident(affinity: Affinity, evidence: Evidence | None = None) -> np.ndarray:
    """bool (m,): the pair passes every bar."""
    return np.asarray(np.logical_and.reduce(list(passes(affinity, evidence or Evidence()).values())))


def passes(affinity: Affinity, bars: Evidence) -> dict[str, np.ndarray]:
    """Bar → bool (m,): the pair passes it. Counts are compared as integers, so a pair exactly at a bar passes.

    Bars are named as their options; `max_q` (against chance) and `max_taste_q` (against taste) share one.
    """
    if bars.min_joint < affinity.min_joint:
        raise InputError(
            f"min_joint is {bars.min_joint}, but pairs below {affinity.min_joint} joint orders were not counted; "
            f"raise it, or count again with count_pairs(min_joint={bars.min_joint})"
        )
    share, times = Fraction(str(bars.min_support)), Fraction(str(bars.min_lift))
    joint, n = affinity.joint.astype(object), affinity.n_orders  # Python integers: no product overflows
    chance = affinity.sold[affinity.a].astype(object) * affinity.sold[affinity.b]
    return {
        "min_joint": affinity.joint >= bars.min_joint,
        "min_customers": affinity.customers >= bars.min_customers,
        "min_support": (joint * share.denominator >= n * share.numerator).astype(bool),
        "min_lift": (joint * n * times.denominator >= chance * times.numerator).astype(bool),
        "max_q": _found(fisher_p, affinity, bars.max_q),
        "min_adjusted_low": low_of(affinity.joint, expected_by_size(affinity), bars.confidence)
        >= bars.min_adjusted_low,
        "min_taste_low": low_of(affinity.joint, affinity.by_taste, bars.confidence) >= bars.min_taste_low,
        "max_taste_q": _found(taste_p, affinity, bars.max_q),
    }


def _found(p: "Callable[[Affinity], Floats]", affinity: Affinity, max_q: float) -> np.ndarray:
    """bool (m,): the false discovery rate is low enough; a limit of 1 asks for no test."""
    if max_q >= 1:
        return np.ones(len(affinity), bool)
    return np.asarray(benjamini_hochberg(p(affinity), affinity.possible_pairs) <= max_q)


def take(affinity: Affinity, at: Ints) -> Affinity:
    """The pairs at these places as an Affinity of their own."""
    columns = {name: getattr(affinity, name)[at] for name in ("a", "b", "joint", "customers", "by_taste")}
    return replace(affinity, **columns)


def only_evident(affinity: Affinity, evidence: Evidence | None = None) -> Affinity:
    """The pairs that pass, for the offers. Their q-values need the whole table: `pair_rules`."""
    return take(affinity, np.flatnonzero(evident(affinity, evidence)))


def pair_rules(affinity: Affinity, evidence: Evidence | None = None) -> "pl.DataFrame":
    """The pairs that pass, one row each, strongest size-adjusted lower bound first, with all measures.

    item_a, item_b, joint, customers, sold_a, sold_b, support, confidence_ab = P(b | a), confidence_ba = P(a | b),
    lift, lift_low, adjusted_lift, adjusted_low, taste_lift, taste_low, p (Fisher), q (Benjamini-Hochberg over all
    possible pairs), taste_p, taste_q (the same two for joint orders beyond customers' tastes).
    """
    bars = evidence or Evidence()
    table = measures(affinity, np.flatnonzero(evident(affinity, bars)), bars.confidence)
    return table.sort("adjusted_low", "joint", "item_a", "item_b", descending=[True, True, False, False])


def measures(affinity: Affinity, at: Ints, level: float) -> "pl.DataFrame":
    """All measures of the pairs at these places, a row each, the columns of `pair_rules`; q over all possible pairs."""
    import polars as pl  # not part of serving

    q = benjamini_hochberg(fisher_p(affinity), affinity.possible_pairs)[at]
    taste_q = benjamini_hochberg(taste_p(affinity), affinity.possible_pairs)[at]
    columns = _columns(take(affinity, at), level)
    texts = {"item_a": pl.String, "item_b": pl.String}
    table = pl.DataFrame(columns, schema_overrides=texts).with_columns(q=q, taste_q=taste_q)
    return table.select(*columns, "q", "taste_q").select(pl.exclude("taste_p", "taste_q"), "taste_p", "taste_q")


def _columns(affinity: Affinity, level: float) -> dict[str, Any]:
    ids = np.array(affinity.items.ids, dtype=object)
    forth, back = confidence(affinity)
    return {
        "item_a": ids[affinity.a].tolist(),
        "item_b": ids[affinity.b].tolist(),
        "joint": affinity.joint,
        "customers": affinity.customers,
        "sold_a": affinity.sold[affinity.a],
        "sold_b": affinity.sold[affinity.b],
        "support": support(affinity),
        "confidence_ab": forth,
        "confidence_ba": back,
        "lift": lift(affinity),
        "lift_low": low_of(affinity.joint, expected(affinity), level),
        "adjusted_lift": adjusted_lift(affinity),
        "adjusted_low": low_of(affinity.joint, expected_by_size(affinity), level),
        "taste_lift": taste_lift(affinity),
        "taste_low": low_of(affinity.joint, affinity.by_taste, level),
        "p": fisher_p(affinity),
        "taste_p": taste_p(affinity),
    }
