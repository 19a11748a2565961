"""The kit of one moment: the same after a round trip, blind to later rows, rules applied, clear where it is silent."""

import json
from dataclasses import asdict, replace

import numpy as np
import polars as pl
import pytest

from recsys.data.interactions import lines_before, train_data
from recsys.errors import InputError
from recsys.offers.incentives import with_incentive
from recsys.offers.kit import OfferKit
from recsys.offers.kit_parts import offer_kit
from recsys.offers.kit_store import load_kit, save_kit
from recsys.offers.options import KitOptions, options_from
from recsys.offers.rules import Incentive, Offer, OfferRuleOptions


def answers(kit: OfferKit) -> list:
    """What the kit says of some pages, customers and carts."""
    items, customers = kit.shelf.items.ids[:40:8], kit.customers.ids[:30:10]
    out = [kit.cross_sell("product", [item]) for item in items] + [kit.upsell(item) for item in items]
    out += [kit.cross_sell("post_purchase", customer_id=who) for who in customers]
    out += [kit.upsell(items[0], who) for who in customers]
    return [*out, kit.bundles(), kit.fillers(items[:2], [10, 50, 1000], total=45.0)]


def test_a_saved_kit_says_the_same(kit, tmp_path):
    save_kit(kit, tmp_path / "kit")
    again = load_kit(tmp_path / "kit")
    assert answers(again) == answers(kit)
    assert again.options == kit.options
    assert any(found.offers for found in answers(kit))
    (tmp_path / "kit" / "own" / "kit.json").write_text("{}")
    with pytest.raises(InputError, match=r"changed: own/kit\.json"):
        load_kit(tmp_path / "kit")


def test_options_survive_as_plain_values():
    options = KitOptions(
        cross_sell_incentive=Incentive(kind="percent", amount=5.0), rules=OfferRuleOptions(durable=("sofas",))
    )
    assert options_from(KitOptions, json.loads(json.dumps(asdict(options)))) == options


def test_rows_after_the_moment_change_nothing(small_shop, fitted):
    at = small_shop.test.at

    def of(orders: pl.DataFrame) -> OfferKit:
        lines = lines_before(orders, at)
        data = train_data(lines, small_shop.catalog)
        return offer_kit(lines, data, fitted.models, fitted.hybrid)

    later = pl.col("ordered_at") >= at
    other = pl.concat([
        small_shop.orders.filter(~later),
        small_shop.orders.filter(later).with_columns(pl.col("item_id").reverse(), pl.col("unit_price") * 9),
    ])  # fmt: skip
    assert answers(of(small_shop.orders)) == answers(of(small_shop.orders.filter(~later))) == answers(of(other))


def test_what_is_sold_out_is_offered_nowhere(kit):
    free = replace(kit, sold_out=())
    item = next(i for i in kit.shelf.items.ids if free.upsell(i).offers)
    gone = (free.upsell(item).offers[0].items[0], free.cross_sell("product", [item]).offers[0].items[0])
    without = replace(kit, sold_out=gone)
    said = [*without.upsell(item).offers, *without.cross_sell("product", [item]).offers]
    assert not {i for offer in said for i in offer.items} & set(gone)
    assert "sold out" in {one.reason for one in without.cross_sell("product", [item]).left_out}
    bundle = kit.found[0]
    refused = replace(kit, sold_out=bundle.items[:1]).bundles(bundle.items[0])
    assert {d.rule for d in refused.dropped if bundle.items[0] in d.offer.items} == {"in_stock"}


def test_durables_that_are_owned_and_thin_margins_are_refused(kit):
    everything = tuple(sorted({c for c in kit.categories if c}))
    allowing = replace(kit.options, upsell=replace(kit.options.upsell, owned=True))
    strict = replace(allowing, rules=OfferRuleOptions(durable=everything))
    owned = replace(kit, options=strict)
    refused = {
        d.rule
        for who in kit.customers.ids[:20]
        for d in owned.upsell(kit.seller.shelf.items.ids[_usual(kit, who)], who).dropped
    }
    assert "not_owned" in refused
    costly = replace(kit.options, rules=OfferRuleOptions(margin_floor=0.99))
    shelf = replace(kit.shelf, costs=kit.shelf.prices * 0.9)
    dear = replace(kit, options=costly, seller=replace(kit.seller, shelf=shelf))
    found = dear.cross_sell("product", [kit.shelf.items.ids[0]])
    assert not found.offers
    assert {d.rule for d in found.dropped} == {"margin_floor"}
    assert found.why_none == f"the rules refused all {len(found.dropped)} offers"


def _usual(kit: OfferKit, who: str) -> int:
    at = int(kit.customers.positions([who])[0])
    lines = kit.seller.histories.items[slice(*kit.seller.histories.indptr[at : at + 2])]
    return int(np.bincount(lines).argmax())


def test_the_unknown_is_named_and_nothing_is_guessed(kit):
    item = kit.shelf.items.ids[0]
    assert kit.cross_sell("cart", [item, "no such item"], "nobody").unknown == ("no such item", "nobody")
    assert kit.cross_sell("cart", ["no such item"]).why_none == "none of the 1 items of the basket is known"
    assert kit.upsell(item, "nobody").unknown == ("nobody",)
    with pytest.raises(InputError, match="not among the"):
        kit.upsell("no such item")
    with pytest.raises(InputError, match="give the cart's total"):
        kit.fillers(["no such item"], [50])
    assert kit.fillers([item], [0.01]).why_none == "the cart has reached every threshold"


def test_fillers_close_the_gap_and_carry_what_they_bring(kit):
    cart = list(kit.shelf.items.ids[:2])
    found = kit.fillers(cart, [50], total=46)
    assert found.offers
    for offer in found.offers:
        assert 4 - 1e-9 <= offer.list_price <= 9 + 1e-9
        assert offer.incentive == Incentive(kind="free_shipping", amount=50)
        assert 0 < offer.probability <= 1
        assert not set(offer.items) & set(cart)


def test_percents_come_off_the_list_price():
    offer = Offer(kind="upsell", customer_id=None, anchor_items=("a",), items=("b",), list_price=9.99,
                  offer_price=9.99, reason="")  # fmt: skip
    assert with_incentive(offer, Incentive(kind="percent", amount=15.0), 2).offer_price == 8.49
    assert with_incentive(replace(offer, list_price=None, offer_price=None), Incentive(kind="percent", amount=15.0), 2
                          ).offer_price is None  # fmt: skip
    assert with_incentive(offer, Incentive(kind="points", amount=100), 2).offer_price == 9.99
    with pytest.raises(InputError, match="above 0 and below 100"):
        Incentive(kind="percent")
