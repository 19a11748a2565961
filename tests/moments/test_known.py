"""What was known at a moment: by hand at its edges, and as a law, that later things change nothing."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from recsys.errors import InputError
from recsys.moments.due import due
from recsys.moments.known import Known, day_start
from recsys.moments.options import TriggersOptions
from recsys.schemas import EVENTS
from tests.moments.conftest import END, accepted

DAY = datetime(2024, 3, 10, tzinfo=UTC)
TICK = timedelta(microseconds=1)
RAW = ["order_id", "customer_id", "item_id", "ordered_at", "quantity", "unit_price"]


def orders(*rows):
    lines = [(order, who, item, at.replace(tzinfo=None), n, 2.0) for order, who, item, at, n in rows]
    return accepted(pl.DataFrame(lines, schema=RAW, orient="row"))


def events(*rows):
    told = [{"kind": "browse", "known_at": row["at"], **row} for row in rows]
    return pl.DataFrame(told, schema=EVENTS)


def test_every_cut_is_half_open() -> None:
    lines = orders(
        ("1", "a", "x", DAY - TICK, 1), ("2", "a", "y", DAY, 1), ("3", None, "x", DAY - TICK, 1),
        ("4", "b", "x", DAY - 2 * timedelta(days=1), 3), ("R", "b", "x", DAY, -2),
    )  # fmt: skip
    known = Known.of(lines, events(), pl.DataFrame({"item_id": ["x", "y"]}), END).at(DAY)
    assert known.lines.select("order_id", "returned_quantity").rows() == [("4", None), ("1", None), ("3", None)]
    assert known.orders.select("order_id", "lines", "value").rows() == [("4", 1, 6.0), ("1", 1, 2.0)]
    assert known.new_orders()["order_id"].to_list() == ["1"]
    assert known.new_orders(timedelta(days=1))["order_id"].to_list() == ["4"]
    later = known.at(DAY - timedelta(hours=1))
    assert later.orders["order_id"].to_list() == ["4"]
    whole = Known.of(lines, events(), known.catalog, END)
    assert whole.at(DAY + TICK).lines["returned_quantity"].drop_nulls().to_list() == [2.0]


def test_an_event_counts_from_when_it_was_known_and_its_customer_was() -> None:
    lines = orders(("1", "a", "x", DAY, 1), ("2", "b", "x", DAY + timedelta(days=9), 1))
    told = events(
        {"customer_id": "a", "at": DAY - timedelta(days=5), "key": "before the first order"},
        {"customer_id": "a", "at": DAY + TICK, "known_at": DAY + timedelta(days=2), "key": "late"},
        {"customer_id": "b", "at": DAY + TICK, "key": "of a customer to come"},
        {"customer_id": "c", "at": DAY, "key": "of nobody"},
        {"customer_id": None, "kind": "stock_out", "at": DAY - timedelta(days=9), "key": "of everybody"},
    )
    whole = Known.of(lines, told, pl.DataFrame({"item_id": ["x"]}), END)

    def keys(after):
        return set(whole.at(DAY + after).events["key"])

    assert keys(timedelta()) == {"of everybody"}
    assert keys(TICK) == {"of everybody", "before the first order"}
    assert keys(timedelta(days=2)) == {"of everybody", "before the first order"}
    assert keys(timedelta(days=2) + TICK) == {"of everybody", "before the first order", "late"}
    assert len(keys(timedelta(days=10))) == 4
    assert whole.at(DAY + timedelta(days=3)).news("browse")["key"].to_list() == ["late"]
    assert whole.of_kind("review").is_empty()


def test_days_begin_on_the_clock_of_the_shop() -> None:
    assert day_start(date(2024, 3, 31), "Europe/Berlin") == datetime(2024, 3, 30, 23, tzinfo=UTC)
    assert day_start(date(2024, 4, 1), "Europe/Berlin") == datetime(2024, 3, 31, 22, tzinfo=UTC)
    lines = orders(("1", "a", "x", datetime(2024, 3, 30, 22, 30, tzinfo=UTC), 1))
    whole = Known.of(lines, events(), pl.DataFrame({"item_id": ["x"]}), END)
    known = whole.on(date(2024, 4, 1), "Europe/Berlin")
    assert (known.day, known.moment - known.earlier) == (date(2024, 4, 1), timedelta(hours=23))
    assert known.new_orders().is_empty()
    assert whole.on(date(2024, 3, 31), "Europe/Berlin").new_orders().height == 1


def test_nobody_knows_the_future() -> None:
    known = Known.of(orders(("1", "a", "x", DAY, 1)), events(), pl.DataFrame({"item_id": ["x"]}), DAY)
    with pytest.raises(InputError, match="up to which things are known"):
        known.at(DAY + TICK)
    with pytest.raises(InputError, match="no time zone"):
        Known.of(known.lines, known.events, known.catalog, DAY.replace(tzinfo=None))


@settings(max_examples=15, deadline=None)
@given(st.integers(20, 360), st.randoms(use_true_random=False))
def test_what_comes_later_and_the_order_of_rows_change_no_day(everything, ahead, random) -> None:
    """Events and orders after the morning are altered at will, and all rows are shuffled."""
    day = date(2024, 1, 1) + timedelta(days=ahead)
    moment = day_start(day)
    now, then = everything.events, everything.lines
    kept = now.filter(pl.col("known_at") < moment)
    later = now.filter(pl.col("known_at") >= moment).sample(fraction=0.5, seed=ahead)
    known = pl.concat([later.with_columns(value=pl.lit(1.0), until=pl.lit(None, pl.Datetime("us", "UTC"))), kept])
    bought = pl.concat([then.filter(pl.col("ordered_at") >= moment).sample(fraction=0.5, seed=ahead),
                        then.filter(pl.col("ordered_at") < moment)])  # fmt: skip
    tables = [table.sample(fraction=1.0, shuffle=True, seed=random.randrange(1000)) for table in (bought, known)]
    altered = Known.of(*tables, everything.catalog, END)
    triggers = TriggersOptions()
    assert_frame_equal(due(altered.on(day), triggers), due(everything.on(day), triggers))


def test_the_value_of_orders_is_the_same_in_every_run(small_shop) -> None:
    """Sums of floats differ in the last digit by the order in which threads meet the rows; nothing may rest on that."""
    events, at = pl.DataFrame(schema=EVENTS), small_shop.orders["ordered_at"].max() + timedelta(days=1)
    first = Known.of(small_shop.orders, events, small_shop.catalog, at).orders
    for seed in range(40):
        shuffled = small_shop.orders.sample(fraction=1, shuffle=True, seed=seed)
        assert Known.of(shuffled, events, small_shop.catalog, at).orders.equals(first)
