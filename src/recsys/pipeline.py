"""The stages of a training, once: plain functions from finished directories to finished directories.

    ingest ─ matrices ─┬─ learn (each training moment) ─ blend ─┐
                       ├─ fit (test) ───────────────────────────┼─ evaluate ─┐
                       └─ fit (now) ────────────────────────────┴─ package ──┴─ report ─ register

The CLI calls them; the flow wraps the same functions as tasks. `package` adds offers where `recsys.offer_kits` made
them.
"""

import os
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from recsys.config import Config, as_dict
from recsys.customer_privacy import hash_rejected, key_mark, key_of
from recsys.data.checked_store import CODED, ingest_facts, read_checked, write_checked
from recsys.data.databases import redact_all
from recsys.data.histories import TrainData
from recsys.data.ingest import Checked, ingest, source_digest
from recsys.data.interactions import lines_before, train_data
from recsys.data.known_lines import KnownLines
from recsys.data.splits import Moment, asked_orders, moments, sampled
from recsys.data.store import load_train_data, save_train_data
from recsys.data.sufficiency import Check, judge, require_sufficient
from recsys.data.unknowns import load_unknowns, save_unknowns, unknowns
from recsys.errors import InputError
from recsys.evaluation.protocols import HYBRID
from recsys.judging import HeldOut, write_evaluation
from recsys.memory import block_size, require_memory
from recsys.offers.kit_store import Shared, load_own
from recsys.ranking.base_models import BaseModels, params
from recsys.ranking.blend import BLOCK
from recsys.ranking.hybrid import Hybrid
from recsys.ranking.training_rows import TrainingRows
from recsys.serving.recommender import Recommender
from recsys.stages import read_json, stage, write_json
from recsys.training_set import cart_and_new, moment_rows

TEST, NOW = "test", "now"
KIT = "kit"  # folder of the offer kit within its stage
ASKED = ["order_id", "customer_id", "item_id", "ordered_at"]  # columns that say which orders of a window are asked


def ingest_orders(config: Config, now: datetime) -> Path:
    """Checked orders and catalog, rejected rows, counts and the sufficiency verdict.

    Yesterday's result is kept for the same source, unless rows lay in its future: they may be past by now.
    """
    depends = {"data": redact_all(as_dict(config.data)), "source": source_digest(config.data)}
    depends |= {"hashed": mark} if (mark := key_mark(config)) else {}
    done = stage(store(config), "ingest", depends, lambda out: _ingest(config, now, out))
    facts = read_json(done / "ingest.json")
    if facts["day"] == f"{now:%Y-%m-%d}" or not any(r["rule"] == "future_time" for r in facts["rules"]):
        return done
    return stage(store(config), "ingest", {**depends, "day": f"{now:%Y-%m-%d}"}, lambda out: _ingest(config, now, out))


def _ingest(config: Config, now: datetime, out: Path) -> None:
    room = partial(require_memory, memory_gb=config.run.memory_gb)
    checked = ingest(config.data, now, partial(stage, store(config)), room)
    if key := key_of(config):
        column = config.data.orders.columns.get("customer_id", "customer_id")
        checked = replace(checked, rejected=hash_rejected(checked.rejected, [column], key))
    checks = checked.sufficiency(config.data.sufficiency)
    facts = {**intake(checked, checks), "day": f"{now:%Y-%m-%d}"}
    try:
        require_sufficient(checks)
    except InputError as error:
        kept = store(config) / "refused" / "rejected.parquet"
        kept.parent.mkdir(parents=True, exist_ok=True)
        fresh = kept.with_suffix(f".{os.getpid()}")
        checked.rejected.write_parquet(fresh)
        os.replace(fresh, kept)
        rules = ", ".join(f"{r['rows']:,} {r['rule']}" for r in facts["rules"]) or "none"
        raise InputError(f"{error} Rows refused by rule: {rules}; they lie in {kept}.") from None
    write_checked(checked, out / "checked")
    write_json(out / "ingest.json", facts)


def intake(checked: Checked, checks: list[Check]) -> dict[str, Any]:
    """What the report says of the data: read, kept, refused by rule, and the sufficiency verdict."""
    facts = ingest_facts(checked)
    refused = checked.counts.filter((pl.col("table") == "orders") & (pl.col("outcome") == "rejected"))
    return {
        **{name: facts[name] for name in ("read", "kept", "guests", "rejected", "items")},
        "files": checked.files,
        "merged_lines": facts["merged"],
        "returns_matched": facts["returns"],
        "first": facts["first_order"],
        "last": facts["last_order"],
        "customers": checked.lines["customer_id"].drop_nulls().n_unique(),
        "orders": checked.lines["order_id"].n_unique(),
        "rules": refused.filter(pl.col("rows") > 0)
        .sort("rows", "rule", descending=[True, False])
        .select("rule", "rows")
        .to_dicts(),
        "checks": [asdict(check) for check in checks],
    }


def build_matrices(config: Config, ingested: Path) -> Path:
    """Train data of every moment (training moments, test, now) and the orders asked at each."""
    depends = {"from": ingested.name, "interactions": as_dict(config.interactions), "split": as_dict(config.split)}
    return stage(store(config), "matrices", depends, lambda out: _build_matrices(config, ingested, out))


def _build_matrices(config: Config, ingested: Path, out: Path) -> None:
    place = ingested / "checked"
    checked = read_checked(place, ASKED if config.split.kind == "window" else None)
    train, test = moments(checked.lines, config.split)
    most, names = config.split.max_queries, []
    each = most and -(-most // max(len(train), 1))
    for at, moment in enumerate(train):
        n = _save_moment(config, place, checked, moment, out / f"train-{at}", each)
        names += [f"train-{at}"] if n else []
    if not names:
        raise InputError(
            f"none of the {len(train)} training moments (split.train_moments) is followed by an order of two known "
            "items of a known customer; export a longer period, or lower interactions.min_item_orders"
        )
    n_test = _save_moment(config, place, checked, test, out / TEST, most)
    data, asked = load_moment(out, TEST)
    save_unknowns(unknowns(checked.lines, checked.catalog, test, data, asked, most), out / TEST / "unknowns")
    del data
    require_sufficient(
        judge(checked.lines, read=checked.read, rejected=checked.count("rejected"), queries=n_test,
              options=config.data.sufficiency)
    )  # fmt: skip
    last = checked.lines["ordered_at"].max()
    assert isinstance(last, datetime)
    end = Moment(NOW, last + timedelta(microseconds=1), last)
    _save_moment(config, place, checked, end, out / NOW, 0)
    write_json(out / "moments.json", {
        "train": names, "test": test.name, "queries": n_test, "cut": str(test.at)[:19],
        "orders": os.path.relpath(ingested / "checked" / "orders.parquet", store(config)),
    })  # fmt: skip


def _save_moment(config: Config, place: Path, checked: Checked, moment: Moment, out: Path, most: int | None) -> int:
    """Write one moment with at most so many orders asked; returns their number. `place`: where `checked` lies."""
    data = train_data(_known(config, place, checked, moment), checked.catalog, config.interactions)
    save_train_data(data, out / "data")
    asked = sampled(asked_orders(checked.lines, moment, data), most)
    asked.write_parquet(out / "asked.parquet")
    moment.table().write_parquet(out / "at.parquet")
    return asked.height


def _known(config: Config, place: Path, checked: Checked, moment: Moment) -> KnownLines:
    """Lines before the moment; where it is one for all, read column by column, for less memory."""
    days = config.interactions.max_age_days
    if isinstance(moment.at, datetime):
        return KnownLines.read(place / CODED, moment.at, days)
    return KnownLines.of(lines_before(checked.lines, moment.at, days))


def training_moments(matrices: Path) -> list[str]:
    """Names of the moments that the ranker learns from."""
    names: list[str] = read_json(matrices / "moments.json")["train"]
    return names


def learn_moment(config: Config, matrices: Path, name: str) -> Path:
    """Fit every model before a training moment, and keep what the ranker learns from the orders that followed."""
    depends = {"from": matrices.name, "moment": name, "models": as_dict(config.models), "rows": row_options(config)}
    depends |= engine_mark(config)
    return stage(store(config), "learn", depends, lambda out: _learn(config, matrices, name, out))


def _learn(config: Config, matrices: Path, name: str, out: Path) -> None:
    data, asked = load_moment(matrices, name)
    models = BaseModels.fit(data, config.models, ready_models(config, matrices, name))
    rows = moment_rows(models, data, asked, config.ranker, block_of(config, data))
    rows.save(out / "rows.npz")


def block_of(config: Config, data: TrainData) -> int:
    """Queries asked at once."""
    return block_size(len(data.items), config.run.memory_gb, BLOCK)


def row_options(config: Config) -> dict[str, Any]:
    """The ranker's options on which its training rows depend; the others are read by `blend` alone."""
    names = ("per_cart_source", "per_history_source", "negatives", "short_histories", "seed")
    return {name: getattr(config.ranker, name) for name in names}


def blend(config: Config, learned: list[Path]) -> Path:
    """Train the hybrid ranker on the rows of all training moments."""
    depends = {"from": [p.name for p in learned], "ranker": as_dict(config.ranker)}
    return stage(store(config), "blend", depends, lambda out: _blend(config, learned, out))


def _blend(config: Config, learned: list[Path], out: Path) -> None:
    rows = TrainingRows.concatenate([TrainingRows.load(path / "rows.npz") for path in learned])
    Hybrid.fit(rows, config.ranker).save(out / HYBRID)


def blend_cross_sell(config: Config, learned: list[Path]) -> Path:
    """Train the ranker of cross-sell: the same options, on carts and items new to the customer alone."""
    depends = {"from": [p.name for p in learned], "ranker": as_dict(config.ranker)}
    return stage(store(config), "blend_cross_sell", depends, lambda out: _blend_cross_sell(config, learned, out))


def _blend_cross_sell(config: Config, learned: list[Path], out: Path) -> None:
    rows = TrainingRows.concatenate([cart_and_new(TrainingRows.load(path / "rows.npz")) for path in learned])
    Hybrid.fit(rows, config.ranker).save(out / HYBRID)


def fit_models(config: Config, matrices: Path, name: str) -> Path:
    """Every single model fitted before the test (judged) or on everything (deployed)."""
    depends = {"from": matrices.name, "moment": name, "models": as_dict(config.models)} | engine_mark(config)
    return stage(store(config), "fit", depends, lambda out: _fit(config, matrices, name, out))


def _fit(config: Config, matrices: Path, name: str, out: Path) -> None:
    data = load_train_data(matrices / name / "data")
    BaseModels.fit(data, config.models, ready_models(config, matrices, name)).save(out / "models")


def engine_mark(config: Config) -> dict[str, Any]:
    """What a stage of fitted models depends on beside the options: nothing more with the local engine."""
    if config.engine == "local":
        return {}
    from recsys.spark.session import pyspark_version

    return {"engine": config.engine, "pyspark": pyspark_version(), "parts": config.spark.parts}


def ready_models(config: Config, matrices: Path, name: str) -> dict[str, Any]:
    """Models of a moment that Spark fits, by name, from the orders that `matrices` was built on."""
    if config.engine == "local":
        return {}
    from recsys.spark.fit import KnownMoment, fit_by_spark, load_fitted

    models = config.models
    depends = {"from": matrices.name, "moment": name, "als": params(models.als), "item_knn": params(models.item_knn)}
    orders = store(config) / read_json(matrices / "moments.json")["orders"]
    moment = KnownMoment(orders, matrices / name, config.interactions)
    build = partial(fit_by_spark, config.spark, moment, models.als, models.item_knn)
    return load_fitted(stage(store(config), "spark", depends | engine_mark(config), build))


def evaluate(config: Config, matrices: Path, fitted: Path, blended: Path) -> Path:
    """Judge every contender on the held-out orders: records, paired differences, examples, coverage."""
    depends = {"from": [matrices.name, fitted.name, blended.name], "evaluation": as_dict(config.evaluation)}
    return stage(store(config), "evaluate", depends, lambda out: _evaluate(config, matrices, fitted, blended, out))


def _evaluate(config: Config, matrices: Path, fitted: Path, blended: Path, out: Path) -> None:
    data, asked = load_moment(matrices, TEST)
    models, hybrid = BaseModels.load(fitted / "models"), Hybrid.load(blended / HYBRID)
    held_out = HeldOut(data, asked, load_unknowns(matrices / TEST / "unknowns"))
    write_evaluation(held_out, models, hybrid, config.evaluation, block_of(config, data), out)


def package(
    config: Config, matrices: Path, fitted: Path, blended: Path, evaluated: Path, kit: Path | None, name: str
) -> Path:
    """The servable whole of one moment: the judged fit (name = test) or the deployed fit (name = now).

    `kit` is the stage of its offers (`recsys.offer_kits`), None where it makes none.
    """
    parts = [matrices, fitted, blended, evaluated, *([kit] if kit else [])]
    depends = {"from": [p.name for p in parts], "moment": name}
    build = partial(_package, matrices, fitted, blended, evaluated, kit, name)
    return stage(store(config), "package", depends, build)


def _package(
    matrices: Path, fitted: Path, blended: Path, evaluated: Path, kit: Path | None, name: str, out: Path
) -> None:
    data = load_train_data(matrices / name / "data")
    models, hybrid = BaseModels.load(fitted / "models"), Hybrid.load(blended / HYBRID)
    best = read_json(evaluated / "metrics.json")["best"]
    offers = load_own(kit / KIT, shared_of(data, models)) if kit else None
    Recommender.of(data, models, hybrid, best, offers).save(out / "recommender")


def shared_of(data: TrainData, models: BaseModels) -> Shared:
    """What lists and offers of one moment both ask."""
    return Shared(models, data.items, data.facts.names, data.customers, data.histories)


def load_moment(matrices: Path, name: str) -> tuple[TrainData, pl.DataFrame]:
    """Train data of a moment, and the orders asked there."""
    return load_train_data(matrices / name / "data"), pl.read_parquet(matrices / name / "asked.parquet")


def recipe(config: Config) -> dict[str, Any]:
    """What makes a model apart from the data: options of matrices, models and ranker."""
    models = {name: params(getattr(config.models, name)) for name in asdict(config.models)}
    ranker = {k: v for k, v in as_dict(config.ranker).items() if k != "threads"}
    return {"interactions": as_dict(config.interactions), "models": models, "ranker": ranker}


def store(config: Config) -> Path:
    return Path(config.run.store)
