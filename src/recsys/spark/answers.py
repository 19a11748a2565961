"""The registered model's answers for many customers, given by executors through `mlflow.pyfunc.spark_udf`."""

import logging
import warnings
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from recsys.spark.options import SparkOptions
from recsys.spark.session import IN_WORKERS, session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

WORDS, NUMBERS = ("item_ids", "reasons", "reason_codes"), ("scores", "probabilities")
TOLD = ("fallback", "model_version", "error")
ANSWER = ", ".join(
    [f"{name}: array<string>" for name in WORDS]
    + [f"{name}: array<double>" for name in NUMBERS]
    + [f"{name}: string" for name in TOLD]
)
ANSWERS = "answers"
BLOCK = 960  # customers of one call of the model, as in recsys.scoring.asking


def write_answers(
    options: SparkOptions, model: Path, customers: Path, partitions: Sequence[int], request: str, out: Path
) -> None:
    """Parquet below out/answers, a folder per partition, a row per customer: customer_id and the fields of ANSWER.

    `customers` is a Parquet file of customer_id and partition; `model` a folder that MLflow loads; `request` the
    options of every request. A partition is the work of one task.
    """
    from pyspark.sql import functions as fn

    spark = session(options)
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", BLOCK)
    place = {number: at for at, number in enumerate(partitions)}
    task = fn.create_map(*(fn.lit(part) for pair in place.items() for part in pair))[fn.col("partition")]
    asked = spark.read.parquet(customers.absolute().as_uri()).where(fn.col("partition").isin(list(place)))
    asked = asked.select("partition", "customer_id", fn.lit(request).alias("options")).repartitionById(len(place), task)
    answer = _udf(spark, model)(fn.struct("customer_id", "options")).alias("answer")
    told = asked.select("partition", "customer_id", answer).select("partition", "customer_id", "answer.*")
    told.write.partitionBy("partition").parquet((out / ANSWERS).absolute().as_uri())


def read_answers(written: Path, partition: int) -> pl.DataFrame:
    """What `write_answers` wrote of one partition."""
    return pl.read_parquet(written / ANSWERS / f"partition={partition}" / "*.parquet", hive_partitioning=False)


def _udf(spark: "SparkSession", model: Path) -> Any:
    import mlflow

    with _quiet():
        return mlflow.pyfunc.spark_udf(
            spark, model.absolute().as_uri(), result_type=f"struct<{ANSWER}>", env_manager="local", extra_env=IN_WORKERS
        )


@contextmanager
def _quiet() -> "Iterator[None]":
    """MLflow recommends conda, and pyspark 4.2 says of pandas 3 what it says of itself: not all is tested yet."""
    logger = logging.getLogger("mlflow.pyfunc")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
