"""Where a search judges: labels before the window, nothing of the test, and the figure of the whole pipeline."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from recsys import pipeline
from recsys.config import Config
from recsys.data.splits import SplitOptions
from recsys.errors import InputError
from recsys.evaluation.protocols import HYBRID
from recsys.judging import primary_value
from recsys.stages import read_json
from recsys.validation_moments import judge_recipe, orders_before, validation_moments

NOW = datetime(2024, 9, 1, tzinfo=UTC)
CUT, END = datetime(2024, 6, 21, tzinfo=UTC), datetime(2024, 7, 19, tzinfo=UTC)  # of the test
SPLIT = {"split.cut": CUT.isoformat(), "split.end": END.isoformat()}


@pytest.fixture(scope="module")
def config(small_config, tmp_path_factory) -> Config:
    return small_config(tmp_path_factory.mktemp("moments"), SPLIT)


@pytest.fixture(scope="module")
def ingested(config) -> Path:
    return pipeline.ingest_orders(config, NOW)


@pytest.fixture(scope="module")
def orders(ingested) -> pl.DataFrame:
    return pl.read_parquet(ingested / "checked" / "orders.parquet")


@pytest.fixture(scope="module")
def validations(config, ingested):
    return validation_moments(config, ingested)


@pytest.fixture(scope="module")
def judged(config, validations):
    return judge_recipe(config, validations)


def times_of(asked: Path, orders: pl.DataFrame) -> pl.Series:
    """When the lines of the asked orders were bought."""
    held = pl.read_parquet(asked).join(orders, on=["customer_id", "order_id"])
    assert held["order_id"].n_unique() > 20
    return held["ordered_at"]


def test_labels_end_where_the_validation_window_begins(config, validations, orders):
    window = timedelta(days=config.split.window_days)
    starts = [CUT - window, CUT - 2 * window]
    assert [moment.name for moment in validations] == [f"{start:%Y-%m-%d}" for start in starts]
    for start, moment in zip(starts, validations, strict=True):
        for name in pipeline.training_moments(moment.matrices):
            assert times_of(moment.matrices / name / "asked.parquet", orders).max() < start, "labels of the ranker"
        judged = times_of(moment.matrices / "test" / "asked.parquet", orders)
        assert start <= judged.min()
        assert judged.max() < start + window <= CUT


def test_a_last_basket_is_judged_by_the_one_before_it(config, ingested, orders):
    last = replace(config, split=SplitOptions(kind="last_basket", train_moments=1))
    ranked = orders.drop_nulls("customer_id").select("customer_id", "order_id", "ordered_at").unique()
    ranked = ranked.sort("ordered_at", "order_id", descending=True).with_columns(
        back=pl.int_range(pl.len()).over("customer_id")
    )
    place = {(c, o): back for c, o, _, back in ranked.iter_rows()}
    for back, moment in enumerate(validation_moments(last, ingested), 1):
        asked = pl.read_parquet(moment.matrices / "test" / "asked.parquet")
        assert {place[row] for row in asked.select("customer_id", "order_id").iter_rows()} == {back}
        learnt = pl.read_parquet(moment.matrices / "train-0" / "asked.parquet")
        assert {place[row] for row in learnt.select("customer_id", "order_id").iter_rows()} == {back + 1}


def from_on(orders: pl.DataFrame, at: datetime) -> pl.DataFrame:
    """Every exported row from a time on becomes another: other items, customers, quantities, prices; no returns."""
    later = pl.col("ordered_at") >= at.replace(tzinfo=None)
    changed = orders.filter(later & (pl.col("quantity") > 0)).with_columns(
        item_id=pl.col("item_id").reverse(),
        customer_id=pl.lit("00001"),
        quantity=pl.col("quantity") + 3,
        unit_price=pl.col("unit_price") * 1.5,
    )
    changed = changed.unique(["order_id", "item_id"], keep="first", maintain_order=True)
    return pl.concat([orders.filter(~later), changed])


def test_no_row_from_the_test_on_moves_a_value(made_shop, small_config, validations, judged, tmp_path):
    def changed_from(name: str, at: datetime):
        file = tmp_path / f"{name}.parquet"
        from_on(made_shop.orders, at).write_parquet(file)
        other = small_config(tmp_path, SPLIT | {"data.orders.path": str(file)})
        again = validation_moments(other, pipeline.ingest_orders(other, NOW))
        return [m.matrices.name for m in again], judge_recipe(other, again).by_moment()

    names, values = changed_from("test", CUT)
    assert values == judged.by_moment(), "to the last bit"
    assert names == [m.matrices.name for m in validations], "not even a stage is named by what came later"
    names, values = changed_from("validation", CUT - timedelta(days=14))
    assert values[0] != judged.by_moment()[0], "the same change within the validation window is seen"
    assert names[1] == validations[1].matrices.name


def test_what_came_back_after_the_moment_was_not_known(orders):
    known = orders_before(orders, CUT)
    assert known["ordered_at"].max() < CUT
    later = orders.filter((pl.col("ordered_at") < CUT) & (pl.col("returned_at") >= CUT))
    assert later.height > 0
    assert known["returned_at"].max() < CUT
    assert known.height == orders.filter(pl.col("ordered_at") < CUT).height
    assert known["returned_quantity"].null_count() == known["returned_at"].null_count()


def test_a_trial_finds_what_the_evaluation_of_that_moment_says(config, validations, judged):
    """The whole pipeline, with its split moved back by hand, over orders cut off by hand."""
    for moment, value in zip(validations, judged.by_moment(), strict=True):
        moved = replace(config, split=moment.split)
        learned = [pipeline.learn_moment(moved, moment.matrices, m) for m in pipeline.training_moments(moment.matrices)]
        fitted = pipeline.fit_models(moved, moment.matrices, pipeline.TEST)
        evaluated = pipeline.evaluate(moved, moment.matrices, fitted, pipeline.blend(moved, learned))
        records = read_json(evaluated / "metrics.json")["records"]
        assert primary_value(records, moved.evaluation, HYBRID) == pytest.approx(value, abs=1e-12)


def test_what_cannot_be_searched_is_refused(config, ingested, tmp_path):
    def moments_of(**changes):
        validation_moments(replace(config, **changes), ingested)

    many = replace(config.tune, validation_moments=6)
    with pytest.raises(InputError, match=r"tune\.validation_moments = 6: moment 6 before .* lower tune\.validation"):
        moments_of(tune=many)
    with pytest.raises(InputError, match=r"moment 1 before .* training moment 2023-.* is not after the first order"):
        moments_of(split=replace(config.split, train_moments=30))
    strict = replace(config.data, sufficiency=replace(config.data.sufficiency, min_queries=500))
    with pytest.raises(InputError, match=r"moment 1 before the test cannot be judged on: .*queries is \d+, needs"):
        moments_of(data=strict, run=replace(config.run, store=str(tmp_path / "other")))
