"""Each rule of silence by cases worked out by hand, and the laws that all of them keep."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.config import read_config
from recsys.errors import InputError
from recsys.moments.known import Known
from recsys.moments.silence.options import (
    LIMITS,
    AtRisk,
    CrossSellFirst,
    ItemsPerList,
    KnownPrice,
    NotOwned,
    OffersPerContact,
    OnePerCategory,
    OpenCase,
    PriceGuard,
    RefusedBefore,
    ReturnedBefore,
    SilenceOptions,
    WeeklyCap,
)
from recsys.moments.silence.rules import Told, apply_silence, silence_rules
from recsys.offers.rules import Offer
from recsys.schemas import EVENTS
from tests.conftest import CATALOG, ORDERS

AT = datetime(2024, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)


def ago(days: float) -> datetime:
    return AT - timedelta(days=days)


def event(kind: str, days: float, **cells: Any) -> dict[str, Any]:
    """An event of customer x, `days` before AT."""
    return dict.fromkeys(EVENTS) | {"customer_id": "x", "kind": kind, "at": ago(days), "known_at": ago(days)} | cells


def order(days: float, *items: str, who: str = "x", price: float = 10.0, back: float | None = None) -> list[tuple]:
    """An order `days` before AT; all of it came back `back` days before."""
    returned = (None, None) if back is None else (ago(back), 1.0)
    return [(f"{who}{days}", item, who, ago(days), 1.0, price, *returned, None) for item in items]


def catalog(**items: dict[str, Any]) -> pl.DataFrame:
    rows = [dict.fromkeys(CATALOG) | {"item_id": item} | cells for item, cells in sorted(items.items())]
    return pl.DataFrame(rows, schema=CATALOG)


def known(
    events: Sequence[dict[str, Any]] = (), orders: Sequence[tuple] = (), items: pl.DataFrame | None = None,
    at: datetime = AT,
) -> Known:  # fmt: skip
    """x and y are customers since long."""
    lines = [*order(700, "old", who="x"), *order(700, "old", who="y"), *orders]
    told = pl.DataFrame(list(events), schema=EVENTS)
    end = at + 2000 * DAY
    things = items if items is not None else catalog(p={}, q={}, old={})
    return Known.of(pl.DataFrame(lines, schema=ORDERS, orient="row"), told, things, end).at(at)


def offer(*items: str, kind: str = "cross_sell", who: str | None = "x", price: float | None = 10.0, reason: str = "r",
          anchor: str = "a", chance: float | None = None) -> Offer:  # fmt: skip
    return Offer(kind=kind, customer_id=who, anchor_items=(anchor,), items=items, list_price=price, offer_price=price,  # type: ignore[arg-type]
                 reason=reason, probability=chance)  # fmt: skip


def only(**given: Any) -> SilenceOptions:
    """Options in which no rule is asked but those given."""
    off = {f.name: replace(getattr(SilenceOptions(), f.name), enabled=False) for f in fields(SilenceOptions)}
    return SilenceOptions(**off | {name: replace(one, enabled=True) for name, one in given.items()})


def refused(offers: Sequence[Offer], there: Known, options: SilenceOptions, told: Told | None = None) -> list[Any]:
    """(items, until) of what was dropped."""
    return [(one.offer.items, one.until) for one in apply_silence(offers, there, options, told)[1]]


# --- the customer


@pytest.mark.parametrize(
    ("events", "until"),
    [
        ([event("support_open", 9, key="a")], [None]),
        ([event("support_open", 9, key="a"), event("support_solved", 8, key="a")], []),
        ([event("support_open", 9, key="a"), event("support_solved", 8, key="b")], [None]),
        ([event("support_open", 9, key="a"), event("support_solved", 9, key="a")], []),
        ([event("support_open", 9, key="a"), event("support_solved", 10, key="a")], [None]),  # opened again
        ([event("support_open", 9, key="a"), event("support_solved", 8)], []),
        ([event("support_open", 9), event("support_solved", 8, key="a")], [None]),
        ([event("support_open", 9), event("support_solved", 8)], []),
        ([event("support_open", 9, until=AT + DAY)], [AT + DAY]),
        ([event("support_open", 9, until=AT)], []),
        ([event("support_open", 9, until=AT + DAY), event("support_open", 8)], [None]),
        ([event("support_open", 9, customer_id="y")], []),
        ([event("support_open", 9, known_at=AT)], []),
    ],
)  # fmt: skip
def test_open_case(events: list[dict[str, Any]], until: list[datetime | None]) -> None:
    assert refused([offer("p")], known(events), only(open_case=OpenCase())) == [(("p",), end) for end in until]


def test_a_case_that_nobody_closed_can_be_forgotten() -> None:
    options = only(open_case=OpenCase(days=10))
    assert refused([offer("p")], known([event("support_open", 9)]), options) == [(("p",), AT + DAY)]
    assert not refused([offer("p")], known([event("support_open", 10)]), options)


def test_price_rise_of_whom_and_what() -> None:
    """Of a customer, of an item, of a customer's item, and of everything."""
    options = only(price_rise=replace(SilenceOptions().price_rise, least=0.01))
    offers = [offer("p"), offer("q"), offer("p", who="y"), offer("p", who=None)]
    told = {"value": 0.1}

    def hit(**cells: Any) -> list[int]:
        dropped = apply_silence(offers, known([event("price_rise", 10, **told | cells)]), options)[1]
        assert {one.until for one in dropped} <= {AT + 20 * DAY}
        return [offers.index(one.offer) for one in dropped]

    assert hit() == [0, 1]
    assert hit(item_id="p") == [0]
    assert hit(customer_id=None, item_id="p") == [0, 2, 3]
    assert hit(customer_id=None) == [0, 1, 2, 3]
    assert hit(value=0.01) == []
    assert not refused(offers, known([event("price_rise", 30, value=0.1)]), options)


def test_at_risk_by_hand() -> None:
    """Weekly for half a year, 26 orders in 182 days: 6 are usual in 42 days, fewer than 3 put at risk."""
    usual = [line for week in range(26) for line in order(43 + 7 * week, "p")]
    options = only(at_risk=AtRisk())
    for recent, risky in ((0, True), (2, True), (3, False)):
        some = [line for n in range(recent) for line in order(1 + n, "p")]
        assert bool(refused([offer("q")], known(orders=[*usual, *some]), options)) == risky
    assert not refused([offer("q")], known(orders=usual[21:]), options)  # five orders say nothing
    assert not refused([offer("q", who="y")], known(orders=usual), options)
    assert refused([offer("q", who="y")], known(), options, Told(at_risk=["y"])) == [(("q",), None)]


def test_a_new_customer_is_measured_from_the_first_order_on() -> None:
    """Six orders in the 28 days after the first: 9 would be usual in 42 days; 4 are too few, 5 are not."""
    first = [line for n in range(6) for line in order(70 - 4 * n, "p", who="z")]
    for recent, risky in ((4, True), (5, False)):
        some = [line for n in range(recent) for line in order(1 + n, "p", who="z")]
        assert bool(refused([offer("q", who="z")], known(orders=[*first, *some]), only(at_risk=AtRisk()))) == risky


def test_weekly_cap_counts_offers_not_items() -> None:
    """Two offers a week: one of two items under one key, and a later one; free when the older is a week old."""
    one = [event("offer_shown", 5, item_id=item, key="o1") for item in "pq"]
    two = [event("offer_shown", 2, item_id="p", key="o2")]
    options = only(weekly_cap=WeeklyCap())
    assert not refused([offer("p")], known(one), options)
    assert refused([offer("p"), offer("p", who="y")], known([*one, *two]), options) == [(("p",), AT + 2 * DAY)]
    assert not refused([offer("p", who=None)], known([*one, *two]), options)
    more = event("offer_shown", 3, key="o3")  # three were shown where two are allowed: two must grow old
    assert refused([offer("p")], known([*one, *two, more]), options) == [(("p",), AT + 4 * DAY)]
    old = [event("offer_shown", 7, item_id="p", key="o0")]
    assert not refused([offer("p")], known([*old, *one]), options)


def test_weekly_cap_counts_what_the_contact_holds() -> None:
    """One was shown, a second list fits, a third does not; items of a list that is there always fit."""
    there = known([event("offer_shown", 5, key="o1")])
    offers = [offer("p", anchor="a"), offer("q", anchor="a"), offer("p", anchor="b")]
    assert refused(offers, there, only(weekly_cap=WeeklyCap())) == [(("p",), AT + 2 * DAY)]
    assert refused(offers, known(), only(weekly_cap=WeeklyCap(at_most=1))) == [(("p",), AT + 7 * DAY)]
    assert refused(offers[:1], known(), only(weekly_cap=WeeklyCap(at_most=0))) == [(("p",), None)]


def test_weekly_cap_of_a_channel() -> None:
    options = only(weekly_cap=WeeklyCap(at_most=5, channels={"sms": 1}))
    there = known([event("offer_shown", 3, source="sms"), event("offer_shown", 2, source="email")])
    assert refused([offer("p")], there, options, Told(channel="sms")) == [(("p",), AT + 4 * DAY)]
    assert not refused([offer("p")], there, options, Told(channel="email"))


# --- items and prices


def test_in_stock_until_the_last_is_back_or_sold_again() -> None:
    everybody = {"customer_id": None}
    events = [
        event("stock_out", 9, item_id="p", until=AT + DAY, **everybody),
        event("stock_out", 8, item_id="p", until=AT + 2 * DAY, **everybody),
        event("stock_out", 9, item_id="q", **everybody),
        event("stock_out", 9, item_id="s", until=AT, **everybody),
        event("stock_out", 9, item_id="t", **everybody),
    ]
    there = known(events, [*order(9, "q"), *order(5, "t")])
    offers = [offer(item) for item in "pqst"] + [offer("p", "s"), offer("s", "u")]
    options = only(in_stock=SilenceOptions().in_stock)
    assert refused(offers, there, options, Told(stock={"u": False, "s": True})) == [
        (("p",), AT + 2 * DAY), (("q",), None), (("p", "s"), AT + 2 * DAY), (("s", "u"), None),
    ]  # fmt: skip


def test_refused_before_and_another_angle() -> None:
    """75 days for the item; a year for the same reason at no lower price."""
    options = only(refused_before=RefusedBefore())

    def until(days: float, offered: Offer, reasons: dict[str, str] | None = None, **cells: Any) -> list[Any]:
        there = known([event("offer_refused", days, item_id="p", value=10.0, key="k", **cells)])
        return [end for _, end in refused([offered], there, options, Told(reasons=reasons or {}))]

    assert until(70, offer("p", price=5.0)) == [AT + 5 * DAY]  # too early for any angle
    assert until(75, offer("p", price=9.5)) == []  # 5% cheaper
    assert until(75, offer("p", price=9.6)) == [AT + 290 * DAY]
    assert until(75, offer("p", price=None)) == [AT + 290 * DAY]
    assert until(75, offer("p"), {"k": "r"}) == [AT + 290 * DAY]
    assert until(75, offer("p"), {"k": "another reason"}) == []
    assert until(75, offer("p", "q")) == []  # together with another item
    assert until(70, offer("p", "q")) == [AT + 5 * DAY]
    assert until(70, offer("q")) == []
    assert until(70, offer("p", who="y")) == []
    assert until(365, offer("p")) == []


def test_a_refusal_without_an_item_is_of_what_was_shown() -> None:
    events = [event("offer_shown", 9, item_id=item, key="k") for item in "pq"]
    events += [event("offer_refused", 8, key="k"), event("offer_refused", 8, key="unknown"), event("offer_refused", 8)]
    offers = [offer("p"), offer("q"), offer("s")]
    options = only(refused_before=RefusedBefore(same_days=75))
    assert refused(offers, known(events), options) == [(("p",), AT + 67 * DAY), (("q",), AT + 67 * DAY)]


def test_returned_before() -> None:
    there = known([event("return", 5, item_id="q")], order(30, "p", back=10))
    offers = [offer("p"), offer("q"), offer("s"), offer("p", who="y")]
    assert refused(offers, there, only(returned_before=ReturnedBefore())) == [(("p",), None), (("q",), None)]
    assert refused(offers, there, only(returned_before=ReturnedBefore(days=10))) == [(("q",), AT + 5 * DAY)]
    late = known(orders=order(30, "p", back=0))  # comes back at the moment itself: not known yet
    assert not refused(offers, late, only(returned_before=ReturnedBefore()))


def test_not_owned_by_level() -> None:
    """A kettle was bought, a toaster sent back; kettles last, tea does not."""
    items = catalog(
        kettle={"department": "Home", "category": "Appliances", "type": "Kettles"},
        kettle2={"department": "Home", "category": "Appliances", "type": "Kettles"},
        toaster={"department": "Home", "category": "Appliances", "type": "Toasters"},
        tea={"department": "Food", "category": "Tea", "type": "Black tea"},
        thing={"department": "Home", "category": "Appliances"},
    )
    there = known(orders=[*order(9, "kettle", "tea"), *order(8, "toaster", back=5)], items=items)
    offers = [offer(item) for item in items["item_id"]]

    def hit(level: str, durable: tuple[str, ...] = ("Appliances",)) -> list[str]:
        options = only(not_owned=NotOwned(durable=durable, level=level))  # type: ignore[arg-type]
        return [items[0] for items, until in refused(offers, there, options) if until is None]

    assert hit("item") == ["kettle"]
    assert hit("type") == ["kettle", "kettle2"]
    assert hit("category") == ["kettle", "kettle2", "thing", "toaster"]
    assert hit("type", ("Home",)) == ["kettle", "kettle2"]
    assert hit("type", ()) == []


def test_no_hidden_cost() -> None:
    offers = [offer("p", price=None), offer("q")]
    assert refused(offers, known(), only(known_price=KnownPrice())) == [(("p",), None)]
    some = only(known_price=KnownPrice(channels=("email",)))
    assert refused(offers, known(), some, Told(channel="email")) == [(("p",), None)]
    assert not refused(offers, known(), some, Told(channel="shop floor"))


def test_margin_floor_out_of_the_catalog() -> None:
    items = catalog(p={"unit_cost": 9.0}, q={"unit_cost": 11.0}, s={})
    margin = replace(SilenceOptions().margin_floor, floor=0.1)
    assert refused([offer("p"), offer("q"), offer("s")], known(items=items), only(margin_floor=margin)) == [
        (("q",), None)
    ]


def test_price_guard_by_the_customers_own_orders() -> None:
    """Orders of 10, 10, 40: three times the median is 30."""
    there = known(orders=[*order(9, "p", price=10), *order(8, "q", price=40)])
    offers = [offer("p", price=30), offer("p", price=30.01), offer("p", price=None), offer("p", who="z", price=99)]
    assert refused(offers, there, only(price_guard=PriceGuard())) == [(("p",), None)]


# --- the contact


def test_one_per_category_over_all_lists_of_the_contact() -> None:
    items = catalog(p={"category": "C"}, q={"category": "C"}, s={"category": "D"}, t={}, u={})
    offers = [offer("p"), offer("q", anchor="b"), offer("q", who="y"), offer("q", kind="upsell"), *map(offer, "stu")]
    assert refused(offers, known(items=items), only(one_per_category=OnePerCategory())) == [(("q",), None)]


def test_three_items_in_a_list_and_one_list_in_a_contact() -> None:
    options = only(items_per_list=ItemsPerList(), offers_per_contact=OffersPerContact())
    offers = [offer(item) for item in "pqst"] + [offer("p", anchor="b"), offer("p", kind="upsell"), offer("p", who="y")]
    kept, dropped = apply_silence(offers, known(), options)
    assert [(one.customer_id, *one.items) for one in kept] == [("x", "p"), ("x", "q"), ("x", "s"), ("y", "p")]
    assert [one.rule for one in dropped] == ["items_per_list", "offers_per_contact", "offers_per_contact"]
    five = offer(*"pqstu")  # fits alone
    assert apply_silence([five, offer("v")], known(), options)[0] == [five]


def test_cross_sell_first_for_new_customers() -> None:
    """x has ordered once before, y three times."""
    orders = [line for n in (9, 8) for line in order(n, "p", who="y")]
    options = only(cross_sell_first=CrossSellFirst(), offers_per_contact=OffersPerContact())
    offers = [offer("q", kind=kind, who=who) for who in ("x", "y", None) for kind in ("upsell", "cross_sell")]
    kept, _ = apply_silence(offers, known(orders=orders), options)
    assert {(one.customer_id, one.kind) for one in kept} == {("x", "cross_sell"), ("y", "upsell"), (None, "cross_sell")}
    same, _ = apply_silence(offers, known(orders=orders), only(offers_per_contact=OffersPerContact()))
    assert {one.kind for one in same} == {"upsell"}


# --- all together

DURABLE = NotOwned(durable=("C",), level="item")
ALL = SilenceOptions(not_owned=DURABLE, price_guard=PriceGuard(enabled=True), returned_before=ReturnedBefore(days=50))
ORDER = [
    "open_case", "price_rise", "at_risk", "weekly_cap", "in_stock", "refused_before", "returned_before", "not_owned",
    "known_price", "margin_floor", "price_guard", "one_per_category", "items_per_list", "offers_per_contact",
]  # fmt: skip
ITEMS = catalog(
    p={"category": "C", "unit_cost": 12.0}, q={"category": "D"}, s={"category": "D", "unit_cost": 1.0}, old={}
)


def test_the_stated_order_is_that_of_the_options() -> None:
    names = [rule.name for rule in silence_rules(known(), ALL)]
    assert names == ORDER
    assert [f.name for f in fields(SilenceOptions)] == [*ORDER, "cross_sell_first"]
    assert silence_rules(known(), only()) == ()


def test_the_table_of_rules_is_the_codes_own() -> None:
    text = (Path(__file__).parents[3] / "docs" / "silence.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| .* \| .* \|(.*)\|$", text[: text.index("## What rules cost")], re.MULTILINE)
    assert [name for name, _ in rows] == ORDER
    for name, told in rows:
        options = {f.name for f in fields(getattr(SilenceOptions(), name))} - {"enabled"}
        assert set(re.findall(r"`(\w+)`", told)) == options


def test_the_first_rule_in_the_order_is_named() -> None:
    events = [event("support_open", 9), event("price_rise", 9, value=0.1), event("offer_refused", 9, item_id="p"),
              event("offer_refused", 9, item_id="p", customer_id="y")]  # fmt: skip
    dropped = apply_silence([offer("p"), offer("p", who="y", price=None)], known(events, items=ITEMS), ALL)[1]
    assert [(one.offer.customer_id, one.rule) for one in dropped] == [("x", "open_case"), ("y", "refused_before")]


def test_refuses_options_that_make_no_sense() -> None:
    numbers = {f"{rule.name}.{f.name}" for rule in fields(SilenceOptions) for f in fields(rule.type)  # type: ignore[arg-type]
               if f.type in ("float", "int", float, int) or f.type == float | None}  # fmt: skip
    assert numbers == set(LIMITS)
    with pytest.raises(InputError, match=r"moments\.silence\.at_risk\.below = 2"):
        read_config({"moments": {"silence": {"at_risk": {"below": 2}}}})
    with pytest.raises(InputError, match="channels has sms: -1"):
        SilenceOptions(weekly_cap=WeeklyCap(channels={"sms": -1}))


KINDS = ["support_open", "support_solved", "price_rise", "offer_shown", "offer_refused", "return", "stock_out"]
WHO = st.sampled_from([{"customer_id": "x"}, {"customer_id": "y"}])
EVENT: st.SearchStrategy[dict[str, Any]] = st.builds(
    lambda kind, days, who, item, key, value, until: event(
        kind, days, **who, item_id=item, key=key, value=value, until=until and ago(days - until)
    ),
    st.sampled_from(KINDS),
    st.integers(1, 120),
    WHO,
    st.sampled_from(["p", "q", "s"]),
    st.sampled_from([None, "k", "l"]),
    st.sampled_from([0.5, 9.0, 11.0]),
    st.sampled_from([None, 3, 60]),
)  # fmt: skip
OFFERS = st.lists(
    st.builds(
        offer,
        st.sampled_from(["p", "q", "s"]),
        kind=st.sampled_from(["cross_sell", "upsell"]),
        who=st.sampled_from(["x", "y", None]),
        price=st.sampled_from([None, 8.0, 10.0, 50.0]),
        anchor=st.sampled_from(["a", "b"]),
    ),
    min_size=1,
    max_size=8,
)  # fmt: skip
BOUGHT = [*order(60, "p", back=20), *order(40, "q", who="y")]


@settings(max_examples=40, deadline=None)
@given(st.lists(EVENT, max_size=12), OFFERS, st.randoms(use_true_random=False))
def test_neither_the_order_of_events_nor_later_ones_change_anything(
    events: list[dict[str, Any]], offers: list[Offer], random: Any
) -> None:
    kept, dropped = apply_silence(offers, known(events, BOUGHT, ITEMS), ALL)
    assert Counter(kept) + Counter(one.offer for one in dropped) == Counter(offers)
    mixed = random.sample(events, len(events))
    later = [{**row, "at": row["at"] + 130 * DAY, "known_at": row["known_at"] + 130 * DAY} for row in events]
    late = [{**row, "known_at": AT + TICK} for row in events]
    after = [*order(-1, "s"), *order(-2, "p", who="y", back=-3)]
    assert apply_silence(offers, known([*later, *mixed, *late], [*after, *BOUGHT], ITEMS), ALL) == (kept, dropped)


@settings(max_examples=40, deadline=None)
@given(st.lists(EVENT, max_size=12), OFFERS)
def test_until_is_the_first_moment_at_which_the_rule_is_silent(
    events: list[dict[str, Any]], offers: list[Offer]
) -> None:
    """Each rule alone, asked again at the end that it named, and a tick before."""
    there = known(events, BOUGHT, ITEMS)
    for rule in silence_rules(there, ALL):
        for one in offers:
            refusal = rule.judge(one, [])
            if refusal is None or refusal.until is None:
                continue
            assert refusal.until > AT
            before, then = (again(there, rule.name, moment) for moment in (refusal.until - TICK, refusal.until))
            assert before(one, []) is not None
            assert then(one, []) is None


def again(there: Known, rule: str, moment: datetime) -> Callable[..., Any]:
    """The rule at a later moment, nothing having become known."""
    rules = silence_rules(replace(there, moment=moment), ALL)
    return next(one.judge for one in rules if one.name == rule)
