"""A whole training without Prefect: the same stages in the same order."""

from datetime import datetime
from pathlib import Path
from typing import Any

from recsys import pipeline, watch
from recsys.config import Config
from recsys.finish import Finished, register_model, write_report
from recsys.offer_kits import offers_of_model
from recsys.progress import step
from recsys.stages import sweep


def judge(config: Config, now: datetime, gate: bool = False) -> Finished:
    """Ingest, learn, blend, evaluate and package; with `gate`, drift beyond its limits stops the run."""
    sweep(pipeline.store(config), config.run.keep_days, now.timestamp())
    with step("ingest orders"):
        ingested = pipeline.ingest_orders(config, now)
    with step("compare orders"):
        watched = {watch.ORDERS: watch.watch_orders(config, ingested, gate)}
    with step("build matrices"):
        matrices = pipeline.build_matrices(config, ingested)
    learned = []
    for name in pipeline.training_moments(matrices):
        with step(f"learn {name}"):
            learned.append(pipeline.learn_moment(config, matrices, name))
    with step("blend"):
        blended = pipeline.blend(config, learned)
    with step("fit before the test"):
        judged = pipeline.fit_models(config, matrices, pipeline.TEST)
    with step("evaluate"):
        evaluated = pipeline.evaluate(config, matrices, judged, blended)
    with step("fit on everything"):
        deployed = pipeline.fit_models(config, matrices, pipeline.NOW)
    with step("make offers"):
        kit = offers_of_model(config, ingested, matrices, learned, deployed, pipeline.NOW)
    with step("package"):
        packaged = pipeline.package(config, matrices, deployed, blended, evaluated, kit, pipeline.NOW)
    with step("compare lists"):
        watched[watch.LISTS] = watch.watch_lists(config, ingested, packaged, gate)
    return Finished(ingested, matrices, learned, blended, judged, deployed, evaluated, packaged, kit, watched)


def train(config: Config, now: datetime) -> tuple[Path, dict[str, Any]]:
    """Judge, register and report; returns the report's directory and what was registered."""
    finished = judge(config, now, gate=True)
    with step("register"):
        registered = register_model(config, finished, now)
    with step("report"):
        report = write_report(config, finished, now, registered)
    return report, registered
