"""Column names and table contracts. Training side only: what is served imports no polars."""

import dataframely as dy
import polars as pl

UTC = pl.Datetime("us", "UTC")


class Orders(dy.Schema):
    """Accepted order lines, one row per (order_id, item_id), sorted by ordered_at, order_id, item_id.

    A null customer_id is a guest, a null store_id an unknown store. `unit_price` is in the shop's currency, all-in,
    per unit.
    A return counts from `returned_at`, never before: `returned_quantity` units came back on that date.
    """

    order_id = dy.String(primary_key=True, nullable=False)
    item_id = dy.String(primary_key=True, nullable=False)
    customer_id = dy.String(nullable=True)
    ordered_at = dy.Datetime(time_zone="UTC", nullable=False)
    quantity = dy.Float64(nullable=False, min_exclusive=0)
    unit_price = dy.Float64(nullable=True, min=0)
    returned_at = dy.Datetime(time_zone="UTC", nullable=True)
    returned_quantity = dy.Float64(nullable=True, min_exclusive=0)
    store_id = dy.String(nullable=True)


class Catalog(dy.Schema):
    """Items on sale, one row each, sorted by item_id; only item_id is required to be known.

    `department`, `category`, `type` are the category path from wide to narrow.
    """

    item_id = dy.String(primary_key=True, nullable=False)
    name = dy.String(nullable=True)
    description = dy.String(nullable=True)
    department = dy.String(nullable=True)
    category = dy.String(nullable=True)
    type = dy.String(nullable=True)
    brand = dy.String(nullable=True)
    size = dy.String(nullable=True)
    unit_price = dy.Float64(nullable=True, min=0)
    unit_cost = dy.Float64(nullable=True, min=0)
    in_stock = dy.Bool(nullable=True)


REJECTED = {
    "source": pl.String,  # file or table the row came from
    "source_row": pl.Int64,  # line of a CSV file (header = 1), else 1-based row; null where it has none
    "rule": pl.String,  # name of the rule that refused it
    "column": pl.String,  # column that broke it, null where it is the whole row
    "value": pl.String,  # raw value as it came
    "raw": pl.String,  # the whole row as JSON
}

OFFERED = {  # what every table of offers tells of one
    "kind": pl.String,  # cross_sell | upsell | bundle
    "anchor_items": pl.List(pl.String),  # what the offer starts from; empty for a bundle
    "anchor_names": pl.List(pl.String),
    "items": pl.List(pl.String),
    "item_names": pl.List(pl.String),
    "list_price": pl.Float64,  # null = unknown
    "offer_price": pl.Float64,
    "incentive": pl.String,  # none | percent | free_shipping | trial | points
    "incentive_amount": pl.Float64,
    "reason": pl.String,
    "probability": pl.Float64,  # that an order holds the items; null where no ranker says it
}

EVENTS = {
    "customer_id": pl.String,  # null only for kinds that may concern everybody
    "kind": pl.String,  # one of data.events.KINDS
    "at": UTC,  # when it happened
    "until": UTC,  # when it ends, null where it has no end or none is known; never before `at`
    "item_id": pl.String,  # null where no item is meant
    "value": pl.Float64,  # what the kind says it is; null where it has none
    "source": pl.String,  # channel, campaign, feature, limit: whatever it belongs to
    "key": pl.String,  # of an offer, a case, a cart, a contract; once per kind, customer and item
    "known_at": UTC,  # when the shop knew of it: received_at, or `at` where that is not told
}
