"""Customers per second of batch scoring with the registered champion, by one process and by several.

    python -m benchmarks.batch_scoring [--config configs/complete_journey.yaml] [--customers 2000] [--workers 2]
        [--spark local[2]]

Starting processes and loading the model are told apart: each number is of partitions after the first of each process.
Beside it, what one process reaches that only asks the model, and CPU seconds per customer, which other work on the
machine disturbs less.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import polars as pl
from threadpoolctl import threadpool_limits

from recsys.config import load_config
from recsys.registry.loaded import load_model, recommender_of
from recsys.scoring import batch
from recsys.scoring.asking import BLOCK
from recsys.scoring.by_spark import ROUNDS, scored_by_spark
from recsys.scoring.partitions import customers_of, model_folder, read_plan, run_job
from recsys.scoring.workers import scored_by
from recsys.spark.options import SparkOptions
from recsys.spark.session import stop


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--config", default="configs/complete_journey.yaml")
    arguments.add_argument("--set", action="append", default=[], dest="settings")
    arguments.add_argument("--customers", type=int, default=2000)
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--spark", default="", help="Spark's master, to score through spark_udf too")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        planned = plan(given, Path(folder))
        model_alone(planned)
        for workers in (1, given.workers):
            processes(planned, Path(folder) / f"by-{workers}", workers)
        if given.spark:
            by_spark(planned, Path(folder) / "by-spark", given.spark)


def plan(given: argparse.Namespace, folder: Path) -> Path:
    """A plan of partitions of 96 customers in a folder of its own."""
    config = load_config(given.config, given.settings)
    small = replace(config.scoring, out=str(folder / "out"), partition_rows=96 * config.scoring.k, customers="")
    config = replace(config, scoring=small, run=replace(config.run, store=str(folder / "store")))
    planned = batch.plan(config, datetime.now(UTC))
    ids = pl.read_parquet(planned / "customers.parquet")["customer_id"].head(given.customers)
    (folder / "ids.txt").write_text("\n".join(ids))
    listed = replace(config, scoring=replace(config.scoring, customers=str(folder / "ids.txt")))
    return batch.plan(listed, datetime.now(UTC))


def model_alone(planned: Path) -> None:
    model, request = load_model(model_folder(planned)), read_plan(planned)["request"]
    ids = customers_of(planned, 0)["customer_id"].to_list()
    table = pd.DataFrame({"customer_id": ids, "options": [request] * len(ids)})
    recommender = recommender_of(model)
    with threadpool_limits(1, "blas"):
        model.predict(table)
        tell("the model's predict", len(ids), *timed(lambda: model.predict(table)))
        asked = (ids, [None] * len(ids), [request] * len(ids))
        tell("its recommender alone", len(ids), *timed(lambda: recommender.recommend(*asked)))
        job = {"store": str(planned.parents[2] / "alone"), "planned": str(planned), "at": 0,
               "scored_at": datetime.now(UTC).isoformat()}  # fmt: skip
        tell("a partition, files included", len(ids), *timed(lambda: run_job(job, model)))


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of wall clock and of CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def processes(planned: Path, store: Path, workers: int) -> None:
    """Customers per second of all partitions but the first of each worker."""
    jobs = [{"store": str(store), "planned": str(planned), "at": at, "scored_at": datetime.now(UTC).isoformat()}
            for at in range(read_plan(planned)["partitions"])]  # fmt: skip
    ended = [time.perf_counter() for _ in scored_by(workers, jobs)]
    sizes = [customers_of(planned, at).height for at in range(workers, len(jobs))]
    print(f"{workers} process(es): {sum(sizes) / (ended[-1] - ended[workers - 1]):.0f} customers a second")


def by_spark(planned: Path, store: Path, master: str) -> None:
    """Customers per second of all partitions but the first, which starts the session and its Python processes."""
    options = SparkOptions(master=master, parts=max(1, -(-read_plan(planned)["partitions"] // ROUNDS)))
    jobs = [{"store": str(store), "planned": str(planned), "at": at, "scored_at": datetime.now(UTC).isoformat()}
            for at in range(read_plan(planned)["partitions"])]  # fmt: skip
    try:
        start, _ = timed(lambda: list(scored_by_spark(options, jobs[:1])))
        wall, _ = timed(lambda: list(scored_by_spark(options, jobs[1:])))
    finally:
        stop()
    n = sum(customers_of(planned, job["at"]).height for job in jobs[1:])
    print(f"Spark {master}: {n / wall:.0f} customers a second, after {start:.0f} s for the first partition")


def tell(what: str, n: int, wall: float, cpu: float) -> None:
    print(f"{what:<28} {n / wall:5.0f} a second of wall clock, {n / cpu:5.0f} a second of CPU (blocks of {BLOCK})")


if __name__ == "__main__":
    main()
