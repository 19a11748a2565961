"""A hand-made year in which one pair is a season, one promotions', one a store's, one few customers', one none."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom

from recsys import affinity as af
from recsys.pair_counts import baskets
from recsys.pairs.collected import Collected, collect
from recsys.pairs.crowds import Joint, crowded
from recsys.pairs.flags import flags
from recsys.pairs.options import FLAGS, KEYS, FlagOptions
from recsys.pairs.promotions import promotion_weeks

START = datetime(2023, 1, 1, tzinfo=UTC)
PAIRS = {  # pair → the flag that it alone should have
    ("sunscreen", "umbrella"): "seasonal",
    ("chips", "dip"): "promotion",
    ("beer", "pretzel"): "one_store",
    ("honey", "tea"): "few_customers",
    ("bread", "butter"): None,
}
LOW_WEEKS = (10, 11, 12, 30, 31, 32)
SUMMER = range(151, 242)  # days of June to August


def bought(rng, day, store, customer):
    """Items of one order beyond the filler, with their prices."""
    week, out = day // 7, {}
    low = week in LOW_WEEKS
    if day in SUMMER:  # each by itself: the season alone brings them together
        out |= {item: 2.0 for item in ("sunscreen", "umbrella") if rng.random() < 0.3}
    if low and rng.random() < 0.35:
        out |= {"chips": 1.5, "dip": 2.0}
    elif not low:
        out |= {item: 2.0 for item in ("chips", "dip") if rng.random() < 0.08}
    if store == "s1" and rng.random() < 0.12:
        out |= {"beer": 2.0, "pretzel": 2.0}
    if customer in ("c00", "c01") and rng.random() < 0.6:
        out |= {"honey": 2.0, "tea": 2.0}
    if rng.random() < 0.05:
        out |= {"bread": 1.5 if low else 2.0, "butter": 2.0}
    return out


def year(stores=True, priced=True, guests=False, clock=True) -> pl.DataFrame:
    """schemas.Orders of 364 days, five orders a day by sixty customers in four stores."""
    rng, rows = np.random.default_rng(3), []
    for n in range(364 * 5):
        day, store, customer = n // 5, f"s{rng.integers(4)}", f"c{rng.integers(60):02}"
        items = {f"f{i}": 2.0 for i in rng.integers(0, 12, 2)} | bought(rng, day, store, customer)
        time = START + timedelta(days=day if clock else 0, hours=12)
        rows += [
            (f"o{n:05}", item, None if guests else customer, time, price if priced else None, store if stores else None)
            for item, price in items.items()
        ]
    schema = {"order_id": pl.String, "item_id": pl.String, "customer_id": pl.String,
              "ordered_at": pl.Datetime("us", "UTC"), "unit_price": pl.Float64, "store_id": pl.String}  # fmt: skip
    none = [pl.lit(None, kind).alias(name) for name, kind in (("returned_at", pl.Datetime("us", "UTC")),
                                                              ("returned_quantity", pl.Float64))]  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(pl.lit(1.0).alias("quantity"), *none)


def catalog_of(orders: pl.DataFrame) -> pl.DataFrame:
    texts = [pl.lit(None, pl.String).alias(c) for c in ("name", "department", "category", "brand", "size")]
    return orders.select(pl.col("item_id").unique()).with_columns(
        *texts, type=pl.when(pl.col("item_id").str.starts_with("f")).then(pl.lit("filler")).otherwise("item_id")
    )


def told(orders: pl.DataFrame, level="item", options=None, timed=True) -> dict[tuple[str, str], dict[str, object]]:
    collected = collect(orders, catalog_of(orders), timed=timed)
    return of_pairs(collected, level, options or FlagOptions())


def of_pairs(collected: Collected, level, options) -> dict[tuple[str, str], dict[str, object]]:
    found = baskets(collected.lines, KEYS[level])
    a, b = (found.items.positions([pair[side] for pair in sorted(PAIRS)]) for side in (0, 1))
    table = flags(af.count_these(found, a, b), found, collected, level, options)
    return dict(zip(sorted(PAIRS), table.to_dicts(), strict=True))


@pytest.fixture(scope="module")
def orders() -> pl.DataFrame:
    return year()


@pytest.mark.parametrize("level", ["item", "type"])
def test_each_pair_has_its_own_flag_and_no_other(orders, level):
    for pair, row in told(orders, level).items():
        assert {flag for flag in FLAGS if row[flag]} == ({PAIRS[pair]} - {None}), (pair, row)
        assert all(row[flag] is not None for flag in FLAGS)


def test_numbers_beside_the_flags(orders):
    rows = told(orders)
    summer = rows["sunscreen", "umbrella"]
    assert (summer["season"], summer["season_share"], summer["months_sold"]) == ("Jun–Aug", 1.0, 3)
    assert summer["season_of_all"] == pytest.approx(92 / 364, abs=0.005)
    assert 0.7 < summer["season_lift"] < 1.4, "within the months they know nothing of each other"
    control = rows["bread", "butter"]
    assert control["season_lift"] > 2, "orders of so few items leave no room for more"
    promoted = rows["chips", "dip"]
    assert promoted["promotion_share"] > 0.7
    assert promoted["promotion_of_all"] == pytest.approx(6 / 52, abs=0.02)
    assert promoted["usual_lift"] < 1.4 < 1.8 < control["usual_lift"]
    store = rows["beer", "pretzel"]
    assert (store["store"], store["store_share"]) == ("s1", 1.0)
    assert store["store_of_all"] == pytest.approx(0.25, abs=0.03)
    few = rows["honey", "tea"]
    assert few["effective_customers"] == pytest.approx(2, abs=0.1)
    assert few["top_customer_share"] >= 0.5


@pytest.mark.parametrize(("options", "flag"), [
    ({"clock": False}, "seasonal"), ({"clock": False}, "promotion"), ({"priced": False}, "promotion"),
    ({"stores": False}, "one_store"), ({"guests": True}, "few_customers"),
])  # fmt: skip
def test_what_is_not_known_is_not_judged(options, flag):
    rows = told(year(**options), timed=options.get("clock", True))
    assert {row[flag] for row in rows.values()} == {None}
    assert any(row[other] for row in rows.values() for other in FLAGS if other != flag)


def test_a_short_history_has_no_season(orders):
    summer = orders.filter(pl.col("ordered_at") >= START + timedelta(days=120))
    assert {row["seasonal"] for row in told(summer).values()} == {None}
    assert told(summer, options=FlagOptions(season_days=200))["sunscreen", "umbrella"]["seasonal"] is not None


def test_a_season_may_lie_around_new_year():
    late = year().with_columns(pl.col("ordered_at").dt.offset_by("6mo"))
    assert told(late)["sunscreen", "umbrella"]["season"] == "Dec–Feb"


def test_flags_do_not_depend_on_the_order_of_lines(orders):
    assert told(orders.sample(fraction=1, shuffle=True, seed=1)) == told(orders)


def test_crowding_needs_share_odds_and_surety():
    share, base = np.array([1.0, 0.4, 0.6, 1.0]), np.array([0.1, 0.1, 0.5, np.nan])
    p = np.array([binom.sf(9, 10, 0.1), 1e-9, 1e-9, np.nan])
    flag, q = crowded(share, base, p, FlagOptions())
    assert flag.tolist() == [True, False, False, False]
    assert q[0] == pytest.approx(p[0] * 3)
    assert np.isnan(q[3])
    assert crowded(share, base, np.array([0.04, 1, 1, np.nan]), FlagOptions())[0].tolist() == [False] * 4


def test_joint_orders_are_counted_by_group(orders):
    collected = collect(orders, catalog_of(orders))
    found = baskets(collected.lines, "item_id")
    a, b = (found.items.positions([pair[side] for pair in sorted(PAIRS)]) for side in (0, 1))
    joint = Joint.of(af.count_these(found, a, b), found)
    lead = joint.leaders(found.customer, 60)
    for n, pair in enumerate(sorted(PAIRS)):
        both = (
            collected.lines.filter(pl.col("item_id").is_in(pair))
            .group_by("order_id")
            .agg(pl.len(), pl.col("customer_id").first())
        )
        counts = both.filter(pl.col("len") == 2)["customer_id"].value_counts()["count"]
        assert (joint.joint[n], lead.most[n], lead.known[n]) == (counts.sum(), counts.max(), counts.sum())
        assert lead.squares[n] == (counts.cast(pl.Int64) ** 2).sum()


def test_promotion_weeks_of_a_hand_made_item():
    """Twelve weeks at 4.0, one at 3.6, one at 3.7 with a single odd line; a rise of prices is no promotion."""
    prices = [(week, 4.0) for week in range(12)] + [(12, 3.6), (13, 4.0), (13, 4.0), (13, 1.0)]
    rising = [(week, 1.0 + week / 20) for week in range(14)]
    rows = [
        (i, START + timedelta(weeks=w, hours=1), p) for i, all_of in (("a", prices), ("b", rising)) for w, p in all_of
    ]
    lines = pl.DataFrame(
        rows,
        schema={"item_id": pl.String, "ordered_at": pl.Datetime("us", "UTC"), "unit_price": pl.Float64},
        orient="row",
    )
    found = promotion_weeks(lines, "item_id", af.IdMap(("a", "b")), 0.1, 4)
    assert found.known.all()
    assert np.flatnonzero(found.low[:, 0]).tolist() == [12]
    assert not found.low[4:, 1].any()
