"""Accepted orders → the matrices of one moment. Nothing dated at or after the moment is read."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
import polars as pl
import scipy.sparse as sp

from recsys.data.coding import coded_as
from recsys.data.histories import (
    Csr,
    Floats,
    Histories,
    IdMap,
    Ints,
    TrainData,
    csr,
    empty_histories,
    no_carts,
    stable_order,
)
from recsys.data.item_facts import item_facts
from recsys.data.known_lines import DAY, KnownLines, quantity_left, thinned
from recsys.errors import InputError


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
        known = known.with_columns(quantity=quantity_left(moment)).filter(pl.col("quantity") > 0)
    if max_age_days is not None:
        known = known.filter(pl.col("age") <= max_age_days)
    return known.drop("at", "returned_at", "returned_quantity", strict=False)


def _in_time_order(orders: pl.DataFrame) -> pl.DataFrame:
    """schemas.Orders is sorted; what is not, as a test may have it, is sorted here."""
    if orders["ordered_at"].is_sorted() and orders["ordered_at"].null_count() == 0:
        return orders
    return orders.sort("ordered_at", "order_id", "item_id")


def known_items(lines: pl.DataFrame | KnownLines, min_item_orders: int) -> IdMap:
    """Items with at least `min_item_orders` lines (one line per order)."""
    known = KnownLines.of(lines)
    ids = known.ids("item_id")
    counts = np.zeros(len(ids), np.int64)  # a code that does not occur is not among them
    for _, part in known.blocks():
        counts += np.bincount(known.items[part], minlength=len(ids))
    return IdMap.of(ids.gather(np.flatnonzero(counts >= max(min_item_orders, 1))).to_list())


def train_data(
    lines: pl.DataFrame | KnownLines,
    catalog: pl.DataFrame,
    options: InteractionOptions | None = None,
    items: IdMap | None = None,
) -> TrainData:
    """What models learn from, out of `lines_before(...)` or `KnownLines.read(...)`.

    `items` fixes the items; by default they are those with enough orders in `lines`.
    """
    options, known = options or InteractionOptions(), KnownLines.of(lines)
    items = items or known_items(known, options.min_item_orders)
    if len(items) < 2:
        raise InputError(
            f"{len(items)} items have at least {options.min_item_orders} orders before the moment, 2 are needed; "
            "lower interactions.min_item_orders or give more orders"
        )
    facts = item_facts(items, catalog, known)
    baskets = _baskets(known, items, options)
    customers = IdMap.of(_named(known, baskets.customers))
    if not len(customers):
        raise InputError(
            "no order before the moment names a customer: histories would be empty; map data.orders.columns.customer_id"
        )
    who = known.places("customer_id", customers)[baskets.customers]
    return TrainData(items, customers, _histories(baskets, who, customers), baskets.matrix(), baskets.ages, facts)


def _named(known: KnownLines, customers: Ints) -> list[str]:
    """Ids of the customers whose codes occur."""
    ids = known.ids("customer_id")
    occurs = np.zeros(len(ids) + 1, bool)
    occurs[customers] = True  # -1, of guests, is the last
    return ids.gather(np.flatnonzero(occurs[:-1])).to_list()


def histories_of(
    lines: pl.DataFrame, customers: IdMap, items: IdMap, options: InteractionOptions | None = None
) -> Histories:
    """One history per customer of `customers`, in their order, out of `lines_before(...)`; empty where none is known.

    Lines of other customers and items are left out.
    """
    known = KnownLines.of(lines)
    baskets = _baskets(known, items, options or InteractionOptions())
    who = known.places("customer_id", customers)[baskets.customers]
    if not (who >= 0).any():
        return empty_histories(len(customers), len(items))
    return _histories(baskets, who, customers)


@dataclass(frozen=True)
class _Baskets:
    """Orders of known items, in time order.

    lines      CSR float32 (n, n_items): weight of each line, in the order of the lines
    customers  int32 (n,): code of the customer, -1 = a guest
    ages       float32 (n,)
    """

    lines: Csr
    customers: Ints
    ages: Floats

    def matrix(self) -> Csr:
        """Orders × items, 0/1, sorted columns."""
        ones = self.lines.data if (self.lines.data == 1).all() else np.ones(self.lines.nnz, np.float32)
        found = csr(ones, self.lines.indices, self.lines.indptr, self.lines.shape)
        return found if found.has_sorted_indices else sp.csr_matrix(found.sorted_indices())


def _baskets(known: KnownLines, items: IdMap, options: InteractionOptions) -> _Baskets:
    place = known.places("item_id", items)
    item = np.empty(len(known), np.int32)
    for _, part in known.blocks():
        item[part] = place[known.items[part]]
    weight = None if options.quantity == "binary" else _weights(known, options.quantity)
    starts, customers, ages = known.starts, known.customers, known.ages
    if (item < 0).any():
        kept = item >= 0
        starts, full = thinned(starts, kept)
        customers, ages = customers[full], ages[full]
        item, weight = item[kept], weight if weight is None else weight[kept]
    ones = np.ones(len(item), np.float32) if weight is None else weight
    return _Baskets(csr(ones, item, starts, (len(ages), len(items))), customers, ages)


def _weights(known: KnownLines, how: str) -> Floats:
    """float32 (m,): damped quantity."""
    quantity = pl.col("quantity")
    damped = {"log": quantity.log1p() / np.log(2.0), "sqrt": quantity.sqrt(), "linear": quantity}[how]
    return known.column("quantity").to_frame("quantity").select(damped.cast(pl.Float32)).to_series().to_numpy()


def _histories(baskets: _Baskets, who: Ints, customers: IdMap) -> Histories:
    """`who`: position in `customers` of the customer of each order; -1 = none of them."""
    orders = stable_order(who + 1, len(customers) + 1)  # time order within a customer
    orders = orders[np.count_nonzero(who < 0) :]
    of = who[orders]
    sizes = np.diff(baskets.lines.indptr)[orders]
    lines = baskets.lines[orders]
    after = np.cumsum(np.bincount(of, minlength=len(customers)))[of] - 1 - np.arange(len(of))
    upto = np.append(0, np.cumsum(sizes, dtype=np.int64))
    return Histories(
        upto[np.searchsorted(of, np.arange(len(customers) + 1))],
        lines.indices,
        np.repeat(after.astype(np.int32), sizes),
        np.repeat(baskets.ages[orders], sizes),
        lines.data,
        no_carts(len(customers), baskets.lines.shape[1]),
        np.arange(len(customers)),
    )
