"""Fillers close the gap, by as little as they can, and everything asked about is accounted for."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.data.histories import IdMap
from recsys.errors import InputError
from recsys.offers.fillers import FillerOptions, cart_total, filler_offers, fillers
from recsys.offers.shelf import Shelf, shelf_of

NAN = float("nan")


def shelf(prices: dict[str, float]) -> Shelf:
    ids = IdMap.of(list(prices))
    n = len(ids)
    known = np.array([prices[i] for i in ids.ids])
    return Shelf(ids, tuple(f"the {i}" for i in ids.ids), np.arange(n), known, np.full(n, NAN))


STAND = shelf({"a": 4.0, "b": 8.0, "c": 9.5, "d": 18.0, "e": 18.01, "f": NAN, "g": 5.0, "h": 7.99})


def test_a_gap_of_eight_worked_by_hand() -> None:
    """92 of 100: items of 8 to 18 close it; 10% of the threshold may be over."""
    asked = [("a", 0.9), ("b", 0.1), ("c", 0.3), ("d", 0.2), ("e", 0.8), ("f", 0.7), ("g", 0.05), ("no", 0.5)]
    found = fillers(92, [100, 50, 200], asked, 2, shelf=STAND, cart=["g"])
    assert (found.total, found.threshold, found.gap, found.why_none) == (92.0, 100.0, 8.0, "")
    assert [(f.items, f.price, f.over, f.probability) for f in found.kept] == [
        (("c",), 9.5, 1.5, 0.3),
        (("d",), 18.0, 10.0, 0.2),
    ]
    assert found.beyond == ("b",)
    assert {o.item_id: o.reason for o in found.left_out} == {
        "a": "cheaper than the gap",
        "e": "lifts the cart too far above the threshold",
        "f": "price unknown",
        "g": "in the cart",
        "no": "price unknown",
    }
    assert found.counts["price unknown"] == 2
    offer = filler_offers(found, ["g"], STAND, "x")[0]
    assert (offer.kind, offer.customer_id, offer.items, offer.offer_price) == ("filler", "x", ("c",), 9.5)
    assert offer.reason == "8.00 are missing for free delivery; with the c for 9.50 it is reached"


def test_two_items_close_a_gap_that_none_closes_alone() -> None:
    asked = [("a", 0.5), ("g", 0.4), ("h", 0.1)]
    found = fillers(91.5, [100], asked, shelf=STAND)
    assert [(f.items, f.price, f.probability) for f in found.kept] == [
        (("a", "g"), 9.0, pytest.approx(0.2)),
        (("a", "h"), 11.99, pytest.approx(0.05)),
        (("g", "h"), 12.99, pytest.approx(0.04)),
    ]
    none = fillers(91.5, [100], asked, shelf=STAND, options=FillerOptions(pairs=False))
    assert none.why_none == "nothing closes the gap: 3 cheaper than the gap"
    assert len(none.left_out) == 3


def test_cents_are_exact() -> None:
    """100 - 99.9 is 0.09999…, but the item of 0.10 closes the gap."""
    found = fillers(99.9, [100], [("x", 0.1)], shelf=shelf({"x": 0.1}), options=FillerOptions(most_over=0))
    assert [(f.items, f.over) for f in found.kept] == [(("x",), 0.0)]
    assert cart_total(["x", "y", "x", "no"], shelf({"x": 0.1, "y": NAN})) == (0.2, ("y", "no"))


@pytest.mark.parametrize(("worth", "thresholds", "says"), [
    (74.99, [100], "below 75% of the threshold"),
    (100, [50, 100], "reached every threshold"),
    (90, [100, 95], "no items were given"),
])  # fmt: skip
def test_each_empty_answer_says_why(worth: float, thresholds: list[float], says: str) -> None:
    found = fillers(worth, thresholds, [], shelf=STAND)
    assert found.kept == ()
    assert says in found.why_none


def test_sold_out_and_a_threshold_that_excludes_everything() -> None:
    found = fillers(92, [100], [("b", 0.1), ("c", 0.2)], shelf=STAND, sold_out=["b", "c"])
    assert found.why_none == "nothing closes the gap: 2 sold out"
    dear = fillers(9200, [10000], [("b", 0.1), ("c", 0.2)], shelf=STAND)
    assert dear.why_none == "nothing closes the gap: 2 cheaper than the gap"


@pytest.mark.parametrize(("call", "says"), [
    (lambda: fillers(NAN, [1], [], shelf=STAND), "finite"),
    (lambda: fillers(-1, [1], [], shelf=STAND), "worth -1"),
    (lambda: fillers(1, [], [], shelf=STAND), "at least one amount"),
    (lambda: fillers(1, [0], [], shelf=STAND), "above 0"),
    (lambda: fillers(1, [2], [], 0, shelf=STAND), "k is 0"),
    (lambda: FillerOptions(from_share=1.2), "from_share"),
    (lambda: FillerOptions(most_over=-0.1), "most_over"),
    (lambda: FillerOptions(digits=-1), "digits"),
])  # fmt: skip
def test_refuses_what_makes_no_sense(call, says: str) -> None:
    with pytest.raises(InputError, match=says):
        call()


AMOUNTS = st.decimals(0, 150, places=2).map(float)


@settings(max_examples=150, deadline=None)
@given(
    AMOUNTS,
    st.lists(st.decimals("0.01", 150, places=2).map(float), min_size=1, max_size=3),
    st.dictionaries(
        st.sampled_from("abcdefgh"), st.tuples(st.one_of(st.just(NAN), AMOUNTS), st.floats(0, 1)), max_size=8
    ),
    st.sets(st.sampled_from("abcdefgh")),
    st.sampled_from([0.0, 0.1, 0.5]),
    st.integers(1, 4),
)
def test_fillers_close_the_gap_and_nothing_is_lost(
    worth: float,
    thresholds: list[float],
    items: dict[str, tuple[float, float]],
    cart: set[str],
    over: float,
    k: int,
) -> None:
    stand, options = shelf({i: p for i, (p, _) in items.items()} or {"z": 1.0}), FillerOptions(most_over=over)
    asked = [(i, chance) for i, (_, chance) in items.items()]
    found = fillers(worth, thresholds, asked, k, shelf=stand, cart=cart, options=options)
    assert bool(found.kept) != bool(found.why_none)
    assert len(found.kept) <= k
    if found.threshold is None:
        assert worth >= max(thresholds)
        return
    assert found.threshold == min(t for t in thresholds if t > worth)
    gap = Decimal(str(found.threshold)) - Decimal(str(worth))
    for one in found.kept:
        prices = [Decimal(str(items[i][0])) for i in one.items]
        assert not set(one.items) & cart
        assert gap <= sum(prices) <= gap + Decimal(str(found.threshold)) * Decimal(str(over))
        assert Decimal(str(one.over)) == sum(prices) - gap
        assert len(prices) == 1 or max(prices) < gap  # both are needed
        assert one.probability == pytest.approx(np.prod([items[i][1] for i in one.items]))
    if worth >= found.threshold * 0.75:
        named = [i for one in found.kept for i in one.items]
        assert {*named, *found.beyond, *(o.item_id for o in found.left_out)} == set(items)
        assert not {o.item_id for o in found.left_out} & {*named, *found.beyond}
        singles = [one.probability for one in found.kept if len(one.items) == 1]
        assert singles == sorted(singles, reverse=True)
        assert all(items[i][1] <= min(singles) for i in found.beyond)


def test_a_recommenders_answer_closes_the_gap(fitted, small_shop) -> None:
    """Lists and probabilities as served; most of a small shop's items cost less than the gap."""
    stand = shelf_of(small_shop.data.items, small_shop.data.facts)
    cart = list(small_shop.data.items.ids[:3])
    worth, unpriced = cart_total(cart, stand)
    assert not unpriced
    answer = fitted.recommender.recommend([small_shop.data.customers.ids[0]], [cart], ['{"k": 200}'])[0]
    chances = dict(zip(answer.item_ids, answer.probabilities, strict=True))
    found = fillers(
        worth, [worth + 6], list(chances.items()), shelf=stand, cart=cart, options=FillerOptions(from_share=0)
    )
    assert len(found.kept) == 3
    assert [one.probability for one in found.kept] == sorted((one.probability for one in found.kept), reverse=True)
    assert all(one.probability == chances[one.items[0]] for one in found.kept)
    assert len(found.kept) + len(found.beyond) + len(found.left_out) == len(chances)
