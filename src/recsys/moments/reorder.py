"""Items that fall due: which customer will buy which item again within days, and how surely.

  learned from earlier moments, answers up to the present          asked about
──┬─────┬─────┬─────┬─────┬─────┬── days ahead ──┤ at ── days ahead ──▶ time
  └─────┴─────┴─────┴─────┴─────┘
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from recsys.data.histories import Floats, Ints
from recsys.errors import InputError
from recsys.moments.known import EPOCH, TICK, Known
from recsys.moments.purchases import DAY, Purchases, Repeats, ids_at
from recsys.moments.reorder_features import features
from recsys.moments.reorder_model import ReorderModel, ReorderOptions, boost, calibration_line, raw_odds
from recsys.schemas import UTC

REORDERS: dict[str, Any] = {
    "customer_id": pl.String,
    "item_id": pl.String,
    "times": pl.Int64,  # days on which the customer bought the item
    "last_at": UTC,
    "interval_days": pl.Float64,  # mean between two purchases
    "expected_at": UTC,  # last_at + interval_days; may have passed
    "days": pl.Int64,  # ahead that the probability is for
    "probability": pl.Float64,  # of a purchase in [moment, moment + days)
}
EXPECTED = ("customer_id", "item_id", "expected_at", "probability")


ENOUGH = 100  # customers that can stand for all
Table = tuple[Repeats, Floats]


@dataclass(frozen=True)
class PastRows:
    """Customer-items at past moments, and whether they were bought in the days after each.

    customer int64 (m,), x float32 (m, len(FEATURES)), y bool (m,)
    """

    customer: Ints
    x: Floats
    y: np.ndarray


def fit_reorder(purchases: Purchases, at: datetime, options: ReorderOptions | None = None) -> ReorderModel:
    """Learned from what lay before `at`: features at earlier moments, answers of the days after each, all before `at`.

    One customer in ten, by the hash of the id, is kept from the trees and calibrates them; all do where these are few.
    InputError where no customer had bought an item often enough before, or none was bought again.
    """
    options = options or ReorderOptions()
    held = np.array([_held_back(one) for one in purchases.customers.ids], bool)
    tables: dict[datetime, Table] = {}
    boosters, lines = {}, {}
    for days in options.horizons:
        rows = past_rows(purchases, at, days, options, tables)
        if not rows.y.any():
            raise InputError(
                f"of the items that a customer had bought on {options.min_times} days, none was bought again within "
                f"{days} days of any moment before {at:%Y-%m-%d}; give a longer history or a smaller reorder.min_times"
            )
        judge = held[rows.customer]
        few = len(np.unique(rows.customer[judge])) < ENOUGH
        judge, learn = (np.ones(len(judge), bool),) * 2 if few else (judge, ~judge)
        boosters[days] = boost(rows.x[learn], rows.y[learn], options)
        lines[days] = calibration_line(raw_odds(boosters[days], rows.x[judge], options.threads), rows.y[judge])
    return ReorderModel(at, options, boosters, lines)


def past_rows(
    purchases: Purchases,
    at: datetime,
    days: int,
    options: ReorderOptions,
    tables: dict[datetime, Table] | None = None,
) -> PastRows:
    """What is learned from at `at` for `days` ahead; `tables` keeps what was worked out for a moment."""
    tables = {} if tables is None else tables
    found = []
    for back in range(options.moments):
        moment = at - timedelta(days=days + back * options.every_days)
        if moment not in tables:
            tables[moment] = reorder_table(purchases, moment, options.min_times)
        repeats, x = tables[moment]
        bought = purchases.bought_within(repeats.customer, repeats.item, moment, days)
        found.append((repeats.customer, x, bought))
    return PastRows(*(np.concatenate(column) for column in zip(*found, strict=True)))


def reorders(
    purchases: Purchases, model: ReorderModel, at: datetime, days: int | None = None, min_probability: float = 0.0
) -> pl.DataFrame:
    """Columns REORDERS at the moment `at`, likeliest first, of all customers and items bought often enough.

    `days`: one of the horizons that were learned, by default the first. InputError where the model has seen what lies
    at or after `at`.
    """
    if model.at > at:
        raise InputError(f"the reorder model was learned from orders up to {model.at}, after {at}; fit it up to then")
    days = model.options.horizons[0] if days is None else days
    repeats, x = reorder_table(purchases, at, model.options.min_times)
    last_at = (at - EPOCH) // TICK - np.round(repeats.last * DAY).astype(np.int64)
    expected_at = last_at + np.round(repeats.interval * DAY).astype(np.int64)
    found = pl.DataFrame(
        {
            "customer_id": ids_at(purchases.customers, repeats.customer),
            "item_id": ids_at(purchases.items, repeats.item),
            "times": repeats.times,
            "last_at": last_at,
            "interval_days": repeats.interval,
            "expected_at": expected_at,
            "days": np.full(len(repeats), days),
            "probability": model.chances(x, days),
        }
    ).select(pl.col(name).cast(dtype) for name, dtype in REORDERS.items())
    sort = ("probability", "customer_id", "item_id")
    return found.filter(pl.col("probability") >= min_probability).sort(sort, descending=[True, False, False])


def expecting(purchases: Purchases, model: ReorderModel, days: int | None = None) -> Callable[[Known], pl.DataFrame]:
    """What trigger reorder_due asks: columns EXPECTED at the moment of what is known. Orders are coded once for all."""
    return lambda known: reorders(purchases, model, known.moment, days).select(EXPECTED)


def reorder_table(purchases: Purchases, at: datetime, min_times: int) -> Table:
    """What was bought on `min_times` days or more before `at`, and its features."""
    bought = purchases.before(at)
    repeats = Repeats.of(bought, min_times)
    return repeats, features(bought, repeats, purchases.types)


def _held_back(customer: str) -> bool:
    return hashlib.blake2b(customer.encode(), digest_size=8).digest()[0] % 10 == 0
