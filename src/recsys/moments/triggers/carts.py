"""Open carts: what a customer laid in since the last order."""

import polars as pl

from recsys.moments.known import Known
from recsys.schemas import UTC


def open_carts(known: Known) -> pl.DataFrame:
    """A row per customer: since, changed (the last item laid in), heard (when the shop knew of it), anchors, value.

    An order closes what was laid in up to it; `until` of a cart's event ends it too. Items: last laid in first.
    """
    rows = known.of_kind("cart_open").filter(pl.col("until").is_null() | (pl.col("until") >= pl.lit(known.moment, UTC)))
    ordered = known.orders.join(rows, on="customer_id", how="semi").group_by("customer_id")
    rows = rows.join(ordered.agg(last=pl.col("ordered_at").max()), on="customer_id", how="left")
    rows = rows.filter(pl.col("last").is_null() | (pl.col("at") > pl.col("last")))
    items = rows.sort("at", "item_id", descending=[True, False]).unique(
        ["customer_id", "item_id"], keep="first", maintain_order=True
    )
    carts = rows.group_by("customer_id").agg(
        since=pl.col("at").min(), changed=pl.col("at").max(), heard=pl.col("known_at").max()
    )
    held = items.group_by("customer_id", maintain_order=True).agg(
        anchors=pl.col("item_id"), value=pl.len().cast(pl.Float64)
    )
    return carts.join(held, on="customer_id")


def in_cart() -> pl.Expr:
    return pl.format(
        "{} items in the cart, the first since {}",
        pl.col("value").cast(pl.Int64),
        pl.col("since").dt.strftime("%Y-%m-%d"),
    )
