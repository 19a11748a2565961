"""Offers out of the served model: each kind, what it starts from, what it may never hold, and clear refusals."""

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from recsys import training
from recsys.offers.kit import OfferKit
from recsys.serving.options import KINDS, OF_KIND
from recsys.serving.placements import PLACEMENTS
from recsys.serving.recommender import Answer, Recommender
from tests.conftest import LENIENT, NOW, OFFERING

KEYS = {"kind", "items", "item_names", "list_price", "offer_price", "incentive", "incentive_amount", "reason",
        "probability", "anchor_item"}  # fmt: skip


@pytest.fixture(scope="module")
def recommender(small_config, stages, made_once) -> Recommender:
    def fill(folder):
        config = small_config(folder, LENIENT | OFFERING | {"run.store": str(stages)})
        Recommender.load(training.judge(config, NOW).packaged / "recommender").save(folder / "model")

    return Recommender.load(made_once("offering-model", fill) / "model")


@pytest.fixture(scope="module")
def kit(recommender) -> OfferKit:
    return recommender.kit


@pytest.fixture
def ask(recommender):
    def asked(customer=None, basket=None, **options) -> Answer:
        return recommender.recommend([customer], [basket], [json.dumps(options)])[0]

    return asked


def offers(answer: Answer) -> list[dict[str, Any]]:
    assert not answer.error
    assert bool(answer.offers) != bool(answer.why_none)
    assert answer.item_ids == answer.scores == answer.reasons == []
    return [json.loads(one) for one in answer.offers]


def of_kit(found) -> list[tuple]:
    return [(one.kind, list(one.items), one.offer_price, one.reason) for one in found.offers]


def said(answer: Answer) -> list[tuple]:
    return [(one["kind"], one["items"], one["offer_price"], one["reason"]) for one in offers(answer)]


def test_each_kind_is_what_the_kit_says(ask, kit):
    ids, who = kit.shelf.items.ids, kit.customers.ids[3]
    for item in ids[:30:6]:
        assert said(ask(kind="cross_sell", anchor=item)) == of_kit(kit.cross_sell("product", [item]))
        assert said(ask(who, kind="upsell", anchor=item)) == of_kit(kit.upsell(item, who))
        assert said(ask(kind="bundle", anchor=item)) == of_kit(kit.bundles(item, k=10))
    cart = [*ids[5:7], "no such item"]
    assert said(ask(who, cart, kind="cross_sell")) == of_kit(kit.cross_sell("cart", cart, who))
    assert said(ask(who, cart, kind="cross_sell", placement="checkout")) == of_kit(kit.cross_sell("cart", cart, who))
    after = of_kit(kit.cross_sell("post_purchase", (), who))
    for place in ("home", "email", "post_purchase", None):
        assert said(ask(who, kind="cross_sell", placement=place)) == after
    filled = ask(who, cart, kind="filler", thresholds=[50, 100], total=46)
    assert said(filled) == of_kit(kit.fillers(cart, [50, 100], total=46, customer_id=who))
    assert all(set(one) == KEYS for one in offers(filled))


def test_upgrades_of_a_cart_and_of_what_is_usual(ask, kit):
    one = next(i for i in kit.shelf.items.ids if kit.upsell(i).offers)
    other = next(i for i in kit.shelf.items.ids if kit.upsell(i).offers and i != one)
    found = offers(ask(basket=["?", one, other], kind="upsell", k=2))
    assert [row["anchor_item"] for row in found] == [one, other]
    assert not {i for row in found for i in row["items"]} & {one, other}
    assert len(offers(ask(basket=[one, other], kind="upsell"))) == 1, "as many as the shop's rules show"
    who = next(w for at, w in enumerate(kit.customers.ids) if any(kit.upsell(i, w).offers for i in kit.usual(at)))
    assert offers(ask(who, kind="upsell", placement="email"))[0]["anchor_item"] in kit.usual(
        kit.customers.ids.index(who)
    )
    assert ask(who, kind="upsell").fallback == "personal"
    assert "needs an item to go up from" in ask("nobody", ["?"], kind="upsell").error


def test_an_upgrade_of_two_items_of_a_cart_is_offered_once(ask, kit):
    best = {i: found[0].items[0] for i in kit.shelf.items.ids if (found := kit.upsell(i).offers)}
    one, other = next((a, b) for a in best for b in best if a < b and best[a] == best[b])
    items = [row["items"][0] for row in offers(ask(basket=[one, other], kind="upsell", k=2))]
    assert items[0] == best[one]
    assert len(set(items)) == len(items)


def test_a_loaded_model_is_warm(recommender):
    """What is made on first use is there before the first request."""
    cold = replace(recommender, kit=replace(recommender.kit))
    assert "_facts" not in vars(cold.kit)
    cold.warm()
    assert "_facts" in vars(cold.kit)
    assert "explainer" in vars(cold)


def test_bundles_complete_a_cart(ask, kit):
    bundle = kit.bundles().offers[0]
    assert offers(ask(kind="bundle", k=1))[0]["items"] == list(bundle.items)
    beside = offers(ask(basket=list(bundle.items[:1]), kind="bundle"))
    assert all(bundle.items[0] in row["items"] for row in beside)
    whole = offers(ask(basket=list(bundle.items), kind="bundle"))
    assert list(bundle.items) not in [row["items"] for row in whole], "nothing is left to add"
    assert ask(kind="bundle").fallback == "popular"
    assert ask(basket=["?"], kind="bundle").why_none == "none of the 1 items of the basket is known"


def test_what_the_request_bars_is_in_no_offer(ask, kit):
    item = next(i for i in kit.shelf.items.ids if kit.upsell(i).offers and kit.cross_sell("product", [i]).offers)
    for kind in ("cross_sell", "upsell"):
        first = offers(ask(kind=kind, anchor=item))[0]["items"][0]
        assert first not in {i for row in offers(ask(kind=kind, anchor=item, exclude=[first])) for i in row["items"]}
        only = offers(ask(kind=kind, anchor=item, only=[first]))
        assert [row["items"] for row in only] == [[first]]
        assert not offers(ask(kind=kind, anchor=item, only=[]))
    bundle = kit.bundles().offers[0]
    assert not [
        o for o in offers(ask(kind="bundle", k=500, exclude=[bundle.items[0]])) if bundle.items[0] in o["items"]
    ]
    likely = offers(ask(kind="cross_sell", anchor=item, k=3))
    least = likely[0]["probability"]
    assert all(
        row["probability"] >= least for row in offers(ask(kind="cross_sell", anchor=item, min_probability=least))
    )


@pytest.mark.parametrize(
    ("customer", "basket", "options", "reason"),
    [
        (None, None, {"kind": "gift"}, 'options.kind is "gift"; give one of cross_sell, upsell, bundle, filler, or'),
        (None, None, {"kind": ["upsell"]}, 'options.kind is ["upsell"]'),
        (None, None, {"anchor": "P0001"}, "options.anchor goes with kind cross_sell or upsell or bundle; give"),
        (None, ["P0001"], {"thresholds": [5]}, "options.thresholds goes with kind filler"),
        (None, None, {"kind": "upsell", "total": 5}, "options.total does not go with kind upsell"),
        (None, None, {"kind": "upsell", "min_probability": 0.1}, "min_probability does not go with kind upsell"),
        (None, ["P0001"], {"kind": "cross_sell", "value": None}, "options.value does not go with kind cross_sell"),
        (None, ["P0001"], {"kind": "cross_sell", "owned": "allow"}, "options.owned does not go with kind cross_sell"),
        (None, None, {"kind": "upsell", "anchor": 5}, "options.anchor is 5; give an item id as a string"),
        (None, None, {"kind": "upsell", "anchor": "?"}, "item '?' is not among the"),
        (None, None, {"kind": "cross_sell", "anchor": "?"}, "item '?' is not among the"),
        (None, None, {"kind": "cross_sell"}, "placement post_purchase needs a basket"),
        (None, None, {"kind": "cross_sell", "placement": "cart"}, "placement cart needs a cart"),
        (None, ["P0001"], {"kind": "upsell", "placement": "home"}, "placement home reads no basket"),
        (None, None, {"kind": "cross_sell", "placement": "email", "anchor": "P0001"}, "is the item of a page"),
        (None, None, {"kind": "filler", "thresholds": [5]}, "kind filler needs a cart"),
        (None, ["P0001"], {"kind": "filler"}, "kind filler needs options.thresholds"),
        (None, ["P0001"], {"kind": "filler", "thresholds": []}, "options.thresholds is []; give 1 to 100 amounts"),
        (None, ["P0001"], {"kind": "filler", "thresholds": [0]}, "options.thresholds is [0]"),
        (None, ["P0001"], {"kind": "filler", "thresholds": [True]}, "options.thresholds is [true]"),
        (None, ["P0001"], {"kind": "filler", "thresholds": 50}, "options.thresholds is 50"),
        (None, ["P0001"], {"kind": "filler", "thresholds": [1e13]}, "options.thresholds is [1"),
        (None, ["P0001"], {"kind": "filler", "thresholds": [50], "total": -1}, "options.total is -1"),
        (None, ["P0001"], {"kind": "filler", "thresholds": [50], "total": "5"}, 'options.total is "5"'),
        (None, ["P0001"], {"kind": "filler", "thresholds": [50], "total": False}, "options.total is false"),
        (None, ["?"], {"kind": "filler", "thresholds": [50]}, "give the cart's total"),
    ],
)  # fmt: skip
def test_what_no_offer_can_be_made_of_is_refused(ask, customer, basket, options, reason):
    answer = ask(customer, basket, **options)
    assert reason in answer.error
    assert not answer.offers
    assert not answer.why_none


def test_a_customer_without_a_usual_item_is_no_error(recommender, kit):
    bare = replace(
        kit, seller=replace(kit.seller, shelf=replace(kit.shelf, prices=np.full(len(kit.shelf.items), np.nan)))
    )
    asked = ([kit.customers.ids[0]], [[]], ['{"kind": "upsell"}'])
    assert replace(recommender, kit=bare).recommend(*asked)[0].why_none.startswith("the customer has no usual item")


def test_a_model_without_a_kit_says_so(fitted):
    answer = fitted.recommender.recommend([None], [None], ['{"kind": "bundle"}'])[0]
    assert answer.error.startswith("options.kind: this model carries no offers")


def test_a_thousand_odd_requests_keep_every_promise(recommender, kit):
    rng = np.random.default_rng(8)
    ids, names = kit.shelf.items.ids, [n for of in recommender.categories.names for n in of]
    bundled = [i for one in kit.bundles().offers for i in one.items]
    seen = Counter()
    for _ in range(1000):
        basket = [str(rng.choice(ids)) for _ in range(rng.integers(0, 4))] + ["?"] * int(rng.integers(0, 2))
        customer = [None, "nobody", kit.customers.ids[int(rng.integers(len(kit.customers)))]][int(rng.integers(3))]
        every = {
            "anchor": str(rng.choice([*ids, *bundled * 20])), "exclude": [str(i) for i in rng.choice(ids, 40)],
            "only": [str(i) for i in rng.choice(ids, 200)], "categories_out": [str(rng.choice(names))],
            "placement": str(rng.choice(list(PLACEMENTS))), "k": int(rng.integers(1, 6)),
            "thresholds": [20, 50, 90], "total": float(rng.integers(0, 95)), "min_probability": 0.01,
        }  # fmt: skip
        kind = str(rng.choice(KINDS))
        foreign = {key for key, kinds in OF_KIND.items() if kind not in kinds}
        asked = {key: value for key, value in every.items() if rng.random() < (0.03 if key in foreign else 0.4)}
        asked |= {"kind": kind}
        answer = recommender.recommend([customer], [basket], [json.dumps(asked)])[0]
        if answer.error:
            assert (answer.offers, answer.why_none, answer.fallback) == ([], "", "")
            seen["refused"] += 1
            continue
        seen[asked["kind"], bool(answer.offers)] += 1
        for row in offers(answer):
            items = set(row["items"])
            assert row["kind"] == asked["kind"]
            assert row["reason"]
            assert not items & set(asked.get("exclude", []))
            assert "only" not in asked or items <= set(asked["only"])
            assert asked["kind"] == "bundle" or not items & set(basket)
            assert row["offer_price"] is None or 0 < row["offer_price"] <= row["list_price"]
            assert not items & set(np.array(ids)[recommender.categories.members(
                recommender.categories.codes("categories_out", asked.get("categories_out", ())))])  # fmt: skip
        assert len(answer.offers) <= asked.get("k", 10)
    assert seen["refused"] > 50
    assert all(seen[kind, made] > 5 for kind in KINDS for made in (True, False)), seen
