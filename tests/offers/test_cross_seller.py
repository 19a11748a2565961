"""The learned ranker's cross-sell: new items, no substitutes, policies that cost what they say, and clear answers."""

from dataclasses import replace

import numpy as np
import pytest

from recsys.affinity import count_pairs, only_evident
from recsys.data.histories import Histories, carts
from recsys.data.interactions import lines_before
from recsys.errors import InputError
from recsys.offers.cross_sell import CrossSellOptions, choose
from recsys.offers.cross_seller import CrossSeller, Suggestions, suggestion_offers
from recsys.offers.shelf import shelf_of
from recsys.offers.substitutes import substitute_types, type_evidence
from recsys.ranking.features import FEATURES
from recsys.ranking.training_rows import TrainingRows
from recsys.training_set import cart_and_new


@pytest.fixture(scope="module")
def seller(fitted, small_shop) -> CrossSeller:
    data = small_shop.data
    shelf = shelf_of(data.items, data.facts)
    rules = only_evident(count_pairs(lines_before(small_shop.orders, small_shop.test.at)))
    substitutes = substitute_types(type_evidence(data.histories, shelf.types))
    return CrossSeller(fitted.models, fitted.hybrid, shelf, rules, data.customers, data.histories, substitutes)


def listed(found: Suggestions) -> list[str]:
    return [one.item_id for one in found.kept]


def test_planted_partners_are_high_in_the_list_of_anybody_with_their_evidence(seller, made_shop) -> None:
    """240 new items bought teach a ranker little; the pairs by themselves have the partner first (test_cross_sell)."""
    pairs = made_shop.truth.pairs.select("item_a", "item_b").rows()
    found, evident = [], []
    for a, b in [*pairs, *((b, a) for a, b in pairs)]:
        one = {one.item_id: one for one in seller.ask("product", [a], k=24).kept}.get(b)
        found.append(one is not None)
        if one and one.evidence:
            evident.append(one.evidence.anchor_id == a)
            assert one.reason.startswith(f"in {one.evidence.confidence:.0%} of the orders with ")
    assert np.mean(found) >= 0.95
    assert all(evident)
    assert len(evident) >= len(found) / 2


def test_substitutes_leave_cross_sell_for_the_upsell_pool(seller, made_shop) -> None:
    twins = made_shop.truth.substitutes.select("item_a", "item_b").rows()
    pooled = []
    for a, b in twins:
        found = seller.ask("cart", [a], k=200)
        own = seller.shelf.types_of([a])[0]
        assert own not in seller.shelf.types_of(listed(found)).tolist()
        assert {one.why for one in found.left_out} <= {"substitute"}
        assert all(anchor == a for anchor, _ in found.upsell_pool)
        pooled.append((a, b) in found.upsell_pool)
    assert np.mean(pooled) >= 0.95


def test_nothing_bought_before_and_nothing_of_the_basket(seller, small_shop) -> None:
    data = small_shop.data
    for row in range(0, len(data.customers), 40):
        lines = slice(*data.histories.indptr[row : row + 2])
        owned = {data.items.ids[i] for i in data.histories.items[lines]}
        basket = data.items.ids[row % 200 : row % 200 + 3]
        found = seller.ask("checkout", basket, data.customers.ids[row], k=8)
        assert len(found.kept) == len(set(listed(found))) == 8
        assert not set(listed(found)) & (owned | set(basket))
        assert [one.same_type for one in found.kept] == sorted(one.same_type for one in found.kept)
        assert all(0 < one.probability < 1 and one.reason for one in found.kept)
    again = replace(seller, options=CrossSellOptions(new_only=False)).ask(
        "cart", basket, data.customers.ids[row], k=100
    )
    assert set(listed(again)) & owned


def test_post_purchase_takes_the_latest_order_where_none_is_given(seller, small_shop) -> None:
    data = small_shop.data
    lines = slice(*data.histories.indptr[3:5])
    latest = data.histories.items[lines][data.histories.orders[lines] == 0]
    bought = sorted(data.items.ids[i] for i in latest)
    implied = seller.ask("post_purchase", customer_id=data.customers.ids[3])
    assert sorted(implied.anchors) == bought
    assert implied == seller.ask("post_purchase", implied.anchors, data.customers.ids[3])


def test_policies_thin_out_and_exclude_items_of_an_anchors_type(seller, small_shop) -> None:
    seller = replace(seller, substitutes=np.zeros(0, bool))
    some = 0
    for item in small_shop.data.items.ids[::9]:
        kept, thin, none = (
            replace(seller, options=CrossSellOptions(same_type=policy)).ask("cart", [item], k=6)
            for policy in ("keep", "thin_out", "exclude")
        )
        same = [sum(one.same_type for one in found.kept) for found in (kept, thin, none)]
        assert same == [same[0], min(same[0], 1), 0]
        assert len(kept.kept) == len(thin.kept) == len(none.kept) == 6
        assert {one.why for one in (*thin.left_out, *none.left_out)} <= {"same_type"}
        assert len(kept.left_out) == 0
        some += same[0] > 1
    assert some


def test_sold_out_items_cede_their_slots_and_are_named(seller, small_shop) -> None:
    basket = small_shop.data.items.ids[:2]
    usual = seller.ask("cart", basket)
    gone = listed(usual)[0]
    found = seller.ask("cart", basket, unavailable=[gone, "no such"])
    assert gone not in listed(found)
    assert len(found.kept) == 3
    assert [(one.item_id, one.reason) for one in found.left_out if one.why == "unavailable"] == [(gone, "sold out")]
    nothing = seller.ask("cart", basket, unavailable=small_shop.data.items.ids)
    assert nothing.kept == ()
    assert nothing.why_none == f"all {len(nothing.left_out)} candidates were left out"


def test_what_is_unknown_is_named(seller, small_shop) -> None:
    item = small_shop.data.items.ids[0]
    found = seller.ask("cart", [item, "no such", item], "nobody")
    assert (found.anchors, found.unknown_anchors, found.unknown_customer) == ((item,), ("no such",), True)
    assert listed(found) == listed(seller.ask("cart", [item]))
    none = seller.ask("cart", ["no such"])
    assert (none.kept, none.why_none) == ((), "none of the 1 items of the basket is known")


@pytest.mark.parametrize(("asked", "says"), [
    (("window", ["x"]), "placement is 'window'; give one of product, cart"),
    (("product", ["x", "y"]), "needs one item"),
    (("cart", []), "it is empty; give the open cart"),
    (("post_purchase", [], "nobody"), "the customer has no known order"),
])  # fmt: skip
def test_refuses_a_basket_that_the_placement_cannot_read(seller, asked, says: str) -> None:
    with pytest.raises(InputError, match=says):
        seller.ask(*asked)


def test_offers_carry_price_anchors_and_reason(seller, small_shop) -> None:
    found = seller.ask("cart", small_shop.data.items.ids[:2], k=2)
    first, second = suggestion_offers(found, seller.shelf, "x")
    assert (first.kind, first.customer_id, first.anchor_items) == ("cross_sell", "x", small_shop.data.items.ids[:2])
    assert first.list_price == first.offer_price == seller.shelf.price(first.items[0])
    assert [first.reason, second.reason] == [one.reason for one in found.kept]


def test_a_block_is_answered_like_its_queries_one_by_one(seller, small_shop) -> None:
    data = small_shop.data
    rows = np.array([0, -1, 5, 9])
    baskets = [np.array([1, 2]), np.array([3]), np.array([4, 200]), np.array([7])]
    queries: Histories = data.histories.take_or_blank(rows).with_cart(carts(baskets, len(data.items)))
    ranked = seller.rank(queries)
    for row, basket, choice in zip(rows, baskets, seller.choose(ranked, queries, 3), strict=True):
        alone = seller.ask("cart", [data.items.ids[i] for i in basket], data.customers.ids[row] if row >= 0 else None)
        assert [data.items.ids[i] for i in ranked.candidates.item[choice.rows]] == listed(alone)


@pytest.mark.parametrize(("alike", "k", "limit", "wanted"), [
    ("1101000", 3, None, [2, 0, 1]),
    ("1101000", 3, 1, [2, 4, 0]),
    ("1101000", 3, 0, [2, 4, 5]),
    ("111", 2, 1, [0]),
    ("", 2, None, []),
])  # fmt: skip
def test_complements_are_shown_first_and_the_limit_holds(
    alike: str, k: int, limit: int | None, wanted: list[int]
) -> None:
    assert choose([c == "1" for c in alike], k, limit) == wanted


def test_rows_of_carts_and_new_items_only() -> None:
    """Queries: a cart with a bought and a new item; no cart; a cart with bought items only, which falls away."""
    x = np.full((4, len(FEATURES)), np.nan, np.float32)
    x[:, FEATURES.index("own_count")] = [2, 0, 0, 1]
    rows = TrainingRows(
        x, np.array([True, True, True, True]), np.array([2, 1, 1]), np.array([5, 6, 7]),
        np.array([True, False, True]), np.array([False, True, True]),
    )  # fmt: skip
    kept = cart_and_new(rows)
    assert (kept.sizes.tolist(), kept.relevant.tolist(), kept.with_cart.tolist()) == ([1], [1], [True])
    assert (kept.held.tolist(), kept.y.tolist(), len(kept.x)) == ([False], [True], 1)


def test_reasons_speak_of_the_page_and_of_the_latest_order_instead_of_a_cart(kit) -> None:
    said = []
    for who in kit.customers.ids[:40]:
        said += [one.reason for one in kit.seller.ask("post_purchase", (), who).kept]
    assert any("your latest order" in reason for reason in said)
    for item in kit.shelf.items.ids[:40]:
        said += [one.reason for one in kit.seller.ask("product", [item]).kept]
    assert not [reason for reason in said if "cart" in reason]
