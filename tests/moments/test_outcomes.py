"""What became of offers, worked by hand: showings, acceptances, refusals, orders afterwards, promised against taken."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from recsys.moments.day_tables import OFFERS
from recsys.moments.outcomes import OUTCOMES, acceptance, as_shown, commerce, conversion_by, lists_of, outcomes
from recsys.schemas import EVENTS
from tests.conftest import ORDERS

DAY = date(2024, 5, 2)
NINE = datetime(2024, 5, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


def offers(*rows):
    """OFFERS out of (key, customer, trigger, kind, channel, rank, item, probability)."""
    names = ("key", "customer_id", "trigger", "kind", "channel", "rank", "item", "probability")
    blank = dict.fromkeys(OFFERS)
    filled = [blank | dict(zip(names, row, strict=True)) | {"items": [row[6]], "offer_price": 4.0} for row in rows]
    return pl.DataFrame([{**row, "date": DAY} for row in filled], schema=OFFERS)


def events(*rows):
    """EVENTS out of (kind, customer, key, hours after nine, item, value)."""
    told = [
        {"kind": kind, "customer_id": who, "key": key, "at": NINE + hours * HOUR, "known_at": NINE + hours * HOUR,
         "item_id": item, "value": value}
        for kind, who, key, hours, item, value in rows
    ]  # fmt: skip
    return pl.DataFrame(told, schema=EVENTS)


def lines(*rows):
    """schemas.Orders out of (order, customer, hours after nine, item)."""
    table = [(order, item, who, NINE + hours * HOUR, 1.0, 5.0, None, None, None) for order, who, hours, item in rows]
    return pl.DataFrame(table, schema=ORDERS, orient="row")


LISTS = offers(
    ("k1", "a", "cart_open", "cross_sell", "cart", 1, "x", 0.2),
    ("k1", "a", "cart_open", "cross_sell", "cart", 2, "y", 0.1),
    ("k2", "b", "lapse", "cross_sell", "email", 1, "x", 0.3),
    ("k3", "c", "health_peak", "upsell", "email", 1, "z", None),
    ("k4", "d", "lapse", "cross_sell", "email", 1, "x", 0.4),
    ("k5", "e", "lapse", "cross_sell", "email", 1, "x", 0.6),
    ("k5", "e", "lapse", "cross_sell", "email", 2, "y", 0.5),
)
LOG = events(
    ("offer_shown", "a", "k1", 1, "x", 4.0),
    ("offer_shown", "a", "k1", 1, "y", 4.0),
    ("offer_accepted", "a", "k1", 3, "y", 3.5),
    ("offer_accepted", "a", "k1", 2, "y", 3.0),  # twice: the first counts
    ("offer_shown", "b", "k2", 1, None, None),  # the whole list
    ("offer_refused", "b", "k2", 4, "x", None),
    ("offer_shown", "c", "k3", 1, "z", None),
    ("offer_accepted", "c", "k3", 2, None, None),  # a list of one item
    ("offer_accepted", "d", "k4", 2, "x", 1.0),  # never shown, as far as is known
    ("offer_shown", "e", "k5", 1, None, None),
    ("offer_accepted", "e", "k5", 2, None, None),  # of two items nobody knows which
    ("offer_accepted", "a", "k2", 2, "x", 1.0),  # another customer's key
    ("offer_accepted", "b", "other", 2, "x", 1.0),
    ("offer_accepted", "b", None, 2, "x", 1.0),
)
BOUGHT = lines(
    ("1", "a", 0, "y"),  # before it was shown
    ("2", "a", 5, "y"),
    ("3", "a", 9, "y"),
    ("4", "b", 5, "x"),  # refused, and bought anyway
    ("5", "c", 5, "y"),  # another item
    ("6", "d", 5, "x"),
)


@pytest.fixture(scope="module")
def told() -> pl.DataFrame:
    return outcomes(LISTS, LOG, BOUGHT)


def test_each_offer_finds_its_events_and_its_order(told) -> None:
    assert told.schema == pl.Schema(OUTCOMES)
    hour = [None if at is None else (at - NINE) / HOUR for name in ("shown_at", "accepted_at", "refused_at")
            for at in told[name]]  # fmt: skip
    assert hour[:7] == [1, 1, 1, 1, None, 1, 1]
    assert hour[7:14] == [None, 2, None, 2, 2, 2, 2]
    assert hour[14:] == [None, None, 4, None, None, None, None]
    assert told["value"].to_list() == [None, 3.0, None, None, 1.0, None, None]
    assert told["order_id"].to_list() == [None, "2", None, None, None, None, None]
    assert told["item_told"].to_list() == [True, True, True, True, True, False, False]


def test_the_order_of_rows_changes_nothing(told) -> None:
    shuffled = outcomes(LISTS, LOG.sample(fraction=1, shuffle=True, seed=1), BOUGHT.reverse())
    assert shuffled.equals(told)


def test_conversion_counts_lists_that_were_shown(told) -> None:
    """a, b, c and e were shown a list each; a, c and e took one. d's was never shown and counts nowhere."""
    lists = lists_of(told)
    assert lists.select("key", "taken", "refused").rows() == [
        ("k1", 1.0, False), ("k2", 0.0, True), ("k3", 1.0, False), ("k5", 1.0, False)]  # fmt: skip
    assert conversion_by(told, "trigger").values() == {"all": 0.75, "cart_open": 1.0, "health_peak": 1.0, "lapse": 0.5}
    assert conversion_by(told, "kind").values() == {"all": 0.75, "cross_sell": pytest.approx(2 / 3), "upsell": 1.0}
    assert conversion_by(told, "channel").values() == {"all": 0.75, "cart": 1.0, "email": pytest.approx(2 / 3)}
    (row, *_) = conversion_by(told, "trigger").records(resamples=200)
    assert row["low"] < 0.75 <= row["high"]
    nothing = told.filter(pl.col("shown_at").is_null())
    assert conversion_by(nothing, "trigger").records() == [
        {"measure": "all", "value": None, "low": None, "high": None, "below": 0.0, "units": 0}
    ]


def test_accepted_and_bought_are_two_things(told) -> None:
    """Of four lists shown one was accepted and then bought, in one of six orders; 3.0 of 30.0 of the revenue."""
    values = commerce(told, BOUGHT).values()
    assert values["conversion"] == 1 / 4
    assert values["attach_rate"] == 1 / 6
    assert values["upsell_rate"] == 0.0
    assert values["expansion_share"] == pytest.approx(3.0 / 30.0)


def test_promised_against_taken(told) -> None:
    """x .2 of a no, y .1 of a yes, x .3 of b no; c has no probability, of e nobody knows which item it was."""
    found = acceptance(told)
    assert (found["n"], found["left_out"]) == (3, 3)
    assert found["predicted"] == pytest.approx(0.2)
    assert found["observed"] == pytest.approx(1 / 3)
    assert found["brier"] == pytest.approx((0.2**2 + 0.9**2 + 0.3**2) / 3)
    assert found["listed"]["n"] == 2
    assert acceptance(told.clear())["n"] == 0


def test_a_shop_that_shows_everything_logs_it_under_its_keys() -> None:
    shown = as_shown(LISTS, lambda day: datetime(day.year, day.month, day.day, 9, tzinfo=UTC))
    assert shown.filter(key="k1").select("kind", "item_id", "source", "at").rows() == [
        ("offer_shown", "x", "cart", NINE), ("offer_shown", "y", "cart", NINE)]  # fmt: skip
    log = shown.with_columns(until=pl.lit(None, EVENTS["until"]), known_at="at").select(list(EVENTS))
    assert outcomes(LISTS, log, BOUGHT)["shown_at"].null_count() == 0
    assert as_shown(LISTS.clear(), lambda _: NINE).is_empty()
