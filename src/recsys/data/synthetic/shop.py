"""A synthetic shop in memory, and the block of orders that the streamed history is made of too."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys.data.synthetic.assortment import Assortment, make_assortment
from recsys.data.synthetic.baskets import Trips, make_lines, make_trips
from recsys.data.synthetic.catalog import catalog_frame, item_ids
from recsys.data.synthetic.households import Block, Households, make_households
from recsys.data.synthetic.options import SyntheticOptions
from recsys.data.synthetic.truth import HouseholdTruth, ShelfTruth, household_truth, moments, shelf_truth

CUSTOMER_STREAM = 1  # of the seed; the shelf takes stream 0
RETURN_STREAM = 2
ORDERS_PER_CHUNK = 10_000_000  # order numbers reserved for each chunk
MAX_RETURN_DAYS = 30


@dataclass(frozen=True)
class Truth(ShelfTruth, HouseholdTruth):
    """All that was planted; see ShelfTruth and HouseholdTruth.

    `returns`: order_id, item_id (the purchase), return_order_id, returned_at (UTC), quantity (> 0).
    Returned are only items that the customer bought once, so the purchase meant is never in doubt.
    """

    returns: pl.DataFrame


@dataclass(frozen=True)
class SyntheticShop:
    """`orders` has the shape of a raw but clean export: order_id, customer_id (null = guest), item_id,
    ordered_at (naive, UTC), quantity (negative = returned), unit_price; sorted by time, order, item.
    `catalog` follows `schemas.Catalog`.
    """

    orders: pl.DataFrame
    catalog: pl.DataFrame
    truth: Truth


def synthetic_shop(options: SyntheticOptions | None = None) -> SyntheticShop:
    """The whole shop from one seed. The same options give the same frames."""
    options = options or SyntheticOptions()
    shelf = make_assortment(options)
    whole = Block(chunk=0, first=0, customers=options.customers, guests=options.guests)
    purchases, planted = block_orders(options, shelf, whole)
    returned = _returns(options, purchases)
    orders = (
        pl.concat([purchases.with_columns(pl.col("quantity").cast(pl.Int64)), _return_lines(purchases, returned)])
        .with_columns(pl.col("ordered_at").dt.replace_time_zone(None))
        .sort("ordered_at", "order_id", "item_id")
    )
    common = shelf_truth(options, shelf)
    truth = Truth(**vars(common), **vars(planted), returns=returned)
    return SyntheticShop(orders, catalog_frame(options, shelf), truth)


def block_orders(options: SyntheticOptions, shelf: Assortment, block: Block) -> tuple[pl.DataFrame, HouseholdTruth]:
    """Purchase lines of a block, sorted by customer, time and item, and what was planted in its customers.

    Columns as in `schemas.Orders` without returns. Seeded by (seed, chunk) alone.
    """
    rng = np.random.default_rng([options.seed, CUSTOMER_STREAM, block.chunk])
    people = make_households(options, shelf, block, rng)
    trips = make_trips(options, people, rng)
    lines = make_lines(options, shelf, people, trips, rng)
    customer_ids = _customer_ids(options, block)
    orders = pl.DataFrame(
        {
            "order_id": _order_ids(block, trips).gather(lines.order),
            "customer_id": _buyer_ids(customer_ids, people, trips).gather(lines.order),
            "item_id": item_ids(options).gather(lines.item),
            "ordered_at": moments(options, trips.seconds).gather(lines.order),
            "quantity": lines.quantity.astype(np.float64),
            "unit_price": lines.unit_price,
        }
    )
    return orders, household_truth(options, shelf, people, trips, lines, customer_ids)


def _customer_ids(options: SyntheticOptions, block: Block) -> pl.Series:
    """Ids "00001", …: digits with leading zeros, as ordinary shops have them."""
    width = max(5, len(str(options.customers)) + 1)
    numbers = np.arange(block.first + 1, block.first + block.customers + 1)
    return pl.Series("customer_id", numbers).cast(pl.String).str.zfill(width)


def _buyer_ids(customer_ids: pl.Series, people: Households, trips: Trips) -> pl.Series:
    """Customer of each order, null for guests."""
    guests = pl.Series("customer_id", [None] * (len(people.rate) - people.customers), dtype=pl.String)
    return pl.concat([customer_ids, guests]).gather(trips.household)


def _order_ids(block: Block, trips: Trips) -> pl.Series:
    """Numbers that rise with time within a chunk, each chunk in a range of its own."""
    number = np.empty(len(trips.seconds), dtype=np.int64)
    number[np.argsort(trips.seconds, kind="stable")] = np.arange(1, len(number) + 1)
    number += block.chunk * ORDERS_PER_CHUNK
    return ("O" + pl.Series(number).cast(pl.String).str.zfill(11)).alias("order_id")


def _returns(options: SyntheticOptions, purchases: pl.DataFrame) -> pl.DataFrame:
    """Draw which lines come back, when and how many; `return_share` of all purchase lines."""
    rng = np.random.default_rng([options.seed, RETURN_STREAM])
    end = moments(options, np.array([options.days * 86_400]))[0]
    later = pl.Series("later", rng.uniform(1, MAX_RETURN_DAYS, purchases.height) * 86_400_000_000)
    once = (
        purchases.with_columns(returned_at=pl.col("ordered_at") + later.cast(pl.Int64).cast(pl.Duration("us")))
        .with_columns(pl.col("returned_at").dt.truncate("1s"))
        .filter(pl.len().over("customer_id", "item_id") == 1, pl.col("customer_id").is_not_null())
        .filter(pl.col("returned_at") < end)
        .sort("order_id", "item_id")
    )
    n = min(once.height, round(options.return_share * purchases.height))
    chosen = once.gather(np.sort(rng.permutation(once.height)[:n])) if n else once.clear()
    back = np.ceil(chosen["quantity"].to_numpy() * (1 - rng.random(n))).astype(np.int64)  # 1 … quantity come back
    returned = chosen.select("order_id", "item_id", "returned_at", quantity=pl.Series(back, dtype=pl.Int64))
    numbers = returned["returned_at"].rank("ordinal").cast(pl.Int64).cast(pl.String).str.zfill(6)
    return returned.select("order_id", "item_id", ("R" + numbers).alias("return_order_id"), "returned_at", "quantity")


def _return_lines(purchases: pl.DataFrame, returned: pl.DataFrame) -> pl.DataFrame:
    """Returns as an export shows them: an order of their own with a negative quantity."""
    lines = returned.join(purchases.drop("quantity"), on=["order_id", "item_id"], validate="1:1")
    return lines.select(
        pl.col("return_order_id").alias("order_id"),
        "customer_id",
        "item_id",
        pl.col("returned_at").alias("ordered_at"),
        -pl.col("quantity"),
        "unit_price",
    )
