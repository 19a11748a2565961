"""First orders of customers, where the shop's history reaches back far enough to know."""

import polars as pl

from recsys.moments.known import Known
from recsys.moments.triggers.base import days
from recsys.schemas import UTC


def first_orders(known: Known, orders: pl.DataFrame, history_days: float) -> pl.DataFrame:
    """Those of `orders` (a run of `known.orders`) that are their customers' first.

    Left out are those of the first `history_days` of the shop's orders, when everybody looks new.
    """
    if orders.is_empty():
        return orders
    before = known.at(orders["ordered_at"][0]).orders
    start = pl.lit(known.orders["ordered_at"][0], UTC) + days(history_days)
    first = orders.unique("customer_id", keep="first", maintain_order=True)
    return first.join(before, on="customer_id", how="anti", maintain_order="left").filter(pl.col("ordered_at") >= start)
