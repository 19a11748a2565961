"""Another recipe on today's data: refit before the same cut, judged on the same queries, paired with the new one.

The other recipe's options are read by today's code. Options that it does not name, of models that are newer than it,
take today's defaults; names that no longer exist are refused. Code of an older release is not run again.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recsys.config import Config, as_dict, read_config
from recsys.evaluation.bootstrap import paired_ratio
from recsys.evaluation.protocols import TASKS
from recsys.pipeline import TEST, blend, build_matrices, evaluate, fit_models, learn_moment, training_moments
from recsys.registry.guardrails import Figures, against_champion
from recsys.registry.promotion import Comparison
from recsys.stages import read_json


@dataclass(frozen=True)
class Judged:
    """A recipe's evaluation and the matrices that it was asked on."""

    matrices: Path
    evaluated: Path

    def figures(self) -> Figures:
        files = ("metrics", "coverage", "segments", "cold_start")
        found = {name: read_json(self.evaluated / f"{name}.json") for name in files}
        return Figures(**found, known_items=len(read_json(self.matrices / TEST / "data" / "items.json")))


def compare_recipe(config: Config, ingested: Path, new: Judged, old: dict[str, Any]) -> Comparison:
    """Refit another recipe and judge it beside the new one: ratio new / old with its interval, and the groups."""
    judged = judge_recipe(config, ingested, old)
    options = config.evaluation
    both = same_queries(config, new, judged)
    asked = pl.read_parquet(new.evaluated / "per_query.parquet").height
    if not both.height:
        return Comparison(np.nan, np.nan, np.nan, 0, asked)
    who = both["customer_id"].rank("dense").cast(pl.Int64).to_numpy()
    found = paired_ratio(
        both["value"].to_numpy(), both["value_old"].to_numpy(), options.resamples, options.level, options.seed, who
    )
    n = int(found.n[0])
    groups = against_champion(new.figures(), judged.figures(), config.registry.gate.min_of_group)
    return Comparison(float(found.ratio[0]), float(found.low[0]), float(found.high[0]), n, asked - n, groups)


def judge_recipe(config: Config, ingested: Path, recipe: dict[str, Any]) -> Judged:
    """Refit a recipe before today's cut; finished stages are reused."""
    other = read_config(as_dict(config) | recipe, "the champion's recipe")
    matrices = build_matrices(other, ingested)
    learned = [learn_moment(other, matrices, name) for name in training_moments(matrices)]
    return Judged(matrices, evaluate(other, matrices, fit_models(other, matrices, TEST), blend(other, learned)))


def same_queries(config: Config, new: Judged, old: Judged) -> pl.DataFrame:
    """customer_id, value, value_old: one row for each order of which both recipes were asked the same items.

    Recipes may differ in which items they know, so that one is asked for fewer items of an order; its share of them
    found would be another measure.
    """
    columns = ["order_id", "items"]
    alike = _asked(new).join(_asked(old), on=columns, how="semi").select("order_id")
    both = _primary(config, new).join(_primary(config, old).drop("customer_id"), on="order_id", suffix="_old")
    return both.join(alike, on="order_id", how="semi").sort("order_id").drop("order_id")


def _asked(judged: Judged) -> pl.DataFrame:
    asked = pl.read_parquet(judged.matrices / TEST / "asked.parquet")
    return asked.select("order_id", items=pl.col("items").list.join("\n"))


def _primary(config: Config, judged: Judged) -> pl.DataFrame:
    """order_id, customer_id, value: the primary metric of the contender that would serve, per query."""
    o = config.evaluation
    best = read_json(judged.evaluated / "metrics.json")["best"]
    tasks = TASKS if o.primary_task == "both" else (o.primary_task,)
    names = [f"{best}|{task}|{o.primary_segment}|{o.primary_metric}|{o.primary_k}" for task in tasks]
    table = pl.read_parquet(judged.evaluated / "per_query.parquet")
    return table.select("order_id", "customer_id", value=pl.mean_horizontal(names))
