"""Nothing dated at or after a moment may reach what is computed for it, to the last bit.

Each change below rewrites the future in another way. What is computed at the moment must not notice.
"""

from dataclasses import fields, replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

from recsys.data.histories import carts
from recsys.data.interactions import InteractionOptions, lines_before, train_data
from recsys.data.splits import SplitOptions, ask, asked_orders, half, moments, nothing
from recsys.ranking.base_models import BaseModels
from recsys.ranking.hybrid import HybridOptions
from recsys.training_set import moment_rows, training_rows

KEY = ["ordered_at", "order_id", "item_id"]
LINEAR = InteractionOptions(min_item_orders=5, quantity="linear")  # so that quantities and returns show


def future(at):
    return pl.col("ordered_at") >= at


def shuffled_items(orders, at):
    """Items of later lines change places."""
    later = orders.filter(future(at))
    items = later["item_id"].sample(fraction=1, shuffle=True, seed=1)
    mixed = later.with_columns(item_id=items).unique(["order_id", "item_id"], keep="first", maintain_order=True)
    return pl.concat([orders.filter(~future(at)), mixed])


def other_prices(orders, at):
    return orders.with_columns(
        unit_price=pl.when(future(at)).then(pl.col("unit_price") * 100 + 1).otherwise("unit_price")
    )


def other_quantities(orders, at):
    return orders.with_columns(quantity=pl.when(future(at)).then(77.0).otherwise("quantity"))


def other_customers(orders, at):
    return orders.with_columns(customer_id=pl.when(future(at)).then(pl.lit("00001")).otherwise("customer_id"))


def later_returns(orders, at):
    """Half of all lines come back at the moment itself, where they had not come back before."""
    some = (pl.col("returned_at").is_null() | (pl.col("returned_at") >= at)) & (pl.int_range(pl.len()) % 2 == 0)
    return orders.with_columns(
        returned_at=pl.when(some).then(pl.lit(at).dt.cast_time_unit("us")).otherwise("returned_at"),
        returned_quantity=pl.when(some).then("quantity").otherwise("returned_quantity"),
    )


def more_rows(orders, at):
    """New orders, items and customers from the moment on."""
    copies = orders.filter(~future(at)).with_columns(
        ordered_at=pl.lit(at).dt.cast_time_unit("us"),
        order_id="X" + pl.col("order_id"),
        customer_id=pl.concat_str(pl.lit("0"), "customer_id"),
        item_id=pl.when(pl.col("item_id").hash(0) % 2 == 0).then("item_id").otherwise("Z" + pl.col("item_id")),
        returned_at=pl.lit(None, pl.Datetime("us", "UTC")),
        returned_quantity=pl.lit(None, pl.Float64),
    )
    return pl.concat([orders, copies])


def no_rows(orders, at):
    return orders.filter(~future(at))


CHANGES = (shuffled_items, other_prices, other_quantities, other_customers, later_returns, more_rows, no_rows)


@pytest.fixture(params=CHANGES, ids=lambda change: change.__name__)
def change(request):
    return request.param


def arrays(thing):
    """All numbers and words in a TrainData, a model or rows, flat."""
    if isinstance(thing, np.ndarray):
        return [thing]
    if isinstance(thing, tuple) and thing and isinstance(thing[0], tuple):  # names of each level
        return [a for part in thing for a in arrays(part)]
    if sp.issparse(thing):
        return [thing.data, thing.indices, thing.indptr]
    if isinstance(thing, BaseModels):
        learned = [v for model in thing.scorers.values() for k, v in sorted(vars(model).items()) if k.endswith("_")]
        return [a for part in [*learned, thing.stats] for a in arrays(part)]
    if hasattr(thing, "__dataclass_fields__"):
        return [a for f in fields(thing) for a in arrays(getattr(thing, f.name))]
    return [np.array(thing)]


def identical(a, b):
    """To the last bit."""
    left, right = arrays(a), arrays(b)
    return len(left) == len(right) and all(
        x.dtype == y.dtype and x.shape == y.shape and (x.tobytes() == y.tobytes() or np.array_equal(x, y))
        for x, y in zip(left, right, strict=True)
    )


def data_at(shop, at, orders=None):
    return train_data(lines_before(shop.orders if orders is None else orders, at), shop.catalog, LINEAR)


def fixed(shop):
    """Split options that name the window, so that a changed future does not move it."""
    return SplitOptions(cut=shop.test.at, end=shop.test.until, train_moments=2)


def rows_of(shop, fitted, orders):
    """Training rows of all training moments."""
    train, _ = moments(orders, fixed(shop))
    out = []
    for moment in train:
        data = data_at(shop, moment.at, orders)
        asked = asked_orders(orders, moment, data)
        options = HybridOptions(per_cart_source=30, per_history_source=30, negatives=0.5)
        out.append(moment_rows(BaseModels.fit(data, fitted.options), data, asked, options))
    return out


@pytest.fixture(scope="module")
def untouched(small_shop, fitted):
    data = data_at(small_shop, small_shop.test.at)
    return data, BaseModels.fit(data, fitted.options), rows_of(small_shop, fitted, small_shop.orders)


def test_the_changes_do_change(small_shop, change):
    """Else the tests below could not fail; and the past stays as it was, but for returns that come later."""
    at, orders = small_shop.test.at, small_shop.orders
    changed = change(orders, at)
    assert not changed.sort(KEY).equals(orders)
    past = [o.filter(~future(at)).drop("returned_at", "returned_quantity").sort(KEY) for o in (orders, changed)]
    assert past[0].equals(past[1])


def test_data_and_models_at_the_moment_do_not_notice(small_shop, fitted, untouched, change):
    at = small_shop.test.at
    data = data_at(small_shop, at, change(small_shop.orders, at).sort(KEY))
    assert identical(data, untouched[0])
    assert identical(BaseModels.fit(data, fitted.options), untouched[1])


def test_a_change_of_the_past_is_noticed(small_shop, untouched, change):
    """The same changes from 20 days before on: the comparison can fail."""
    at = small_shop.test.at
    earlier = change(small_shop.orders, at - timedelta(days=20)).sort(KEY)
    assert not identical(data_at(small_shop, at, earlier), untouched[0])


def test_training_rows_do_not_see_the_test(small_shop, fitted, untouched, change):
    rows = rows_of(small_shop, fitted, change(small_shop.orders, small_shop.test.at).sort(KEY))
    assert len(rows) == 2
    assert all(identical(a, b) for a, b in zip(rows, untouched[2], strict=True))


def test_features_do_not_see_the_answers(small_shop, fitted):
    """Other answers, same carts: the same candidates and features, only `y` differs."""
    moment = small_shop.train[0]
    data = data_at(small_shop, moment.at)
    models = BaseModels.fit(data, fitted.options)
    queries = ask(asked_orders(small_shop.orders, moment, data), data, half)
    other = carts([np.arange(q % 7, len(data.items), 7) for q in range(len(queries))], len(data.items))
    first, second = (
        training_rows(models, [replace(queries, relevant=relevant)], HybridOptions().proposals, 1.0, 0)
        for relevant in (queries.relevant, other)
    )
    assert identical(first.x, second.x)
    assert identical(first.sizes, second.sizes)
    assert (first.y != second.y).any()


def test_hidden_items_are_in_no_matrix_of_their_moment(small_shop):
    """The asked orders themselves are not among the orders that the models saw."""
    for moment in [*small_shop.train, small_shop.test]:
        lines = lines_before(small_shop.orders, moment.at)
        data = train_data(lines, small_shop.catalog)
        asked = asked_orders(small_shop.orders, moment, data)
        assert asked.height > 0
        assert not set(asked["order_id"]) & set(lines["order_id"])
        assert lines["ordered_at"].max() < moment.at
        held = small_shop.orders.filter(pl.col("order_id").is_in(asked["order_id"].to_list()))
        assert held["ordered_at"].min() >= moment.at
        assert held["ordered_at"].max() < moment.until
        assert moment.until <= small_shop.test.at or moment is small_shop.test


def test_last_baskets_are_in_no_matrix(small_shop):
    """Every asked last order gets other items and prices: the matrices do not notice."""
    orders = small_shop.orders
    options = SplitOptions(kind="last_basket", train_moments=1)
    train, test = moments(orders, options)
    data = data_at(small_shop, test.at)
    asked = asked_orders(orders, test, data)
    hit = pl.col("order_id").is_in(test.asked["order_id"].to_list())
    changed = orders.with_columns(
        item_id=pl.when(hit).then("Q" + pl.col("item_id")).otherwise("item_id"),
        unit_price=pl.when(hit).then(999.0).otherwise("unit_price"),
        quantity=pl.when(hit).then(50.0).otherwise("quantity"),
    ).sort(KEY)
    again = moments(changed, options)
    assert asked.height > 50
    assert identical(data_at(small_shop, again[1].at, changed), data)
    learnt = [data_at(small_shop, m.at, o) for m, o in ((train[0], orders), (again[0][0], changed))]
    assert identical(*learnt)
    first = [
        ask(asked_orders(o, m, d), d, nothing)
        for m, o, d in ((train[0], orders, learnt[0]), (again[0][0], changed, learnt[1]))
    ]
    assert first[0].orders == first[1].orders
    assert identical(first[0].relevant, first[1].relevant)


def test_todays_catalog_price_is_not_known(small_shop, untouched):
    other = replace(
        small_shop, catalog=small_shop.catalog.with_columns(unit_price=pl.lit(123.0), in_stock=pl.lit(False))
    )
    assert identical(data_at(other, small_shop.test.at), untouched[0])
