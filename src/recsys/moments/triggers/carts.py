"""Open carts: what a customer laid in since the last order."""

from datetime import timedelta

import polars as pl

from recsys.moments.known import Known
from recsys.moments.triggers.base import NOBODY, day_of, found, items_of
from recsys.schemas import UTC


def carts_left(known: Known, wait: timedelta) -> pl.DataFrame:
    """FOUND of the carts in which `wait` has passed since the last item was laid in, since the day before.

    An order closes what was laid in up to it; `until` of an event ends that item's stay. Items: last laid in first.
    What the shop heard of late counts from when it heard.
    """
    told = known.of_kind("cart_open")
    near = told.filter(known.new(pl.col("at") + wait) | known.new(pl.col("known_at")))
    if near.is_empty():
        return NOBODY
    rows = told.filter(pl.col("until").is_null() | (pl.col("until") >= pl.lit(known.moment, UTC)))
    rows = rows.join(near, on="customer_id", how="semi")
    ordered = known.orders.join(near, on="customer_id", how="semi").group_by("customer_id")
    rows = rows.join(ordered.agg(last=pl.col("ordered_at").max()), on="customer_id", how="left")
    rows = rows.filter(pl.col("last").is_null() | (pl.col("at") > pl.col("last")))
    carts = rows.sort("at", "item_id", descending=[True, False]).group_by("customer_id", maintain_order=True)
    held = carts.agg(
        anchors=pl.col("item_id").unique(maintain_order=True),
        since=pl.col("at").min(),
        due=pl.max_horizontal(pl.col("at").max() + wait, pl.col("known_at").max()),
    )
    held = held.filter(known.new(pl.col("due"))).with_columns(value=pl.col("anchors").list.len())
    return found(
        held.with_columns(fact=pl.format("{} in the cart, the first since {}", items_of("value"), day_of("since")))
    )
