"""What Spark reads and counts, against the matrices of the local engine: cell by cell, pair by pair."""

import ast
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

from recsys.data.histories import IdMap
from recsys.data.interactions import InteractionOptions, lines_before, train_data
from recsys.data.splits import Moment, SplitOptions, moments
from recsys.models.item_knn import count_pairs
from recsys.spark import lines as spark_lines
from recsys.spark.pairs import _counter
from recsys.spark.pairs import count_pairs as count_by_spark

pytestmark = pytest.mark.spark
HALF_LIFE = 40.0
CASES = {
    "as they are": ({}, "window"),
    "log of the quantity": ({"quantity": "log"}, "window"),
    "root of the quantity": ({"quantity": "sqrt"}, "window"),
    "quantity, of the last 60 days": ({"quantity": "linear", "max_age_days": 60.0}, "window"),
    "a moment per customer": ({}, "last_basket"),
}


@pytest.fixture(scope="module")
def orders(small_shop):
    """Orders with guests and returns; some lines at the very moment, some goods of others returned before and after."""
    table = small_shop.orders
    assert table["customer_id"].null_count()
    assert table["returned_at"].count()
    return table


@pytest.fixture(params=CASES)
def case(request, spark, small_shop, orders, tmp_path):
    """Local train data, and Spark's lines of the same moment."""
    changes, kind = CASES[request.param]
    options = InteractionOptions(**changes)
    _, moment = moments(orders, SplitOptions(kind=kind))
    if kind == "window":  # a line dated exactly at the moment is not known
        at = orders["ordered_at"][orders.height // 2]
        moment = Moment("half", at)
    data = train_data(lines_before(orders, moment.at, options.max_age_days), small_shop.catalog, options)
    return data, lines_of(spark, orders, moment, data, options, tmp_path)


def lines_of(spark, orders, moment, data, options, folder):
    orders.write_parquet(folder / "orders.parquet")
    moment.table().write_parquet(folder / "at.parquet")
    before = spark_lines.lines_before(spark, folder / "orders.parquet", folder / "at.parquet", options.max_age_days)
    return spark_lines.known_lines(before, data.items, options)


def test_interactions_are_equal_cell_by_cell(case):
    data, lines = case
    found = spark_lines.cells(lines, data.customers).toArrow()
    row, column, count = (found.column(name).to_numpy() for name in ("customer", "item", "count"))
    cells = sp.csr_matrix((count, (row, column)), shape=data.histories.counts.shape)
    assert len(count) == cells.nnz == data.histories.counts.nnz, "each cell once"
    expected = data.histories.counts
    cells.sort_indices()
    np.testing.assert_array_equal(cells.indptr, expected.indptr)
    np.testing.assert_array_equal(cells.indices, expected.indices)
    np.testing.assert_allclose(cells.data, expected.data, rtol=2e-7)  # sums of roots and logarithms in another order
    if (expected.data == expected.data.round()).all():
        np.testing.assert_array_equal(cells.data, expected.data)


@pytest.mark.parametrize("parts", [1, 3])
def test_pairs_are_equal_and_only_rare_ones_are_left_out(case, parts):
    data, lines = case
    here = count_pairs(data, HALF_LIFE, 1, 10**9)
    for least in (1, 3):
        there = count_by_spark(lines, len(data.items), least, HALF_LIFE, parts)
        kept = here.together.data >= least
        expected = here.together.copy()
        expected.data[~kept] = 0
        expected.eliminate_zeros()
        for part in ("data", "indices", "indptr"):
            np.testing.assert_array_equal(getattr(there.together, part), getattr(expected, part))
        np.testing.assert_allclose(there.faded, here.faded[kept], rtol=1e-5)
        np.testing.assert_array_equal(there.sold, here.sold)
        np.testing.assert_allclose(there.faded_sold, here.faded_sold, rtol=1e-5)
        assert there.orders == here.orders
        assert there.mean_fade == pytest.approx(here.mean_fade, rel=1e-6)
    assert 0 < kept.sum() < len(kept), "some pairs are rare, some are not"


def test_nothing_of_the_moment_or_later_is_read(spark, orders, small_shop, tmp_path):
    """Orders and returns at and after the moment are made up anew; not a line changes."""
    at = orders["ordered_at"][orders.height // 2]
    options, moment = InteractionOptions(), Moment("half", at)
    data = train_data(lines_before(orders, at), small_shop.catalog, options)
    later = pl.col("ordered_at") >= at
    changed = orders.with_columns(
        quantity=pl.when(later).then(pl.lit(1e6)).otherwise("quantity"),
        item_id=pl.when(later).then(pl.lit(data.items.ids[0])).otherwise("item_id"),
        returned_at=pl.when(pl.col("returned_at") < at).then("returned_at").otherwise(at + timedelta(hours=1)),
        returned_quantity=pl.when(pl.col("returned_at") < at).then("returned_quantity").otherwise("quantity"),
    )
    both = []
    for name, table in (("as", orders), ("changed", changed)):
        (tmp_path / name).mkdir()
        lines = lines_of(spark, table, moment, data, options, tmp_path / name)
        both.append(pl.from_arrow(lines.toArrow()).sort("order_id", "item"))
    assert both[0].height > 1000
    assert both[0].equals(both[1])


def test_ids_that_are_not_known_are_left_out(spark, small_shop, orders, tmp_path):
    options, moment = InteractionOptions(), Moment("end", small_shop.test.at)
    some = replace(small_shop.data, items=IdMap(small_shop.data.items.ids[::2]))
    lines = lines_of(spark, orders, moment, some, options, tmp_path)
    assert {row.item for row in lines.select("item").distinct().collect()} == set(range(len(some.items)))
    few = IdMap(small_shop.data.customers.ids[:3])
    assert {row.customer for row in spark_lines.cells(lines, few).select("customer").distinct().collect()} == {0, 1, 2}


def test_executors_need_nothing_of_this_package_to_count():
    """What counts a part is sent by value: a process that cannot import recsys counts two orders of a, b and a, c."""
    cloudpickle = pytest.importorskip("pyspark.cloudpickle", reason="pyspark is not installed")
    code = (
        "import pickle, sys; sys.modules['recsys'] = None\n"
        "import pyarrow as pa\n"
        "orders = pa.table({'part': [0, 0], 'items': [[0, 1], [0, 2]], 'fade': pa.array([1, 0.5], pa.float32())})\n"
        "print(pickle.load(sys.stdin.buffer)(orders).sort_by([('a', 'ascending'), ('b', 'ascending')]).to_pydict())"
    )
    sent = cloudpickle.dumps(_counter(3, 1, 1))
    said = subprocess.run([sys.executable, "-c", code], input=sent, capture_output=True, timeout=120, check=True).stdout
    found = ast.literal_eval(said.decode())
    pairs = dict(
        zip(zip(found["a"], found["b"], strict=True), zip(found["n"], found["faded"], strict=True), strict=True)
    )
    assert pairs == {
        (0, 0): (2, 1.5), (1, 1): (1, 1), (2, 2): (1, 0.5), (0, 1): (1, 1), (1, 0): (1, 1), (0, 2): (1, 0.5),
        (2, 0): (1, 0.5),
    }  # fmt: skip
