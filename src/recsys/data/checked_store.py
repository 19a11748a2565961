"""A `Checked` on disk: one directory that is whole or not there."""

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import polars as pl

from recsys.data.coding import IDS, coded, read_coded, write_coded
from recsys.data.ingest import COUNTS, Checked
from recsys.errors import InputError

TABLES = ("orders", "catalog", "rejected")
CODED = "lines"  # folder of the order lines once more, as recsys itself reads them


def write_checked(checked: Checked, directory: Path) -> None:
    """orders.parquet, catalog.parquet, rejected.parquet, ingest.json; replaces what was there, atomically.

    `lines` holds the orders again with coded ids (`write_coded`), which is read in a tenth of the time.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        lines = coded(checked.lines)
        write_coded(lines, fresh / CODED)
        plain = [pl.col(name).cast(pl.String) for name in IDS]
        lines.lazy().with_columns(plain).sink_parquet(fresh / "orders.parquet", statistics=True)
        for name in TABLES[1:]:
            getattr(checked, name).write_parquet(fresh / f"{name}.parquet", statistics=True)
        (fresh / "ingest.json").write_text(json.dumps(ingest_facts(checked), indent=2, ensure_ascii=False))
        fresh.chmod(0o755)  # mkdtemp makes it private
        _swap(fresh, directory)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _swap(fresh: Path, directory: Path) -> None:
    """`fresh` takes the place of `directory`; where that fails, the old one is put back."""
    if not directory.exists():
        os.rename(fresh, directory)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{directory.name}.old.", dir=directory.parent))
    try:
        os.rename(directory, old)  # a directory may be renamed onto an empty one
    except OSError:
        old.rmdir()
        raise
    try:
        os.rename(fresh, directory)
    except OSError:
        os.rename(old, directory)
        raise
    shutil.rmtree(old)


def ingest_facts(checked: Checked) -> dict[str, Any]:
    """What ingest.json holds: rows read, kept and rejected, what became of them, time span, digests."""
    first, last = checked.lines["ordered_at"].min(), checked.lines["ordered_at"].max()
    return {
        "read": checked.read,
        "kept": checked.lines.height,
        "merged": checked.count("kept", "merged_lines"),
        "returns": checked.count("kept", "returns_matched"),
        "guests": checked.count("noted", "guest_lines"),
        "rejected": checked.count("rejected"),
        "items": checked.catalog.height,
        "first_order": first.isoformat() if first else None,  # type: ignore[union-attr]
        "last_order": last.isoformat() if last else None,  # type: ignore[union-attr]
        "counts": checked.counts.to_dicts(),
        "digests": dict(sorted(checked.digests.items())),
    }


def read_checked(directory: Path, columns: list[str] | None = None) -> Checked:
    """What `write_checked` wrote, or these columns of the lines; InputError where there is none."""
    needed = ("ingest.json", *(f"{t}.parquet" for t in TABLES), f"{CODED}/lines.arrow")
    missing = [name for name in needed if not (directory / name).is_file()]
    if missing:
        raise InputError(f"{directory} holds no checked data ({missing[0]} is missing); run the ingest stage first")
    facts = json.loads((directory / "ingest.json").read_text())
    catalog, rejected = (pl.read_parquet(directory / f"{name}.parquet") for name in TABLES[1:])
    counts = pl.DataFrame(facts["counts"], schema=COUNTS)
    return Checked(read_coded(directory / CODED, columns), catalog, rejected, counts, facts["read"], facts["digests"])
