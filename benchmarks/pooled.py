"""The hybrid against every contender over several comparisons at once: ratios of each, their mean, pooled interval.

    python -m benchmarks.pooled DIR DIR … [--metric recall] [--k 10]

Each DIR is the --out of a `python -m benchmarks.compare` of one shop: another window, or another split. Pooled
ratios are means over the queries of all; intervals draw customers, whose queries may lie in several comparisons.
Rows are sorted by the pooled ratio, hardest contender first, per task and segment.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.windows.pooling import customers
from recsys.errors import InputError
from recsys.evaluation.bootstrap import paired_ratio
from recsys.evaluation.protocols import HYBRID, SEGMENTS
from recsys.registry.wording import segment_name, task_name

Row = dict[str, Any]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    arguments.add_argument("--metric", default="recall")
    arguments.add_argument("--k", type=int, default=10)
    given = arguments.parse_args()
    for task, frames in values_by_task(given.folders).items():
        for segment in SEGMENTS:
            rows = pool(frames, segment, given.metric, given.k)
            if rows:
                print("\n".join(table(rows, task, segment, given)), flush=True)


def values_by_task(folders: Sequence[Path]) -> dict[str, list[pl.DataFrame]]:
    """Task → one frame of values per query of each comparison, for the tasks that all have."""
    found: dict[str, list[pl.DataFrame]] = {}
    for folder in folders:
        files = sorted(folder.glob("per_query-*.parquet"))
        if not files:
            raise InputError(f"{folder} has no per_query-TASK.parquet; give the --out of benchmarks.compare")
        for file in files:
            found.setdefault(file.stem.removeprefix("per_query-"), []).append(pl.read_parquet(file))
    return {task: frames for task, frames in found.items() if len(frames) == len(folders)}


def pool(frames: Sequence[pl.DataFrame], segment: str, metric: str, k: int, resamples: int = 1000) -> list[Row]:
    """Per contender that every comparison has: ratio in each, their mean, pooled ratio with its interval."""
    shared = set.intersection(*(set(frame.columns) for frame in frames))
    ours = _column(HYBRID, segment, metric, k)
    names = [name for name in shared if name.endswith(f"|{segment}|{metric}|{k}") and name != ours]
    if ours not in shared or not names:
        return []
    every = pl.concat([frame.select("customer_id", ours, *names) for frame in frames])
    who, rows = customers(every), []
    for name in names:
        each = [_ratio(frame, ours, name) for frame in frames]
        of_all = paired_ratio(every[ours].to_numpy(), every[name].to_numpy(), resamples, groups=who)
        rows.append({"contender": name.split("|")[0], "each": each, "mean": float(np.mean(each)),
                     "pooled": float(of_all.ratio[0]), "low": float(of_all.low[0]),
                     "high": float(of_all.high[0]), "n": int(of_all.n[0])})  # fmt: skip
    return sorted(rows, key=lambda row: row["pooled"])


def _column(contender: str, segment: str, metric: str, k: int) -> str:
    return f"{contender}|{segment}|{metric}|{k}"


def _ratio(frame: pl.DataFrame, ours: str, theirs: str) -> float:
    both = frame.select(ours, theirs).fill_nan(None).drop_nulls()
    mean = both[theirs].mean()
    return float(both[ours].mean() / mean) if mean else float("nan")  # type: ignore[operator]


def table(rows: Sequence[Row], task: str, segment: str, given: argparse.Namespace) -> list[str]:
    heads = ["hybrid /", *(folder.name for folder in given.folders), "mean", "pooled", "95% interval"]
    title = f"## {task_name(task)}, {segment_name(segment)}: {given.metric}@{given.k}, n = {rows[0]['n']:,}"
    lines = ["", title, "", f"| {' | '.join(heads)} |", "| --- |" + " ---: |" * (len(heads) - 1)]
    for row in rows:
        cells = [*row["each"], row["mean"], row["pooled"]]
        values = " | ".join(f"{value:.3f}" for value in cells)
        lines.append(f"| {row['contender']} | {values} | {row['low']:.3f} - {row['high']:.3f} |")
    return lines


if __name__ == "__main__":
    main()
