"""What Spark does per second on this machine beside the local engine, and what that makes of a larger shop.

    python -m benchmarks.spark_rates ORDERS CATALOG [--lines-of-shop 1e9] [--cores 200] [--master local[2]]

ORDERS and CATALOG are Parquet as `recsys synth` writes them. Each step is timed once, after a first small job of the
session; the JVM's start is told apart. What a larger shop costs is calculated: work of a step there, divided by what a
core does per CPU second here, which other work on the machine disturbs less than the clock. It assumes that cores add
up, and leaves out the network. CPU seconds are read from /proc (Linux).
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recsys import pipeline
from recsys.config import Config, read_config
from recsys.data.histories import TrainData
from recsys.data.store import load_train_data
from recsys.models.als import Als
from recsys.models.item_knn import ItemKnn
from recsys.spark.als import fit_als
from recsys.spark.lines import cells, known_lines, lines_before
from recsys.spark.options import SparkOptions
from recsys.spark.pairs import fit_item_knn
from recsys.spark.session import session, stop
from recsys.stages import read_json


@dataclass(frozen=True)
class Step:
    """One step: how much work it was, in `unit`; CPU seconds of the local engine, seconds and CPU seconds of Spark.

    `fixed` is the part of the work that does not grow with the lines, where the items stay as they are.
    """

    name: str
    unit: str
    work: float
    local_cpu: float
    spark: float
    spark_cpu: float
    fixed: float = 0.0


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("orders")
    arguments.add_argument("catalog")
    arguments.add_argument("--lines-of-shop", type=float, default=1e9)
    arguments.add_argument("--cores", type=int, default=200)
    arguments.add_argument("--master", default="local[2]")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = read_config({
            "data": {"orders": {"path": given.orders}, "catalog": {"path": given.catalog}},
            "run": {"store": f"{folder}/store"}, "split": {"train_moments": 1},
        })  # fmt: skip
        ingested = pipeline.ingest_orders(config, datetime.now(UTC))
        matrices = pipeline.build_matrices(config, ingested)
        data = load_train_data(matrices / pipeline.NOW / "data")
        options = SparkOptions(master=given.master)
        steps, start = measured(config, matrices, data, options)
    tell(data, steps, start)
    larger(data, steps, given.lines_of_shop, given.cores)


def measured(config: Config, matrices: Path, data: TrainData, options: SparkOptions) -> tuple[list[Step], float]:
    """Steps of one fit on everything, and seconds until a session has done its first job."""
    orders = pipeline.store(config) / read_json(matrices / "moments.json")["orders"]
    als, item_knn, given = Als(), ItemKnn(), config.interactions

    def first() -> Any:
        spark = session(options)
        spark.range(1000).selectExpr("sum(id)").collect()
        return spark

    spark, start, _ = timed(first, os.getpid())
    jvm = spark.sparkContext._gateway.proc.pid
    try:
        before = lines_before(spark, orders, matrices / pipeline.NOW / "at.parquet", given.max_age_days)
        lines = known_lines(before, data.items, given).persist()
        n_lines, *read = timed(lines.count, jvm)
        found = cells(lines, data.customers).persist()
        n_cells, *cell = timed(found.count, jvm)
        _, *by_mllib = timed(lambda: fit_als(found, als, len(data.items), options.parts), jvm)
        _, *counted = timed(lambda: fit_item_knn(lines, item_knn, len(data.items), options.parts), jvm)
    finally:
        stop()
    here = os.getpid()
    _, _, here_cells = timed(lambda: data.histories.counts, here)
    _, _, by_implicit = timed(lambda: replace(als).fit(data), here)
    _, _, here_pairs = timed(lambda: replace(item_knn).fit(data), here)
    solving = als.iterations * als.factors**3 / 3
    fixed = len(data.items) * solving
    updates = als.iterations * 2 * n_cells * als.factors**2 + len(data.customers) * solving + fixed
    sizes = np.diff(data.orders.indptr).astype(float)
    return [
        Step("read lines", "lines", n_lines, float("nan"), *read),
        Step("lines to cells", "lines", n_lines, here_cells, *cell),
        Step("ALS", "multiply-adds", updates, by_implicit, *by_mllib, fixed),
        Step("pairs", "pairs of an order", float((sizes**2).sum()), here_pairs, *counted),
    ], start


def timed(do: Callable[[], Any], pid: int) -> tuple[Any, float, float]:
    """What `do` returns, its seconds, and CPU seconds of the process `pid` and those below it."""
    started, before = time.perf_counter(), cpu_seconds(pid)
    return do(), time.perf_counter() - started, cpu_seconds(pid) - before


def cpu_seconds(pid: int) -> float:
    """Of a process, its children and theirs, the ended ones included."""
    facts = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            words = file.read_text().rpartition(")")[2].split()
            facts[int(file.parent.name)] = (int(words[1]), sum(map(int, words[11:15])))
    own = {pid}
    while below := {one for one, (parent, _) in facts.items() if parent in own} - own:
        own |= below
    return sum(facts[one][1] for one in own if one in facts) / os.sysconf("SC_CLK_TCK")


def tell(data: TrainData, steps: list[Step], start: float) -> None:
    print(f"{data.orders.nnz:,} lines, {data.orders.shape[0]:,} orders, {len(data.customers):,} customers, "
          f"{len(data.items):,} items; the session's first job after {start:.1f} s")  # fmt: skip
    table = pl.DataFrame(steps).with_columns(times_the_cpu=pl.col("spark_cpu") / pl.col("local_cpu"))
    with pl.Config(tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True, float_precision=2):
        print(table.drop("fixed"))


def larger(data: TrainData, steps: list[Step], lines: float, cores: int) -> None:
    """Minutes of one fit of a shop of so many lines with as many customers, orders and cells per line as this one."""
    more = lines / data.orders.nnz
    print(f"calculated for {lines:,.0f} lines on {cores} cores, {len(data.items):,} items:")
    for step in steps:
        rate = step.work / step.spark_cpu
        work = (step.work - step.fixed) * more + step.fixed
        print(f"  {step.name:15} {rate:>16,.0f} {step.unit} per CPU second"
              f" -> {work / rate / cores / 60:8.1f} minutes")  # fmt: skip


if __name__ == "__main__":
    main()
