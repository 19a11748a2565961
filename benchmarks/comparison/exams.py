"""Moments at which models are fitted and asked.

last-basket   1 … n − 2 │ n − 1 validation │ n test          training moments: n − train_moments … n − 1
window        history │ window validation │ window test      training moments: weekly cuts before the test
with keys     train and val users teach: they are the models' data, and their last baskets train the ranker too;
              test users are asked, from their own histories
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import polars as pl

from benchmarks.comparison.shop import Shop, asked_at
from recsys.config import Config
from recsys.data.histories import Ints, TrainData
from recsys.data.interactions import lines_before, train_data
from recsys.data.splits import Moment, Queries, ask, asked_orders, half, held_out_window, moments, nothing
from recsys.errors import InputError

FIRST_SHOWN = 3  # items of a cart before the first question of `next_item`


@dataclass(frozen=True)
class Exam:
    """Models are fitted on `data`; `known` holds the histories of all customers, `asked` the orders to be predicted."""

    data: TrainData
    known: TrainData
    asked: pl.DataFrame

    def questions(self, visible: Callable[[int, str], int], asked: pl.DataFrame | None = None) -> Queries:
        """Queries with the customers' rows in `data`, -1 for those who are not in it."""
        asked = self.asked if asked is None else asked
        queries = ask(asked, self.known, visible)
        who = self.data.customers.positions(asked["customer_id"].to_list())
        return replace(queries, histories=replace(queries.histories, customers=who))

    def tasks(self, names: tuple[str, ...]) -> dict[str, Queries]:
        """Queries of next_basket and cart: the same orders."""
        depths = {"next_basket": nothing, "cart": half}
        return {name: self.questions(depths[name]) for name in names if name in depths}

    def steps(self) -> pl.DataFrame:
        """`asked` once for each item behind the first three: items = those shown and the next one."""
        size = pl.col("items").list.len()
        return (
            self.asked.filter(size > FIRST_SHOWN)
            .with_columns(upto=pl.int_ranges(FIRST_SHOWN + 1, size + 1))
            .explode("upto")
            .with_columns(items=pl.col("items").list.head(pl.col("upto")))
        )

    def next_item(self) -> Queries:
        """One query per item behind the first three of an order."""
        return self.questions(all_but_last, self.steps())

    def step_orders(self) -> Ints:
        """int64: the order of each query of `next_item`, as a number."""
        return self.steps()["order_id"].rle_id().to_numpy().astype(np.int64)


def all_but_last(size: int, _order: str) -> int:
    """Visible items of the task `next_item`."""
    return size - 1


def plan(shop: Shop, config: Config) -> tuple[list[Moment], Moment, Moment]:
    """Training moments, the validation moment (before the test) and the test moment."""
    train, test = moments(shop.orders, config.split)
    if config.split.kind == "last_basket":
        before = moments(shop.orders, replace(config.split, train_moments=1))[0][0]
        return [_without(m, shop) for m in train], _without(before, shop), _without(test, shop)
    cut, _ = held_out_window(shop.orders, config.split)
    earlier = cut - timedelta(days=config.split.window_days)
    return train, Moment("validation", earlier, cut), test


def _without(moment: Moment, shop: Shop) -> Moment:
    """A last-basket moment at which users with an empty future keep their whole history and are not asked."""
    assert isinstance(moment.at, pl.DataFrame)
    assert moment.asked is not None
    late = asked_at(shop)
    at = moment.at.join(late, on="customer_id", how="left", suffix="_late")
    return replace(
        moment,
        at=at.select("customer_id", at=pl.coalesce("at_late", "at")),
        asked=moment.asked.join(late, on="customer_id", how="anti"),
    )


def exam(shop: Shop, moment: Moment, config: Config, min_basket: int, asking: frozenset[str] | None) -> Exam:
    """What is known and asked at a moment; `asking` restricts who is asked."""
    lines = lines_before(shop.orders, moment.at, config.interactions.max_age_days)
    known = train_data(lines, shop.catalog, config.interactions, shop.items)
    data = known
    if shop.keys is not None:
        own = pl.col("customer_id").is_in(list(shop.keys.teachers)) | pl.col("customer_id").is_null()
        data = train_data(lines.filter(own), shop.catalog, config.interactions, known.items)
    asked = asked_orders(shop.orders, moment, known, min_basket)
    if asking is not None:
        asked = asked.filter(pl.col("customer_id").is_in(list(asking)))
    return Exam(data, known, asked)


def test_exam(shop: Shop, moment: Moment, config: Config, min_basket: int) -> Exam:
    """The exam that is reported; refused where nobody can be asked."""
    found = exam(shop, moment, config, min_basket, shop.keys.test if shop.keys else None)
    if not found.asked.height:
        raise InputError(
            f"nobody can be asked: no customer with a history has a test order of {min_basket} known items or more; "
            "give customers with two orders, lower --min-basket or --min-item-orders, or use --split last-basket"
        )
    return found
