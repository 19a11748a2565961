"""Bundles keep every rule of theirs, and each pair is either a bundle or left out with a reason."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.affinity import Affinity
from recsys.data.histories import IdMap
from recsys.errors import InputError
from recsys.offers.bundle_prices import CompanionDiscount
from recsys.offers.bundles import BundleOptions, ShelfNow, bundle_offers, bundles
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


def test_a_companion_discount_saves_the_same() -> None:
    (found,), _ = bundles(
        affinity([(0, 5, 40, 10)]), shelf=DISTINCT
    )  # 1 and 6: 1.40 saved, more than the cheaper costs
    assert found.companion == CompanionDiscount("i5", 4.6, pytest.approx(1.4 / 6))
    (alike,), _ = bundles(affinity([(2, 3, 40, 10)]), shelf=DISTINCT)  # 3 and 4: 1.40 saved, 47% of the cheaper
    assert alike.companion == CompanionDiscount("i2", 1.6, pytest.approx(1.4 / 3))


def test_the_rounded_price_stays_within_the_range() -> None:
    """75% of 1.03 is .7725: .77 would be 25.2% off; the next price that is not is .78."""
    most = BundleOptions(discount=0.25)
    (found,), _ = bundles(affinity([(0, 1, 40, 10)]), shelf=shelf([0, 1], [0.5, 0.53]), options=most)
    assert (found.list_price, found.offer_price) == (1.03, 0.78)
    _, (none,) = bundles(affinity([(0, 1, 40, 10)]), shelf=shelf([0, 1], [1.0, 1.0]), options=BundleOptions(digits=0))
    assert "no price of 0 decimals" in none.reason
    _, (free,) = bundles(affinity([(0, 1, 40, 10)]), shelf=shelf([0, 1], [1.0, 0.4]), options=BundleOptions(digits=0))
    assert "price of an item is 0" in free.reason


@pytest.mark.parametrize(("now", "says"), [
    (ShelfNow(substitutes=np.array([True])), "substitutes of one another"),
    (ShelfNow(sold_out=["i1"]), "sold out"),
    (ShelfNow(recent=np.array([3, 0])), "not sold lately"),
])  # fmt: skip
def test_what_is_known_of_today_refuses(now: ShelfNow, says: str) -> None:
    types = [0, 0] if now.substitutes is not None else [0, 1]
    found, (none,) = bundles(affinity([(0, 1, 40, 10)]), shelf=shelf(types, [1.0, 2.0]), now=now)
    assert not found
    assert says in none.reason


def test_a_group_of_three_needs_all_its_pairs() -> None:
    three = BundleOptions(largest=3)
    ring = [(0, 1, 40, 10), (0, 2, 50, 20), (1, 2, 30, 15)]
    (found,), left_out = bundles(affinity(ring), shelf=DISTINCT, options=three)
    assert (found.items, found.list_price, found.offer_price) == (("i0", "i1", "i2"), 6.0, 4.8)
    assert (found.joint, found.customers, found.adjusted_lift) == (30, 10, pytest.approx(3.0))
    assert found.together == pytest.approx(30 / 100)  # all three lie in 30 orders at most, any of them in 100 or more
    assert {o.reason for o in left_out} == {"part of the bundle of i0, i1, i2"}
    assert "any two of them bought together by 10 customers" in bundle_offers([found], DISTINCT)[0].reason
    open_ring = affinity([(0, 1, 40, 10), (1, 2, 30, 15), (0, 2, 50, 9)])
    pairs, _ = bundles(open_ring, shelf=DISTINCT, options=three)
    assert [b.items for b in pairs] == [("i0", "i1"), ("i1", "i2")]


def test_slow_movers_travel_with_strong_sellers_on_request() -> None:
    now = ShelfNow(recent=np.array([90, 1, 60, 60, 50, 50]))
    weak_and_strong = [(0, 1, 30, 10), (0, 2, 50, 10), (0, 3, 40, 10)]
    usual, _ = bundles(affinity(weak_and_strong), shelf=DISTINCT, now=now)
    assert [(b.items, b.slow_mover) for b in usual] == [(("i0", "i2"), None), (("i0", "i3"), None)]
    asked, _ = bundles(affinity(weak_and_strong), shelf=DISTINCT, now=now, options=BundleOptions(slow_movers=True))
    assert [(b.items, b.slow_mover) for b in asked] == [(("i0", "i1"), "i1"), (("i0", "i2"), None)]
    with pytest.raises(InputError, match="slow_movers"):
        bundles(affinity(weak_and_strong), shelf=DISTINCT, options=BundleOptions(slow_movers=True))


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
    st.integers(2, 4),
    st.booleans(),
)
def test_every_bundle_keeps_the_rules_and_no_pair_is_lost(
    pairs: dict[tuple[int, int], tuple[int, int]],
    types: list[int],
    prices: list[float],
    costs: list[float],
    discount: float,
    largest: int,
    slow_movers: bool,
) -> None:
    given_pairs, stand = affinity([(*p, *n) for p, n in pairs.items()]), shelf(types, prices, costs)
    options = BundleOptions(discount=discount, margin_floor=0.1, largest=largest, slow_movers=slow_movers)
    found, left_out = bundles(given_pairs, shelf=stand, now=ShelfNow(recent=np.arange(1, 7)), options=options)
    bundled = Counter(b.items for b in found if len(b.items) == 2)
    asked = {(f"i{a}", f"i{b}"): n for (a, b), n in pairs.items()}
    assert bundled + Counter(o.items for o in left_out if len(o.items) == 2) == Counter(list(asked))
    assert all(o.reason for o in left_out)
    assert max(Counter(i for b in found for i in b.items).values(), default=0) <= 2
    for b in found:
        at = [int(i[1]) for i in b.items]
        assert 2 <= len(at) == len({types[k] for k in at} - {-1}) <= largest
        for pair in combinations(b.items, 2):
            joint, customers = asked[pair]
            assert customers >= 10
            assert joint >= 20  # of 10 expected
        assert b.list_price == pytest.approx(sum(round(prices[k], 2) for k in at), abs=0.0051 * len(at))
        assert 0.15 - 1e-9 <= 1 - b.offer_price / b.list_price <= 0.25 + 1e-9
        assert b.offer_price == pytest.approx(b.list_price * (1 - discount), abs=0.01001)
        assert 0 < b.together <= 1
        saved = b.list_price - b.offer_price
        assert b.companion is not None or len(at) > 2
        if b.companion:
            alone = prices[int(b.companion.item_id[1])]
            assert b.companion.price == pytest.approx(alone - saved, abs=0.0051)
            assert b.companion.off <= 0.5
        spent = sum(costs[k] for k in at)
        assert b.margin is None if np.isnan(spent) else b.offer_price - spent >= 0.1 * b.offer_price - 1e-6


@pytest.mark.parametrize(
    "options",
    [
        {"discount": 0.3},
        {"discount": 0.1},
        {"margin_floor": 1.0},
        {"per_item": 0},
        {"largest": 5},
        {"digits": 9},
        {"companion_off": 0.3},
        {"slow_share": 0.0},
    ],
)
def test_refuses_options_that_make_no_sense(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        BundleOptions(**options)  # type: ignore[arg-type]
