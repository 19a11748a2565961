"""What one more day costs: daily files of a shop, ingested, then once more with a day added.

    python -m benchmarks.incremental_days --days 365 --lines 1000000 --kind csv     # a made-up shop
    python -m benchmarks.incremental_days --config configs/complete_journey.yaml --kind parquet

Prints seconds, seconds of processor (all threads; hardly moved by other work on the machine) and files read of: the
first ingest, one with a day added, one of all days without kept files, and one with nothing new; then the parts of the
day added. Checks that the kept and the whole ingest give the same tables.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import polars as pl
from polars.testing import assert_frame_equal

from recsys import pipeline
from recsys.config import Config, load_config, read_config
from recsys.data import ingest as ingesting
from recsys.data.checked_store import read_checked
from recsys.data.ingest import ingest
from recsys.data.sources import read_source
from recsys.data.synthetic import SyntheticOptions, synthetic_shop
from recsys.stages import read_json

# part of an ingest: where its function is called
PARTS = {
    "files hashed, kept lines read": [(pipeline, "source_digest"), (ingesting, "order_lines")],
    "rules across lines": [(ingesting, "validate_lines")],
    "catalog": [(ingesting, "read_catalog"), (ingesting, "complete_catalog")],
    "tables written": [(pipeline, "write_checked")],
}


class Clocks(NamedTuple):
    seconds: float
    processor: float

    def minus(self, other: "Clocks") -> "Clocks":
        return Clocks(self.seconds - other.seconds, self.processor - other.processor)

    def plus(self, other: "Clocks") -> "Clocks":
        return Clocks(self.seconds + other.seconds, self.processor + other.processor)


class Row(NamedTuple):
    what: str
    seconds: float
    processor: float
    all: int  # files of the source
    read: int  # files that were read


def daily_files(orders: pl.DataFrame, time_column: str, folder: Path, kind: str) -> list[Path]:
    """One file per day of the orders."""
    folder.mkdir(parents=True)
    files = []
    for (day,), rows in orders.group_by(pl.col(time_column).dt.date(), maintain_order=True):
        file = folder / f"{day}.{kind}"
        rows.write_csv(file) if kind == "csv" else rows.write_parquet(file)
        files.append(file)
    return sorted(files)


def made_up(days: int, lines: int, home: Path) -> tuple[pl.DataFrame, Config]:
    """Orders and config of a synthetic shop."""
    per_customer = 20
    options = SyntheticOptions(days=days, items=2_000, orders_per_customer=per_customer)
    customers = max(50, round(lines / per_customer / options.basket_size))
    shop = synthetic_shop(replace(options, customers=customers))
    shop.catalog.write_parquet(home / "catalog.parquet")
    return shop.orders, read_config({"data": {"catalog": {"path": f"{home}/catalog.parquet"}}})


def of_config(file: str) -> tuple[pl.DataFrame, Config]:
    """Raw orders and config of a shop whose source has times."""
    config = load_config(file, [])
    return read_source(config.data.orders, "data.orders").table, config


def clocks() -> Clocks:
    return Clocks(time.perf_counter(), time.process_time())


@contextmanager
def clocked(took: dict[str, Clocks]) -> Iterator[None]:
    """Add what every part took to `took`."""

    def timing(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any, **named: Any) -> Any:
            before = clocks()
            done = function(*given, **named)
            took[part] = took.get(part, Clocks(0, 0)).plus(clocks().minus(before))
            return done

        return run

    with ExitStack() as patched:
        for part, places in PARTS.items():
            for module, name in places:
                patched.enter_context(patch.object(module, name, timing(part, getattr(module, name))))
        yield


def timed(what: str, config: Config, now: datetime) -> tuple[Row, Path]:
    before = clocks()
    done = pipeline.ingest_orders(config, now)
    return Row(what, *clocks().minus(before), **read_json(done / "ingest.json")["files"]), done


def measure(orders: pl.DataFrame, config: Config, kind: str, home: Path) -> tuple[list[Row], dict[str, Clocks]]:
    """Four ingests, and the parts of the one with a day added; AssertionError where keeping files changes a table."""
    files = daily_files(orders, config.data.orders.columns.get("ordered_at", "ordered_at"), home / "orders", kind)
    now = datetime.now(UTC) + timedelta(days=3650)  # none of the made-up days lies in the future
    source = replace(config.data.orders, path=f"{home}/orders", format="auto")
    config = replace(config, data=replace(config.data, orders=source), run=replace(config.run, store=f"{home}/store"))
    last = files[-1].rename(home / files[-1].name)
    rows = [timed("all days but the last, nothing kept yet", config, now)[0]]
    last.rename(files[-1])
    parts: dict[str, Clocks] = {}
    with clocked(parts):
        row, done = timed("one more day", config, now)
    again, _ = timed("nothing new", config, now)
    before = clocks()
    whole = ingest(config.data, now)
    at_once = Row("all days at once, nothing kept", *clocks().minus(before), **whole.files)
    kept = read_checked(done / "checked")
    for name in ("orders", "catalog", "rejected"):
        assert_frame_equal(getattr(kept, name), getattr(whole, name), check_exact=True)
    return [*rows, row, again._replace(read=0), at_once], parts


def main() -> None:
    about = argparse.ArgumentParser(description=__doc__)
    about.add_argument("--days", type=int, default=365)
    about.add_argument("--lines", type=int, default=1_000_000)
    about.add_argument("--kind", choices=["csv", "parquet"], default="csv")
    about.add_argument("--config", help="a shop of its own instead of a made-up one")
    given = about.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        orders, config = of_config(given.config) if given.config else made_up(given.days, given.lines, home)
        rows, parts = measure(orders, config, given.kind, home)
    for what, seconds, processor, n_files, read in rows:
        sys.stdout.write(
            f"{what:42} {seconds:6.2f} s, {processor:6.2f} s of processor, {read} of {n_files} files read\n"
        )
    for part, took in parts.items():
        sys.stdout.write(f"  day added: {part:30} {took.seconds:6.2f} s, {took.processor:6.2f} s of processor\n")


if __name__ == "__main__":
    main()
