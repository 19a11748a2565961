"""What became of a shop's campaigns: conversion per source of the offers shown, with intervals.

    python -m benchmarks.campaigns [--config FILE] [--set section.key=value] [--out DIR]

Reads the `events` of the config, by default Complete Journey's campaigns and coupon redemptions. Conversion = offers
with an acceptance / offers shown; an offer is one customer's one campaign. Intervals draw customers, as one customer
gets many campaigns. Logged conversion is not what a campaign caused: its customers were chosen. Prints a table; DIR
gets table.md and metrics.json (records). Exits with 1 where Complete Journey's figures are missed.
"""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recsys.config import Config, load_config
from recsys.data.event_rows import read_event_rows
from recsys.data.events import check_events
from recsys.moments.conversion import conversions
from recsys.stages import write_json

DEFAULT = "configs/complete_journey.yaml"
# of the source: share accepted, to three places, and offers shown; known of the data
BARS = {
    "all": (0.120, 6589),
    "campaign A": (0.166, 3647),
    "campaign B": (0.065, 2368),
    "campaign C": (0.059, 574),
}
Records = list[dict[str, Any]]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--config", default=DEFAULT)
    arguments.add_argument("--set", action="append", default=[], dest="settings")
    arguments.add_argument("--out", type=Path, help="folder of the results; without it they are printed only")
    given = arguments.parse_args()
    records = measure(load_config(given.config, given.settings), datetime.now(UTC))
    lines = table(records)
    print("\n".join(lines))
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        write_json(given.out / "metrics.json", {"records": records})
        (given.out / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    wrong = missed(records) if given.config == DEFAULT and not given.settings else []
    if wrong:
        sys.exit("missed: " + "; ".join(wrong))


def measure(config: Config, now: datetime) -> Records:
    """A record per source: measure (the source), value, low, high, below (offers shown), units (customers)."""
    checked = check_events(read_event_rows(config.events), config.events, now=now)
    options = config.evaluation
    return conversions(checked.events).records(options.resamples, options.level, options.seed)


def table(records: Records) -> list[str]:
    rows = ["| source | shown | customers | conversion | interval |", "| --- | --- | --- | --- | --- |"]
    for row in records:
        interval = f"{row['low']:.3f} - {row['high']:.3f}" if row["low"] is not None else "unknown"
        rows.append(f"| {row['measure']} | {row['below']:,.0f} | {row['units']:,} | {row['value']:.3f} | {interval} |")
    return rows


def missed(records: Records) -> list[str]:
    """What differs from BARS."""
    found = {row["measure"]: (round(row["value"], 3), int(row["below"])) for row in records}
    return [f"{name} is {found.get(name)}, not {bar}" for name, bar in BARS.items() if found.get(name) != bar]


if __name__ == "__main__":
    main()
