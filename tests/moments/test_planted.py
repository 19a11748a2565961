"""Every planted trigger is found and nothing else, for single days and for a backfill of a year."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from recsys.data.events import KINDS
from recsys.data.synthetic import SyntheticOptions, synthetic_shop
from recsys.data.synthetic.moments_shop import moments_shop
from recsys.data.synthetic.trigger_lives import SEASON
from recsys.moments.due import due, due_between, named
from recsys.moments.options import MomentsOptions, TriggersOptions
from recsys.moments.triggers.season import Season
from tests.moments.conftest import known_of

OPTIONS = MomentsOptions(triggers=TriggersOptions(season=Season(starts=SEASON)))
FIRST, LAST = date(2024, 1, 1), date(2024, 12, 31)
KEY = ["customer_id", "date", "trigger"]


@pytest.fixture(scope="module")
def year(planted, everything) -> pl.DataFrame:
    days = due_between(everything, FIRST, LAST, OPTIONS, lambda _: planted.truth.expected)
    return pl.concat(list(days))


def test_a_year_finds_what_was_planted_and_nothing_else(planted, year) -> None:
    found = year.select(KEY).sort(KEY)
    assert_frame_equal(found, planted.truth.due.select(KEY).sort(KEY))
    assert not found.is_duplicated().any()


def test_everything_is_planted(planted) -> None:
    assert set(planted.truth.due["trigger"]) == {name for name, _ in named(OPTIONS.triggers)}
    assert set(planted.events["kind"]) == set(KINDS)


def test_cases_for_silence_rest_on_what_happened(planted) -> None:
    """Every planted case has its fact among the events or orders of that customer, and ends after it begins."""
    silent = planted.truth.silent
    assert silent.filter(pl.col("until") <= pl.col("since")).is_empty()
    assert {"open_case", "price_rise", "refused_before", "weekly_cap", "at_risk", "returned_before", "not_owned",
            "in_stock", "margin_floor"} == set(silent["rule"])  # fmt: skip
    told = planted.events.select("customer_id", since="at")
    bought = planted.orders.select("customer_id", since=pl.col("ordered_at").dt.replace_time_zone("UTC"))
    of_facts = silent.filter(~pl.col("rule").is_in(["at_risk", "margin_floor"]))
    facts = pl.concat([told, bought])
    assert of_facts.join(facts, on=["customer_id", "since"], how="anti", nulls_equal=True).is_empty()


def test_another_seed_is_found_too() -> None:
    """Other days of the same lives; three months of them."""
    shop = moments_shop(seed=3, each=1)
    known = known_of(shop.orders, shop.events, shop.catalog)
    days = due_between(known, date(2024, 3, 1), date(2024, 5, 31), OPTIONS, lambda _: shop.truth.expected)
    found = pl.concat(list(days)).select(KEY).sort(KEY)
    truth = shop.truth.due.filter(pl.col("date").is_between(date(2024, 3, 1), date(2024, 5, 31)))
    assert truth.height > 30
    assert_frame_equal(found, truth.select(KEY).sort(KEY))


@pytest.mark.parametrize("ahead", range(7, 366, 40))
def test_a_single_day_equals_the_day_of_the_backfill(planted, year, ahead) -> None:
    """A run of that morning, from exports that end with the night: orders and events that came later are not there."""
    day = FIRST + timedelta(days=ahead)
    morning = datetime(day.year, day.month, day.day, tzinfo=UTC)
    known = known_of(planted.orders, planted.events, planted.catalog, morning)
    alone = due(known.on(day), OPTIONS.triggers, lambda _: planted.truth.expected)
    assert_frame_equal(alone, year.filter(pl.col("date") == day))


def test_beside_a_shop_of_others_the_same_is_found(planted) -> None:
    """Their orders change nothing for the planted customers."""
    others = synthetic_shop(SyntheticOptions(customers=50, orders_per_customer=8))
    orders = pl.concat([planted.orders, others.orders.select(planted.orders.columns)])
    catalog = pl.concat([planted.catalog, others.catalog.select(planted.catalog.columns)]).sort("item_id")
    known = known_of(orders, planted.events, catalog)
    days = due_between(known, date(2024, 4, 10), date(2024, 5, 10), OPTIONS, lambda _: planted.truth.expected)
    found = pl.concat(list(days))
    assert found.filter(~pl.col("customer_id").str.contains("-")).height > 20
    own = found.filter(pl.col("customer_id").str.contains("-")).select(KEY).sort(KEY)
    truth = planted.truth.due.filter(pl.col("date").is_between(date(2024, 4, 10), date(2024, 5, 10)))
    assert_frame_equal(own, truth.select(KEY).sort(KEY))
