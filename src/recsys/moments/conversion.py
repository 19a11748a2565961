"""Conversion of shown offers out of events, per source. It says what happened, not what the offer caused."""

import polars as pl

from recsys.evaluation.commerce import Measures

ALL = "all"


def conversions(events: pl.DataFrame) -> Measures:
    """Accepted / shown of every `source`, and of all: one unit per customer, so intervals draw customers.

    events: schemas.EVENTS. Shown offers are told apart by customer and key, so one without a key does not count; it
    is accepted where the customer has an offer_accepted of the same key. Sources in the order of their names.
    """
    pair = ["customer_id", "key"]
    shown = events.filter(pl.col("kind") == "offer_shown", pl.col("key").is_not_null())
    offers = shown.sort("known_at", "source", "item_id").unique(pair, keep="first", maintain_order=True)
    taken = events.filter(pl.col("kind") == "offer_accepted").select(pair).unique()
    judged = offers.join(taken.with_columns(taken=pl.lit(1.0)), on=pair, how="left").with_columns(
        pl.col("taken").fill_null(0.0), source=pl.col("source").fill_null("unknown")
    )
    return accepted_shares(judged, "source")


def accepted_shares(judged: pl.DataFrame, column: str) -> Measures:
    """Σ taken / offers of every value of `column`, in their order, and of all; one unit per customer.

    judged: customer_id, `column` (String, no null) and taken (0 or 1), a row per offer that was shown.
    """
    values = judged[column].unique().sort().to_list()
    of_value = [pl.lit(True), *(pl.col(column) == name for name in values)]
    units = judged.group_by("customer_id").agg(
        *(pl.col("taken").filter(here).sum().alias(f"above{n}") for n, here in enumerate(of_value)),
        *(pl.col("taken").filter(here).len().cast(pl.Float64).alias(f"below{n}") for n, here in enumerate(of_value)),
    )
    units = units.sort("customer_id").drop("customer_id")
    names = (ALL, *(str(name) for name in values))
    table = units.to_numpy().reshape(-1, 2 * len(names))
    return Measures(names, table[:, : len(names)], table[:, len(names) :])
