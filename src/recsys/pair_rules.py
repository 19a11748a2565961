"""`recsys affinity`: collect, compute, filter, validate, publish; from the ingested orders to a folder of pair rules.

affinity/20241124T030000-1f2e3d4c5b6a/
    item.parquet, item.csv …   a row per pair of each level
    plots/network-item.png …
    report.html                the five steps, with what each dropped
    manifest.json              options, counts, files with digests
affinity/latest → the folder published last
"""

import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
from rich.table import Table

from recsys import folders
from recsys.config import Config, as_dict
from recsys.data.cells import moment_of
from recsys.data.checked_store import read_checked
from recsys.pairs.by_hand import read_rules
from recsys.pairs.collected import Collected, collect
from recsys.pairs.options import AffinityOptions
from recsys.pairs.rules import LevelRules, level_rules
from recsys.pipeline import ingest_orders
from recsys.progress import step
from recsys.registry.affinity_page import write_page
from recsys.scoring.exports import write_csv
from recsys.stages import code_digest, sweep

COPIES = ("out", "keep")  # options on which no content depends


def publish_pairs(config: Config, clock: Callable[[], datetime]) -> Path:
    """The published folder; the same orders, options and code find the one that is there."""
    options, started = config.affinity, clock()
    out = Path(options.out)
    folders.refuse_unwritable(out, "affinity.out")
    sweep(Path(config.run.store), config.run.keep_days, started.timestamp())
    with step("ingest orders"):
        ingested = ingest_orders(config, started)
    key = _key(config, ingested)
    return folders.publish(out, key, options.keep, started, partial(_fill, config, ingested, key, started))


def _key(config: Config, ingested: Path) -> str:
    chosen = {name: value for name, value in as_dict(config.affinity).items() if name not in COPIES}
    text = json.dumps([ingested.name, code_digest(), chosen, config.title, config.notes], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def _fill(config: Config, ingested: Path, key: str, started: datetime, folder: Path) -> dict[str, Any]:
    options = config.affinity
    checked = read_checked(ingested / "checked")
    rules = read_rules(options.always, options.never, checked.catalog)
    with step("collect"):
        timed = not counted_in_orders(config, checked.orders)
        collected = collect(checked.orders, checked.catalog, options.months, options.levels, timed)
    found = []
    for level in collected.levels:
        with step(f"{level} pairs"):
            found.append(level_rules(collected, level, options, rules))
    facts = {
        "key": key, "shop": config.title, "started": started.isoformat(), "config": as_dict(options),
        "notes": [*config.notes, *_said(collected)], "not_judged": _not_judged(collected, options),
        "collected": _collected(collected, options), "levels": [level.facts for level in found],
        "published": sum(level.table.height for level in found),
    }  # fmt: skip
    with step("publish"):
        rows: dict[str, int | None] = {name: n for level in found for name, n in _write(level, options, folder)}
        tables = {str(level.level): level.table.to_dicts() for level in found}
        rows |= dict.fromkeys(write_page(facts, tables, folder))
    return {**facts, "files": folders.entries(folder, rows)}


def _write(level: LevelRules, options: AffinityOptions, folder: Path) -> list[tuple[str, int | None]]:
    """Parquet as it is, CSV with cells that a spreadsheet could run made harmless."""
    parquet, csv = f"{level.level}.parquet", f"{level.level}.csv"
    level.table.write_parquet(folder / parquet)
    write_csv(folder / csv, level.table, options)
    return [(parquet, level.table.height), (csv, level.table.height)]


def counted_in_orders(config: Config, orders: pl.DataFrame) -> bool:
    """Time was not told by a clock: every customer's last order lies at the epoch of order numbers, or all at once."""
    epoch = moment_of(config.data.orders.order_number_epoch, "data.orders.order_number_epoch")
    first, last = orders["ordered_at"].min(), orders["ordered_at"].max()
    return last == epoch or first == last


def _said(collected: Collected) -> list[str]:
    return [f"The catalog knows no {level}: pairs of that level are not counted." for level in collected.without]


def _collected(collected: Collected, options: AffinityOptions) -> dict[str, Any]:
    lines = collected.lines
    heads = lines.group_by("order_id").agg(pl.col("customer_id").min(), pl.col("store_id").min())
    months = f"{options.months} months before the last order" if options.months else "all orders"
    return {
        "lines": lines.height, "orders": heads.height, "guest_orders": heads["customer_id"].null_count(),
        "first": str(collected.first), "last": str(collected.last), "forgotten": collected.forgotten,
        "look_back": months if collected.timed else "all orders, as they have no times",
        "priced": 1 - lines["unit_price"].null_count() / max(lines.height, 1),
        "in_store": 1 - heads["store_id"].null_count() / max(heads.height, 1),
    }  # fmt: skip


def _not_judged(collected: Collected, options: AffinityOptions) -> list[str]:
    """Which flags no pair of this shop can have, and what would help."""
    lines, out = collected.lines, []
    if not collected.timed:
        out.append("Orders have no times: no season and no promotion is judged.")
    elif collected.days < options.flags.season_days:
        out.append(f"Orders span {collected.days} days, fewer than {options.flags.season_days}: no season is judged.")
    if lines["unit_price"].null_count() == lines.height:
        out.append("No price is known: no promotion is judged; map unit_price or line_value.")
    if lines["store_id"].null_count() == lines.height:
        out.append("No store is known: none is judged; map data.orders.columns.store_id where there are several.")
    if lines["customer_id"].null_count() == lines.height:
        out.append("All orders are guests': how many customers stand behind a pair is neither asked nor judged.")
    return out


def summary_table(folder: Path) -> Table:
    """Pairs of each level: customary, with evidence, flagged, published; and where they are."""
    manifest = json.loads((folder / folders.MANIFEST).read_text(encoding="utf-8"))
    table = Table(title="pairs bought together", title_justify="left", caption=f"report: {folder / 'report.html'}",
                  caption_justify="left")  # fmt: skip
    table.add_column("level")
    for column in ("customary", "evident", "season", "promotion", "one store", "few buyers", "published"):
        table.add_column(column, justify="right")
    for level in manifest["levels"]:
        flags = (level["flags"][f]["yes"] for f in ("seasonal", "promotion", "one_store", "few_customers"))
        counts = (level["customary"]["pairs"], level["with_evidence"], *flags, level["published"])
        table.add_row(level["level"], *(f"{n:,}" for n in counts))
    return table
