"""Partitions scored by Spark's executors: waves of them, each a stage of its own until its partitions are finished.

    wave of partitions ─ answers (Parquet, by executors) ─ rows and customers of each (the same code as without Spark)

A killed run loses at most one wave.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from recsys.registry.loaded import load_model
from recsys.scoring.partitions import depends_on, model_folder, read_plan, score_partition
from recsys.spark.answers import read_answers, write_answers
from recsys.spark.options import SparkOptions
from recsys.stages import remove, stage

STAGE = "score-answers"
ROUNDS = 4  # partitions of a wave for each of the parts that work at once


def scored_by_spark(options: SparkOptions, jobs: list[dict[str, Any]]) -> Iterator[Path]:
    """Finished directories of the jobs, in order. The model is loaded here too: it knows the items' names."""
    if not jobs:
        return
    planned = Path(jobs[0]["planned"])
    model = load_model(model_folder(planned))
    size = ROUNDS * options.parts
    for wave in (jobs[at : at + size] for at in range(0, len(jobs), size)):
        yield from _wave(options, planned, model, wave)


def _wave(options: SparkOptions, planned: Path, model: Any, jobs: list[dict[str, Any]]) -> Iterator[Path]:
    store, numbers = Path(jobs[0]["store"]), [job["at"] for job in jobs]
    depends = [depends_on(planned, at) for at in numbers]
    folder, request = model_folder(planned), read_plan(planned)["request"]
    build = partial(write_answers, options, folder, planned / "customers.parquet", numbers, request)
    answers = stage(store, STAGE, depends, build)
    for at, job in zip(numbers, jobs, strict=True):
        when = datetime.fromisoformat(job["scored_at"])
        yield score_partition(store, planned, at, when, model, read_answers(answers, at))
    remove(answers)
