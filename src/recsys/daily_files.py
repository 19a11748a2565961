"""The files of a day, and what its manifest counts."""

from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from recsys.moments.daily_options import DailyOptions
from recsys.moments.day import Verdict
from recsys.moments.day_tables import (
    Shown,
    customers_table,
    dropped_table,
    due_table,
    offers_table,
)
from recsys.offer_tables import counted, write_copies
from recsys.offers.shelf import Shelf

NAMES = ("offers", "dropped", "due", "customers", "rule_costs", "customer_costs", "rejected_events")


def tables_of(day: date, verdict: Verdict, due: pl.DataFrame, rejected: pl.DataFrame, shelf: Shelf, shown: Shown
              ) -> dict[str, pl.DataFrame]:  # fmt: skip
    """Name → table, of NAMES; sorted by the shown id, so that the order of hashes tells nothing of the ids."""
    judged = sorted(verdict.judged, key=lambda one: shown(one.contact.customer_id))
    costs = verdict.customer_costs
    ids = [None if one is None else shown(one) for one in costs["customer_id"]]
    return {
        "offers": offers_table(judged, due, shelf, shown),
        "dropped": dropped_table(judged, day, shelf, shown),
        "due": due_table(judged, due, shown),
        "customers": customers_table(judged, verdict.without, shown),
        "rule_costs": verdict.rule_costs,
        "customer_costs": costs.with_columns(customer_id=pl.Series(ids, dtype=pl.String)).sort("customer_id", "rule"),
        "rejected_events": rejected,
    }


def write_tables(folder: Path, tables: dict[str, pl.DataFrame], options: DailyOptions) -> dict[str, int | None]:
    """Path → rows of each file."""
    written: dict[str, int | None] = dict(write_copies(folder, "offers", tables["offers"], options))
    (folder / "channels").mkdir()
    for channel in sorted(tables["due"]["channel"].unique()):
        own = tables["offers"].filter(pl.col("channel") == channel)
        written |= dict(write_copies(folder, f"channels/{channel}", own, options))
    for name in NAMES[1:]:
        tables[name].write_parquet(folder / f"{name}.parquet")
        written[f"{name}.parquet"] = tables[name].height
    return written


def counts_of(tables: dict[str, pl.DataFrame], customers: int) -> dict[str, Any]:
    """What was due by trigger and outcome, offers by channel, refusals by rule, customers by outcome.

    `customers`: all that are known; those to whom nothing is due are the rest.
    """

    due, offers, told = tables["due"], tables["offers"], tables["customers"]
    return {
        "due": due.height,
        "by_trigger": counted(due, "trigger"),
        "by_outcome": counted(due, "outcome"),
        "refused": counted(due.filter(pl.col("outcome") == "refused"), "reason"),
        "offers": offers.height,
        "lists": offers["key"].n_unique(),
        "by_channel": counted(offers, "channel", "kind"),
        "dropped": tables["dropped"].height,
        "by_rule": counted(tables["dropped"], "rule"),
        "customers": counted(told, "outcome") | {"nothing due": customers - told.height},
    }
