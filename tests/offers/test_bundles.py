"""Bundles keep every rule of theirs, and each pair is either a bundle or left out with a reason."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.affinity import Affinity
from recsys.data.histories import IdMap
from recsys.errors import InputError
from recsys.offers.bundles import BundleOptions, bundle_offers, bundles
from recsys.offers.shelf import Shelf
from recsys.pair_counts import SIZE_BINS

NAN = float("nan")


def affinity(pairs: list[tuple[int, int, int, int]], n: int = 6, sold: int = 100) -> Affinity:
    """(a, b, joint, customers); 1000 orders of two items, each item in `sold`: lift = joint / (sold² / 1000)."""
    a, b, joint, customers = np.array(sorted(pairs), np.int64).reshape(-1, 4).T
    two = np.zeros((len(SIZE_BINS), n), np.int64)
    two[2] = sold
    all_orders = np.bincount([2], [1000], len(SIZE_BINS)).astype(np.int64)
    ids = IdMap(tuple(f"i{k}" for k in range(n)))
    return Affinity(ids, a, b, joint, customers, two[2], 1000, two, all_orders, np.ones(len(a)), 1)


def shelf(types: list[int], prices: list[float], costs: list[float] | None = None) -> Shelf:
    ids = IdMap(tuple(f"i{k}" for k in range(len(types))))
    known = np.array(costs or [NAN] * len(types))
    return Shelf(ids, tuple(f"item {k}" for k in range(len(types))), np.array(types), np.array(prices), known)


DISTINCT = shelf([0, 1, 2, 3, 4, 5], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])


def test_a_bundle_of_hand_worked_numbers() -> None:
    (found,), left_out = bundles(affinity([(1, 3, 40, 10)]), shelf=DISTINCT)
    assert left_out == []
    assert (found.items, found.list_price, found.offer_price, found.margin) == (("i1", "i3"), 6.0, 4.8, None)
    assert (found.joint, found.customers, found.adjusted_lift) == (40, 10, pytest.approx(4.0))
    assert found.together == pytest.approx(40 / 160)
    offer = bundle_offers([found], DISTINCT)[0]
    assert (offer.kind, offer.customer_id, offer.items) == ("bundle", None, ("i1", "i3"))
    assert offer.reason == "item 1 and item 3, bought together by 10 customers: 1.20 less than 6.00 for the two alone"


@pytest.mark.parametrize(("pair", "stand", "says"), [
    ((0, 1, 40, 10), shelf([0, 0], [1.0, 2.0]), "of one type"),
    ((0, 1, 40, 10), shelf([0, -1], [1.0, 2.0]), "type of an item is unknown"),
    ((0, 1, 40, 9), shelf([0, 1], [1.0, 2.0]), "fewer than 10 customers"),
    ((0, 1, 19, 10), shelf([0, 1], [1.0, 2.0]), "lift below 2"),
    ((0, 1, 40, 10), shelf([0, 1], [1.0, NAN]), "price of an item is unknown"),
    ((0, 1, 40, 10), shelf([0, 1], [0.0, 0.0]), "price of an item is unknown"),
    ((0, 1, 40, 10), shelf([0, 1], [1.0, 2.0], [0.9, 1.6]), "margin below 0%"),
    ((0, 5, 40, 10), shelf([0, 1], [1.0, 2.0]), "type of an item is unknown"),  # i5 is not on the shelf
])  # fmt: skip
def test_each_rule_says_its_reason(pair: tuple[int, int, int, int], stand: Shelf, says: str) -> None:
    found, left_out = bundles(affinity([pair]), shelf=stand)
    assert found == []
    assert len(left_out) == 1
    assert says in left_out[0].reason


def test_margin_exactly_at_the_floor_passes_and_an_unknown_cost_is_no_reason() -> None:
    at = BundleOptions(margin_floor=0.25)  # price 0.8 · 10 = 8, cost 6
    (found,), _ = bundles(affinity([(0, 1, 40, 10)]), shelf=shelf([0, 1], [4.0, 6.0], [2.0, 4.0]), options=at)
    assert found.margin == pytest.approx(0.25)
    (other,), _ = bundles(affinity([(0, 1, 40, 10)]), shelf=shelf([0, 1], [4.0, 6.0], [2.0, NAN]), options=at)
    assert other.margin is None


def test_the_strongest_pairs_keep_a_wanted_item() -> None:
    found, left_out = bundles(affinity([(0, 1, 30, 10), (0, 2, 50, 10), (0, 3, 40, 10)]), shelf=DISTINCT)
    assert [b.items for b in found] == [("i0", "i2"), ("i0", "i3")]
    assert [(o.items, o.reason) for o in left_out] == [(("i0", "i1"), "i0 is in 2 stronger bundles")]


PAIRS = st.dictionaries(
    st.tuples(st.integers(0, 5), st.integers(0, 5)).filter(lambda p: p[0] < p[1]),
    st.tuples(st.integers(1, 60), st.integers(1, 30)),
    max_size=15,
)


@settings(max_examples=80, deadline=None)
@given(
    PAIRS,
    st.lists(st.integers(-1, 3), min_size=6, max_size=6),
    st.lists(st.one_of(st.just(NAN), st.floats(1, 90)), min_size=6, max_size=6),
    st.lists(st.one_of(st.just(NAN), st.floats(0, 60)), min_size=6, max_size=6),
    st.sampled_from([0.15, 0.2, 0.25]),
)
def test_every_bundle_keeps_the_rules_and_no_pair_is_lost(
    pairs: dict[tuple[int, int], tuple[int, int]],
    types: list[int],
    prices: list[float],
    costs: list[float],
    discount: float,
) -> None:
    given_pairs = affinity([(*p, *n) for p, n in pairs.items()])
    stand, options = shelf(types, prices, costs), BundleOptions(discount=discount, margin_floor=0.1)
    found, left_out = bundles(given_pairs, shelf=stand, options=options)
    assert Counter(b.items for b in found) + Counter(o.items for o in left_out) == Counter(
        (f"i{a}", f"i{b}") for a, b in pairs
    )
    assert all(o.reason for o in left_out)
    assert max(Counter(i for b in found for i in b.items).values(), default=0) <= 2
    for b in found:
        at = [int(i[1]) for i in b.items]
        assert len({types[k] for k in at} - {-1}) == 2
        assert b.customers >= 10
        assert b.adjusted_lift >= 2
        assert b.list_price == pytest.approx(sum(prices[k] for k in at), abs=1e-4)
        assert b.offer_price == pytest.approx(b.list_price * (1 - discount), abs=0.00501)
        spent = sum(costs[k] for k in at)
        assert b.margin is None if np.isnan(spent) else b.offer_price - spent >= 0.1 * b.offer_price - 1e-6


@pytest.mark.parametrize("options", [{"discount": 0.3}, {"discount": 0.1}, {"margin_floor": 1.0}, {"per_item": 0}])
def test_refuses_options_that_make_no_sense(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        BundleOptions(**options)  # type: ignore[arg-type]
