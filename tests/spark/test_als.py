"""MLlib's ALS minimises what the docstring of recsys.spark.als says."""

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp

from recsys.models.als import Als
from recsys.spark.als import balance, collected, item_factors, solve

pytestmark = pytest.mark.spark


def frame(spark, counts):
    cells = sp.coo_matrix(counts)
    return spark.createDataFrame(pa.table({
        "customer": pa.array(cells.row, pa.int32()), "item": pa.array(cells.col, pa.int32()),
        "count": pa.array(cells.data, pa.float32()),
    }))  # fmt: skip


@pytest.fixture(scope="module")
def counts():
    """40 customers who bought from 1 to 12 of 20 items, 1 to 5 times; the last item was never bought."""
    rng = np.random.default_rng(0)
    out = np.zeros((40, 21))
    for row in range(40):
        out[row, rng.choice(20, 1 + row % 12, replace=False)] = rng.integers(1, 6, 1 + row % 12)
    return out


@pytest.mark.parametrize("damping", ["log", "none"])
def test_customers_solve_the_normal_equations_of_the_docstring(spark, counts, damping):
    """x_u = (YᵀY + Σ (c - 1) y yᵀ + μ n_u I)⁻¹ Σ c y, with μ = λ √(customers · items) / cells."""
    model = Als(factors=4, iterations=5, regularization=3.0, alpha=2.0, damping=damping)
    fitted = solve(frame(spark, counts), model, 2)
    at, x = collected(fitted.userFactors)
    items, y = collected(fitted.itemFactors)
    whole = np.zeros((20, 4))
    whole[items] = y
    confidence = 1 + 2.0 * (np.log1p(counts) if damping == "log" else counts)[:, :20]
    bought = counts[:, :20] > 0
    mu = 3.0 * np.sqrt(40 * 20) / bought.sum()
    for row, factors in zip(at, x, strict=True):
        own, c = whole[bought[row]], confidence[row, bought[row]]
        left = whole.T @ whole + (own.T * (c - 1)) @ own + mu * bought[row].sum() * np.eye(4)
        np.testing.assert_allclose(factors, np.linalg.solve(left, own.T @ c), rtol=2e-3, atol=2e-4)


def test_both_sides_weigh_the_same_and_what_nobody_bought_is_zero(spark, counts):
    model = Als(factors=4, iterations=5, regularization=3.0)
    fitted = solve(frame(spark, counts), model, 2)
    (_, x), (at, y) = collected(fitted.userFactors), collected(fitted.itemFactors)
    found = item_factors(frame(spark, counts), model, 21, 2)
    assert found.dtype == np.float32
    assert not found[20].any()
    by = balance(float((x**2).sum()), float((y**2).sum()))
    np.testing.assert_allclose(found[at], y * by, rtol=1e-5)
    assert ((y * by) ** 2).sum() == pytest.approx(((x / by) ** 2).sum(), rel=1e-4)


def test_groups_of_a_checkerboard_are_told_apart(spark):
    """Even customers buy even items, odd ones odd items; one even customer is asked with one even item."""
    board = np.add.outer(np.arange(20), np.arange(12)) % 2 == 0
    model = Als(factors=2, iterations=10, regularization=0.1)
    items = model.with_items(item_factors(frame(spark, board * 1.0), model, 12, 2)).items_
    scores = items @ np.linalg.solve(model.gram_ + 10 * np.outer(items[0], items[0]), 11 * items[0])
    assert scores[::2].min() > 0.5
    assert np.abs(scores[1::2]).max() < 0.05


def test_balance_of_nothing_changes_nothing():
    assert balance(0.0, 0.0) == balance(1.0, 0.0) == 1
