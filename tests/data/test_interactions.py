"""What is known at a moment: half-open, returns from their own date, nothing of what follows."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from recsys.data.histories import IdMap
from recsys.data.interactions import InteractionOptions, known_items, lines_before, train_data
from recsys.data.store import load_train_data, save_train_data
from recsys.errors import InputError

AT = datetime(2024, 7, 1, tzinfo=UTC)  # MOMENT of tests/conftest.py
DAY = timedelta(days=1)
ANY = InteractionOptions(min_item_orders=1)


def equal(a, b) -> bool:
    """Two TrainData or parts of them, to the last bit."""
    if hasattr(a, "__dataclass_fields__"):
        return all(equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if hasattr(a, "indptr"):
        return a.shape == b.shape and (a != b).nnz == 0 and a.nnz == b.nnz
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    return bool(a == b)


def with_columns(orders, order, **values):
    """Orders with other values in the lines of one order."""
    changed = [
        pl.when(pl.col("order_id") == order).then(pl.lit(value, orders.schema[name])).otherwise(name).alias(name)
        for name, value in values.items()
    ]
    return orders.with_columns(changed)


# --- lines_before


def test_the_moment_itself_is_not_known(tiny_orders):
    orders = tiny_orders(("a", "c", 1e-9, ["x"]), ("b", "c", 0, ["x"]), ("d", "c", -1, ["x"]))
    assert lines_before(orders, AT)["order_id"].to_list() == ["a"]
    assert lines_before(orders, AT + timedelta(microseconds=1))["order_id"].to_list() == ["a", "b"]


def test_ages_are_days(tiny_orders):
    lines = lines_before(tiny_orders(("a", "c", 2.5, ["x"]), ("b", "c", 1, ["x"])), AT)
    assert lines["age"].to_list() == [2.5, 1.0]
    assert lines["age"].dtype == pl.Float32


def test_old_orders_are_forgotten(tiny_orders):
    orders = tiny_orders(("a", "c", 31, ["x"]), ("b", "c", 30, ["x"]), ("d", "c", 1, ["x"]))
    assert lines_before(orders, AT, max_age_days=30)["order_id"].to_list() == ["b", "d"]


@pytest.mark.parametrize(
    ("returned", "units", "left"),
    [
        (AT - DAY, 1.0, [2.0]),
        (AT - DAY, 3.0, []),
        (AT - timedelta(microseconds=1), 3.0, []),
        (AT, 3.0, [3.0]),
        (AT + DAY, 3.0, [3.0]),
        (None, None, [3.0]),
    ],
)
def test_a_return_counts_from_its_own_date(tiny_orders, returned, units, left):
    orders = with_columns(
        tiny_orders(("a", "c", 9, ["x"])), "a", quantity=3.0, returned_at=returned, returned_quantity=units
    )
    assert lines_before(orders, AT)["quantity"].to_list() == left


def test_each_customer_has_a_moment_of_its_own(tiny_orders):
    orders = tiny_orders(
        ("a1", "a", 20, ["x"]), ("a2", "a", 10, ["x"]), ("b1", "b", 10, ["x"]), ("b2", "b", 5, ["x"]),
        ("g1", None, 10, ["x"]), ("g2", None, 4, ["x"]), ("o1", "other", 6, ["x"]), ("o2", "other", 1, ["x"]),
    )  # fmt: skip
    at = pl.DataFrame(
        {"customer_id": ["a", "b"], "at": [AT - 10 * DAY, AT - 5 * DAY]},
        schema_overrides={"at": pl.Datetime("us", "UTC")},
    )
    lines = lines_before(orders, at)
    found = dict(lines.select("order_id", "age").iter_rows())
    assert found == {"a1": 10.0, "b1": 5.0, "g1": 5.0, "o1": 1.0}  # guests and others: the latest moment


def test_a_return_counts_at_the_customers_own_moment(tiny_orders):
    orders = tiny_orders(("a1", "a", 20, ["x"]), ("b1", "b", 20, ["x"]))
    for order in ("a1", "b1"):
        orders = with_columns(orders, order, returned_at=AT - 8 * DAY, returned_quantity=1.0)
    at = pl.DataFrame({"customer_id": ["a", "b"], "at": [AT - 10 * DAY, AT - 5 * DAY]}).cast(
        {"at": pl.Datetime("us", "UTC")}
    )
    assert lines_before(orders, at)["order_id"].to_list() == ["a1"]


# --- train_data


def test_matrices_of_a_worked_example(tiny_data):
    data = tiny_data(
        ("o1", "ann", 30, ["x", "y"]), ("o2", None, 20, ["y", "z"]), ("o3", "ann", 10, ["x"]), ("o4", "bob", 5, ["z"])
    )
    assert data.items.ids == ("x", "y", "z")
    assert data.customers.ids == ("ann", "bob")
    assert data.orders.toarray().tolist() == [[1, 1, 0], [0, 1, 1], [1, 0, 0], [0, 0, 1]]  # the guest's order too
    assert data.order_ages.tolist() == [30, 20, 10, 5]
    h = data.histories
    assert h.indptr.tolist() == [0, 3, 4]
    assert h.items.tolist() == [0, 1, 0, 2]
    assert h.orders.tolist() == [1, 1, 0, 0]
    assert h.ages.tolist() == [30, 30, 10, 5]
    assert h.customers.tolist() == [0, 1]
    assert not h.has_cart.any()


@pytest.mark.parametrize(
    ("how", "weights"),
    [("binary", [1, 1]), ("log", [1, 2]), ("sqrt", [1, np.sqrt(3)]), ("linear", [1, 3])],
)
def test_quantity_is_damped(tiny_orders, tiny_catalog, how, weights):
    orders = with_columns(tiny_orders(("a", "c", 9, ["x"]), ("b", "c", 5, ["y"])), "b", quantity=3.0)
    options = InteractionOptions(min_item_orders=1, quantity=how)
    data = train_data(lines_before(orders, AT), tiny_catalog({}), options)
    np.testing.assert_allclose(data.histories.weights, weights, rtol=1e-6)
    assert data.histories.weights.dtype == np.float32
    assert data.orders.data.tolist() == [1, 1]  # an order holds an item or not


def test_damping_sees_what_was_kept(tiny_orders, tiny_catalog):
    orders = with_columns(
        tiny_orders(("a", "c", 9, ["x", "y"])), "a", quantity=4.0, returned_at=AT - DAY, returned_quantity=1.0
    )
    options = InteractionOptions(min_item_orders=1, quantity="linear")
    assert train_data(lines_before(orders, AT), tiny_catalog({}), options).histories.weights.tolist() == [3, 3]


def test_rare_items_are_unknown(tiny_orders, tiny_catalog):
    orders = [(f"o{n}", "c", 10 - n, items) for n, items in enumerate([["x", "y"], ["x", "y", "z"], ["x", "z"]])]
    lines = lines_before(tiny_orders(*orders), AT)
    assert known_items(lines, 2).ids == ("x", "y", "z")
    assert known_items(lines, 3).ids == ("x",)
    data = train_data(lines, tiny_catalog({}), InteractionOptions(min_item_orders=1), IdMap.of(["x", "z"]))
    assert data.orders.toarray().tolist() == [[1, 0], [1, 1], [1, 1]]


def test_customers_without_a_known_item_have_no_history(tiny_orders, tiny_catalog):
    orders = tiny_orders(("a", "ann", 3, ["x", "y"]), ("b", "ann", 2, ["x", "y"]), ("c", "bob", 1, ["rare"]))
    data = train_data(lines_before(orders, AT), tiny_catalog({}), InteractionOptions(min_item_orders=2))
    assert data.customers.ids == ("ann",)
    assert len(data.order_ages) == data.orders.shape[0] == 2


def test_too_little_is_refused_with_the_remedy(tiny_orders, tiny_catalog):
    lines = lines_before(tiny_orders(("a", "c", 3, ["x", "y"])), AT)
    with pytest.raises(InputError, match=r"0 items have at least 5 orders.*lower interactions.min_item_orders"):
        train_data(lines, tiny_catalog({}))
    with pytest.raises(InputError, match=r"names a customer.*data\.orders\.columns\.customer_id"):
        train_data(lines.with_columns(customer_id=pl.lit(None, pl.String)), tiny_catalog({}), ANY)


def test_row_order_does_not_matter(small_shop):
    shuffled = small_shop.orders.sample(fraction=1, shuffle=True, seed=3)
    data = train_data(lines_before(shuffled, small_shop.test.at), small_shop.catalog.reverse())
    assert equal(data, small_shop.data)


def test_train_data_on_disk_is_the_same(small_shop, tmp_path):
    save_train_data(small_shop.data, tmp_path / "data")
    assert equal(load_train_data(tmp_path / "data"), small_shop.data)


# --- item facts


def test_facts_of_known_and_unknown_items(tiny_data):
    catalog = {
        "x": {"name": "Tea", "department": "Grocery", "category": "Drinks", "type": "Tea", "size": "1 kg"},
        "y": {"brand": "Acme", "type": "Soap", "department": "Home"},
        "unsold": {"name": "Nobody", "department": "Attic"},
    }
    facts = tiny_data(("o", "c", 3, ["x", "y", "z"]), catalog=catalog).facts
    assert facts.texts == ("Tea Grocery Drinks Tea 1 kg", "Home Soap Acme", "")
    assert facts.names == ("Tea", "Acme Soap", "z")
    assert facts.levels.dtype == np.int32
    assert facts.levels.tolist() == [[0, 0, 1], [1, -1, 0], [-1, -1, -1]]


def test_prices_are_the_median_of_the_items_latest_sales(tiny_orders, tiny_catalog):
    sold = {"a": (400, 1.0), "b": (120, 5.0), "c": (110, 7.0), "d": (30, 9.0), "e": (-1, 100.0)}
    orders = tiny_orders(*[(order, "c", age, ["x", "y"]) for order, (age, _) in sold.items()])
    for order, (_, price) in sold.items():
        orders = with_columns(orders, order, unit_price=price)
    catalog = tiny_catalog({"x": {"unit_price": 55.0}})
    priced = orders.with_columns(unit_price=pl.when(pl.col("item_id") == "x").then("unit_price"))
    facts = train_data(lines_before(priced, AT), catalog, ANY).facts
    np.testing.assert_array_equal(facts.prices, np.float32([7.0, np.nan]))  # of 5, 7, 9: not of old, later, catalog
    assert facts.prices.dtype == np.float32
