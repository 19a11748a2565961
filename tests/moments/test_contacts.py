"""The kit asked for what is due: histories of the day, kinds by trigger, blocks, nothing that silence refuses."""

from datetime import timedelta

import polars as pl
import pytest

from recsys.data.histories import IdMap
from recsys.data.interactions import InteractionOptions, histories_of, lines_before
from recsys.moments.contacts import NO_ANCHOR, ask, kit_at
from recsys.moments.due import DUE
from recsys.moments.known import Known
from recsys.schemas import EVENTS


@pytest.fixture(scope="module")
def known(small_shop) -> Known:
    end = small_shop.orders["ordered_at"].max() + timedelta(days=1)
    return Known.of(small_shop.orders, pl.DataFrame(schema=EVENTS), small_shop.catalog, end)


def due(known, *rows):
    """Rows of DUE out of (customer, trigger, offer, anchors)."""
    filled = [
        {"customer_id": who, "trigger": trigger, "date": known.day, "offer": offer, "anchors": list(anchors),
         "since": known.moment, "value": 1.0, "fact": "", "why": "", "priority": 50}
        for who, trigger, offer, anchors in rows
    ]  # fmt: skip
    return pl.DataFrame(filled, schema=DUE)


def test_histories_of_chosen_customers_are_those_of_the_moment(small_shop, kit) -> None:
    """The same as the kit's where the moment is the kit's; empty for who has none; nothing of later days."""
    end = small_shop.orders["ordered_at"].max() + timedelta(microseconds=1)
    some = IdMap((*kit.customers.ids[3:6], "zzz nobody"))
    own = histories_of(lines_before(small_shop.orders, end), some, kit.shelf.items, InteractionOptions())
    whole = kit.seller.histories.take(kit.customers.positions(some.ids[:3]))
    for name in ("items", "orders", "ages", "weights"):
        assert getattr(own, name).tolist() == getattr(whole, name).tolist(), name
    assert own.indptr.tolist() == [*whole.indptr.tolist(), whole.indptr[-1]]
    nobody = histories_of(lines_before(small_shop.orders, end), IdMap(("zzz",)), kit.shelf.items)
    assert (len(nobody), len(nobody.items)) == (1, 0)


def test_what_was_bought_since_the_kit_was_made_is_not_offered(known, kit) -> None:
    """A kit asked at a later day knows the orders of the days between as history, not as lessons."""
    who = kit.customers.ids[0]
    early = known.at(known.moment - timedelta(days=120))
    first = kit_at(kit, early, [who])
    last = kit_at(kit, known, [who])
    assert len(first.seller.histories.items) < len(last.seller.histories.items)
    assert last.seller.histories.customers.tolist() == [0], "the row that models know the customer by"
    had = {kit.shelf.items.ids[i] for i in last.seller.histories.items}
    (one,) = ask(last, due(known, (who, "after_purchase", "cross_sell", sorted(had)[:3])))
    assert one.offers
    assert not had & {item for offer in one.offers for item in offer.items}


def test_each_row_gets_its_own_contact_whatever_stands_beside_it(known, kit) -> None:
    some = kit.customers.ids[:6]
    items = kit.shelf.items.ids
    rows = [(who, "order_confirmation", "cross_sell", (items[n], items[n + 9])) for n, who in enumerate(some)]
    rows += [(some[0], "good_review", "cross_sell", (items[4],)), (some[1], "health_peak", "upsell", ())]
    rows += [(some[2], "reorder_due", "cross_sell", ("unknown",)), ("newcomer", "cart_open", "cross_sell", ("what",))]
    table = due(known, *rows)
    asked = kit_at(kit, known, table["customer_id"])
    found = ask(asked, table)
    assert [(one.customer_id, one.trigger, one.kind) for one in found] == [row[:3] for row in rows]
    for at in range(len(rows)):
        (alone,) = ask(kit_at(kit, known, [rows[at][0]]), table[at])
        assert alone == found[at], rows[at]
    beside, review, up, reorder, nothing = found[0], *found[6:]
    assert beside.offers[0].anchor_items == rows[0][3]
    assert (review.channel, nothing.channel) == ("email", "cart")
    assert len(up.offers) <= 3
    assert {offer.kind for offer in up.offers} <= {"upsell"}
    assert reorder.offers[0].anchor_items == asked.seller.latest_order(asked.customers.ids.index(some[2]))
    assert (nothing.offers, nothing.why_none) == ((), NO_ANCHOR)
    texts = " ".join(offer.reason for one in found for offer in one.offers if one.trigger != "cart_open")
    assert "your cart" not in texts


def test_nothing_is_asked_for_whom_silence_refuses_anyway(known, kit) -> None:
    who, item = kit.customers.ids[0], kit.shelf.items.ids[0]
    table = due(known, (who, "cart_open", "cross_sell", (item,)), (who, "lapse", "cross_sell", (item,)))
    quiet, asked = ask(kit_at(kit, known, [who]), table, silent=[("open_case", known.moment), None])
    assert (quiet.offers, quiet.silent, quiet.channel) == ((), ("open_case", known.moment), "cart")
    assert asked.silent is None
    assert asked.offers
    assert ask(kit_at(kit, known, []), table.clear()) == []
