"""What a scoring's folder holds (see `recsys.folders`).

scores/20241124T030000-1f2e3d4c5b6a/
    partitions/part-00000.parquet …   a row per customer and item
    customers.parquet                 a row per customer asked, those without a list with the reason
    exports/recommendations.csv …
    manifest.json                     written last: what this is, what it rests on, counts, files with digests
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from recsys import folders
from recsys.scoring.asking import CUSTOMERS as CUSTOMER_COLUMNS
from recsys.scoring.exports import count_guarded, write_exports
from recsys.scoring.options import ScoringOptions
from recsys.scoring.partitions import CUSTOMERS, ROWS


@dataclass(frozen=True)
class Scored:
    """What is published: the plan's facts, the finished partitions, how many of them this run scored, and when."""

    key: str  # of the plan and of the exports: equal keys, equal content
    facts: dict[str, Any]  # of the plan, for the manifest
    aside: pl.DataFrame  # shown customer_id and reason
    partitions: list[Path]
    scored_now: int
    started: datetime


def publish(out: Path, options: ScoringOptions, scored: Scored, clock: Callable[[], datetime]) -> Path:
    """The finished folder of a scoring; one that is there already is kept, one that was damaged is replaced."""

    def fill(fresh: Path) -> dict[str, Any]:
        return {**_fill(fresh, options, scored), "finished": clock().isoformat()}

    return folders.publish(out, scored.key, options.keep, scored.started, fill)


def _fill(fresh: Path, options: ScoringOptions, scored: Scored) -> dict[str, Any]:
    """Write all files but the manifest, which is returned."""
    (fresh / "partitions").mkdir()
    rows: dict[str, int | None] = {}
    for at, partition in enumerate(scored.partitions):
        name = f"partitions/part-{at:05}.parquet"
        shutil.copyfile(partition / ROWS, fresh / name)
        rows[name] = pl.scan_parquet(fresh / name).select(pl.len()).collect().item()
    customers = _customers(scored)
    customers.write_parquet(fresh / "customers.parquet")
    exports = write_exports(fresh / "exports", lambda: _tables(scored.partitions), options)
    n_rows = sum(n or 0 for n in rows.values())
    written = rows | {"customers.parquet": customers.height} | {f"exports/{n}": e["rows"] for n, e in exports.items()}
    return {
        "key": scored.key,
        **scored.facts,
        "counts": {**counts(customers), "rows": n_rows},
        "partitions": {"all": len(scored.partitions), "scored_by_this_run": scored.scored_now},
        "guarded_in_csv": count_guarded(_tables(scored.partitions)),
        "started": scored.started.isoformat(),
        "files": folders.entries(fresh, written),
    }


def _tables(partitions: list[Path]) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    for partition in partitions:
        yield pl.read_parquet(partition / ROWS), pl.read_parquet(partition / CUSTOMERS)


def _customers(scored: Scored) -> pl.DataFrame:
    """A row per customer asked, and after them those who were set aside."""
    answered = [pl.read_parquet(partition / CUSTOMERS) for partition in scored.partitions]
    aside = scored.aside.with_columns(
        outcome=pl.lit("set_aside"), known=pl.lit(False), fallback=pl.lit(""), items=pl.lit(0, pl.Int32),
        model_version=pl.lit(""), scored_at=pl.lit(None, CUSTOMER_COLUMNS["scored_at"]),
    )  # fmt: skip
    return pl.concat([*answered, aside.select(*CUSTOMER_COLUMNS)])


def counts(customers: pl.DataFrame) -> dict[str, Any]:
    """Customers by outcome, fallback and reason; the outcomes add up to `customers`."""

    def by(outcome: str, column: str) -> dict[str, int]:
        found = customers.filter(pl.col("outcome") == outcome).group_by(column).len().sort(column)
        return dict(found.iter_rows())

    outcome = pl.col("outcome")
    return {
        "customers": customers.height,
        "listed": customers.filter(outcome == "listed").height,
        "unknown_listed": customers.filter((outcome == "listed") & ~pl.col("known")).height,
        "fallback": by("listed", "fallback"),
        "empty": by("empty", "reason"),
        "set_aside": by("set_aside", "reason"),
        "errors": by("error", "reason"),
    }
