"""What rules cost, worked out by hand."""

import pytest

from recsys.moments.silence.costs import rule_costs
from recsys.offers.rules import Offer, Refusal, Rule, at_most


def offer(item: str, who: str, chance: float | None, price: float | None) -> Offer:
    return Offer(kind="cross_sell", customer_id=who, anchor_items=("a",), items=(item,), list_price=price,
                 offer_price=price, reason="", probability=chance)  # fmt: skip


def no(name: str, *items: str) -> Rule:
    return Rule(name, lambda one, _: Refusal() if set(one.items) & set(items) else None)


def test_costs_by_hand() -> None:
    """Lists of one. x: p is refused by both rules, q by the first, s is kept, t has no room. y: q is refused."""
    offers = [
        offer("p", "x", 0.5, 10.0), offer("q", "x", 0.4, 20.0), offer("s", "x", 0.2, 10.0), offer("t", "x", 0.1, 10.0),
        offer("q", "y", None, 20.0),
    ]  # fmt: skip
    rules = [no("first", "p", "q"), no("second", "p"), at_most({"cross_sell": 1})]
    costs = rule_costs(offers, rules)
    first, second, length = costs.rules.rows(named=True)
    assert (first["rule"], first["dropped"], first["unvalued"]) == ("first", 3, 1)
    assert (first["expected_hits"], first["expected_revenue"]) == (pytest.approx(0.9), pytest.approx(13.0))
    # without the first: q of x instead of s, as p is refused by the second; and q of y
    assert (first["kept"], first["kept_without"]) == (1, 2)
    assert (first["more_hits"], first["more_revenue"]) == (pytest.approx(0.2), pytest.approx(6.0))
    assert (second["dropped"], second["kept_without"], second["more_hits"]) == (0, 1, 0.0)
    assert (length["dropped"], length["kept_without"], length["more_revenue"]) == (1, 2, pytest.approx(1.0))
    assert costs.customers.filter(rule="first").select("customer_id", "kept", "kept_without").rows() == [
        ("x", 1, 1), ("y", 0, 1),
    ]  # fmt: skip
    assert costs.customers.height == 2 * 3


def test_nothing_to_offer_costs_nothing() -> None:
    costs = rule_costs([], [no("first", "p")])
    assert costs.rules["dropped"].to_list() == [0]
    assert costs.customers.is_empty()
