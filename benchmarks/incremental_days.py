"""What one more day costs: daily files of a made-up shop, ingested, then once more with a day added.

    python -m benchmarks.incremental_days --days 365 --lines 1000000 --kind csv

Prints seconds and files read of: the first ingest, one with a day added, one of all days without kept files, and one
with nothing new. Checks that the kept and the whole ingest give the same tables.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import polars as pl
from polars.testing import assert_frame_equal

from recsys import pipeline
from recsys.config import Config, read_config
from recsys.data.checked_store import read_checked
from recsys.data.ingest import ingest
from recsys.data.synthetic import SyntheticOptions, synthetic_shop


class Row(NamedTuple):
    what: str
    seconds: float
    all: int  # files of the source
    read: int  # files that were read


def daily_files(orders: pl.DataFrame, folder: Path, kind: str) -> list[Path]:
    """One file per day of the orders."""
    folder.mkdir(parents=True)
    files = []
    for (day,), rows in orders.group_by(pl.col("ordered_at").dt.date(), maintain_order=True):
        file = folder / f"{day}.{kind}"
        rows.write_csv(file) if kind == "csv" else rows.write_parquet(file)
        files.append(file)
    return sorted(files)


def config_of(home: Path, catalog: Path) -> Config:
    return read_config({
        "data": {"orders": {"path": f"{home}/orders"}, "catalog": {"path": str(catalog)}},
        "run": {"store": f"{home}/store"},
    })  # fmt: skip


def timed(what: str, config: Config, now: datetime) -> tuple[Row, Path]:
    started = time.perf_counter()
    done = pipeline.ingest_orders(config, now)
    return Row(what, time.perf_counter() - started, **pipeline.read_json(done / "ingest.json")["files"]), done


def measure(days: int, lines: int, kind: str, home: Path) -> list[Row]:
    """Four ingests; AssertionError where keeping files changes a table."""
    per_customer = 20
    options = SyntheticOptions(days=days, items=2_000, orders_per_customer=per_customer)
    customers = max(50, round(lines / per_customer / options.basket_size))
    shop = synthetic_shop(replace(options, customers=customers))
    files = daily_files(shop.orders, home / "orders", kind)
    shop.catalog.write_parquet(home / "catalog.parquet")
    now = datetime.now(UTC) + timedelta(days=3650)  # none of the made-up days lies in the future
    config = config_of(home, home / "catalog.parquet")
    last = files[-1].rename(home / files[-1].name)
    rows = [timed("all days but the last, nothing kept yet", config, now)[0]]
    last.rename(files[-1])
    row, done = timed("one more day", config, now)
    again, _ = timed("nothing new", config, now)
    started = time.perf_counter()
    whole = ingest(config.data, now)
    at_once = Row("all days at once, nothing kept", time.perf_counter() - started, **whole.files)
    kept = read_checked(done / "checked")
    for name in ("orders", "catalog", "rejected"):
        assert_frame_equal(getattr(kept, name), getattr(whole, name), check_exact=True)
    return [*rows, row, again._replace(read=0), at_once]


def main() -> None:
    about = argparse.ArgumentParser(description=__doc__)
    about.add_argument("--days", type=int, default=365)
    about.add_argument("--lines", type=int, default=1_000_000)
    about.add_argument("--kind", choices=["csv", "parquet"], default="csv")
    given = about.parse_args()
    with tempfile.TemporaryDirectory() as home:
        rows = measure(given.days, given.lines, given.kind, Path(home))
    for row in rows:
        sys.stdout.write(f"{row.what:42} {row.seconds:8.2f} s {row.read:5} of {row.all} files read\n")


if __name__ == "__main__":
    main()
