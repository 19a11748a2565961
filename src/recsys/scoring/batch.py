"""Batch scoring, once: plain functions from finished directories to finished directories.

    plan (who, by which model, asked what) ─ partitions (each scored once) ─ publish (folder, manifest, latest)

The command calls them; the flow wraps the same functions as tasks.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from recsys.config import Config, as_dict
from recsys.errors import InputError
from recsys.folders import published, refuse_unwritable
from recsys.hashing import hash_id, key_from_environment
from recsys.pipeline import store
from recsys.progress import step
from recsys.registry.loaded import FoundModel, copy_model, find_model, load_model, recommender_of
from recsys.scoring.asking import refuse_wrong_request, request_text
from recsys.scoring.by_spark import scored_by_spark
from recsys.scoring.customers import file_digest, ids_digest, in_partitions, read_ids, who
from recsys.scoring.options import ScoringOptions
from recsys.scoring.partitions import partition_places, read_plan, score_missing
from recsys.scoring.publishing import Scored, publish
from recsys.stages import stage, sweep, write_json

WRITING = ("exports", "csv_separator", "csv_bom")  # options on which the exports alone depend


def score(config: Config, clock: Callable[[], datetime], model: str | None = None) -> Path:
    """Score and publish; returns the published folder. What an earlier run has finished is not done again."""
    started = clock()
    with step("plan"):
        planned = plan(config, started, model)
    with step(f"score {read_plan(planned)['partitions']} partitions"):
        partitions, scored_now = score_partitions(config, planned, started)
    with step("publish"):
        return publish_scores(config, planned, partitions, len(scored_now), started, clock)


def plan(config: Config, now: datetime, model: str | None = None) -> Path:
    """Who is asked for, in partitions, by which version, with which options; the model agrees to the options."""
    options = config.scoring
    sweep(store(config), config.run.keep_days, now.timestamp())
    refuse_unwritable(Path(options.out), "scoring.out")
    found = find_model(config.registry, model)
    request, key = request_text(options.k, options.request), key_from_environment() if options.hash_ids else None
    answers = {
        "model": found.uuid or found.source,
        "data_digest": found.data_digest,
        "request": request,
        "ids_shown": hash_id("fingerprint of the key", key) if key else "as they are",
    }
    listed = {"customers": file_digest(Path(options.customers)), "suffix": Path(options.customers).suffix.lower(),
              "unknown": options.unknown} if options.customers else None  # fmt: skip
    depends = {"answers": answers, "found": asdict(found), "listed": listed, "partition_rows": options.partition_rows}
    folder = copied(config, found).relative_to(store(config)).as_posix()
    return stage(store(config), "score-plan", depends, partial(_plan, options, found, answers, folder, key))


def copied(config: Config, found: FoundModel) -> Path:
    """The folder of the model's files in the store of stages."""
    name = {"uuid": found.uuid or [found.source, found.run_id]}
    done = stage(store(config), "score-model", name, partial(copy_model, found))
    return min(done.rglob("MLmodel"), key=lambda file: len(file.parts)).parent


def _plan(
    options: ScoringOptions, found: FoundModel, answers: dict[str, Any], folder: str, key: bytes | None, out: Path
) -> None:
    model = load_model(out.parents[1] / folder)
    refuse_wrong_request(model, answers["request"])
    ids = read_ids(Path(options.customers)) if options.customers else None
    customers, aside, repeats = who(ids, recommender_of(model).customers.ids, options.unknown)
    if not customers.height:
        raise InputError(
            f"none of the {aside.height:,} customers of {options.customers or 'the model'} can be asked for: no id, or "
            "not known to the model; set scoring.unknown to fallback, or give other ids"
        )
    shown = (lambda one: hash_id(one, key)) if key else None
    each = max(1, options.partition_rows // options.k)
    divided = in_partitions(customers, each, shown)
    divided.write_parquet(out / "customers.parquet")
    if shown:
        ids_aside = [None if one is None else shown(one) for one in aside["customer_id"]]
        aside = aside.with_columns(pl.Series("customer_id", ids_aside, pl.String))
    aside.write_parquet(out / "aside.parquet")
    facts = {
        "model": {k: v for k, v in asdict(found).items() if k not in ("data_digest", "source")},
        "data_digest": found.data_digest,
        "customers_digest": ids_digest(divided["shown_id"].to_list()),
        "repeated_ids": repeats,
    }
    write_json(out / "plan.json", {
        "answers": answers, "request": answers["request"], "model_folder": folder, "facts": facts,
        "partitions": -(-divided.height // each), "customers": divided.height,
    })  # fmt: skip


def score_partitions(config: Config, planned: Path, now: datetime) -> tuple[list[Path], list[Path]]:
    """Directories of a plan's partitions, and those of them that this call scored; none where all is published."""
    if published(Path(config.scoring.out), publishing_key(config.scoring, planned)):
        return partition_places(store(config), planned), []
    elsewhere = partial(scored_by_spark, config.spark) if config.engine == "spark" else None
    return score_missing(store(config), planned, now.replace(microsecond=0), config.scoring.workers, elsewhere)


def publishing_key(options: ScoringOptions, planned: Path) -> str:
    """What the content of a published folder depends on: the plan, and how the exports are written."""
    text = json.dumps([planned.name, {name: as_dict(options)[name] for name in WRITING}], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def publish_scores(
    config: Config, planned: Path, partitions: list[Path], scored_now: int, started: datetime,
    clock: Callable[[], datetime],
) -> Path:  # fmt: skip
    """The published folder: partitions, exports, manifest; `latest` points to it."""
    options = config.scoring
    facts = {**read_plan(planned)["facts"], "config": as_dict(options)}
    key = publishing_key(options, planned)
    aside = pl.read_parquet(planned / "aside.parquet")
    scored = Scored(key, facts, aside, partitions, scored_now, started)
    if not published(Path(options.out), key):
        _refuse_all_errors(partitions)
    return publish(Path(options.out), options, scored, clock)


def _refuse_all_errors(partitions: list[Path]) -> None:
    """A model that answers nobody must not replace what it answered before."""
    told = pl.scan_parquet([p / "customers.parquet" for p in partitions])
    errors = told.filter(pl.col("outcome") == "error").select("reason").collect()
    if errors.height and not told.filter(pl.col("outcome") != "error").select(pl.len()).collect().item():
        raise InputError(
            f"the model answered none of {errors.height:,} customers, e.g. {errors['reason'][0]!r}; "
            "nothing is published"
        )
