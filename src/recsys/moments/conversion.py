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
    sources = judged["source"].unique().sort().to_list()
    of_source = [pl.col("key").is_not_null(), *(pl.col("source") == name for name in sources)]
    units = judged.group_by("customer_id").agg(
        *(pl.col("taken").filter(here).sum().alias(f"above{n}") for n, here in enumerate(of_source)),
        *(here.cast(pl.Float64).sum().alias(f"below{n}") for n, here in enumerate(of_source)),
    )
    units = units.sort("customer_id").drop("customer_id")
    names = (ALL, *(str(name) for name in sources))
    table = units.to_numpy().reshape(-1, 2 * len(names))
    return Measures(names, table[:, : len(names)], table[:, len(names) :])
