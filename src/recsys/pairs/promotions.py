"""Weeks in which something is sold below its usual price, read from the prices paid; no list of promotions is needed.

weekly median price of an item   4.0  4.0  3.0  4.1  4.0
usual price (median around)      4.0  4.0  4.0  4.0  4.0
below by a tenth or more                    ✓
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys.data.histories import IdMap
from recsys.data.known_lines import DAY

WEEK = 7 * DAY  # microseconds


@dataclass(frozen=True)
class PromotionWeeks:
    """`known`, `low` bool (weeks, n): a price of the key is known in the week; it is below the usual one."""

    known: np.ndarray
    low: np.ndarray


def week_of(moment: pl.Expr, first: pl.Expr) -> pl.Expr:
    """Weeks since the first moment: 0, 1, …"""
    return ((moment - first).dt.total_microseconds() // WEEK).cast(pl.Int64)


def promotion_weeks(lines: pl.DataFrame, key: str, keys: IdMap, discount: float, around: int) -> PromotionWeeks:
    """Weeks of each of `keys` (n), from the first moment of `lines` on.

    A line's ratio is its price by the item's usual price: the median, over `around` weeks before and after, of the
    item's weekly median prices. A key is on promotion in a week where the median ratio of its lines is at most
    1 - discount. The medians of weeks keep a large order's own price from making a promotion.
    """
    time = pl.col("ordered_at")
    dated = lines.lazy().select(key=pl.col(key), item="item_id", price="unit_price", week=week_of(time, time.min()))
    weeks = 1 + int(dated.select(pl.col("week").max().fill_null(-1)).collect().item())
    priced = dated.filter(pl.col("price") > 0)
    ratio = pl.col("price") / pl.col("usual")
    found = (
        priced.join(_usual(priced, around), on=["item", "week"])
        .filter(pl.col("key").is_in(list(keys.ids)))
        .group_by("key", "week")
        .agg(low=ratio.median() <= 1 - discount + 1e-9)
        .collect()
    )
    known, low = np.zeros((2, weeks, len(keys)), bool)
    at = found["week"].to_numpy(), keys.positions(found["key"].to_list())
    known[at], low[at] = True, found["low"].to_numpy()
    return PromotionWeeks(known, low)


def _usual(priced: pl.LazyFrame, around: int) -> pl.LazyFrame:
    """item, week, usual: centred rolling median of the weekly medians of those weeks that have one."""
    weekly = priced.group_by("item", "week").agg(pl.col("price").median()).sort("item", "week")
    window = weekly.rolling("week", period=f"{2 * around + 1}i", offset=f"-{around + 1}i", group_by="item")
    return window.agg(usual=pl.col("price").median())
