"""Spark on two cores of this machine, one session for all tests; without Java or pyspark they are skipped."""

import pytest

from recsys.spark.options import SparkOptions
from recsys.spark.session import missing, session, stop

CONF = {"spark.sql.shuffle.partitions": 2, "spark.default.parallelism": 2}
SMALL = {"master": "local[2]", "driver_memory": "3g", "parts": 2, "conf": CONF}
ENGINE = {"engine": "spark", "spark": SMALL}


@pytest.fixture(scope="session")
def spark():
    if why := missing():
        pytest.skip(why)
    yield session(SparkOptions(**SMALL))
    stop()
