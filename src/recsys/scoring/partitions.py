"""Partitions of a scoring as finished stages: what is scored once is not scored again.

A partition's directory is named by all that its rows depend on: the model's files, the data they learned from, the
options of the request, the ids and how they are shown. So a killed run goes on where it ended, a longer list of
customers scores what is new, and other exports score nothing.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from recsys.errors import InputError
from recsys.folders import sha256
from recsys.registry.loaded import load_model
from recsys.scoring.asking import ask, asked_elsewhere
from recsys.scoring.customers import ids_digest
from recsys.scoring.workers import scored_by
from recsys.stages import remove, stage, stage_directory

Scores = Callable[[list[dict[str, Any]]], Iterator[Path]]  # finished directories of jobs, in order
STAGE, ROWS, CUSTOMERS, FACTS = "score", "rows.parquet", "customers.parquet", "facts.json"


def read_plan(planned: Path) -> dict[str, Any]:
    """plan.json of a finished plan."""
    plan: dict[str, Any] = json.loads((planned / "plan.json").read_text(encoding="utf-8"))
    return plan


def customers_of(planned: Path, at: int) -> pl.DataFrame:
    """customer_id, known, shown_id of partition `at`."""
    return pl.scan_parquet(planned / "customers.parquet").filter(pl.col("partition") == at).collect()


def depends_on(planned: Path, at: int) -> dict[str, Any]:
    """All that the rows of a partition depend on, as plain JSON."""
    customers = customers_of(planned, at)
    return {**read_plan(planned)["answers"], "ids": ids_digest(customers["customer_id"].to_list())}


def score_partition(
    store: Path, planned: Path, at: int, scored_at: datetime, model: Any, answers: pl.DataFrame | None = None
) -> Path:
    """The finished directory of one partition: rows, customers, facts. `model` is asked only where there is none.

    `answers` are those that it gave elsewhere, see `recsys.spark.answers`.
    """
    return stage(store, STAGE, depends_on(planned, at), partial(_score, planned, at, scored_at, model, answers))


def _score(planned: Path, at: int, scored_at: datetime, model: Any, answers: pl.DataFrame | None, out: Path) -> None:
    customers, request = customers_of(planned, at), read_plan(planned)["request"]
    if answers is None:
        asked = ask(model, customers, request, scored_at)
    else:
        asked = asked_elsewhere(model, customers, answers, request, scored_at)
    asked.rows.write_parquet(out / ROWS)
    asked.customers.write_parquet(out / CUSTOMERS)
    facts = {
        "rows": asked.rows.height,
        "customers": asked.customers.height,
        "sha256": {name: sha256(out / name) for name in (ROWS, CUSTOMERS)},
    }
    (out / FACTS).write_text(json.dumps(facts, indent=1), encoding="utf-8")


def partition_places(store: Path, planned: Path) -> list[Path]:
    """Where the partitions of a plan lie, or will lie."""
    return [stage_directory(store, STAGE, depends_on(planned, at)) for at in range(read_plan(planned)["partitions"])]


def score_missing(
    store: Path, planned: Path, scored_at: datetime, workers: int, elsewhere: Scores | None = None
) -> tuple[list[Path], list[Path]]:
    """Directories of all partitions, in order, and those of them that this call scored.

    A partition that was damaged on disk is scored again. One process scores where one partition is missing; else
    `workers` processes do, each with a model of its own; or what is given as `elsewhere`.
    """
    places = partition_places(store, planned)
    for place in places:
        if place.is_dir() and not intact(place):
            remove(place)
    missing = [at for at, place in enumerate(places) if not place.is_dir()]
    found = elsewhere or (_alone if min(workers, len(missing)) <= 1 else partial(scored_by, workers))
    jobs = [{"store": str(store), "planned": str(planned), "at": at, "scored_at": scored_at.isoformat()}
            for at in missing]  # fmt: skip
    done = list(found(jobs))
    if done != [places[at] for at in missing]:  # named by another digest of the code
        raise InputError("the program was changed while it scored; run again, with one version of it")
    return places, done


def _alone(jobs: list[dict[str, Any]]) -> Iterator[Path]:
    """Score in this process, BLAS with one thread as in the others."""
    from threadpoolctl import threadpool_limits

    with ExitStack() as held:
        held.enter_context(threadpool_limits(1, "blas"))
        model = load_model(model_folder(Path(jobs[0]["planned"]))) if jobs else None
        for job in jobs:
            yield run_job(job, model)


def run_job(job: dict[str, Any], model: Any) -> Path:
    """Score the partition of a job as `score_missing` writes it."""
    when = datetime.fromisoformat(job["scored_at"])
    return score_partition(Path(job["store"]), Path(job["planned"]), job["at"], when, model)


def model_folder(planned: Path) -> Path:
    """The copied model that the plan was made with; its place in the store is relative, so that the store may move."""
    return planned.parents[1] / str(read_plan(planned)["model_folder"])


def intact(partition: Path) -> bool:
    """Whether a finished partition holds what was written."""
    try:
        facts = json.loads((partition / FACTS).read_text(encoding="utf-8"))
        return all(sha256(partition / name) == digest for name, digest in facts["sha256"].items())
    except (OSError, ValueError, KeyError):
        return False
