"""Rules refuse for the stated reason, in the stated order, and lose nothing."""

from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.errors import InputError
from recsys.offers.rules import (
    Dropped,
    Offer,
    OfferRuleOptions,
    ShopFacts,
    apply_rules,
    at_most,
    in_stock,
    margin_floor,
    not_in_cart,
    not_owned,
    one_per_type,
    standard_rules,
)

MONDAY, FRIDAY = datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 6, tzinfo=UTC)


def offer(
    *items: str, kind: str = "cross_sell", who: str | None = "x", price: float | None = 10.0, anchor: str = "a"
) -> Offer:
    return Offer(
        kind=kind,  # type: ignore[arg-type]
        customer_id=who,
        anchor_items=(anchor,),
        items=items,
        list_price=price,
        offer_price=price,
        reason="",
    )


# --- each rule


def test_in_stock_until_the_last_missing_item_is_back() -> None:
    rule = in_stock({"p": False, "q": False, "r": True, "s": None}, {"p": MONDAY, "q": FRIDAY})
    kept, dropped = apply_rules([offer("r"), offer("s"), offer("t"), offer("p"), offer("p", "q")], [rule])
    assert [o.items for o in kept] == [("r",), ("s",), ("t",)]
    assert [(d.rule, d.until) for d in dropped] == [("in_stock", MONDAY), ("in_stock", FRIDAY)]
    assert apply_rules([offer("p", "q")], [in_stock({"p": False, "q": False}, {"p": MONDAY})])[1][0].until is None


def test_not_in_the_cart_of_that_customer() -> None:
    rule = not_in_cart({"x": ["p"], None: ["q"]})
    kept, dropped = apply_rules(
        [offer("p"), offer("p", who="y"), offer("q", "r"), offer("q", "r", who=None), offer("p", who=None)], [rule]
    )
    assert [(d.offer.customer_id, d.offer.items) for d in dropped] == [("x", ("p",)), (None, ("q", "r"))]
    assert len(kept) == 3


def test_owned_things_are_refused_only_where_they_last() -> None:
    rule = not_owned({"x": ["lamp", "milk"]}, {"lamp": "Lighting", "milk": "Dairy"}, ["Lighting"])
    kept, dropped = apply_rules([offer("lamp"), offer("milk"), offer("lamp", who="y")], [rule])
    assert [d.offer.items for d in dropped] == [("lamp",)]
    assert len(kept) == 2


def test_margin_floor_is_inclusive_and_needs_all_costs() -> None:
    rule = margin_floor({"p": 6.0, "q": 2.0, "r": 2.01}, 0.2)
    offers = [offer("p", "q"), offer("p", "r"), offer("p", "unknown", price=1.0), offer("p", price=None)]
    kept, dropped = apply_rules(offers, [rule])
    assert [d.offer for d in dropped] == [offers[1]]
    assert kept == [offers[0], offers[2], offers[3]]


def test_one_per_type_counts_the_list_only_and_unknown_types_never() -> None:
    rule = one_per_type({"p": "T", "q": "T", "r": None, "s": None}, ["cross_sell"])
    offers = [offer("p"), offer("q"), offer("q", anchor="b"), offer("q", who="y"), offer("r"), offer("s")]
    offers += [offer("p", kind="upsell"), offer("q", kind="upsell")]
    kept, dropped = apply_rules(offers, [rule])
    assert [d.offer for d in dropped] == [offers[1]]
    assert kept == [offers[0], *offers[2:]]


def test_at_most_per_list_and_kind() -> None:
    rule = at_most({"cross_sell": 2, "upsell": 0})
    offers = [
        offer("p"),
        offer("q"),
        offer("r"),
        offer("r", who="y"),
        offer("s", kind="upsell"),
        offer("p", "q", kind="bundle"),
    ]
    kept, dropped = apply_rules(offers, [rule])
    assert [d.offer for d in dropped] == [offers[2], offers[4]]
    assert kept == [offers[0], offers[1], offers[3], offers[5]]


def test_refuses_options_that_make_no_sense() -> None:
    with pytest.raises(InputError, match="margin_floor is 1"):
        margin_floor({}, 1.0)
    with pytest.raises(InputError, match="at_most of upsell is -1"):
        at_most({"upsell": -1})


# --- all together


FACTS = ShopFacts(
    stock={"p": False},
    carts={"x": ["p", "q"]},
    owned={"x": ["r"]},
    types={"s": "T", "t": "T"},
    categories={"r": "Lighting"},
    costs={"u": 11.0},
)


def test_the_first_rule_in_the_stated_order_is_named() -> None:
    rules = standard_rules(FACTS, OfferRuleOptions(durable=("Lighting",), at_most={"cross_sell": 2}))
    assert [r.name for r in rules] == [
        "in_stock", "not_in_cart", "not_owned", "margin_floor", "one_per_type", "at_most",
    ]  # fmt: skip
    kept, dropped = apply_rules([offer(i) for i in "pqruvtsw"], rules)
    assert [o.items[0] for o in kept] == ["v", "t"]  # refused ones took no place
    assert [(d.offer.items[0], d.rule) for d in dropped] == [
        ("p", "in_stock"), ("q", "not_in_cart"), ("r", "not_owned"), ("u", "margin_floor"),
        ("s", "one_per_type"), ("w", "at_most"),
    ]  # fmt: skip


def test_without_facts_only_the_length_of_the_list_refuses() -> None:
    kept, dropped = apply_rules([offer(i) for i in "pqrs"], standard_rules(ShopFacts()))
    assert len(kept) == 3
    assert dropped == [Dropped(offer("s"), "at_most")]


ITEMS = st.sampled_from("pqrstuvw")
OFFERS = st.lists(
    st.builds(
        offer,
        ITEMS,
        kind=st.sampled_from(["cross_sell", "upsell", "bundle"]),
        who=st.sampled_from([None, "x", "y"]),
        price=st.one_of(st.none(), st.floats(0, 30)),
        anchor=st.sampled_from("ab"),
    ),
    max_size=25,
)


@settings(max_examples=100, deadline=None)
@given(OFFERS, st.permutations(range(6)), st.integers(0, 6))
def test_nothing_is_lost_whatever_the_rules(offers: list[Offer], order: list[int], n_rules: int) -> None:
    everything = standard_rules(FACTS, OfferRuleOptions(durable=("Lighting",), margin_floor=0.1))
    rules = [everything[i] for i in order[:n_rules]]
    kept, dropped = apply_rules(offers, rules)
    assert Counter(kept) + Counter(d.offer for d in dropped) == Counter(offers)
    assert {d.rule for d in dropped} <= {r.name for r in rules}
    assert apply_rules(kept, rules) == (kept, [])  # what was kept passes again
