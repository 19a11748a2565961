"""Where recipes are judged while searching: moments before the test, each the test of what remains.

window, tune.validation_moments = 2; every window is split.window_days long:

    ── history ── train … train ─┤ validation 2 ├─ validation 1 ─┤   test    │
                                 v2             v1               cut        end
    validation 1: models fitted before v1, the ranker trained on moments whose windows end by v1, judged on [v1, cut)
    validation 2: the orders from v1 on cut away, then the same before v2, judged on [v2, v1)

last_basket, per customer:  order, …, order │ last but two │ last but one │ last
                                              validation 2   validation 1   test

Every row from the test on is cut away before anything is built, and stages are named by what is left: another
future gives the same names and the same values.
"""

import hashlib
import io
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from recsys.config import Config, as_dict
from recsys.data.checked_store import read_checked, write_checked
from recsys.data.ingest import COUNTS, Checked
from recsys.data.splits import Moment, SplitOptions, both_tasks, moments
from recsys.errors import InputError
from recsys.evaluation.metrics import count_relevant, find_hits, ranking_metrics
from recsys.evaluation.protocols import HYBRID, TASKS, contender_lists, in_segment
from recsys.pipeline import TEST, blend, build_matrices, fit_models, learn_moment, load_moment, store, training_moments
from recsys.ranking.base_models import BaseModels
from recsys.ranking.hybrid import Hybrid
from recsys.schemas import REJECTED
from recsys.stages import read_json, seconds, stage

NOT_OF_THE_PAST = ("unit_price", "unit_cost", "in_stock")  # columns of the catalog that are today's


@dataclass(frozen=True)
class Validation:
    """One moment to judge on: its split, and the matrices of it and of the training moments before it."""

    name: str
    split: SplitOptions
    matrices: Path


def validation_moments(config: Config, ingested: Path) -> list[Validation]:
    """The `tune.validation_moments` moments before the test, latest first; InputError where there are too few."""
    checked = read_checked(ingested / "checked")
    orders, split, out = checked.orders, config.split, []
    for back in range(1, config.tune.validation_moments + 1):
        _, test = moments(orders, split)
        orders, split = orders_before(orders, test.at), split_before(split, test)
        try:
            _require_room(orders, split)
            kept = _keep(config, orders, checked.catalog)
            matrices = build_matrices(replace(config, split=split), kept)
        except InputError as error:
            raise InputError(
                f"tune.validation_moments = {config.tune.validation_moments}: moment {back} before the test cannot be "
                f"judged on: {error}; lower tune.validation_moments, split.train_moments or split.window_days"
            ) from None
        out.append(Validation(read_json(matrices / "moments.json")["test"], split, matrices))
    return out


def orders_before(orders: pl.DataFrame, at: datetime | pl.DataFrame) -> pl.DataFrame:
    """Order lines before the moment, without what came back later.

    `at` is one moment for all, or a frame (customer_id, at); then lines of others, and of guests, are all kept.
    """
    if isinstance(at, datetime):
        lines = orders.with_columns(at=pl.lit(at).dt.cast_time_unit("us"))
    else:
        lines = orders.join(at, on="customer_id", how="left", maintain_order="left")
    lines = lines.filter(pl.col("at").is_null() | (pl.col("ordered_at") < pl.col("at")))
    back = pl.col("at").is_null() | (pl.col("returned_at") < pl.col("at"))
    return lines.with_columns(
        returned_at=pl.when(back).then("returned_at"), returned_quantity=pl.when(back).then("returned_quantity")
    ).drop("at")


def split_before(split: SplitOptions, test: Moment) -> SplitOptions:
    """The split whose test is the window that ends where `test` begins; each customer's last basket stays that."""
    if not isinstance(test.at, datetime):
        return split
    return replace(split, cut=test.at - timedelta(days=split.window_days), end=test.at)


def _require_room(orders: pl.DataFrame, split: SplitOptions) -> None:
    train, _ = moments(orders, split)
    first = orders["ordered_at"].min()
    times = [moment.at for moment in train if isinstance(moment.at, datetime)]
    if times and isinstance(first, datetime) and min(times) <= first:
        raise InputError(
            f"its first training moment {min(times):%Y-%m-%d} is not after the first order of {first:%Y-%m-%d}"
        )


def _keep(config: Config, orders: pl.DataFrame, catalog: pl.DataFrame) -> Path:
    """Checked tables as they were before a moment, named by their content."""
    sold = catalog.join(orders.select("item_id").unique(), on="item_id", how="semi", maintain_order="left")
    sold = sold.with_columns(pl.lit(None, catalog.schema[name]).alias(name) for name in NOT_OF_THE_PAST)
    tables = _without_refusals(orders, sold)
    depends = {"orders": content_digest(orders), "catalog": content_digest(sold)}
    return stage(store(config), "before", depends, lambda out: write_checked(tables, out / "checked"))


def _without_refusals(orders: pl.DataFrame, catalog: pl.DataFrame) -> Checked:
    """Tables that were checked before: every row is kept."""
    return Checked(orders, catalog, pl.DataFrame(schema=REJECTED), pl.DataFrame(schema=COUNTS), orders.height, {})


def content_digest(frame: pl.DataFrame) -> str:
    """Digest of the values, their order and the columns."""
    held = io.BytesIO()
    frame.rechunk().write_parquet(held, compression="uncompressed", statistics=False)
    return hashlib.blake2b(held.getbuffer(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class Judged:
    """What a recipe found on the validation moments.

    tables  a frame per moment: customer_id, order_id, and per judged task the primary metric (NaN = left out)
    stages  directories that it was built from, learned models and rows first
    """

    tables: list[pl.DataFrame]
    stages: list[Path]

    def by_moment(self) -> list[float]:
        """Mean over tasks of the mean over queries, for each moment."""
        return [_mean_of_tasks(table) for table in self.tables]

    def value(self) -> float:
        """Mean over moments."""
        return float(np.mean(self.by_moment()))

    def ranker_seconds(self) -> float:
        """How long its rankers and lists took when they were built, without models and rows."""
        return sum(seconds(path) for path in self.stages if path.parent.name in ("blend", "trial"))


def judge_recipe(config: Config, validations: list[Validation]) -> Judged:
    """Fit before each moment, train the ranker on earlier ones, ask the hybrid; finished stages are reused."""
    tables, stages = [], []
    for moment in validations:
        learned = [learn_moment(config, moment.matrices, name) for name in training_moments(moment.matrices)]
        fitted, blended = fit_models(config, moment.matrices, TEST), blend(config, learned)
        found = _values(config, moment.matrices, fitted, blended)
        tables.append(pl.read_parquet(found / "values.parquet"))
        stages += [*learned, fitted, blended, found]
    return Judged(tables, stages)


def _values(config: Config, matrices: Path, fitted: Path, blended: Path) -> Path:
    primary = {k: v for k, v in as_dict(config.evaluation).items() if k.startswith("primary_")}
    depends = {"from": [matrices.name, fitted.name, blended.name], "primary": primary}
    return stage(store(config), "trial", depends, lambda out: _write_values(config, matrices, fitted, blended, out))


def _write_values(config: Config, matrices: Path, fitted: Path, blended: Path, out: Path) -> None:
    options = config.evaluation
    data, asked = load_moment(matrices, TEST)
    models, hybrid = BaseModels.load(fitted / "models"), Hybrid.load(blended / HYBRID)
    wanted = TASKS if options.primary_task == "both" else (options.primary_task,)
    tasks = {name: queries for name, queries in both_tasks(asked, data).items() if name in wanted}
    lists = contender_lists(models, hybrid, tasks, options.primary_k, singles=())
    table = asked.select("customer_id", "order_id")
    for name, queries in tasks.items():
        relevant = in_segment(queries, options.primary_segment)
        hits = find_hits(lists[HYBRID, name, options.primary_segment], relevant)
        found = ranking_metrics(hits, count_relevant(relevant), (options.primary_k,))
        table = table.with_columns(pl.Series(name, found[options.primary_metric, options.primary_k]))
    table.write_parquet(out / "values.parquet")


def _mean_of_tasks(table: pl.DataFrame) -> float:
    tasks = [table[name].drop_nans() for name in table.columns if name in TASKS]
    if any(not len(values) for values in tasks):
        raise InputError(
            "no validation query has an item of the segment that is judged; set evaluation.primary_segment=all, "
            "or hold out a longer window (split.window_days)"
        )
    return float(np.mean([values.to_numpy().mean() for values in tasks]))
