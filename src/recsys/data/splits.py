"""Query moments of training and of the test, made by a time window or by last basket, never through an order.

window         ─ history ─────────────┤ cut      window      end ├
               models and histories   │ first order of each customer with two known items
last_basket    per customer:  order, order, …, order │ last order
                              history                │ query
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
import polars as pl

from recsys.data.coding import as_text, coded_as
from recsys.data.histories import Csr, Histories, TrainData, carts
from recsys.errors import InputError

MIN_KNOWN = 2  # known items of a query: one can be shown and one asked for


@dataclass(frozen=True, kw_only=True)
class SplitOptions:
    """Where the test lies, and from which earlier moments the ranker learns."""

    kind: Literal["window", "last_basket"] = "window"
    cut: datetime | None = None  # start of the test window (UTC); null = window_days before the last order
    end: datetime | None = None  # end of the test window, exclusive; null = after the last order
    window_days: int = 28  # length of a window
    train_moments: int = 11  # moments before the test that the ranker learns from
    every_days: int = 7  # days between them (window only)
    max_queries: int | None = 20_000  # orders asked at the test, and over all training moments; of more, a sample


@dataclass(frozen=True)
class Moment:
    """One moment: models see what lies before `at`; `until` ends the window that queries are taken from.

    at     one time for all, or a frame (customer_id, at)
    asked  frame (customer_id, order_id): the orders to be predicted, or None to take the first of the window
    """

    name: str
    at: datetime | pl.DataFrame
    until: datetime | None = None
    asked: pl.DataFrame | None = None

    def table(self) -> pl.DataFrame:
        """`at` as customer_id and at; one row without a customer where it is one time for all."""
        if isinstance(self.at, pl.DataFrame):
            return self.at.select("customer_id", "at")
        row = {"customer_id": [None], "at": [self.at]}
        return pl.DataFrame(row, schema={"customer_id": pl.String, "at": pl.Datetime("us", "UTC")})


def moments(orders: pl.DataFrame, options: SplitOptions) -> tuple[list[Moment], Moment]:
    """The training moments, oldest first, and the test moment."""
    if options.kind == "last_basket":
        return _last_baskets(orders, options.train_moments)
    cut, end = held_out_window(orders, options)
    window = timedelta(days=options.window_days)
    cuts = [cut - timedelta(days=options.every_days * back) for back in range(options.train_moments, 0, -1)]
    return [Moment(f"{c:%Y-%m-%d}", c, min(c + window, cut)) for c in cuts], Moment(f"{cut:%Y-%m-%d}", cut, end)


def held_out_window(orders: pl.DataFrame, options: SplitOptions) -> tuple[datetime, datetime]:
    """[cut, end) of the test; by default the last `window_days` whole days."""
    last = orders["ordered_at"].max()
    first = orders["ordered_at"].min()
    if not isinstance(last, datetime) or not isinstance(first, datetime):
        raise InputError("there are no orders to split")
    midnight = (last + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    end = _utc(options.end) if options.end else midnight
    cut = _utc(options.cut) if options.cut else end - timedelta(days=options.window_days)
    if not first < cut < end:
        raise InputError(
            f"split.cut {cut:%Y-%m-%d} and split.end {end:%Y-%m-%d} leave no history or no test: orders run from "
            f"{first:%Y-%m-%d} to {last:%Y-%m-%d}; set split.cut and split.end inside"
        )
    return cut, end


def _utc(time: datetime) -> datetime:
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def _last_baskets(orders: pl.DataFrame, train_moments: int) -> tuple[list[Moment], Moment]:
    ranked = (
        orders.filter(pl.col("customer_id").is_not_null())
        .group_by("customer_id", "order_id")
        .agg(at=pl.col("ordered_at").min())
        .sort("customer_id", "at", "order_id", descending=[False, True, True])
        .with_columns(back=pl.int_range(pl.len()).over("customer_id"), n=pl.len().over("customer_id"))
    )
    after = orders["ordered_at"].max() + timedelta(seconds=1)  # type: ignore[operator]
    test = ranked.filter(pl.col("back") == 0).with_columns(
        at=pl.when(pl.col("n") > 1).then("at").otherwise(pl.lit(after).dt.cast_time_unit("us"))
    )

    def moment(back: int) -> Moment:
        asked = ranked.filter((pl.col("back") == back) & (pl.col("n") > back + 1))
        at = test.select("customer_id", "at").update(asked.select("customer_id", "at"), on="customer_id")
        return Moment(f"last-{back}", as_text(at), None, as_text(asked.select("customer_id", "order_id")))

    return [moment(back) for back in range(train_moments, 0, -1)], moment(0)


def asked_orders(orders: pl.DataFrame, moment: Moment, data: TrainData, min_known: int = MIN_KNOWN) -> pl.DataFrame:
    """The orders to be predicted: customer_id, order_id, items (known ones, in the order of their hash).

    Window: the first order in it, with at least `min_known` known items, of each customer who has a history.
    """
    lines = lines_asked(orders, moment).lazy()
    known = lines.filter(pl.col("customer_id").is_in(list(data.customers.ids)))
    found = _known_baskets(known, data, min_known).unique("customer_id", keep="first", maintain_order=True)
    return _hashed(found)


def every_order(orders: pl.DataFrame, moment: Moment, data: TrainData, min_known: int = MIN_KNOWN) -> pl.DataFrame:
    """All orders of a window with at least `min_known` known items, guests' and newcomers' too; as `asked_orders`."""
    return _hashed(_known_baskets(lines_asked(orders, moment).lazy(), data, min_known))


def sampled(asked: pl.DataFrame, most: int | None) -> pl.DataFrame:
    """Those `most` of the orders whose ids have the lowest hashes, in their order; all where they are not more."""
    if most is None or asked.height <= most:
        return asked
    hashes = [_digest(f"sampled|{order}") for order in asked["order_id"]]
    return asked[np.sort(np.argsort(np.array(hashes), kind="stable")[:most])]


def lines_asked(orders: pl.DataFrame, moment: Moment) -> pl.DataFrame:
    """Lines of the orders to choose from, ids as text: those of the window, or those that the moment names."""
    if moment.asked is not None:
        asked = coded_as(moment.asked, orders)
        return as_text(orders.join(asked, on=["customer_id", "order_id"], how="semi", maintain_order="left"))
    return as_text(orders.filter(in_window(moment)) if isinstance(moment.at, datetime) else orders)


def _known_baskets(lines: pl.LazyFrame, data: TrainData, min_known: int) -> pl.LazyFrame:
    """customer_id, order_id, ordered_at, item_id (list of known ones), a customer's orders in time order."""
    return (
        lines.filter(pl.col("item_id").is_in(list(data.items.ids)))
        .group_by("customer_id", "order_id")
        .agg(pl.col("ordered_at").min(), pl.col("item_id"))
        .filter(pl.col("item_id").list.len() >= min_known)
        .sort("customer_id", "ordered_at", "order_id")
    )


def _hashed(baskets: pl.LazyFrame) -> pl.DataFrame:
    found = baskets.collect()
    items = [hash_order(order, row) for order, row in zip(found["order_id"], found["item_id"].to_list(), strict=True)]
    return found.select("customer_id", "order_id", items=pl.Series(items, dtype=pl.List(pl.String)))


def in_window(moment: Moment) -> pl.Expr:
    """Lines of the window of a moment that is one for all, its end excluded."""
    assert isinstance(moment.at, datetime)
    return pl.col("ordered_at").is_between(moment.at, moment.until, closed="left")


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def hash_order(order: str, items: Sequence[str]) -> list[str]:
    """Items in an order that nobody chose: the hash of order and item."""
    return sorted(items, key=lambda item: _digest(f"{order}|{item}"))


@dataclass(frozen=True)
class Queries:
    """Questions of one moment and their answers.

    orders     n order ids
    histories  n histories at the moment, with the visible cart
    relevant   CSR float32 (n, n_items): the hidden items of the order
    """

    orders: tuple[str, ...]
    histories: Histories
    relevant: Csr

    def __len__(self) -> int:
        return len(self.orders)

    def take(self, rows: np.ndarray) -> "Queries":
        return Queries(tuple(self.orders[i] for i in rows), self.histories.take(rows), self.relevant[rows])


def half(size: int, _order: str) -> int:
    """Visible items of the task `cart`: the first half, rounded down, at least one."""
    return max(1, size // 2)


def nothing(_size: int, _order: str) -> int:
    """Visible items of the task `next_basket`."""
    return 0


def any_depth(size: int, order: str) -> int:
    """Visible items of a training cart, by the order's hash: mostly half, else one, a quarter or three quarters."""
    share = (0.5, 0.5, 0.5, 0.5, 0.5, 0.0, 0.25, 0.75)[_digest(f"depth|{order}")[0] % 8]
    return max(1, int(size * share))


def held_back(order: str) -> bool:
    """Whether the ranker's trees do not see the order, by its hash: one in ten, on which probabilities are fitted."""
    return _digest(f"held|{order}")[0] % 10 == 0


def ask(asked: pl.DataFrame, data: TrainData, visible: Callable[[int, str], int]) -> Queries:
    """Queries out of `asked_orders(...)`; `visible(size, order_id)` says how many items lie in the cart."""
    who = data.customers.positions(asked["customer_id"].to_list())
    return hide(asked, data.histories.take(who), data, visible)


def hide(asked: pl.DataFrame, histories: Histories, data: TrainData, visible: Callable[[int, str], int]) -> Queries:
    """Queries of `asked` (order_id, items) with these histories, row by row: some items shown, the others hidden."""
    items = [data.items.positions(row) for row in asked["items"].to_list()]
    orders = tuple(asked["order_id"])
    shown = [visible(len(row), order) for row, order in zip(items, orders, strict=True)]
    n_items = len(data.items)
    cart = carts([row[:n] for row, n in zip(items, shown, strict=True)], n_items)
    relevant = carts([row[n:] for row, n in zip(items, shown, strict=True)], n_items)
    return Queries(orders, histories.with_cart(cart), relevant)


def both_tasks(asked: pl.DataFrame, data: TrainData) -> dict[str, Queries]:
    """The two tasks of the evaluation."""
    return {"next_basket": ask(asked, data, nothing), "cart": ask(asked, data, half)}
