"""One small shop, and everything that is fitted on it, made once for all tests."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from recsys import schemas
from recsys.data.histories import Histories, TrainData, carts
from recsys.data.interactions import InteractionOptions, lines_before, train_data
from recsys.data.splits import Moment, Queries, SplitOptions, any_depth, ask, asked_orders, both_tasks, moments, nothing
from recsys.data.synthetic import SyntheticOptions, synthetic_shop
from recsys.models.als import Als
from recsys.models.user_knn import UserKnn
from recsys.ranking.base_models import BaseModels, ModelOptions
from recsys.ranking.blend import training_rows
from recsys.ranking.hybrid import Hybrid, HybridOptions, TrainingRows
from recsys.serving.recommender import Recommender

MOMENT = datetime(2024, 7, 1, tzinfo=UTC)  # of `tiny_orders`
PER_SOURCE = 30
CATALOG = dict.fromkeys(schemas.Catalog.columns(), pl.String) | {
    "unit_price": pl.Float64,
    "unit_cost": pl.Float64,
    "in_stock": pl.Boolean,
}
ORDERS = {
    "order_id": pl.String,
    "item_id": pl.String,
    "customer_id": pl.String,
    "ordered_at": schemas.UTC,
    "quantity": pl.Float64,
    "unit_price": pl.Float64,
    "returned_at": schemas.UTC,
    "returned_quantity": pl.Float64,
}
KEY = ["ordered_at", "order_id", "item_id"]


@dataclass(frozen=True)
class Shop:
    """Orders with guests and returns, and the matrices of the test moment."""

    orders: pl.DataFrame
    catalog: pl.DataFrame
    train: list[Moment]
    test: Moment
    data: TrainData
    asked: pl.DataFrame
    tasks: dict[str, Queries]


@dataclass(frozen=True)
class Fitted:
    """Models and ranker of the test moment of the small shop."""

    options: ModelOptions
    models: BaseModels
    hybrid: Hybrid
    recommender: Recommender


@pytest.fixture(scope="session")
def small_shop() -> Shop:
    """120 customers, 240 items, 200 days."""
    made = synthetic_shop(SyntheticOptions(customers=120, items=240, orders_per_customer=15, days=200))
    bought = made.orders.filter(pl.col("quantity") > 0).with_columns(
        pl.col("ordered_at").dt.replace_time_zone("UTC"), pl.col("quantity").cast(pl.Float64)
    )
    returned = made.truth.returns.select(
        "order_id", "item_id", "returned_at", returned_quantity=pl.col("quantity").cast(pl.Float64)
    )
    orders = bought.join(returned, on=["order_id", "item_id"], how="left").select(list(ORDERS)).sort(KEY)
    schemas.Orders.validate(orders)
    train, test = moments(orders, SplitOptions(train_moments=3))
    data = train_data(lines_before(orders, test.at), made.catalog)
    asked = asked_orders(orders, test, data)
    return Shop(orders, made.catalog, train, test, data, asked, both_tasks(asked, data))


@pytest.fixture(scope="session")
def fitted(small_shop) -> Fitted:
    """A hybrid of few trees over the three training moments, and the recommender of the test moment."""
    options = ModelOptions(als=Als(factors=8, iterations=4), user_knn=UserKnn(k=20))
    rows = TrainingRows.concatenate([learned_rows(small_shop, m, options) for m in small_shop.train])
    hybrid = Hybrid.fit(rows, HybridOptions(trees=25, min_leaf=20, per_source=PER_SOURCE, threads=1))
    models = BaseModels.fit(small_shop.data, options)
    recommender = Recommender.of(small_shop.data, models, hybrid, PER_SOURCE, "hybrid")
    return Fitted(options, models, hybrid, recommender)


def learned_rows(shop: Shop, moment: Moment, options: ModelOptions) -> TrainingRows:
    """What the ranker learns from one training moment."""
    data = train_data(lines_before(shop.orders, moment.at), shop.catalog)
    asked = asked_orders(shop.orders, moment, data)
    open_, shown = ask(asked, data, nothing), ask(asked, data, any_depth)
    hidden = [(q.histories.cart, q.relevant) for q in (open_, shown)]
    return training_rows(BaseModels.fit(data, options), open_.histories, hidden, PER_SOURCE, 0.5, 0)


@pytest.fixture(scope="session")
def tiny_orders():
    """Makes schemas.Orders out of (order, customer or None, days before MOMENT, items) tuples."""

    def make(*orders):
        rows = [
            (order, item, customer, MOMENT - timedelta(days=age), 1.0, 1.0, None, None)
            for order, customer, age, items in orders
            for item in items
        ]
        frame = pl.DataFrame(rows, schema=ORDERS, orient="row").sort(KEY)
        schemas.Orders.validate(frame)
        return frame

    return make


@pytest.fixture(scope="session")
def tiny_catalog():
    """Makes schemas.Catalog out of item → {column: value}."""

    def make(items):
        rows = [dict.fromkeys(CATALOG) | {"item_id": item} | columns for item, columns in sorted(items.items())]
        return pl.DataFrame(rows, schema=CATALOG)

    return make


@pytest.fixture(scope="session")
def tiny_data(tiny_orders, tiny_catalog):
    """Makes TrainData at MOMENT out of the tuples of `tiny_orders`; every item is known."""

    def make(*orders, catalog=None):
        options = InteractionOptions(min_item_orders=1)
        return train_data(lines_before(tiny_orders(*orders), MOMENT), tiny_catalog(catalog or {}), options)

    return make


@pytest.fixture(scope="session")
def query():
    """Makes Histories of one query out of item positions with their ages, one order each, and a cart."""

    def make(n_items, history=(), cart=(), customer=-1):
        lines = sorted(history, key=lambda line: -line[1])
        return Histories(
            np.array([0, len(lines)]),
            np.array([item for item, _ in lines], np.int32),
            np.arange(len(lines), dtype=np.int32)[::-1].copy(),
            np.array([age for _, age in lines], np.float32),
            np.ones(len(lines), np.float32),
            carts([np.array(cart, np.int64)], n_items),
            np.array([customer]),
        )

    return make
