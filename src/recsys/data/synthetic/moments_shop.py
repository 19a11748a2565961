"""A shop of customers with planted moments: every kind of event, every trigger, and cases for silence, with the truth.

It stands by itself; its customers and items bear other names than those of `synthetic_shop`, so the two can be put
together. The truth holds for the triggers' default parameters and SEASON, and for days that begin in UTC.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from recsys.data.synthetic.lives import START, YEAR, Life, of_orders
from recsys.data.synthetic.silence_lives import SILENCE_LIVES, SilenceDays
from recsys.data.synthetic.trigger_lives import TRIGGER_LIVES

MOMENTS_STREAM = 4  # of the seed
UTC_TIME = pl.Datetime("us", "UTC")
EVENT: dict[str, Any] = {
    "customer_id": pl.String,
    "kind": pl.String,
    "at": UTC_TIME,
    "until": UTC_TIME,
    "item_id": pl.String,
    "value": pl.Float64,
    "source": pl.String,
    "key": pl.String,
    "received_at": UTC_TIME,
}
SILENT: dict[str, Any] = {
    "customer_id": pl.String,
    "item_id": pl.String,
    "rule": pl.String,
    "since": UTC_TIME,
    "until": UTC_TIME,
}
EXPECTED: dict[str, Any] = {
    "customer_id": pl.String,
    "item_id": pl.String,
    "expected_at": UTC_TIME,
    "probability": pl.Float64,
}
DURABLE = "Appliances"  # category of items that nobody buys twice
GONE = "P25"  # out of stock for a while in the middle of the year
LOSS = "P26"  # costs more than it brings
CATEGORIES = {"Kitchen": range(1, 20), "Garden": range(20, 22), "Pantry": range(22, 30), DURABLE: range(30, 33)}


@dataclass(frozen=True)
class MomentsTruth:
    """What was planted.

    `due`: customer_id, date, trigger; all triggers of the year YEAR, by the default parameters and SEASON.
    `silent`: customer_id (null = everybody), item_id (null = all), rule, since, until (null = as long as it is so).
    `expected`: customer_id, item_id, expected_at, probability: what falls due, as reorder_due is given it.
    """

    due: pl.DataFrame
    silent: pl.DataFrame
    expected: pl.DataFrame


@dataclass(frozen=True)
class MomentsShop:
    """`orders` as in SyntheticShop; `events`: raw, columns EVENT; `catalog` follows `schemas.Catalog`."""

    orders: pl.DataFrame
    catalog: pl.DataFrame
    events: pl.DataFrame
    truth: MomentsTruth


def moments_shop(seed: int = 0, each: int = 2, days: SilenceDays | None = None) -> MomentsShop:
    """Each planted life `each` times, on days drawn by the seed. The same arguments give the same frames."""
    rng = np.random.default_rng([seed, MOMENTS_STREAM])
    lives = [_opener(rng)]
    for script in TRIGGER_LIVES:
        for turn in range(each):
            lives.append(Life(f"M-{script.__name__}-{turn}", rng))
            script(lives[-1])
    for silent in SILENCE_LIVES:
        for turn in range(each):
            lives.append(Life(f"S-{silent.__name__}-{turn}", rng))
            silent(lives[-1], days or SilenceDays())
    everybody = _of_everybody()
    return MomentsShop(_orders(lives), _catalog(), _events(lives, everybody), _truth(lives, everybody))


def _opener(rng: np.random.Generator) -> Life:
    """The shop's first order."""
    life = Life("M-opener", rng)
    life.buy(START, "P01")
    return life


def _of_everybody() -> Life:
    """What concerns all: an item out of stock for a while, one that rose in price, one that makes a loss."""
    life = Life("", np.random.default_rng(0))
    start = datetime(YEAR, 6, 1, 12, tzinfo=UTC)
    life.tell("stock_out", start, item_id=GONE, until=start + timedelta(days=20))
    life.silence("in_stock", start, start + timedelta(days=20), item=GONE)
    life.silence("margin_floor", START, None, item=LOSS)
    return life


def _orders(lives: list[Life]) -> pl.DataFrame:
    rows = []
    for life in lives:
        for at, items in life.orders:
            order = f"{life.customer}-{at:%y%m%d%H%M}"
            rows += [(order, life.customer, item, at.replace(tzinfo=None), 1, _price(item)) for item in items]
        for at, item in life.returns:
            order = f"R-{life.customer}-{at:%y%m%d%H%M}"
            rows.append((order, life.customer, item, at.replace(tzinfo=None), -1, _price(item)))
    columns: dict[str, Any] = {
        "order_id": pl.String,
        "customer_id": pl.String,
        "item_id": pl.String,
        "ordered_at": pl.Datetime("us"),
        "quantity": pl.Int64,
        "unit_price": pl.Float64,
    }
    return pl.DataFrame(rows, schema=columns, orient="row").sort("ordered_at", "order_id", "item_id")


def _price(item: str) -> float:
    return 2.0 + int(item[1:])


def _catalog() -> pl.DataFrame:
    rows = [(f"P{n:02}", category) for category, numbers in CATEGORIES.items() for n in numbers]
    items = pl.DataFrame(rows, schema=["item_id", "category"], orient="row").sort("item_id")
    price = pl.Series("unit_price", [_price(item) for item in items["item_id"]])
    nothing = pl.lit(None, pl.String)
    cost = pl.when(pl.col("item_id") == LOSS).then(price + 1).otherwise(0.6 * price)
    return items.select(
        "item_id",
        name=pl.format("{} {}", "category", "item_id"),
        description=nothing,
        department=pl.lit("Home"),
        category="category",
        type=pl.format("{} {}", "category", pl.col("item_id").str.tail(1)),
        brand=nothing,
        size=nothing,
        unit_price=price,
        unit_cost=cost,
        in_stock=pl.lit(None, pl.Boolean),
    )


def _events(lives: list[Life], everybody: Life) -> pl.DataFrame:
    shared = [{**event, "customer_id": None} for event in everybody.events]
    rows = [event for life in lives for event in life.events] + shared
    return pl.DataFrame(rows, schema=EVENT).sort("at", "customer_id", "kind", "item_id", "source", nulls_last=True)


def _truth(lives: list[Life], everybody: Life) -> MomentsTruth:
    due = [
        {"customer_id": life.customer, "date": day, "trigger": trigger}
        for life in lives
        for trigger, day in life.due | of_orders(life)
        if day.year == YEAR
    ]
    silent = [row for life in lives for row in life.silent] + [{**row, "customer_id": None} for row in everybody.silent]
    expected = [{"customer_id": life.customer, **row} for life in lives for row in life.expected]
    columns = {"customer_id": pl.String, "date": pl.Date, "trigger": pl.String}
    return MomentsTruth(
        pl.DataFrame(due, schema=columns).sort("customer_id", "date", "trigger"),
        pl.DataFrame(silent, schema=SILENT).sort("customer_id", "item_id", "rule", "since", nulls_last=True),
        pl.DataFrame(expected, schema=EXPECTED).sort("customer_id", "expected_at"),
    )
