"""What falls due: rhythms worked out by hand, planted cycles found, nothing of the future seen."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.data.interactions import lines_before
from recsys.data.synthetic.options import SyntheticOptions
from recsys.data.synthetic.shop import synthetic_shop
from recsys.errors import InputError
from recsys.moments.known import Known
from recsys.moments.purchases import Purchases, Repeats
from recsys.moments.reorder import expecting, fit_reorder, past_rows, reorder_table, reorders
from recsys.moments.reorder_features import FEATURES
from recsys.moments.reorder_model import ReorderModel, ReorderOptions, calibration_line
from recsys.moments.subscriptions import SubscriptionOptions, subscriptions
from recsys.schemas import EVENTS
from tests.conftest import ORDERS

AT = datetime(2024, 7, 1, tzinfo=UTC)
QUICK = ReorderOptions(moments=3, trees=15, leaves=7, min_leaf=20, threads=1)


def bought(*lines: tuple[str, str, float]) -> pl.DataFrame:
    """Orders of (customer, item, days before AT), one line each."""
    rows = [
        (f"o{n}", item, customer, AT - timedelta(days=ago), 1.0, 1.0, None, None, None)
        for n, (customer, item, ago) in enumerate(lines)
    ]
    return pl.DataFrame(rows, schema=ORDERS, orient="row")


def rhythm(*ages: float) -> Repeats:
    return Repeats.of(Purchases.of(bought(*(("c", "i", age) for age in ages))).before(AT), 2)


# --- rhythms


def test_gaps_by_hand() -> None:
    """Days 30, 20, 13, 3 before: gaps of 10, 7 and 10 days."""
    one = rhythm(13, 30, 3, 20)
    assert one.times.tolist() == [4]
    assert one.gaps[0].tolist() == [10, 7, 10]
    assert (one.last[0], one.interval[0], one.median_gap[0]) == (3, 9, 10)
    assert one.spread_gap[0] == pytest.approx(np.std([10, 7, 10]))
    assert one.decayed(10)[0] == pytest.approx(0.5**3 + 0.5**2 + 0.5**1.3 + 0.5**0.3)


def test_two_orders_of_a_day_are_one_purchase() -> None:
    assert rhythm(10.2, 10.9, 4).times.tolist() == [2]
    assert rhythm(10.9, 11.0, 4).times.tolist() == [3]  # days are counted back from the moment


def test_what_came_back_whole_was_not_bought() -> None:
    orders = bought(("c", "i", 30), ("c", "i", 20), ("c", "i", 10), ("c", "i", 5)).with_columns(
        returned_at=pl.when(pl.col("order_id") == "o1").then(pl.lit(AT - timedelta(days=8))),
        returned_quantity=pl.when(pl.col("order_id") == "o1").then(1.0),
    )
    purchases = Purchases.of(orders)
    assert Repeats.of(purchases.before(AT), 2).ages.tolist() == [30, 10, 5]
    assert Repeats.of(purchases.before(AT - timedelta(days=9)), 2).ages.tolist() == [21, 11, 1]


def test_moments_are_half_open() -> None:
    """Bought at 7 days before, and at AT itself: not known at either, bought within the days that begin there."""
    purchases = Purchases.of(bought(("c", "i", 7), ("c", "i", 0)))
    cell = np.zeros(1, int)
    assert len(purchases.before(AT).age) == 1
    assert purchases.before(AT - timedelta(days=7)).age.tolist() == []
    within = [purchases.bought_within(cell, cell, AT - timedelta(days=ago), days)[0]
              for ago, days in ((7, 1), (6, 6), (6, 6.1), (0, 1), (8, 1))]  # fmt: skip
    assert within == [True, False, True, True, False]


def test_what_is_known_is_what_lines_before_has(small_shop) -> None:
    purchases, at = Purchases.of(small_shop.orders), small_shop.test.at
    there = purchases.before(at)
    lines = lines_before(small_shop.orders, at).drop_nulls("customer_id").sort("customer_id", "item_id", "ordered_at")
    assert [purchases.customers.ids[c] for c in there.customer] == lines["customer_id"].to_list()
    assert [purchases.items.ids[i] for i in there.item] == lines["item_id"].to_list()
    np.testing.assert_allclose(there.age, lines["age"], rtol=1e-5)


def test_features_by_hand() -> None:
    """Customer c buys i on days 30, 20, 10 (twice a day with j) and k of the same type on day 5."""
    lines = [
        ("c", "i", 30),
        ("c", "i", 20),
        ("c", "i", 10),
        ("c", "k", 5),
        ("d", "i", 40),
        ("d", "i", 20),
        ("d", "i", 8),
    ]
    catalog = pl.DataFrame({"item_id": ["i", "k"], "type": ["T", "T"]})
    repeats, x = reorder_table(Purchases.of(bought(*lines), catalog), AT, 3)
    c, d = (dict(zip(FEATURES, row.tolist(), strict=True)) for row in x)
    assert len(repeats) == 2
    assert (c["times"], c["last"], c["first"], c["mean_gap"], c["until_mean"]) == (3, 10, 30, 10, 0)
    assert (c["orders"], c["orders_28"], c["order_age"], c["orders_ago"]) == (4, 3, 5, 1)
    assert c["due_orders"] == pytest.approx(2 / 1)  # an order since; one order between purchases
    assert (c["type_age"], d["type_age"]) == (5, 8)
    assert c["item_14"] == d["item_14"] == 2
    assert (d["mean_gap"], d["longest_gap"], d["last_gap"]) == (16, 20, 12)
    assert (c["weekday"], d["weekday"]) == (3, 1)


def test_an_item_without_a_type_has_no_type_features() -> None:
    _, x = reorder_table(Purchases.of(bought(("c", "i", 3), ("c", "i", 2), ("c", "i", 1))), AT, 3)
    assert np.isnan(x[0, [FEATURES.index(name) for name in ("type_age", "type_decayed", "type_share")]]).all()
    assert not np.isnan(np.delete(x[0], [FEATURES.index(n) for n in FEATURES if n.startswith("type_")])).any()


# --- learned


@pytest.fixture(scope="module")
def shop() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Orders, catalog, and the planted cycles."""
    made = synthetic_shop(SyntheticOptions(customers=150, orders_per_customer=25, cycle_share=0.6))
    orders = made.orders.filter(pl.col("quantity") > 0).unique(["order_id", "item_id"]).with_columns(
        pl.col("ordered_at").dt.replace_time_zone("UTC"), pl.col("quantity").cast(pl.Float64),
        returned_at=pl.lit(None, ORDERS["returned_at"]), returned_quantity=pl.lit(None, pl.Float64),
        store_id=pl.lit(None, pl.String),
    )  # fmt: skip
    return orders.select(list(ORDERS)), made.catalog, made.truth.cycles


@pytest.fixture(scope="module")
def purchases(shop) -> Purchases:
    return Purchases.of(shop[0], shop[1])


@pytest.fixture(scope="module")
def at(shop) -> datetime:
    return shop[0]["ordered_at"].max() - timedelta(days=20)


@pytest.fixture(scope="module")
def model(purchases, at) -> ReorderModel:
    return fit_reorder(purchases, at, QUICK)


def test_planted_cycles_come_first(shop, purchases, at, model) -> None:
    """Cycles that fall into the window stand at the head of the list, and nearly all that is listed is bought."""
    found = reorders(purchases, model, at, 7)
    due = found.join(shop[2], on=["customer_id", "item_id"], how="semi").filter(
        pl.col("expected_at").is_between(at + timedelta(days=2), at + timedelta(days=5)), pl.col("times") >= 5
    )
    head = found.head(len(due) // 2)
    assert due.height >= 10
    assert (due["probability"] > found["probability"].quantile(0.95)).all()
    assert head.join(shop[2], on=["customer_id", "item_id"], how="semi").height >= 0.8 * head.height


def test_chances_mean_what_they_say(purchases, at, model) -> None:
    found = reorders(purchases, model, at, 14)
    customer = purchases.customers.positions(found["customer_id"].to_list())
    item = purchases.items.positions(found["item_id"].to_list())
    bought = purchases.bought_within(customer, item, at, 14)
    chance = found["probability"].to_numpy()
    assert abs(chance.mean() - bought.mean()) < 0.25 * bought.mean()
    assert ((chance > 0) & (chance < 1)).all()
    assert found["probability"].is_sorted(descending=True)


def test_the_future_changes_nothing(shop, purchases, at, model) -> None:
    """Later lines gone, moved to other customers and items, or sent back: the same trees, the same list."""
    later = pl.col("ordered_at") >= at
    other = shop[0].with_columns(
        customer_id=pl.when(later).then(pl.lit("00000")).otherwise("customer_id"),
        item_id=pl.when(later).then(pl.lit("zzz")).otherwise("item_id"),
        returned_at=pl.when(pl.int_range(pl.len()) % 3 == 0).then(pl.lit(at)).cast(ORDERS["returned_at"]),
        returned_quantity=pl.col("quantity"),
    )
    for changed in (shop[0].filter(~later), other.sample(fraction=1, shuffle=True, seed=1)):
        again = Purchases.of(changed, shop[1])
        fitted = fit_reorder(again, at, QUICK)
        assert fitted.lines == model.lines
        assert reorders(again, fitted, at).equals(reorders(purchases, model, at))


def test_answers_lie_before_the_moment(purchases, at) -> None:
    """The latest rows that are learned from are of a moment whose days ahead have passed."""
    rows = past_rows(purchases, at, 14, QUICK)
    moments = [at - timedelta(days=14 + 7 * back) for back in range(3)]
    by_hand = [Repeats.of(purchases.before(one), 3) for one in moments]
    assert len(rows.y) == sum(map(len, by_hand))
    cells = zip(by_hand[0].customer, by_hand[0].item, strict=True)
    after = (purchases.time < at.timestamp() * 1e6) & (purchases.time >= moments[0].timestamp() * 1e6)
    bought = set(zip(purchases.customer[after], purchases.item[after], strict=True))
    assert rows.y[: len(by_hand[0])].tolist() == [cell in bought for cell in cells]


def test_saved_and_loaded(model, purchases, at, tmp_path) -> None:
    model.save(tmp_path / "reorder")
    again = ReorderModel.load(tmp_path / "reorder")
    assert again.options == QUICK
    assert again.at == at
    assert reorders(purchases, again, at, 14).equals(reorders(purchases, model, at, 14))
    facts = (tmp_path / "reorder/reorder.json").read_text()
    (tmp_path / "reorder/reorder.json").write_text(facts.replace('"times"', '"often"'))
    with pytest.raises(InputError, match="other features"):
        ReorderModel.load(tmp_path / "reorder")


def test_expected_as_the_trigger_asks(shop, purchases, at, model) -> None:
    known = Known.of(shop[0], pl.DataFrame(schema=EVENTS), shop[1], at + timedelta(days=3))
    expected = expecting(purchases, model, 14)(known)
    assert expected.columns == ["customer_id", "item_id", "expected_at", "probability"]
    assert expected.equals(reorders(purchases, model, known.moment, 14).select(expected.columns))


def test_refusals(purchases, at, model) -> None:
    with pytest.raises(InputError, match="learned from orders up to"):
        reorders(purchases, model, at - timedelta(days=1))
    with pytest.raises(InputError, match="nothing was learned for 30 days"):
        reorders(purchases, model, at, 30)
    with pytest.raises(InputError, match="none was bought again"):
        fit_reorder(purchases, purchases.first + timedelta(days=3), QUICK)
    with pytest.raises(InputError, match="no time zone"):
        purchases.before(at.replace(tzinfo=None))
    with pytest.raises(InputError, match="give days ahead"):
        replace(QUICK, horizons=())


@settings(max_examples=30, deadline=None)
@given(st.floats(-3, 3), st.floats(0.3, 2), st.integers(0, 100))
def test_calibration_finds_the_line(a: float, b: float, seed: int) -> None:
    """Chances of 1 / (1 + exp(-(a + b · raw))): the mean of the calibrated ones is the share that happened."""
    rng = np.random.default_rng(seed)
    raw = rng.normal(0, 2, 3000)
    y = rng.random(3000) < 1 / (1 + np.exp(-(a + b * raw)))
    found = calibration_line(raw, y)
    told = 1 / (1 + np.exp(-(found[0] + found[1] * raw)))
    assert told.mean() == pytest.approx(y.mean(), abs=2e-3)
    assert found[1] == pytest.approx(b, rel=0.35, abs=0.1)


# --- subscriptions


def test_subscriptions_by_hand() -> None:
    weekly = [("w", "i", 3 + 7 * n) for n in range(7)]
    uneven = [("u", "i", ago) for ago in (2, 4, 15, 20, 40, 41, 70)]
    lapsed = [("l", "i", 30 + 7 * n) for n in range(7)]
    few = [("f", "i", 3 + 7 * n) for n in range(6)]
    daily = [("d", "i", 1 + n) for n in range(9)]
    found = subscriptions(Purchases.of(bought(*weekly, *uneven, *lapsed, *few, *daily)), AT)
    assert found.rows(named=True) == [
        {"customer_id": "w", "item_id": "i", "cycles": 6, "interval_days": 7.0, "spread": 0.0,
         "last_at": AT - timedelta(days=3), "next_at": AT + timedelta(days=4)}
    ]  # fmt: skip


def test_planted_cycles_are_candidates(shop, purchases) -> None:
    """All cycles with enough turns; what else is found is little."""
    end = shop[0]["ordered_at"].max() + timedelta(hours=1)
    found = subscriptions(purchases, end, SubscriptionOptions(max_spread=0.25))
    days = shop[0].group_by("customer_id", "item_id").agg(n=pl.col("ordered_at").dt.date().n_unique())
    planted = shop[2].join(days.filter(pl.col("n") >= 8), on=["customer_id", "item_id"], how="semi")
    planted = planted.filter(pl.col("every_days") >= 8)  # a day of jitter is little of that
    assert planted.height >= 15
    hit = planted.join(found, on=["customer_id", "item_id"], how="semi")
    assert hit.height >= 0.95 * planted.height
    assert found.join(shop[2], on=["customer_id", "item_id"], how="anti").height <= 0.1 * found.height
