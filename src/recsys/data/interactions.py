"""Accepted orders → the matrices of one moment. Nothing dated at or after the moment is read."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
import polars as pl
import scipy.sparse as sp

from recsys.data.coding import coded_as, positions
from recsys.data.histories import (
    LEVELS,
    Csr,
    Histories,
    IdMap,
    ItemFacts,
    TrainData,
    empty_histories,
    no_carts,
    stable_order,
)
from recsys.errors import InputError

DAY = 86_400_000_000  # microseconds
PRICE_DAYS = 90


@dataclass(frozen=True, kw_only=True)
class InteractionOptions:
    """How order lines become matrix cells."""

    min_item_orders: int = 5  # an item is known (can be recommended) from this many orders before the moment
    quantity: Literal["binary", "log", "sqrt", "linear"] = "binary"  # damping of the quantity of a line
    max_age_days: float | None = None  # orders older than this are forgotten; null = none


def lines_before(orders: pl.DataFrame, at: datetime | pl.DataFrame, max_age_days: float | None = None) -> pl.DataFrame:
    """Order lines known at the moment, returns of that time taken off, with `age` in days.

    `at` is one moment for all, or a frame (customer_id, at) with a moment per customer; then lines of
    customers who are not in it, and guests, count from the latest of those moments.
    Half-open: a line dated exactly at the moment is not known. Sorted by ordered_at, order_id, item_id.
    """
    known = _in_time_order(orders)
    if isinstance(at, datetime):
        known = known.head(known["ordered_at"].search_sorted(at, side="left"))
        moment = pl.lit(at).dt.cast_time_unit("us")
    else:
        latest, moment = at["at"].max(), pl.col("at")
        known = known.join(coded_as(at, known), on="customer_id", how="left", maintain_order="left")
        known = known.with_columns(pl.col("at").fill_null(latest)).filter(pl.col("ordered_at") < pl.col("at"))
    age = (moment - pl.col("ordered_at")).dt.total_microseconds() / DAY
    known = known.with_columns(age=age.cast(pl.Float32))
    if known["returned_at"].null_count() < known.height:
        back = pl.when(pl.col("returned_at") < moment).then("returned_quantity").otherwise(0.0).fill_null(0.0)
        known = known.with_columns(quantity=pl.col("quantity") - back).filter(pl.col("quantity") > 0)
    if max_age_days is not None:
        known = known.filter(pl.col("age") <= max_age_days)
    return known.drop("at", "returned_at", "returned_quantity", strict=False)


def _in_time_order(orders: pl.DataFrame) -> pl.DataFrame:
    """schemas.Orders is sorted; what is not, as a test may have it, is sorted here."""
    if orders["ordered_at"].is_sorted() and orders["ordered_at"].null_count() == 0:
        return orders
    return orders.sort("ordered_at", "order_id", "item_id")


def known_items(lines: pl.DataFrame, min_item_orders: int) -> IdMap:
    """Items with at least `min_item_orders` lines (one line per order)."""
    counts = lines["item_id"].value_counts()  # a coded id that does not occur is not among them
    return IdMap.of(counts.filter(pl.col("count") >= min_item_orders)["item_id"].to_list())


def train_data(
    lines: pl.DataFrame,
    catalog: pl.DataFrame,
    options: InteractionOptions | None = None,
    items: IdMap | None = None,
) -> TrainData:
    """What models learn from, out of `lines_before(...)`.

    `items` fixes the items; by default they are those with enough orders in `lines`.
    """
    options = options or InteractionOptions()
    items = items or known_items(lines, options.min_item_orders)
    if len(items) < 2:
        raise InputError(
            f"{len(items)} items have at least {options.min_item_orders} orders before the moment, 2 are needed; "
            "lower interactions.min_item_orders or give more orders"
        )
    coded = _coded(lines, items, options)
    customers = IdMap.of(coded["customer_id"].unique().drop_nulls().to_list())
    if not len(customers):
        raise InputError(
            "no order before the moment names a customer: histories would be empty; map data.orders.columns.customer_id"
        )
    matrix, ages = _orders_matrix(coded, len(items))
    return TrainData(
        items,
        customers,
        _histories(coded, customers, len(items)),
        matrix,
        ages,
        item_facts(items, catalog, lines),
    )


def histories_of(
    lines: pl.DataFrame, customers: IdMap, items: IdMap, options: InteractionOptions | None = None
) -> Histories:
    """One history per customer of `customers`, in their order, out of `lines_before(...)`; empty where none is known.

    Lines of other customers and items are left out.
    """
    options = options or InteractionOptions()
    coded = _coded(lines, items, options)
    coded = coded.filter(pl.Series(positions(coded["customer_id"], customers) >= 0))
    return _histories(coded, customers, len(items)) if coded.height else empty_histories(len(customers), len(items))


def _coded(lines: pl.DataFrame, items: IdMap, options: InteractionOptions) -> pl.DataFrame:
    """Lines of known items: order_id, customer_id, age, item (its position), weight."""
    item = pl.Series("item", positions(lines["item_id"], items))
    kept = lines.select("order_id", "customer_id", "age", weight=_damped(options.quantity)).with_columns(item)
    known = item >= 0
    return kept if known.all() else kept.filter(known)


def _damped(how: str) -> pl.Expr:
    quantity = pl.col("quantity")
    damped: dict[str, pl.Expr] = {
        "binary": pl.lit(1.0),
        "log": quantity.log1p() / np.log(2.0),
        "sqrt": quantity.sqrt(),
        "linear": quantity,
    }
    return damped[how].cast(pl.Float32)


def _orders_matrix(coded: pl.DataFrame, n_items: int) -> tuple[Csr, np.ndarray]:
    """Orders × items, 0/1, and the age of each order; orders in time order."""
    row = _order_rows(coded)
    first = np.flatnonzero(np.diff(row, prepend=-1))
    indptr = np.append(first, len(row)).astype(np.int32)
    matrix = sp.csr_matrix((np.ones(len(row), np.float32), coded["item"].to_numpy(), indptr), (len(first), n_items))
    matrix.sort_indices()
    return matrix, coded["age"].to_numpy()[first]


def _order_rows(coded: pl.DataFrame) -> np.ndarray:
    """int32: order of each line, counted in time order; lines are sorted by time and order, an order has one time."""
    return coded["order_id"].rle_id().cast(pl.Int32).to_numpy()


def _histories(coded: pl.DataFrame, customers: IdMap, n_items: int) -> Histories:
    customer = positions(coded["customer_id"], customers)
    kept = stable_order(customer + 1, len(customers) + 1)  # time order within a customer
    kept = kept[np.count_nonzero(customer < 0) :]
    customer, row = customer[kept], _order_rows(coded)[kept]
    order = np.cumsum(np.diff(row, prepend=-1) != 0, dtype=np.int32)
    ends = np.concatenate([[0], np.cumsum(np.bincount(customer, minlength=len(customers)))])
    latest = order[ends[1:] - 1]
    return Histories(
        ends,
        coded["item"].to_numpy()[kept],
        latest[customer] - order,
        coded["age"].to_numpy()[kept],
        coded["weight"].to_numpy()[kept],
        no_carts(len(customers), n_items),
        np.arange(len(customers)),
    )


def item_facts(items: IdMap, catalog: pl.DataFrame, lines: pl.DataFrame) -> ItemFacts:
    """Catalog rows in the order of `items`; prices from the lines of the moment, never from the catalog's today."""
    table = pl.DataFrame({"item_id": items.ids}, schema={"item_id": pl.String}).join(
        catalog.unique("item_id", keep="first", maintain_order=True),
        on="item_id",
        how="left",
        maintain_order="left",
    )
    words = ("name", "description", *LEVELS, "brand", "size")
    text = pl.concat_str([pl.col(c) for c in words], separator=" ", ignore_nulls=True)
    codes = [table[c].rank("dense").fill_null(0).to_numpy().astype(np.int32) - 1 for c in LEVELS]
    level_names = tuple(tuple(table[c].drop_nulls().unique().sort()) for c in LEVELS)
    return ItemFacts(
        tuple(table.select(text).to_series()),
        tuple(table.select(shown_name()).to_series()),
        np.stack(codes, axis=1),
        _prices(table.select("item_id"), lines),
        level_names,
        *_others(items, catalog, level_names),
        table["unit_cost"].cast(pl.Float32).fill_null(float("nan")).to_numpy(),
    )


def shown_name() -> pl.Expr:
    """How people call a catalog's item: its name, else brand, type and size, else its id."""
    made_up = pl.concat_str(["brand", "type", "size"], separator=" ", ignore_nulls=True).replace("", None)
    return pl.coalesce("name", made_up, "item_id")


def _others(items: IdMap, catalog: pl.DataFrame, names: tuple[tuple[str, ...], ...]) -> tuple[IdMap, np.ndarray]:
    """Catalog items that are none of `items` but share a level's name with one, and their codes int32 (m, 3)."""
    codes = [
        pl.col(level).cast(pl.Enum(of), strict=False).to_physical().cast(pl.Int32).fill_null(-1)
        for level, of in zip(LEVELS, names, strict=True)
    ]
    found = (
        catalog.filter(~pl.col("item_id").is_in(list(items.ids)))
        .unique("item_id", keep="first", maintain_order=True)
        .select("item_id", *codes)
        .filter(pl.any_horizontal(pl.col(LEVELS) >= 0))
        .sort("item_id")
    )
    return IdMap(tuple(found["item_id"])), found.select(LEVELS).to_numpy().astype(np.int32).reshape(-1, len(LEVELS))


def _prices(items: pl.DataFrame, lines: pl.DataFrame) -> np.ndarray:
    """Median unit price over each item's own latest 90 days of sales; NaN where it has none."""
    priced = lines.select("item_id", "unit_price", "age").drop_nulls("unit_price")
    latest = priced.group_by("item_id").agg(oldest=pl.col("age").min() + PRICE_DAYS)
    recent = priced.join(latest, on="item_id").filter(pl.col("age") <= pl.col("oldest"))
    median = recent.group_by("item_id").agg(price=pl.col("unit_price").median().cast(pl.Float32))
    median = median.with_columns(pl.col("item_id").cast(pl.String))
    joined = items.join(median, on="item_id", how="left", maintain_order="left")
    return joined["price"].fill_null(float("nan")).to_numpy()
