"""What is found when every contender is judged on the held-out orders of one moment, as files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recsys.data.histories import TrainData
from recsys.data.splits import both_tasks
from recsys.data.unknowns import Unknowns
from recsys.evaluation.calibration import ProbabilityRows, calibration_records
from recsys.evaluation.cold_start import cold_start_records
from recsys.evaluation.examples import examples
from recsys.evaluation.protocols import (
    HYBRID,
    TASKS,
    EvaluationOptions,
    Lists,
    best_single,
    choose_best,
    contender_lists,
    paired_records,
    per_query,
    records,
)
from recsys.evaluation.segments import segment_records
from recsys.evaluation.value_lists import ValueLists, commerce_records
from recsys.ranking.base_models import BaseModels
from recsys.ranking.blend import Ranked
from recsys.ranking.features import GROUPS
from recsys.ranking.hybrid import Hybrid
from recsys.ranking.value import Worth
from recsys.serving.recommender import Recommender
from recsys.stages import write_json

Row = dict[str, Any]


@dataclass(frozen=True)
class HeldOut:
    """What was known at a moment, the orders asked behind it, and what of them was unknown."""

    data: TrainData
    asked: pl.DataFrame
    unknown: Unknowns


def write_evaluation(
    held_out: HeldOut, models: BaseModels, hybrid: Hybrid, options: EvaluationOptions, block: int, out: Path
) -> None:
    """Records, paired differences, segments, calibration, worth, cold start, coverage, examples, values per query.

    `block` queries are asked at once.
    """
    data = held_out.data
    tasks = both_tasks(held_out.asked, data)
    chances = ProbabilityRows.of_sample(held_out.asked.height, options.seed)
    by_value = ValueLists(Worth.of(data.facts.prices, data.facts.costs))

    def watch(task: str, rows: np.ndarray, ranked: Ranked) -> None:
        chances(task, rows, ranked)
        by_value(task, rows, ranked)

    lists = contender_lists(models, hybrid, tasks, max(options.ks), watch=watch, block=block)
    content: Any = models["content"]
    table = per_query(lists, tasks, options.ks, models.stats.share, content.vectors())
    rows = records(table, lists, len(data.items), options)
    segments = segment_records(table, lists, tasks, data, held_out.unknown.categories, options)
    metrics = _verdicts(rows, segments, options) | {"records": rows, "paired": paired_records(table, rows, options)}
    write_json(out / "metrics.json", metrics)
    write_json(out / "coverage.json", _coverage(lists))
    write_json(out / "segments.json", segments)
    write_json(out / "calibration.json", calibration_records(chances, tasks, lists, options.level))
    write_json(out / "commerce.json", commerce_records(lists, by_value.lists(), tasks, data, options))
    cold = cold_start_records(models, hybrid, data, tasks, lists, held_out.unknown, options)
    write_json(out / "cold_start.json", cold)
    write_json(out / "importances.json", _importances(hybrid))
    judged = Recommender.of(data, models, hybrid, HYBRID)
    write_json(out / "examples.json", examples(judged, tasks, held_out.asked, options.examples, options.seed))
    _write_per_query(table.columns, table.values, held_out.asked, out / "per_query.parquet")


def _verdicts(rows: list[Row], segments: list[Row], options: EvaluationOptions) -> Row:
    """Who is best by the primary metric, beside which single model, and in which groups that holds."""
    segment, metric, k = options.primary_segment, options.primary_metric, options.primary_k
    task = TASKS[0] if options.primary_task == "both" else options.primary_task
    best = choose_best(rows, options)
    return {
        "groups": [r for r in segments if "baseline" in r and (r["metric"] == metric or r["of"] == "items")],
        "primary": {"task": task, "segment": segment, "metric": metric, "k": k},
        "primary_value": primary_value(rows, options, best),
        "best": best,
        "baseline_best_single": {t: best_single(rows, t, segment, metric, k) for t in TASKS},
    }


def primary_value(rows: list[Row], options: EvaluationOptions, contender: str) -> float:
    """The primary metric of a contender: of one task, or the mean of both."""
    tasks = TASKS if options.primary_task == "both" else (options.primary_task,)
    wanted = (options.primary_segment, options.primary_metric, options.primary_k, contender)
    found = [
        r["value"] for r in rows if r["task"] in tasks and (r["segment"], r["metric"], r["k"], r["contender"]) == wanted
    ]
    return float(np.mean([v or 0.0 for v in found]))


def _coverage(lists: Lists) -> dict[str, Row]:
    """How often each contender lists its items among the first ten for the next basket, most often first."""
    out = {}
    for contender, task, segment in sorted(lists):
        if (task, segment) == ("next_basket", "all"):
            counts = np.bincount(lists[contender, task, segment][:, :10].ravel() + 1)[1:]
            out[contender] = {"counts": sorted(counts[counts > 0].tolist(), reverse=True)}
    return out


def _importances(hybrid: Hybrid) -> list[Row]:
    group_of = {feature: group for group, features in GROUPS.items() for feature in features}
    return [{"feature": f, "group": group_of[f], "gain": gain} for f, gain in hybrid.importances().items()]


def _write_per_query(
    columns: list[tuple[str, str, str, str, int]], values: dict[str, Any], asked: pl.DataFrame, file: Path
) -> None:
    """One row per query, one column per (contender, task, segment, metric, k)."""
    table = asked.select("customer_id", "order_id")
    for task, array in values.items():
        names = ["|".join(map(str, c)) for c in columns if c[1] == task]
        table = table.hstack(pl.DataFrame(array, schema=names))
    table.write_parquet(file)
