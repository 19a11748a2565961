"""The stages of a large training beside the best peers, each in a process of its own, in turn; medians of rounds.

    python -m benchmarks.scale_peers RUN [--rectools PYTHON] [--rounds 3] [--only matrices,…]

RUN is a folder that `python -m benchmarks.scale` left (scale/run-206000). PYTHON is an interpreter with RecTools:

    python3 -m venv peers/rectools && peers/rectools/bin/pip install rectools pyarrow==19.0.1  # for its NumPy 1

matrices    checked orders → histories of customers and orders × items, of everything; RecTools: Dataset.construct
top-20      of every customer: ALS fold-in and list, bought items left out; implicit: recommend with recalculate_user
pairs       orders with both of two items, at least two; SciPy: Bᵀ B, its rare cells dropped
texts       100 alike texts for every product of Complete Journey; the limit is 3 s
rows        candidates with features, of 500 customers; the limit is 2M rows a minute and core
scan, gemm  what the machine does at all: reading the orders' columns, scores of all customers by one product

Prints wall and CPU seconds, peak memory, and the ratio of each to the peer. Exits with 1 where a ratio or limit of
docs/scale.md does not hold.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

K = 20
CUSTOMERS = 500  # of `rows`
ROUNDS = 3


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("run", type=Path)
    arguments.add_argument("--rectools", metavar="PYTHON")
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    arguments.add_argument("--only", default=",".join(PAIRS))
    arguments.add_argument("--one", help=argparse.SUPPRESS)  # what the process of one measurement does
    given = arguments.parse_args()
    at = {name: Path(path) for name, path in json.loads((given.run / "at.json").read_text()).items()}
    if given.one:
        print(json.dumps(timed(ONES[given.one], at)))
        return
    short = []
    print("| stage | who | wall, s | CPU, s | peak, GB | CPU beside the peer | |")
    print("| --- | --- | ---: | ---: | ---: | ---: | --- |")
    for stage in given.only.split(","):
        names = [who for who in PAIRS[stage] if who != "rectools" or given.rectools]
        rounds = [{who: measured(who, given, at) for who in names} for _ in range(given.rounds)]
        found = {who: _medians([one[who] for one in rounds]) for who in names}
        for who in names:
            print(row(stage, who, found[who], found[names[-1]] if len(names) > 1 else None), flush=True)
        short += too_slow(stage, found)
    sys.exit("; ".join(short) or None)


def measured(who: str, given: argparse.Namespace, at: dict[str, Path]) -> dict[str, float]:
    """One measurement in a process of its own."""
    if who == "rectools":
        command = [given.rectools, "-c", RECTOOLS, str(at["ingest"] / "checked" / "orders.parquet")]
    else:
        command = [sys.executable, "-m", "benchmarks.scale_peers", str(given.run), "--one", who]
    alone = dict(os.environ, OMP_WAIT_POLICY="passive", OPENBLAS_NUM_THREADS="1")
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=alone)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def row(stage: str, who: str, value: dict[str, float], peer: dict[str, float] | None) -> str:
    ratio = f"{value['cpu'] / peer['cpu']:.2f}" if peer and value is not peer else ""
    more = "; ".join(f"{v:,.2f} {name}" for name, v in value.items() if name not in ("wall", "cpu", "peak_gb"))
    times = f"{value['wall']:.1f} | {value['cpu']:.1f} | {value['peak_gb']:.1f}"
    return f"| {stage} | {who} | {times} | {ratio} | {more} |"


def timed(work: Callable[[dict[str, Path]], Callable[[], Any]], at: dict[str, Path]) -> dict[str, float]:
    """`work` prepares and returns what is timed, which may return figures of its own."""
    ready = work(at)
    started, cpu = time.perf_counter(), time.process_time()
    more = ready()
    wall, used = time.perf_counter() - started, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)
    return {"wall": wall, "cpu": used, "peak_gb": peak, **(more(wall, used) if callable(more) else {})}


def matrices(at: dict[str, Path]) -> Callable[[], Any]:
    """As the stage `matrices` does for a moment after the last order."""
    from datetime import datetime, timedelta

    import polars as pl

    from recsys.data.checked_store import CODED
    from recsys.data.interactions import train_data
    from recsys.data.known_lines import KnownLines

    place = at["ingest"] / "checked"
    last = datetime.fromisoformat(json.loads((place / "ingest.json").read_text())["last_order"])

    def work() -> None:
        known = KnownLines.read(place / CODED, last + timedelta(seconds=1))
        train_data(known, pl.read_parquet(place / "catalog.parquet"))

    return work


RECTOOLS = """
import json, resource, sys, time
import pandas as pd
from rectools.dataset import Dataset
started, cpu = time.perf_counter(), time.process_time()
lines = pd.read_parquet(sys.argv[1], columns=["customer_id", "item_id", "ordered_at", "quantity"])
lines.columns = ["user_id", "item_id", "datetime", "weight"]
lines["datetime"] = lines["datetime"].dt.tz_localize(None)
Dataset.construct(lines).get_user_item_matrix()
print(json.dumps({"wall": time.perf_counter() - started, "cpu": time.process_time() - cpu,
                  "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}))
"""


def scan(at: dict[str, Path]) -> Callable[[], Any]:
    import polars as pl

    columns = ["customer_id", "item_id", "ordered_at", "quantity"]
    return lambda: pl.read_parquet(at["ingest"] / "checked" / "orders.parquet", columns=columns).height


def _fitted(at: dict[str, Path]) -> tuple[Any, Any]:
    from recsys.data.store import load_train_data
    from recsys.ranking.base_models import BaseModels

    return load_train_data(at["matrices"] / "test" / "data"), BaseModels.load(at["fit"] / "models")


def top_of_all(at: dict[str, Path]) -> Callable[[], Any]:
    from recsys.ranking.blend import by_block
    from recsys.ranking.longest_first import BLOCK, LongestFirst

    data, models = _fitted(at)
    als: Any = models["als"]

    def work() -> None:
        items = LongestFirst.of(als.items_)

        def block(rows: np.ndarray) -> np.ndarray:
            queries = data.histories.take(rows)
            return items.top_k(als.fold_in(queries), K, queries.counts)

        by_block(len(data.histories), block, size=BLOCK)

    return work


def implicit_top(at: dict[str, Path]) -> Callable[[], Any]:
    from implicit.cpu.als import AlternatingLeastSquares

    data, models = _fitted(at)
    als: Any = models["als"]
    solver = AlternatingLeastSquares(factors=als.factors, regularization=als.regularization, alpha=1.0)
    solver.item_factors = als.items_
    confidence = als._confidence(data.histories.counts)
    solver.user_factors = np.zeros((len(data.histories), als.factors), np.float32)

    def work() -> None:
        solver.recommend(np.arange(len(data.histories)), confidence, N=K, recalculate_user=True)

    return work


def gemm(at: dict[str, Path]) -> Callable[[], Any]:
    from threadpoolctl import threadpool_limits

    data, models = _fitted(at)
    items = models["als"].items_  # type: ignore[attr-defined]
    users = np.random.default_rng(0).random((len(data.histories), items.shape[1])).astype(np.float32)

    def work() -> None:
        with threadpool_limits(2, "blas"):
            for first in range(0, len(users), 256):
                users[first : first + 256] @ items.T

    return work


def pairs(at: dict[str, Path]) -> Callable[[], Any]:
    from recsys.models.joint_counts import joint_counts

    data, _ = _fitted(at)
    joint_counts(data.orders[:100], np.ones(100, np.float32), 2, 10**9)  # compiles
    return lambda: joint_counts(data.orders, np.ones(data.orders.shape[0], np.float32), 2, 10**9)


def scipy_pairs(at: dict[str, Path]) -> Callable[[], Any]:
    data, _ = _fitted(at)

    def work() -> None:
        together = (data.orders.T @ data.orders).tocsr()
        together.data[together.data < 2] = 0
        together.eliminate_zeros()

    return work


def texts(_: dict[str, Path]) -> Callable[[], Any]:
    from types import SimpleNamespace

    import polars as pl

    from recsys.config import load_config
    from recsys.data.catalog import read_catalog
    from recsys.data.histories import LEVELS
    from recsys.data.sources import read_source
    from recsys.models.content import Content

    options = load_config("configs/complete_journey.yaml").data.catalog
    items = read_catalog(read_source(options, "data.catalog"), options).items
    words = pl.concat_str(["name", "description", *LEVELS, "brand", "size"], separator=" ", ignore_nulls=True)
    facts = SimpleNamespace(facts=SimpleNamespace(texts=tuple(items.select(words).to_series())))
    return lambda: Content().fit(facts) and None  # type: ignore[arg-type]


def rows(at: dict[str, Path]) -> Callable[[], Any]:
    """Candidates and features alone: what the models say is there already."""
    from recsys.ranking.base_models import cart_scores, history_scores
    from recsys.ranking.candidates import candidates
    from recsys.ranking.features import features
    from recsys.ranking.hybrid import HybridOptions

    data, models = _fitted(at)
    blocks = []
    for first in range(0, CUSTOMERS, 48):
        queries = data.histories.take(np.arange(first, min(first + 48, CUSTOMERS)))
        blocks.append((queries, history_scores(models, queries) | cart_scores(models, queries)))

    def work() -> Callable[[float, float], dict[str, float]]:
        made = 0
        for queries, sources in blocks:
            found = candidates(sources, queries, HybridOptions().proposals)
            made += len(features(found, queries, models))
        return lambda _, used: {"million_rows_a_minute_and_core": made / used * 60 / 1e6}

    return work


ONES = {
    "recsys matrices": matrices, "scan": scan, "recsys top-20": top_of_all, "implicit": implicit_top, "gemm": gemm,
    "recsys pairs": pairs, "scipy": scipy_pairs, "recsys texts": texts, "recsys rows": rows,
}  # fmt: skip
PAIRS = {  # the peer last
    "matrices": ("scan", "recsys matrices", "rectools"),
    "top-20": ("gemm", "recsys top-20", "implicit"),
    "pairs": ("recsys pairs", "scipy"),
    "texts": ("recsys texts",),
    "rows": ("recsys rows",),
}


def too_slow(stage: str, found: dict[str, dict[str, float]]) -> list[str]:
    """What docs/scale.md promises and this run does not show."""
    ours, peer = found[f"recsys {stage}"], found.get(PAIRS[stage][-1], {})
    checks = []
    if stage == "matrices" and "rectools" in found:
        checks = [(ours["cpu"] > 0.3 * peer["cpu"], "CPU above .3 of RecTools'"),
                  (ours["peak_gb"] > peer["peak_gb"] / 3, "memory above a third of RecTools'")]  # fmt: skip
    if stage == "top-20":
        checks = [(ours["wall"] > 0.7 * peer["wall"], "wall above .7 of implicit's")]
    if stage == "texts":
        checks = [(ours["wall"] > 3, "above 3 s")]
    if stage == "rows":
        checks = [(ours["million_rows_a_minute_and_core"] < 2, "below 2M rows a minute and core")]
    return [f"{stage}: {what}" for slow, what in checks if slow]


if __name__ == "__main__":
    main()
