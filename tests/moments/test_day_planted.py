"""A shop of planted moments from events to offers: due, offered and dropped is what the truth says, and no more.

Every case for silence gets carts laid in before it, in it and after it, so that something is due each time. What is
offered is scripted, the same items to everybody, so a slow reading of the truth says what must become of each.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import polars as pl
import pytest

from recsys.data.synthetic.moments_shop import DURABLE, EVENT, moments_shop
from recsys.moments.contacts import Contact
from recsys.moments.day import judge, silent_before
from recsys.moments.day_tables import customers_table, due_table, offer_key, offers_table
from recsys.moments.due import due
from recsys.moments.known import Known, day_start
from recsys.moments.options import MomentsOptions, TriggersOptions
from recsys.moments.silence.options import AtRisk, ItemsPerList, NotOwned, OnePerCategory, SilenceOptions
from recsys.moments.triggers.season import Season
from recsys.offers.rules import Offer
from tests.moments.conftest import known_of
from tests.moments.test_planted import SEASON

DAY = timedelta(days=1)
OFFERED = ("P16", "P17", "P18", "P23", "P24", "P25", "P26", "P30")  # those of the planted cases, and one of none
SILENCE = SilenceOptions(
    not_owned=NotOwned(durable=(DURABLE,)),
    at_risk=AtRisk(enabled=False),  # more customers than the planted ones are; held by a test of its own
    one_per_category=OnePerCategory(enabled=False),
    items_per_list=ItemsPerList(at_most=100),
)
OPTIONS = MomentsOptions(triggers=TriggersOptions(season=Season(starts=SEASON)), silence=SILENCE)
ORDER = ("open_case", "price_rise", "weekly_cap", "in_stock", "refused_before", "returned_before", "not_owned",
         "margin_floor")  # fmt: skip


@pytest.fixture(scope="module")
def shop():
    return moments_shop(seed=5, each=1)


@pytest.fixture(scope="module")
def cases(shop) -> list[dict]:
    """Cases of one customer, with the ends that are told."""
    own = shop.truth.silent.filter(pl.col("customer_id").is_not_null(), pl.col("rule") != "at_risk")
    return list(own.rows(named=True))


@pytest.fixture(scope="module")
def carts(cases) -> pl.DataFrame:
    """Raw events: an item in the cart before each case, in it, before its end and after it, in the year."""
    times = {
        (case["customer_id"], at)
        for case in cases
        for fact in (case["since"], case["until"])
        if fact
        for at in (fact - 3 * DAY, fact + DAY)
        if at.year == 2024 and (at + 3 * DAY).year == 2024
    }
    rows = [
        {"customer_id": who, "kind": "cart_open", "at": at, "item_id": "P02", "key": f"{at}"}
        for who, at in sorted(times)
    ]
    return pl.DataFrame(rows, schema=EVENT)


@pytest.fixture(scope="module")
def known(shop, carts) -> Known:
    return known_of(shop.orders, pl.concat([shop.events, carts]), shop.catalog)


def expected_due(shop, carts, days: set[date]) -> set[tuple[str, date, str]]:
    """The planted truth, and what the carts add: cart_open, and a day later cart_abandoned.

    Neither where the customer bought meanwhile; an item laid in meanwhile puts off the second.
    """
    bought = list(shop.orders.select("customer_id", pl.col("ordered_at").dt.replace_time_zone("UTC")).unique().rows())
    laid = list(carts.select("customer_id", "at").rows())
    own = set(shop.truth.due.select("customer_id", "date", "trigger").rows())
    for who, at in laid:
        for trigger, day in (("cart_open", at.date() + DAY), ("cart_abandoned", (at + DAY).date() + DAY)):
            run = day_start(day)
            again = any(other == who and at < when < run for other, when in laid) and trigger == "cart_abandoned"
            if not again and not any(other == who and at <= when < run for other, when in bought):
                own.add((who, day, trigger))
    return {one for one in own if one[1] in days}


def scripted(rows: pl.DataFrame) -> list[Contact]:
    """The same items to everybody."""
    return [
        Contact(row["customer_id"], row["trigger"], getattr(OPTIONS.triggers, row["trigger"]).channel, row["offer"],
                row["priority"], tuple(_offers(row)))
        for row in rows.iter_rows(named=True)
    ]  # fmt: skip


def _offers(row: dict) -> Iterator[Offer]:
    for item in OFFERED:
        price = 2.0 + int(item[1:])
        yield Offer(kind=row["offer"], customer_id=row["customer_id"], anchor_items=(row["trigger"],), items=(item,),
                    list_price=price, offer_price=price, reason="", probability=0.1)  # fmt: skip


def rule_of(shop, moment: datetime, customer: str, item: str) -> str | None:
    """The first planted case, in the order of the rules, that is on at the moment."""
    on = [
        case["rule"]
        for case in shop.truth.silent.rows(named=True)
        if case["customer_id"] in (None, customer)
        and case["item_id"] in (None, item)
        and case["since"] < moment
        and (case["until"] is None or case["until"] > moment)
    ]
    # refused items stay silent at the same price and for no other reason for a year
    refused = shop.truth.silent.filter(rule="refused_before", customer_id=customer, item_id=item)["since"].to_list()
    on += ["refused_before" for at in refused if at < moment < at + 365 * DAY]
    return min((rule for rule in on if rule in ORDER), key=ORDER.index, default=None)


def expected(shop, known: Known, rows: pl.DataFrame) -> tuple[set, set]:
    """(customer, trigger, item) that is offered; with the rule, that is dropped; by reading the truth slowly."""
    kept, dropped, told = set(), set(), set()
    orders = known.orders["customer_id"].value_counts()
    many = set(orders.filter(pl.col("count") >= SILENCE.cross_sell_first.new_orders)["customer_id"])

    def place(row: dict) -> tuple:
        first = row["offer"] == "upsell"
        return row["customer_id"], first != (row["customer_id"] in many), row["priority"], row["trigger"]

    for row in sorted(rows.iter_rows(named=True), key=place):
        who, trigger = row["customer_id"], row["trigger"]
        contact = who, getattr(OPTIONS.triggers, trigger).channel
        full = contact in told
        for item in OFFERED:
            rule = rule_of(shop, known.moment, who, item) or ("offers_per_contact" if full else None)
            if rule is None:
                kept.add((who, trigger, item))
                told.add(contact)
            else:
                dropped.add((who, trigger, item, rule))
    return kept, dropped


def test_what_is_due_offered_and_dropped_is_the_truth(shop, cases, carts, known) -> None:
    days = sorted({at.date() + n * DAY for at in carts["at"] for n in (1, 2)})
    assert len(days) > 40
    seen = []
    for day in days:
        at = known.on(day)
        rows = due(at, OPTIONS.triggers, lambda _: shop.truth.expected)
        seen.append(rows)
        verdict = judge(at, scripted(rows), (), SILENCE)
        kept = {(one.contact.customer_id, one.contact.trigger, o.items[0]) for one in verdict.judged for o in one.kept}
        dropped = {
            (one.contact.customer_id, one.contact.trigger, d.offer.items[0], d.rule)
            for one in verdict.judged
            for d in one.dropped
        }
        assert (kept, dropped) == expected(shop, at, rows), day
        assert len(kept) + len(dropped) == len(OFFERED) * rows.height
        _tables_agree(verdict, rows, kept)
    found = pl.concat(seen)
    assert set(found.select("customer_id", "date", "trigger").rows()) == expected_due(shop, carts, set(days))
    refused = {case["rule"] for case in cases}
    assert refused == set(ORDER) - {"in_stock", "margin_floor"}, "those two are everybody's"


def _tables_agree(verdict, rows: pl.DataFrame, kept: set) -> None:
    """Files say the same: a key per list, a row per due row and per customer, whose numbers add up."""

    class Shelf:
        def name(self, item: str) -> str:
            return item

    offers = offers_table(verdict.judged, rows, Shelf(), str)
    told, people = due_table(verdict.judged, rows, str), customers_table(verdict.judged, verdict.without, str)
    assert set(offers.select("customer_id", "trigger", pl.col("items").list.first()).rows()) == kept
    assert told.height == rows.height
    assert told["offers"].sum() == people["offers"].sum() == offers.height
    assert set(told["key"].drop_nulls()) == set(offers["key"])
    for (key, who, trigger), own in offers.group_by("key", "customer_id", "trigger"):
        assert key == offer_key(own["date"][0], who, trigger, own.sort("rank")["items"].list.first().to_list())
    assert (people["without_silence"] >= people["offers"]).all()
    costs = verdict.rule_costs
    assert costs["dropped"].sum() == sum(len(one.dropped) for one in verdict.judged)


def test_no_offer_is_made_before_somebody_who_is_silent_as_a_whole(known, cases) -> None:
    """The run that makes no offers where silence refuses them anyway offers the same, and names the same rule."""
    whole = [case for case in cases if case["item_id"] is None]
    assert {case["rule"] for case in whole} == {"open_case", "price_rise", "weekly_cap"}
    for case in whole:
        at = known.on(case["since"].date() + 2 * DAY)
        rows = due(at, OPTIONS.triggers)
        assert case["customer_id"] in rows["customer_id"].to_list()
        silent = silent_before(at, rows, OPTIONS.triggers, SILENCE)
        asked = [
            Contact(one.customer_id, one.trigger, one.channel, one.kind, one.priority, (), silent=why) if why else one
            for one, why in zip(scripted(rows), silent, strict=True)
        ]
        lean, full = judge(at, asked, (), SILENCE), judge(at, scripted(rows), (), SILENCE)
        assert [(one.kept, one.outcome, one.reason, one.until) for one in lean.judged] == [
            (one.kept, one.outcome, one.reason, one.until) for one in full.judged
        ]
        own = [one for one in lean.judged if one.contact.customer_id == case["customer_id"]]
        assert {one.reason for one in own} == {case["rule"]}
        assert all(one.until == own[0].until for one in own)
        assert customers_table(own, lean.without, str)["without_silence"].to_list() == [None]
