"""Each way in which an export goes wrong is named by the check that is meant for it; a natural week stops nothing."""

from datetime import timedelta

import polars as pl
import pytest

from recsys.monitoring.checks import REMEDIES
from recsys.monitoring.options import CHECKS, MonitoringOptions
from recsys.monitoring.order_profile import category_level, hashed_sample, profile_orders, whole_until

SEEDS = range(12)


def verdicts(checks):
    """(name, scope) → verdict of all that are not ok."""
    return {(c.name, c.scope): c.verdict for c in checks if c.verdict != "ok"}


def found(weeks, orders, **more):
    checks, notes = weeks.compare(orders, **more)
    assert notes == []
    return verdicts(checks), {(c.name, c.scope): c for c in checks}


def test_the_same_orders_are_no_drift(weeks):
    checks, notes = weeks.compare(weeks.old)
    assert verdicts(checks) == {}
    assert all(c.value == pytest.approx(0) or c.name == "price_level" for c in checks)
    assert "0 orders are newer" in notes[0]
    assert "no whole day since" in notes[1]


def test_natural_weeks_stop_nothing(made_weeks):
    """The false alarms of twelve shops: no stop, and at most one check of all warns."""
    warned = []
    for seed in SEEDS:
        shop = made_weeks(seed, customers=200)
        checks, _ = shop.compare(shop.orders)
        assert len(checks) >= 20
        warned += [(seed, name) for name, verdict in verdicts(checks).items() if verdict == "warn"]
        assert "stop" not in verdicts(checks).values(), verdicts(checks)
    assert len(warned) <= 1, warned


def test_doubled_prices(weeks):
    bad, checks = found(weeks, weeks.week(pl.col("unit_price") * 2))
    assert bad[("price_level", "new")] == "stop"
    assert bad.keys() <= {("price_level", "new"), ("price_distribution", "new")}
    assert 1.9 < checks["price_level", "new"].value < 2.1
    whole = weeks.orders.with_columns(pl.col("unit_price") / 2)
    bad, checks = found(weeks, whole)
    assert bad["price_level", "history"] == "stop", "the whole export in another currency"
    assert "0.500 times" in checks["price_level", "history"].text


def test_a_vanished_category(weeks):
    share = weeks.old.join(weeks.catalog, on="item_id")["department"].value_counts(normalize=True)
    gone = share.sort("proportion")["department"][-1]
    items = weeks.catalog.filter(pl.col("department") == gone)["item_id"]
    new = (pl.col("ordered_at") >= weeks.cut) & pl.col("item_id").is_in(items.implode())
    bad, checks = found(weeks, weeks.orders.filter(~new))
    assert bad[("vanished_categories", "new")] == "stop"
    assert str(gone) in checks["vanished_categories", "new"].text
    assert bad[("category_mix", "new")] == "stop"


def test_renamed_categories(weeks):
    renamed = weeks.catalog.with_columns(department="x-" + pl.col("department"))
    bad, _ = found(weeks, weeks.orders, catalog=renamed)
    assert bad[("category_mix", "history")] == bad[("vanished_categories", "history")] == "stop"


def test_renamed_items(weeks):
    bad, checks = found(weeks, weeks.week(("0" + pl.col("item_id")).alias("item_id")))
    assert bad[("new_items", "new")] == "stop"
    assert checks["new_items", "new"].value > 0.9
    assert "leading zeros" in checks["new_items", "new"].remedy
    everywhere = weeks.orders.with_columns(item_id="0" + pl.col("item_id")).sort("ordered_at", "order_id", "item_id")
    renamed = weeks.catalog.with_columns(item_id="0" + pl.col("item_id"))
    bad, checks = found(weeks, everywhere, catalog=renamed)
    assert bad == {("lost_items", "history"): "stop"}
    assert checks["lost_items", "history"].value == 1


def test_renamed_customers(weeks):
    bad, _ = found(weeks, weeks.week(("c" + pl.col("customer_id")).alias("customer_id")))
    assert bad[("new_customers", "new")] == "stop"
    assert bad[("repeat_share", "new")] == "stop", "nobody has a history"
    bad, _ = found(weeks, weeks.orders.with_columns(customer_id="c" + pl.col("customer_id")))
    assert bad == {("lost_customers", "history"): "stop"}


def test_a_missing_day(weeks):
    day = (weeks.cut + timedelta(days=2)).date()
    bad, checks = found(weeks, weeks.orders.filter(pl.col("ordered_at").dt.date() != day))
    assert bad == {("missing_days", "new"): "warn"}
    assert f"{day} (0 orders, " in checks["missing_days", "new"].text
    old = (weeks.cut - timedelta(days=9)).date()
    bad, checks = found(weeks, weeks.orders.filter(pl.col("ordered_at").dt.date() != old))
    assert bad[("missing_days", "history")] == "warn"
    assert str(old) in checks["missing_days", "history"].text


def test_nulls(weeks):
    third = pl.when(pl.col("order_id").str.slice(-1).is_in(["1", "4", "7"])).then(None).otherwise(pl.col("customer_id"))
    bad, checks = found(weeks, weeks.week(third.alias("customer_id")))
    assert bad[("null_rates", "new")] == "stop"
    assert "orders.customer_id" in checks["null_rates", "new"].text
    brands = weeks.catalog.with_columns(brand=pl.lit(None, pl.String))
    bad, checks = found(weeks, weeks.orders, catalog=brands)
    assert bad == {("null_rates", "new"): "stop", ("null_rates", "history"): "stop"}
    assert "catalog.brand" in checks["null_rates", "history"].text


def test_halved_volume(weeks):
    kept = weeks.orders.filter((pl.col("ordered_at") < weeks.cut) | (pl.col("order_id").hash(1) % 2 == 0))
    bad, checks = found(weeks, kept)
    assert bad == {("volume", "new"): "warn"}
    assert checks["volume", "new"].value == pytest.approx(2, rel=0.25)
    assert found(weeks, kept, volume=(1.4, 1.6))[0] == {("volume", "new"): "stop"}
    bad, _ = found(weeks, weeks.orders.filter(pl.col("order_id").hash(1) % 2 == 0))
    assert bad[("rewritten_days", "history")] == "stop", "half of the history is gone"


def test_refused_rows(weeks):
    many = {"read": 11_000, "rejected": 500, "rules": [{"rule": "zero_price", "rows": 100},
                                                        {"rule": "unparsable_time", "rows": 400}]}  # fmt: skip
    bad, checks = found(weeks, weeks.orders, intake=many)
    assert bad == {("refused_rows", "new"): "stop"}
    assert "mostly unparsable_time (+400 rows)" in checks["refused_rows", "new"].text
    assert checks["refused_rows", "new"].value == pytest.approx(0.4 - 0.01)


def test_orders_split_by_line(weeks):
    split = weeks.week((pl.col("order_id") + "-" + pl.col("item_id")).alias("order_id"))
    assert found(weeks, split)[0][("basket_size", "new")] == "stop"


def test_too_few_new_orders_are_said_not_judged(weeks):
    few = weeks.orders.filter(pl.col("ordered_at") < weeks.cut + timedelta(hours=14))
    checks, notes = weeks.compare(few)
    assert verdicts(checks) == {}
    assert "20 are needed to compare them (monitoring.min_orders)" in notes[0]


def test_an_export_that_no_longer_reaches_back(weeks):
    checks, notes = weeks.compare(weeks.orders.filter(pl.col("ordered_at") >= weeks.cut - timedelta(days=3)))
    assert not [c for c in checks if c.scope == "history" and c.name not in ("rewritten_days", "missing_days")]
    assert "its history is not compared" in " ".join(notes)


def test_row_order_and_repetition_change_nothing(weeks):
    options = MonitoringOptions()
    once = profile_orders(weeks.old, weeks.catalog, {"read": 1, "rejected": 0, "rules": []}, options, False)
    again = profile_orders(weeks.old, weeks.catalog.reverse(), {"read": 1, "rejected": 0, "rules": []}, options, False)
    assert once == again
    assert not set(once["recent"]["customer_sample"]) & set(weeks.old["customer_id"].drop_nulls()), "only hashes"


def test_an_unfinished_last_day_is_not_counted(weeks):
    noon = weeks.cut + timedelta(days=6, hours=9)
    assert whole_until(weeks.orders.filter(pl.col("ordered_at") < noon)) == noon.date()
    assert whole_until(weeks.old) == weeks.cut.date()


def test_samples_are_the_same_ids_whatever_comes_along():
    ids = [f"c{i}" for i in range(100)]
    assert set(hashed_sample(ids, 10)) >= set(hashed_sample([*ids, *(f"d{i}" for i in range(20))], 10)) & {
        *hashed_sample(ids, 100)
    }
    assert hashed_sample(ids, 5, seed=1) != hashed_sample(ids, 5, seed=2)


def test_an_empty_level_falls_back(weeks):
    blank = weeks.catalog.with_columns(department=pl.lit(None, pl.String))
    assert category_level(weeks.catalog, "department") == "department"
    assert category_level(blank, "department") == "category"


def test_every_check_has_limits_and_a_remedy():
    assert set(REMEDIES) == set(CHECKS)
