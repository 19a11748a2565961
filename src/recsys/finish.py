"""The last two stages: the report that people read, and the registration."""

import os
import platform
import re
import resource
import shutil
import sys
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from recsys import watch
from recsys.config import Config, as_dict
from recsys.customer_privacy import hash_example, hash_table, key_of
from recsys.data.checked_store import read_checked
from recsys.data.coding import as_text
from recsys.data.databases import redact_all
from recsys.data.splits import held_out_window
from recsys.errors import InputError
from recsys.evaluation.commerce import of_orders, retention
from recsys.evaluation.protocols import HYBRID
from recsys.hashing import hash_id
from recsys.leftovers import UNFINISHED_REPORT
from recsys.pipeline import NOW, TEST, recipe
from recsys.recipes import Judged, compare_recipe
from recsys.registry.figures import save_figures
from recsys.registry.golden import Golden, golden_of
from recsys.registry.log_training import Training, git_commit
from recsys.registry.register import attach_report, quiet, register
from recsys.registry.report import build_report
from recsys.serving.recommender import Recommender
from recsys.stages import abandoned, read_json, seconds, write_json

SHOWN_VERSIONS = ("recsys", "polars", "numpy", "scipy", "implicit", "lightgbm", "scikit-learn", "mlflow", "prefect")
EVALUATED = (
    "metrics.json", "coverage.json", "importances.json", "examples.json", "segments.json", "calibration.json",
    "cold_start.json", "commerce.json", "per_query.parquet",
)  # fmt: skip
REPORT = re.compile(r"\d{8}T\d{6}-[0-9a-f]{6}")  # a report's folder


@dataclass(frozen=True)
class Finished:
    """The finished stages of one training."""

    ingested: Path
    matrices: Path
    learned: list[Path]
    blended: Path
    judged: Path
    deployed: Path
    evaluated: Path
    packaged: Path
    offers: Path | None = None  # the kit, where the model makes offers
    watched: dict[str, Path] = field(default_factory=dict)  # orders, lists: compared with the last accepted run

    def stages(self) -> dict[str, Path]:
        learned = {f"learn {at + 1}": path for at, path in enumerate(self.learned)}
        return {
            "ingest": self.ingested, "matrices": self.matrices, **learned, "blend": self.blended,
            "fit before the test": self.judged, "evaluate": self.evaluated, "fit on everything": self.deployed,
            **({"offers": self.offers} if self.offers else {}), "package": self.packaged,
            **{f"compare {part}": path for part, path in self.watched.items()},
        }  # fmt: skip


def write_report(config: Config, finished: Finished, now: datetime, registered: dict[str, Any] | None = None) -> Path:
    """reports/<time>/ with report.html, figures and all their data; reports/latest points to it.

    Where the training is `registered`, the report goes to its MLflow run too.
    """
    reports = Path(config.run.reports)
    folder = reports / f"{now:%Y%m%dT%H%M%S}-{finished.packaged.name[:6]}"
    fresh = _hidden(folder)
    _sweep_reports(reports)
    try:
        fresh.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"cannot write to run.reports {reports}: {error.strerror}; free it or set another") from None
    try:
        _fill(fresh, config, finished, now, registered)
        if folder.exists():  # the same run once more, e.g. retried
            os.rename(folder, _hidden(folder, ".old"))
        os.rename(fresh, folder)
    finally:
        for left in (fresh, _hidden(folder, ".old")):
            shutil.rmtree(left, ignore_errors=True)
    _point(reports / "latest", folder.name)
    _forget(reports, config.run.keep_reports)
    if registered:
        with quiet():
            attach_report(config.registry, registered["run_id"], folder)
    return folder


def _fill(fresh: Path, config: Config, finished: Finished, now: datetime, registered: dict[str, Any] | None) -> None:
    for name in EVALUATED:
        shutil.copyfile(finished.evaluated / name, fresh / name)
    if key := key_of(config):
        write_json(fresh / "examples.json", [hash_example(e, key) for e in read_json(fresh / "examples.json")])
        hash_table(pl.read_parquet(fresh / "per_query.parquet"), key).write_parquet(fresh / "per_query.parquet")
    shutil.copyfile(finished.ingested / "ingest.json", fresh / "ingest.json")
    write_json(fresh / "shop.json", shop_records(config, finished))
    write_json(fresh / "drift.json", watch.summary(config, finished.watched))
    write_json(fresh / "run.json", run_facts(config, finished, now, registered))
    build_report(fresh, fresh / "report.html")
    save_figures(fresh, fresh / "figures")


def shop_records(config: Config, finished: Finished) -> list[dict[str, Any]]:
    """What the shop took in the test window, and of the customers of as many weeks before it, with intervals."""
    lines = read_checked(finished.ingested / "checked").lines
    cut, end = held_out_window(lines, config.split)
    options, before = config.evaluation, cut - (end - cut)
    lines = as_text(lines.filter(pl.col("ordered_at").is_between(before, end, closed="left")))
    window = lines.filter(pl.col("ordered_at") >= cut)
    found = (of_orders(window), retention(lines, before, cut, end))
    return [row for one in found for row in one.records(options.resamples, options.level, options.seed)]


def _hidden(folder: Path, mark: str = "") -> Path:
    return folder.with_name(f".{folder.name}{mark}.{os.getpid()}")


def _point(link: Path, target: str) -> None:
    """Move the link in one step; whoever reads it sees the old report or the new one."""
    fresh = link.with_name(f".latest.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    os.replace(fresh, link)


def _forget(reports: Path, keep: int) -> None:
    """Remove all but the latest reports; folders of other names are not ours."""
    old = sorted(folder for folder in reports.iterdir() if REPORT.fullmatch(folder.name))
    for folder in old[:-keep]:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep_reports(reports: Path) -> None:
    """Remove what killed runs left half-written."""
    for left in reports.glob(".*"):
        owner = UNFINISHED_REPORT.fullmatch(left.name)
        if owner and abandoned(left, int(owner[1])):
            left.unlink() if left.is_symlink() else shutil.rmtree(left, ignore_errors=True)


def run_facts(config: Config, finished: Finished, now: datetime, registered: dict[str, Any] | None) -> dict[str, Any]:
    """run.json of the report."""
    plan = read_json(finished.matrices / "moments.json")
    test = finished.matrices / TEST
    return {
        "name": now.strftime("%Y-%m-%d %H:%M UTC"),
        "shop": config.title,
        "started": now.isoformat(),
        "now": now.isoformat(),
        "seconds": {name: seconds(path) for name, path in finished.stages().items()},
        "cut": plan["cut"],
        "end": str(config.split.end)[:10] if config.split.end else None,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in SHOWN_VERSIONS}},
        "git_commit": git_commit(),
        "data_digest": _data_digest(finished),
        "notes": list(config.notes),
        "queries": dict.fromkeys(("next_basket", "cart"), plan["queries"]),
        "known_items": len(read_json(test / "data" / "items.json")),
        "customers": len(read_json(test / "data" / "customers.json")),
        "registered": registered,
        "peak_memory_mb": _peak_memory(),
    }


def _peak_memory() -> float:
    """Largest resident set of this process, in MB (ru_maxrss is in KB, on macOS in bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def _data_digest(finished: Finished) -> str:
    return str(read_json(finished.ingested / "stage.json")["depends"]["source"])


def register_model(config: Config, finished: Finished, now: datetime) -> dict[str, Any]:
    """Log the training to MLflow and register the deployed fit; returns name, version, alias, uri, reason, decision."""
    with quiet():
        return register(
            handed_over(config, finished, now),
            config.registry,
            lambda old: compare_recipe(config, finished.ingested, _judged(finished), old),
        )


def _judged(finished: Finished) -> Judged:
    return Judged(finished.matrices, finished.evaluated)


def handed_over(config: Config, finished: Finished, now: datetime) -> Training:
    """What the registry needs of a finished training."""
    example = _example(finished.matrices, key_of(config))
    return Training(
        name=config.title,
        recommender=finished.packaged / "recommender",
        orders=finished.ingested / "checked" / "orders.parquet",
        key=finished.packaged.name,
        data_digest=_data_digest(finished),
        data_until=str(read_json(finished.ingested / "ingest.json")["last"]),
        config=redact_all(_of_training(config)),
        recipe=recipe(config),
        figures=_judged(finished).figures(),
        example=example,
        golden=_golden(finished.packaged / "recommender", example),
        at=now,
        monitoring=watch.record(config, finished.watched),
    )


def _golden(directory: Path, example: tuple[str, list[str]]) -> Golden:
    """The model's own answers, before it is logged."""
    model = Recommender.load(directory)
    offering = model.kit is not None
    return golden_of(model.recommend, len(model.items), model.contender == HYBRID, *example, offering=offering)


def _of_training(config: Config) -> dict[str, Any]:
    """The sections that a training reads."""
    return {name: options for name, options in as_dict(config).items() if name not in ("tune", "scoring")}


def _example(matrices: Path, key: bytes | None) -> tuple[str, list[str]]:
    """A customer and two items that the model knows; with a key the customer's hash, which it does not know."""
    customers = read_json(matrices / NOW / "data" / "customers.json")
    asked = pl.read_parquet(matrices / TEST / "asked.parquet")
    return customers[0] if key is None else hash_id(customers[0], key), asked["items"][0].to_list()[:2]
