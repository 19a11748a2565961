"""Pair counts against a plain oracle, measures against hand-worked values and laws, rules against planted pairs."""

from fractions import Fraction
from itertools import combinations
from math import comb

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, fisher_exact, hypergeom, poisson

from recsys import affinity as af
from recsys.affinity import Affinity, Evidence, count_pairs, pair_rules
from recsys.data.synthetic import SyntheticOptions, synthetic_shop
from recsys.errors import InputError
from recsys.pair_counts import SIZE_BINS, baskets, hypergeometric_tail

Order = tuple[str | None, set[str]]
ANY = Evidence(min_joint=1, min_customers=0, min_lift=0.0, min_adjusted_low=0.0, min_taste_low=0.0, max_q=1.0)


def lines_of(orders: list[Order]) -> pl.DataFrame:
    rows = [(f"o{n}", who, item) for n, (who, items) in enumerate(orders) for item in sorted(items)]
    return pl.DataFrame(
        rows, schema={"order_id": pl.String, "customer_id": pl.String, "item_id": pl.String}, orient="row"
    )


def some_orders(least: int = 0) -> st.SearchStrategy[list[Order]]:
    items = st.sets(st.sampled_from("abcdefg"), min_size=1, max_size=6)
    return st.lists(st.tuples(st.sampled_from([None, "x", "y", "z"]), items), min_size=least, max_size=14)


def pairs_of(affinity: Affinity) -> list[tuple[str, str]]:
    ids = affinity.items.ids
    return [(ids[a], ids[b]) for a, b in zip(affinity.a, affinity.b, strict=True)]


# --- counts


@settings(max_examples=60, deadline=None)
@given(some_orders(), st.integers(1, 3), st.sampled_from([1, 7, 10_000]))
def test_counts_equal_a_plain_count(orders: list[Order], min_joint: int, max_cells: int) -> None:
    found = count_pairs(lines_of(orders), min_joint=min_joint, max_cells=max_cells)
    known = sorted({item for _, items in orders for item in items})
    joint = {p: [who for who, items in orders if set(p) <= items] for p in combinations(known, 2)}
    want = {p: behind for p, behind in joint.items() if len(behind) >= min_joint}
    assert list(found.items.ids) == known
    assert found.n_orders == len(orders)
    assert pairs_of(found) == sorted(want)
    assert found.joint.tolist() == [len(want[p]) for p in sorted(want)]
    assert found.customers.tolist() == [len(set(want[p]) - {None}) for p in sorted(want)]
    assert found.sold.tolist() == [sum(item in items for _, items in orders) for item in known]


def size_bin(items: set[str]) -> int:
    return max(n for n, least in enumerate(SIZE_BINS) if least <= len(items))


def plain_expectation(groups: list[list[set[str]]], pair: tuple[str, str]) -> Fraction:
    """Σ over groups of orders: n · p_a · p_b."""
    a, b = pair
    return sum((Fraction(sum(a in o for o in g) * sum(b in o for o in g), len(g)) for g in groups if g), Fraction(0))


def by_size(orders: list[set[str]]) -> list[list[set[str]]]:
    return [[o for o in orders if size_bin(o) == n] for n in range(len(SIZE_BINS))]


@settings(max_examples=60, deadline=None)
@given(some_orders(1))
def test_expectations_equal_plain_ones(orders: list[Order]) -> None:
    found = count_pairs(lines_of(orders), min_joint=1)
    baskets = [items for _, items in orders]
    own = {who: [items for w, items in orders if w == who] for who in "xyz"}
    back = {who: mine for who, mine in own.items() if len(mine) > 1}
    once = [items for who, items in orders if who not in back]
    for n, pair in enumerate(pairs_of(found)):
        assert af.expected(found)[n] == pytest.approx(float(plain_expectation([baskets], pair)))
        assert af.expected_by_size(found)[n] == pytest.approx(float(plain_expectation(by_size(baskets), pair)))
        taste = plain_expectation(by_size(once), pair)
        for mine in back.values():
            total, squares = sum(map(len, mine)), sum(len(o) ** 2 for o in mine)
            times = [sum(item in o for o in mine) for item in pair]
            taste += Fraction(times[0] * times[1] * squares, total**2)
        assert found.by_taste[n] == pytest.approx(float(taste))


@settings(max_examples=25, deadline=None)
@given(some_orders(1), st.randoms(use_true_random=False))
def test_neither_order_of_lines_nor_repeated_lines_matter(orders: list[Order], random: object) -> None:
    lines = lines_of(orders)
    rows = list(range(lines.height)) * 2
    random.shuffle(rows)  # type: ignore[attr-defined]
    assert pair_rules(count_pairs(lines[rows], min_joint=1), ANY).equals(
        pair_rules(count_pairs(lines, min_joint=1), ANY)
    )


def test_any_level_counts_an_order_once_per_key() -> None:
    orders = lines_of([("x", {"a1", "a2", "b1"}), ("y", {"a1", "b2"}), (None, {"a2", "c1"}), ("z", {"a1", "a2"})])
    typed = orders.with_columns(type=pl.col("item_id").str.head(1).replace("c", None))
    found = count_pairs(typed, min_joint=1, key="type")
    assert found.items.ids == ("a", "b")
    assert (found.n_orders, found.sold.tolist(), found.joint.tolist()) == (4, [4, 2], [2])


def test_nothing_gives_nothing() -> None:
    none = count_pairs(lines_of([]))
    assert (len(none), none.n_orders, none.possible_pairs) == (0, 0, 0)
    assert pair_rules(none).height == 0
    single = count_pairs(lines_of([(None, {"a"}), ("x", {"b"})]), min_joint=1)
    assert pair_rules(single, ANY).height == 0
    assert (
        pair_rules(single, ANY).schema
        == pair_rules(count_pairs(lines_of([("x", {"a", "b"})]), min_joint=1), ANY).schema
    )


@pytest.mark.parametrize(("lines", "options", "says"), [
    (lines_of([]).drop("customer_id"), {}, "customer_id"),
    (lines_of([]), {"key": "type"}, "'type'"),
    (lines_of([]), {"min_joint": 0}, "min_joint is 0"),
])  # fmt: skip
def test_refuses_with_the_place(lines: pl.DataFrame, options: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        count_pairs(lines, **options)  # type: ignore[arg-type]


# --- measures


def test_measures_of_a_hand_worked_table() -> None:
    """10 orders: a in 4, b in 5, both in 3; nobody else is in the way."""
    orders: list[Order] = [("x", {"a", "b"})] * 3 + [("y", {"a", "c"})] + [(None, {"b", "c"})] * 2 + [(None, {"c"})] * 4
    row = pair_rules(count_pairs(lines_of(orders), min_joint=1), ANY).row(by_predicate=pl.col("joint") == 3, named=True)
    assert (row["item_a"], row["item_b"], row["customers"], row["sold_a"], row["sold_b"]) == ("a", "b", 1, 4, 5)
    assert (row["support"], row["confidence_ab"], row["confidence_ba"]) == pytest.approx((0.3, 0.75, 0.6))
    assert row["lift"] == pytest.approx(1.5)
    assert row["adjusted_lift"] == pytest.approx(3 / (4 * 5 / 6))  # all of a and b lie in the 6 orders of two
    assert row["p"] == pytest.approx((comb(4, 3) * comb(6, 2) + comb(4, 4) * comb(6, 1)) / comb(10, 5))
    assert row["lift_low"] == pytest.approx(chi2.ppf(0.05, 6) / 2 / 2)


@settings(max_examples=40, deadline=None)
@given(some_orders(1))
def test_laws(orders: list[Order]) -> None:
    found = count_pairs(lines_of(orders), min_joint=1)
    swap = dict(zip("abcdefg", "gfedcba", strict=True))
    other = count_pairs(lines_of([(who, {swap[i] for i in items}) for who, items in orders]), min_joint=1)
    mirrored = {tuple(sorted((swap[a], swap[b]))): v for (a, b), v in zip(pairs_of(other), af.lift(other), strict=True)}
    assert dict(zip(pairs_of(found), af.lift(found), strict=True)) == pytest.approx(mirrored)  # symmetric
    forth, back = af.confidence(found)
    assert ((af.support(found) > 0) & (af.support(found) <= np.minimum(forth, back))).all()
    assert (np.maximum(forth, back) <= 1).all()
    assert (af.low_of(found.joint, af.expected(found)) < af.lift(found)).all()
    assert (af.expected_by_size(found) > 0).all()
    assert (found.by_taste > 0).all()
    p, taste = af.fisher_p(found), af.taste_p(found)
    assert ((p >= 0) & (p <= 1) & (taste >= 0) & (taste <= 1)).all()


def test_p_values_equal_the_textbook() -> None:
    rng = np.random.default_rng(0)
    orders: list[Order] = [(None, set(rng.choice(list("abcdef"), 3, replace=False))) for _ in range(60)]
    found = count_pairs(lines_of(orders), min_joint=1)
    for n, (a, b) in enumerate(zip(found.a, found.b, strict=True)):
        both, first, second = found.joint[n], found.sold[a], found.sold[b]
        table = [[both, first - both], [second - both, found.n_orders - first - second + both]]
        assert af.fisher_p(found)[n] == pytest.approx(fisher_exact(table, alternative="greater").pvalue)
        assert af.taste_p(found)[n] == pytest.approx(poisson.sf(both - 1, found.by_taste[n]))


@pytest.mark.parametrize("n", [1, 2, 7, 60, 5000, 200_000])
def test_the_hypergeometric_tail_is_scipys(n: int) -> None:
    """All possible counts of small shops, and counts around the mean of large ones."""
    rng = np.random.default_rng(n)
    a, b = rng.integers(1, n + 1, (2, 1000))
    least, most = np.maximum(0, a + b - n), np.minimum(a, b)
    mean = a * b / n
    near = np.clip(np.rint(mean + rng.normal(0, 4, 1000) * np.sqrt(mean)).astype(int), least, most)
    joint = near if n > 100 else rng.integers(least, most + 1)
    found, want = hypergeometric_tail(joint, n, a, b), hypergeom.sf(joint - 1, n, a, b)
    assert found == pytest.approx(want, rel=1e-7, abs=1e-300)


@settings(max_examples=30, deadline=None)
@given(some_orders(1))
def test_given_pairs_are_counted_whatever_they_hold(orders: list[Order]) -> None:
    lines = lines_of(orders)
    found, whole = baskets(lines, "item_id"), count_pairs(lines, min_joint=1)
    a, b = np.triu_indices(len(found.items), 1)
    these = af.count_these(found, a, b)
    joint = {pair: (n, who) for pair, n, who in zip(pairs_of(whole), whole.joint, whole.customers, strict=True)}
    assert [joint.get(pair, (0, 0)) for pair in pairs_of(these)] == list(zip(these.joint, these.customers, strict=True))
    some = [at for at, pair in enumerate(pairs_of(these)) if pair in joint]
    assert af.take(these, np.array(some, int)).by_taste == pytest.approx(whole.by_taste)


def test_low_bound_covers_as_it_claims() -> None:
    counts = np.random.default_rng(1).poisson(7.0, 20_000)
    above = np.mean(af.low_of(np.maximum(counts, 1), np.full(len(counts), 7.0)) > 1)  # the truth is 1
    assert 0.02 < above <= 0.05


def test_one_joint_order_is_no_finding() -> None:
    assert af.low_of(np.array([1]), np.array([0.05])) == pytest.approx(1.026, abs=1e-3)


def test_benjamini_hochberg_by_hand_and_over_all_tests() -> None:
    p = np.array([0.04, 0.001, 0.02])
    assert af.benjamini_hochberg(p, 3) == pytest.approx([0.04, 0.003, 0.03])
    assert af.benjamini_hochberg(p, 30) == pytest.approx([0.4, 0.03, 0.3])
    with pytest.raises(InputError, match="3 p-values"):
        af.benjamini_hochberg(p, 2)


# --- rules


def test_pairs_exactly_at_a_bar_pass() -> None:
    """3 of 10 orders hold both, 4 and 5 hold either: support exactly 0.3, lift exactly 1.5, both odd as floats."""
    orders: list[Order] = [("x", {"a", "b"})] * 3 + [("y", {"a"})] + [(None, {"b"})] * 2 + [(None, {"c"})] * 4
    found = count_pairs(lines_of(orders), min_joint=1)
    at = {"min_customers": 0, "min_adjusted_low": 0.0, "min_taste_low": 0.0, "max_q": 1.0}
    assert pair_rules(found, Evidence(min_joint=3, min_support=0.3, min_lift=1.5, **at)).height == 1
    assert pair_rules(found, Evidence(min_joint=4, min_support=0.3, min_lift=1.5, **at)).height == 0
    assert pair_rules(found, Evidence(min_joint=3, min_support=0.30001, min_lift=1.5, **at)).height == 0
    assert pair_rules(found, Evidence(min_joint=3, min_support=0.3, min_lift=1.50001, **at)).height == 0


def test_rules_below_the_counted_floor_are_refused() -> None:
    with pytest.raises(InputError, match="pairs below 5 joint orders were not counted"):
        pair_rules(count_pairs(lines_of([])), Evidence(min_joint=4))


def test_the_same_people_liking_both_is_no_rule() -> None:
    """40 customers buy a in half of their orders and b in half, independently; 400 others buy neither."""
    rng = np.random.default_rng(2)
    fans: list[Order] = [
        (f"f{n}", {i for i in "ab" if rng.random() < 0.5} | {f"s{rng.integers(30)}"})
        for n in range(40)
        for _ in range(20)
    ]
    rest: list[Order] = [(f"r{n}", {f"s{i}" for i in rng.integers(0, 30, 2)}) for n in range(400) for _ in range(20)]
    found = count_pairs(lines_of(fans + rest))
    at = pairs_of(found).index(("a", "b"))
    assert af.lift(found)[at] > 5
    assert af.fisher_p(found)[at] < 1e-20
    assert 0.7 < af.taste_lift(found)[at] < 1.2
    assert ("a", "b") not in set(pair_rules(found).select("item_a", "item_b").iter_rows())


@pytest.mark.parametrize("options", [
    SyntheticOptions(),
    SyntheticOptions(seed=1),
    SyntheticOptions(seed=2, customers=1000, items=900, n_pairs=20),
])  # fmt: skip
def test_planted_pairs_are_found_and_no_others(options: SyntheticOptions) -> None:
    shop = synthetic_shop(options)
    rules = pair_rules(count_pairs(shop.orders.filter(pl.col("quantity") > 0)))
    planted = set(shop.truth.pairs.select("item_a", "item_b").iter_rows())
    found = set(rules.select("item_a", "item_b").iter_rows())
    assert len(found & planted) >= 0.95 * len(planted)
    assert len(found & planted) >= 0.95 * len(found)
    assert rules["adjusted_low"].is_sorted(descending=True)
    lifts = rules.join(shop.truth.pairs, on=["item_a", "item_b"])
    assert (lifts["lift"] / lifts["lift_right"]).median() == pytest.approx(1, abs=0.15)


def test_customary_bar_is_blind_and_lenient() -> None:
    shop = synthetic_shop(SyntheticOptions())
    found = count_pairs(shop.orders.filter(pl.col("quantity") > 0), min_joint=1)
    assert pair_rules(found, Evidence.customary()).height < shop.truth.pairs.height
