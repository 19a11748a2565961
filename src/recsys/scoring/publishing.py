"""A scoring's folder: filled under a hidden name, renamed when whole, then pointed to by `latest`.

scores/20241124T030000-1f2e3d4c5b6a/
    partitions/part-00000.parquet …   a row per customer and item
    customers.parquet                 a row per customer asked, those without a list with the reason
    exports/recommendations.csv …
    manifest.json                     written last: what this is, what it rests on, counts, files with digests
scores/latest → the folder published last
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
from filelock import FileLock

from recsys.errors import InputError
from recsys.processes import alive
from recsys.scoring.asking import CUSTOMERS as CUSTOMER_COLUMNS
from recsys.scoring.exports import count_guarded, write_exports
from recsys.scoring.options import ScoringOptions
from recsys.scoring.partitions import CUSTOMERS, ROWS, sha256

FOLDER = re.compile(r"\d{8}T\d{6}-[0-9a-f]{12}")
HIDDEN = re.compile(r"\.(?:latest|\d{8}T\d{6}-[0-9a-f]{12}(?:\.old)?)\.(\d+)")  # of the process of that number
MANIFEST, LATEST = "manifest.json", "latest"


@dataclass(frozen=True)
class Scored:
    """What is published: the plan's facts, the finished partitions, how many of them this run scored, and when."""

    key: str  # of the plan and of the exports: equal keys, equal content
    facts: dict[str, Any]  # of the plan, for the manifest
    aside: pl.DataFrame  # shown customer_id and reason
    partitions: list[Path]
    scored_now: int
    started: datetime


def refuse_unwritable(out: Path) -> None:
    """InputError where folders cannot be made in `out`, before hours are spent."""
    probe = out / f".{LATEST}.{os.getpid()}"
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(f"cannot write to scoring.out {out}: {error.strerror}; free it or set another") from None
    if (out / LATEST).exists() and not (out / LATEST).is_symlink():
        raise InputError(f"{out / LATEST} is no link of this program; move it away or set another scoring.out")


def published(out: Path, key: str) -> Path | None:
    """The whole folder of this key, if there is one."""
    found = [f for f in sorted(out.glob(f"*-{key}")) if FOLDER.fullmatch(f.name) and not damages(f)]
    return found[-1] if found else None


def publish(out: Path, options: ScoringOptions, scored: Scored, clock: Callable[[], datetime]) -> Path:
    """The finished folder of a scoring; one that is there already is kept, one that was damaged is replaced."""
    with FileLock(out / ".lock"):
        sweep_hidden(out)
        folder = published(out, scored.key) or _publish(out, options, scored, clock)
        point(out / LATEST, folder.name)
        forget(out, options.keep, folder.name)
    return folder


def _publish(out: Path, options: ScoringOptions, scored: Scored, clock: Callable[[], datetime]) -> Path:
    for damaged in out.glob(f"*-{scored.key}"):
        _remove(damaged)
    folder = out / f"{scored.started:%Y%m%dT%H%M%S}-{scored.key}"
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        (fresh / "partitions").mkdir(parents=True)
        manifest = _fill(fresh, options, scored)
        manifest["finished"] = clock().isoformat()
        (fresh / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False), encoding="utf-8")
        os.rename(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def _fill(fresh: Path, options: ScoringOptions, scored: Scored) -> dict[str, Any]:
    """Write all files but the manifest, which is returned."""
    rows = {}
    for at, partition in enumerate(scored.partitions):
        name = f"partitions/part-{at:05}.parquet"
        shutil.copyfile(partition / ROWS, fresh / name)
        rows[name] = pl.scan_parquet(fresh / name).select(pl.len()).collect().item()
    customers = _customers(scored)
    customers.write_parquet(fresh / "customers.parquet")
    exports = write_exports(fresh / "exports", lambda: _tables(scored.partitions), options)
    written = rows | {"customers.parquet": customers.height} | {f"exports/{n}": e["rows"] for n, e in exports.items()}
    return {
        "key": scored.key,
        **scored.facts,
        "counts": {**counts(customers), "rows": sum(rows.values())},
        "partitions": {"all": len(scored.partitions), "scored_by_this_run": scored.scored_now},
        "guarded_in_csv": count_guarded(_tables(scored.partitions)),
        "started": scored.started.isoformat(),
        "files": [{"path": name, "rows": n, "bytes": (fresh / name).stat().st_size, "sha256": sha256(fresh / name)}
                  for name, n in written.items()],
    }  # fmt: skip


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


def damages(folder: Path) -> list[str]:
    """What differs from the manifest: files that are missing or hold something else; [] = all as written."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        listed = {entry["path"]: entry["sha256"] for entry in manifest["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return [f"{MANIFEST} is missing or broken"]
    missing = [name for name in listed if not (folder / name).is_file()]
    changed = [name for name in listed if name not in missing and sha256(folder / name) != listed[name]]
    return [f"{name} is missing" for name in missing] + [f"{name} holds other bytes" for name in changed]


def point(link: Path, target: str) -> None:
    """Move the link in one step; whoever reads it finds the folder before or the new one."""
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    os.replace(fresh, link)


def forget(out: Path, keep: int, current: str) -> None:
    """Remove all but the latest folders and the current one; whatever has another name is not ours."""
    ours = sorted(f for f in out.iterdir() if FOLDER.fullmatch(f.name) and f.is_dir() and f.name != current)
    for old in ours[: max(len(ours) - (keep - 1), 0)]:
        _remove(old)


def _remove(folder: Path) -> None:
    """Out of sight in one step, then gone."""
    doomed = folder.with_name(f".{folder.name}.old.{os.getpid()}")
    os.rename(folder, doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def sweep_hidden(out: Path) -> None:
    """Remove what killed runs left half-written."""
    for left in out.glob(".*"):
        owner = HIDDEN.fullmatch(left.name)
        if owner and not alive(int(owner[1])):
            left.unlink() if left.is_symlink() or left.is_file() else shutil.rmtree(left, ignore_errors=True)
