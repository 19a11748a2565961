"""Candidates for a subscription: what a customer buys regularly, in steady steps, often enough, and still does.

purchase ─ gap ─ purchase ─ gap ─ … ─ purchase ── last ──┤ at     every gap near the median gap, last not far beyond it
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from recsys.errors import InputError
from recsys.moments.known import EPOCH, TICK
from recsys.moments.purchases import DAY, Purchases, Repeats, ids_at
from recsys.schemas import UTC

SUBSCRIPTIONS: dict[str, Any] = {
    "customer_id": pl.String,
    "item_id": pl.String,
    "cycles": pl.Int64,  # gaps between days of purchase
    "interval_days": pl.Float64,  # median gap
    "spread": pl.Float64,  # standard deviation of the gaps / their mean
    "last_at": UTC,
    "next_at": UTC,  # last_at + interval_days
}


@dataclass(frozen=True, kw_only=True)
class SubscriptionOptions:
    """Which repeated purchases are regular enough to be offered as a subscription."""

    min_cycles: int = 6  # gaps between days of purchase
    max_spread: float = 0.35  # standard deviation of the gaps / their mean
    min_days: float = 5.0  # least median gap
    max_days: float = 120.0  # largest median gap
    lapsed: float = 1.5  # median gaps since the last purchase after which the habit counts as over

    def __post_init__(self) -> None:
        if self.min_cycles < 2:
            raise InputError(f"subscriptions.min_cycles is {self.min_cycles}; give 2 or more, one gap is never steady")
        if not 0 < self.min_days <= self.max_days:
            raise InputError(
                f"subscriptions.min_days {self.min_days} and max_days {self.max_days} are no range of days"
            )


def subscriptions(purchases: Purchases, at: datetime, options: SubscriptionOptions | None = None) -> pl.DataFrame:
    """Columns SUBSCRIPTIONS of what was known at `at`, steadiest first."""
    options = options or SubscriptionOptions()
    repeats = Repeats.of(purchases.before(at), options.min_cycles + 1)
    median, spread = repeats.median_gap, repeats.spread_gap / np.maximum(repeats.interval, 1e-9)
    fit = (spread <= options.max_spread) & (median >= options.min_days) & (median <= options.max_days)
    kept = np.flatnonzero(fit & (repeats.last <= options.lapsed * median))
    last_at = (at - EPOCH) // TICK - np.round(repeats.last[kept] * DAY).astype(np.int64)
    found = pl.DataFrame(
        {
            "customer_id": ids_at(purchases.customers, repeats.customer[kept]),
            "item_id": ids_at(purchases.items, repeats.item[kept]),
            "cycles": repeats.times[kept] - 1,
            "interval_days": median[kept],
            "spread": spread[kept],
            "last_at": last_at,
            "next_at": last_at + np.round(median[kept] * DAY).astype(np.int64),
        }
    )
    return found.select(pl.col(name).cast(dtype) for name, dtype in SUBSCRIPTIONS.items()).sort(
        "spread", "customer_id", "item_id"
    )
