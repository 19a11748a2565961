"""A small shop trained and registered with engine = spark, and its customers scored through spark_udf."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys import pipeline, training
from recsys.folders import damages
from recsys.hashing import KEY_VARIABLE
from recsys.ranking.base_models import SINGLES, BaseModels
from recsys.registry.loaded import find_model
from recsys.scoring import batch
from recsys.scoring.summary import read_manifest
from recsys.stages import read_json
from tests.conftest import NOW
from tests.models.test_contract import same_models
from tests.scoring.conftest import WHEN, clock
from tests.scoring.test_batch import assert_same, customers_in, rows_in
from tests.spark.conftest import ENGINE

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def trained_on_spark(spark, small_config, mlflow_store, tmp_path_factory):
    """The small shop's configuration, its report, and what was registered."""
    del spark  # the session that the stages find
    changes = ENGINE | {"registry.gate.min_of_group": 0.0}  # a small shop's groups are noise, and not what is tested
    config = small_config(mlflow_store(tmp_path_factory.mktemp("on-spark")), changes)
    return config, *training.train(config, NOW)


@pytest.fixture(scope="module")
def scoring(trained_on_spark, tmp_path_factory):
    """Makes a configuration that scores with that champion, in a store of its own."""
    config = trained_on_spark[0]

    def make(engine, **changes):
        home = tmp_path_factory.mktemp(engine)
        options = {"k": 5, "partition_rows": 200, "workers": 1, "out": f"{home}/scores"} | changes
        run = replace(config.run, store=f"{home}/store")
        return replace(config, engine=engine, run=run, scoring=replace(config.scoring, **options))

    return make


def test_a_training_registers_a_champion(trained_on_spark):
    config, report, registered = trained_on_spark
    assert (report / "report.html").is_file()
    assert find_model(config.registry).version == str(registered["version"])
    for kind in ("learn", "fit"):
        for done in Path(config.run.store, kind).iterdir():
            assert read_json(done / "stage.json")["depends"]["engine"] == "spark"
    assert len(list(Path(config.run.store, "spark").iterdir())) == 4, "two training moments, the test, now"


def test_only_als_and_item_knn_come_from_spark(trained_on_spark):
    """All other models are those of the local engine to the last bit; item-kNN has its counts, and its sums nearly."""
    config, _, _ = trained_on_spark
    matrices = pipeline.build_matrices(config, pipeline.ingest_orders(config, NOW))
    by_spark = BaseModels.load(pipeline.fit_models(config, matrices, pipeline.TEST) / "models")
    data, _ = pipeline.load_moment(matrices, pipeline.TEST)
    here = BaseModels.fit(data, config.models)
    for name in set(SINGLES) - {"als", "item_knn"}:
        assert same_models(by_spark[name], here[name])
    one, other = by_spark["item_knn"], here["item_knn"]
    assert one.orders_ == other.orders_
    np.testing.assert_array_equal(one.sold_, other.sold_)
    np.testing.assert_array_equal(one.cosine_.toarray(), other.cosine_.toarray())
    np.testing.assert_allclose(one.recent_, other.recent_, rtol=1e-5)
    assert by_spark["als"].items_.shape == here["als"].items_.shape
    assert not np.array_equal(by_spark["als"].items_, here["als"].items_)


def test_the_files_are_those_of_the_local_engine(scoring):
    local, other = scoring("local"), scoring("spark")
    here, there = batch.score(local, clock), batch.score(other, clock)
    assert_same(rows_in(there), rows_in(here))
    assert customers_in(there).equals(customers_in(here))
    assert damages(there) == []
    ours, theirs = read_manifest(here), read_manifest(there)
    assert theirs["partitions"] == ours["partitions"]
    assert ours["partitions"]["all"] >= 3
    for name in ("counts", "model", "data_digest", "customers_digest", "guarded_in_csv"):
        assert theirs[name] == ours[name]
    assert [f["path"] for f in theirs["files"]] == [f["path"] for f in ours["files"]]
    assert not list(Path(other.run.store, "score-answers").iterdir()), "answers go once partitions are finished"


def test_a_list_of_strange_and_known_customers_with_a_floor_and_hashed_ids(scoring, trained_on_spark, monkeypatch):
    config, _, _ = trained_on_spark
    known = read_json(next(Path(config.run.store, "matrices").glob("*/now/data/customers.json")))[:8]
    listed = Path(config.run.store, "ids.csv")
    strange = ["=1+1", "../../../etc/passwd", 'say ""hi""\nthere', "😀", "NA", "null", "1.0"]
    listed.write_text("customer_id\n" + "".join(f'"{one}"\n' for one in (*strange, *known)))
    monkeypatch.setenv(KEY_VARIABLE, "a secret of 22 letters")
    changes = {"customers": str(listed), "hash_ids": True, "partition_rows": 20}
    best = rows_in(batch.score(scoring("local", **changes), clock)).group_by("customer_id").agg(pl.max("probability"))
    changes["request"] = {"min_probability": best["probability"].median()}
    here, there = (batch.score(scoring(engine, **changes), clock) for engine in ("local", "spark"))
    assert_same(rows_in(there), rows_in(here))
    assert customers_in(there).equals(customers_in(here))
    assert set(customers_in(there)["outcome"]) == {"listed", "empty"}


def test_a_killed_run_goes_on_behind_its_last_wave(scoring):
    """Parts of one, so waves of four: a partition that is there already is not asked for again."""
    local, other = scoring("local", partition_rows=50), scoring("spark", partition_rows=50)
    other = replace(other, spark=replace(other.spark, parts=1))
    places, _ = batch.score_partitions(other, batch.plan(other, WHEN), WHEN)
    assert len(places) > 8
    for place in places[4:6]:
        shutil.rmtree(place)
    again, scored_now = batch.score_partitions(other, batch.plan(other, WHEN), WHEN)
    assert (again, scored_now) == (places, places[4:6])
    assert_same(rows_in(batch.score(other, clock)), rows_in(batch.score(local, clock)))
