"""What a trigger's row says, by hand; what planted lives do not show: edges, several at once, switches."""

import re
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from recsys.config import base_yaml, read_config
from recsys.errors import InputError
from recsys.moments.due import DUE, due, due_between, named
from recsys.moments.known import Known
from recsys.moments.options import LIMITS, MomentsOptions, TriggersOptions
from recsys.moments.triggers.base import FOUND
from recsys.moments.triggers.cart_abandoned import CartAbandoned
from recsys.moments.triggers.feature_milestone import FeatureMilestone
from recsys.moments.triggers.good_review import GoodReview
from recsys.moments.triggers.limit_near import LimitNear
from recsys.moments.triggers.reorder_due import ReorderDue
from recsys.moments.triggers.season import Season
from recsys.schemas import EVENTS
from tests.moments.conftest import END, accepted

DAY = timedelta(days=1)
NOON = datetime(2024, 3, 9, 12, tzinfo=UTC)
RUN = date(2024, 3, 10)
ITEMS = {"item_id": ["w", "x", "y", "z"], "department": ["Home"] * 4, "category": ["Tea", "Tea", "Jam", None],
         "type": [None, "Green", "Plum", None]}  # fmt: skip
RAW = ["order_id", "customer_id", "item_id", "ordered_at", "quantity", "unit_price"]
OLD = ("0", "a", "w", datetime(2023, 1, 1, 9, tzinfo=UTC), 1, 1.0)


def known(orders=(), events=(), run=RUN, time_zone="UTC"):
    """What is known on the morning of the run; customer a ordered once, long ago."""
    rows = [(order, who, item, at.replace(tzinfo=None), n, price) for order, who, item, at, n, price in (OLD, *orders)]
    told = pl.DataFrame([{"customer_id": "a", "known_at": row["at"], **row} for row in events], schema=EVENTS)
    lines = accepted(pl.DataFrame(rows, schema=RAW, orient="row"))
    return Known.of(lines, told, pl.DataFrame(ITEMS), END).on(run, time_zone)


def only(found):
    assert found.height == 1
    return found.row(0, named=True)


def test_a_row_says_what_who_why_and_since_when() -> None:
    orders = [("1", "b", "x", NOON - 8 * DAY, 1, 9.0), ("2", "b", "y", NOON, 2, 3.0), ("2", "b", "x", NOON, 1, 5.0)]
    rows = due(known(orders))
    assert dict(rows.schema) == DUE
    assert only(rows) == {
        "customer_id": "b",
        "trigger": "order_confirmation",
        "date": RUN,
        "offer": "cross_sell",
        "anchors": ["y", "x"],  # the dearest line first
        "since": NOON,
        "value": 11.0,
        "fact": "order 2 of 2 items",
        "why": "the confirmation is read by everybody, and what goes with the order is on the mind",
        "priority": 30,
    }


def test_a_customers_triggers_come_by_priority() -> None:
    """A first order at night, a review of it next noon."""
    orders = [("1", "b", "x", NOON - DAY, 1, 9.0)]
    events = [{"customer_id": "b", "kind": "review", "item_id": "x", "value": 5.0, "at": NOON}]
    rows = due(known(orders, events))
    assert rows.select("trigger", "offer", "priority", "fact").rows() == [
        ("welcome", "cross_sell", 25, "first order on 2024-03-08"),
        ("good_review", "cross_sell", 50, "5.0 of 5 stars for x"),
    ]


def test_of_several_facts_a_trigger_tells_the_strongest() -> None:
    def at(hours):
        return NOON + timedelta(hours=hours)

    reviews = [
        {"kind": "review", "item_id": "x", "value": 4.0, "at": NOON},
        {"kind": "review", "item_id": "y", "value": 5.0, "at": at(1)},
    ]
    assert only(GoodReview().find(known(events=reviews)))["anchors"] == ["y"]
    limits = [
        {"kind": "plan_limit", "source": "seats", "value": 0.85, "at": NOON},
        {"kind": "plan_limit", "source": "storage", "value": 0.934, "at": at(1)},
        {"kind": "plan_limit", "value": 0.81, "at": at(2)},
    ]
    assert only(LimitNear().find(known(events=limits)))["fact"] == "93% of storage used"
    uses = [{"kind": "feature_used", "source": "reports", "value": 60.0, "at": NOON}]
    assert only(FeatureMilestone().find(known(events=uses)))["fact"] == "50 uses of reports"
    assert FeatureMilestone(uses=(61.0,)).find(known(events=uses)).is_empty()


def test_a_cart_holds_what_was_laid_in_since_the_last_order() -> None:
    def laid(item, hours, **cells):
        return {"kind": "cart_open", "item_id": item, "at": NOON - timedelta(hours=hours), **cells}

    carts = [laid("x", 30), laid("y", 20), laid("z", 20), laid("y", 19), laid("w", 18, until=NOON)]
    orders = [("1", "a", "x", NOON - timedelta(hours=25), 1, 1.0)]
    row = only(CartAbandoned(hours=12).find(known(orders, carts)))
    assert (row["anchors"], row["value"]) == (["y", "z"], 2.0)  # last laid in first, w is gone again
    assert row["since"] == NOON - timedelta(hours=20)
    assert row["fact"] == "2 items in the cart, the first since 2024-03-08"
    late = [laid("x", 60, known_at=NOON)]  # heard of only yesterday
    assert only(CartAbandoned().find(known(events=late)))["anchors"] == ["x"]
    assert CartAbandoned().find(known(events=[laid("x", 60)])).is_empty()


def test_a_moment_at_midnight_is_of_the_day_that_begins() -> None:
    midnight = datetime(2024, 3, 9, tzinfo=UTC)
    cart = [{"kind": "cart_open", "item_id": "x", "at": midnight - DAY}]
    assert CartAbandoned().find(known(events=cart, run=RUN - DAY)).is_empty()
    assert CartAbandoned().find(known(events=cart)).height == 1
    orders = [("1", "a", "x", midnight - DAY, 1, 1.0)]
    assert CartAbandoned().find(known(orders, cart)).is_empty()  # bought in the moment it was laid in


def test_reorders_need_a_table_of_what_is_expected() -> None:
    table = pl.DataFrame(
        {
            "customer_id": ["a", "a", "a", "b"],
            "item_id": ["x", "y", "z", "x"],
            "expected_at": [NOON + 3 * DAY] * 3 + [NOON + 4 * DAY],
            "probability": [0.6, 0.9, 0.49, 0.9],
        }
    ).cast({"expected_at": EVENTS["at"]})
    asked = []

    def expected(at):
        asked.append(at.moment)
        return table

    row = only(due(known(), expected=expected))
    assert (row["trigger"], row["anchors"], row["value"]) == ("reorder_due", ["y", "x"], 0.9)
    assert row["fact"] == "2 items expected from 2024-03-12 on"
    assert asked == [datetime(2024, 3, 10, tzinfo=UTC)]
    assert due(known()).is_empty()
    off = TriggersOptions(reorder_due=ReorderDue(enabled=False))
    assert due(known(), off, expected).is_empty()
    assert len(asked) == 1


def test_a_season_begins_on_its_day() -> None:
    orders = [("1", "b", "x", NOON - 300 * DAY, 1, 1.0), ("2", "b", "w", NOON - 200 * DAY, 1, 1.0),
              ("3", "b", "y", NOON - 100 * DAY, 1, 1.0), ("4", None, "x", NOON - DAY, 1, 1.0)]  # fmt: skip
    tea = Season(starts={"Tea": "03-10", "Jam": "03-11"})
    row = only(tea.find(known(orders)))
    assert (row["customer_id"], row["anchors"]) == ("b", ["w", "x"])  # the latest bought first; a guest is nobody
    assert row["fact"] == "bought 2 times of Tea, whose season begins"
    assert only(tea.find(known(orders, run=RUN + DAY)))["anchors"] == ["y"]
    assert tea.find(known(orders, run=RUN - DAY)).is_empty()
    assert only(Season(starts={"Plum": "03-10", "Jam": "03-10"}).find(known(orders)))["value"] == 1.0
    berlin = known(orders, time_zone="Europe/Berlin")
    assert tea.find(berlin).height == 1
    with pytest.raises(InputError, match=r"season\.starts: 'Tea' starts '3-10'; write e\.g\. '05-15'"):
        Season(starts={"Tea": "3-10"})


def test_anniversaries_over_the_turn_of_the_year_and_of_a_leap_day() -> None:
    def anniversaries(first, run, time_zone="UTC"):
        recent = ("2", "b", "x", datetime(run.year, run.month, run.day, tzinfo=UTC) - 40 * DAY, 1, 1.0)
        at = known([("1", "b", "x", first, 1, 1.0), recent], run=run, time_zone=time_zone)
        rows = TriggersOptions().purchase_anniversary.find(at)
        return rows["fact"].to_list()

    new_year = datetime(2023, 12, 31, 23, 30, tzinfo=UTC)
    assert anniversaries(new_year, date(2024, 12, 31)) == []
    assert anniversaries(new_year, date(2025, 1, 1)) == ["1 years since the first order on 2023-12-31"]
    assert anniversaries(new_year, date(2025, 1, 1), "Europe/Berlin") == []
    leap = datetime(2024, 2, 29, 12, tzinfo=UTC)
    found = [day for day in range(26, 33) if _anniversary_on(leap, datetime(2025, 2, 1, tzinfo=UTC) + day * DAY)]
    assert len(found) == 1


def _anniversary_on(first: datetime, run: datetime) -> bool:
    """Beyond END, so with a Known of its own."""
    rows = [OLD, ("1", "b", "x", first, 1, 1.0), ("2", "b", "x", datetime(2024, 12, 20, tzinfo=UTC), 1, 1.0)]
    raw = pl.DataFrame([(*r[:3], r[3].replace(tzinfo=None), *r[4:]) for r in rows], schema=RAW, orient="row")
    whole = Known.of(accepted(raw), pl.DataFrame(schema=EVENTS), pl.DataFrame(ITEMS), run)
    return TriggersOptions().purchase_anniversary.find(whole.on(run.date())).height == 1


def test_every_trigger_names_its_moment_its_offer_and_why() -> None:
    for name, trigger in named(TriggersOptions()):
        assert trigger.offer in ("cross_sell", "upsell"), name
        assert len(trigger.moment) > 10, name
        assert len(trigger.why) > 20, name
        assert type(trigger).__module__.endswith(f"triggers.{name}")
        nothing = trigger.find(known())
        assert (dict(nothing.schema), nothing.height) == (FOUND, 0), name


def test_triggers_are_config_entries() -> None:
    config = read_config(
        {"moments": {"triggers": {"welcome": {"enabled": False}, "season": {"starts": {"Tea": "01-02"}}}}}
    )
    assert not config.moments.triggers.welcome.enabled
    assert config.moments.triggers.season.starts == {"Tea": "01-02"}
    assert "    welcome:  # Some days after a customer's first order.\n      enabled: true" in base_yaml()
    orders = [("1", "b", "x", NOON - DAY, 1, 9.0)]
    assert only(due(known(orders)))["trigger"] == "welcome"
    assert due(known(orders), config.moments.triggers).is_empty()
    with pytest.raises(InputError, match="did you mean"):
        read_config({"moments": {"triggers": {"welcom": {}}}})


def test_wrong_parameters_are_refused() -> None:
    with pytest.raises(InputError, match=r"moments\.triggers\.lapse\.min_orders = 1; give a value from 2"):
        read_config({"moments": {"triggers": {"lapse": {"min_orders": 1}}}})
    with pytest.raises(InputError, match=r"moments\.time_zone 'Mars' is unknown"):
        read_config({"moments": {"time_zone": "Mars"}})
    numbers = {f"triggers.{name}.{f.name}" for name, trigger in named(TriggersOptions()) for f in fields(trigger)
               if f.name != "priority" and type(getattr(trigger, f.name)) in (int, float)}  # fmt: skip
    assert numbers == {name for name in LIMITS if name.startswith("triggers.")}


def test_the_table_of_triggers_is_the_codes_own() -> None:
    text = (Path(__file__).parents[2] / "docs" / "moments.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (\w+) \| (.+?) \|", text[text.index("## Triggers") :], re.MULTILINE)
    assert rows == [(name, t.moment, t.offer, t.why) for name, t in named(TriggersOptions())]


def test_a_backfill_begins_before_it_ends() -> None:
    with pytest.raises(InputError, match="turn them round"):
        list(due_between(known(), RUN, RUN - DAY, MomentsOptions()))
