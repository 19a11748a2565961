"""A small shop trained, registered and scored with engine = spark."""

import polars as pl
import pytest

from recsys import training
from recsys.pipeline import read_json
from recsys.registry.loaded import find_model
from recsys.scoring import batch
from recsys.scoring.summary import read_manifest
from tests.conftest import NOW
from tests.scoring.conftest import clock
from tests.spark.conftest import ENGINE

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def on_spark(spark, small_config, mlflow_store, tmp_path_factory):
    """The small shop's configuration, and what a training of it registered."""
    config = small_config(mlflow_store(tmp_path_factory.mktemp("on-spark")), ENGINE)
    return config, *training.train(config, NOW)


def test_a_training_registers_a_champion(on_spark):
    config, report, registered = on_spark
    assert (report / "report.html").is_file()
    assert find_model(config.registry).version == str(registered["version"])
