"""How often the drift of the orders alarms in natural weeks, and how long comparing takes.

    python -m benchmarks.drift_alarms [--config FILE] [--shops 20]

Synthetic shops, each of the last eight weeks against the weeks before; then the config's own shop, every week with at
least a quarter of the history before. Natural weeks have no fault, so every warning and stop is a false alarm, unless
the season is one (holidays). Recommendations are not compared: that would take a training a week.
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from recsys.config import load_config
from recsys.data.ingest import ingest
from recsys.data.synthetic import SyntheticOptions, synthetic_shop
from recsys.monitoring.options import MonitoringOptions
from recsys.monitoring.order_checks import compare_orders
from recsys.monitoring.order_profile import profile_orders

WEEK = timedelta(days=7)
INTAKE: dict[str, Any] = {"read": 1, "rejected": 0, "rules": []}
Week = tuple[str, list[Any], float]


def weeks(orders: pl.DataFrame, catalog: pl.DataFrame, n: int | None) -> Iterator[Week]:
    """(first day of the week, its checks, seconds) of the last n weeks, or of all after a quarter of the history."""
    options = MonitoringOptions()
    first, last = orders["ordered_at"].min(), orders["ordered_at"].max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    end = (last + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    n = n if n is not None else int((end - first) * 0.75 / WEEK)
    accepted = None
    for back in range(n, -1, -1):
        known = orders.filter(pl.col("ordered_at") < end - WEEK * back)
        began = time.monotonic()
        mine = profile_orders(known, catalog, INTAKE, options, False)
        if accepted is not None:
            checks, _, _ = compare_orders(known, catalog, mine, accepted, options)
            yield f"{end - WEEK * (back + 1):%Y-%m-%d}", checks, time.monotonic() - began
        accepted = mine


def told(name: str, found: list[Week], named: bool) -> None:
    """Rates by check and week, and the slowest comparison."""
    counts: Counter[tuple[str, str]] = Counter()
    hit: dict[str, set[str]] = {"warn": set(), "stop": set()}
    for at, (day, checks, _) in enumerate(found):
        for check in checks:
            if check.verdict != "ok":
                counts[f"{check.name} ({check.scope})", check.verdict] += 1
                hit[check.verdict].add(f"{at} {day}")
                if named:
                    print(f"    {day} {check.verdict} {check.name} ({check.scope}): {check.text}")
    n_checks = sum(len(checks) for _, checks, _ in found)
    print(f"{name}: {len(found)} weeks, {n_checks} checks; weeks with a warning {len(hit['warn'])}, with a stop "
          f"{len(hit['stop'])}; slowest comparison {max(s for *_, s in found):.2f} s")  # fmt: skip
    for (check, verdict), n in sorted(counts.items()):
        print(f"  {verdict} {check}: {n} weeks")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--config", default="configs/complete_journey.yaml")
    arguments.add_argument("--shops", type=int, default=20)
    given = arguments.parse_args()
    found: list[Week] = []
    for seed in range(given.shops):
        made = synthetic_shop(SyntheticOptions(seed=seed))
        bought = made.orders.filter(pl.col("quantity") > 0)
        found += weeks(bought.with_columns(pl.col("ordered_at").dt.replace_time_zone("UTC")), made.catalog, 8)
    told(f"{given.shops} synthetic shops", found, named=False)
    config = load_config(given.config)
    checked = ingest(config.data, datetime.now(UTC))
    told(config.title, list(weeks(checked.orders, checked.catalog, None)), named=True)


if __name__ == "__main__":
    main()
