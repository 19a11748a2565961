"""Lists of products without most of the products, against all of them."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.models.als import Als
from recsys.ranking.longest_first import TILE, WIDEST, LongestFirst
from recsys.ranking.topk import top_k


def slow(customers, factors, k, barred):
    scores = customers @ factors.T
    scores[barred.nonzero()] = -np.inf
    return top_k(scores, k)


def shop(seed, n, m, steep):
    """Customers, factors of whole numbers, which multiply without rounding, and cells that are not listed."""
    rng = np.random.default_rng(seed)
    height = np.maximum(1, 40 / (1 + np.arange(m)) ** steep)[:, None]
    factors = np.rint(rng.normal(size=(m, 3)) * height)
    customers = np.rint(rng.normal(size=(n, 3)) * 4)
    barred = sp.random(n, m, 0.05, "csr", rng=rng)
    return np.float32(customers), np.float32(rng.permutation(factors)), barred


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 999), st.integers(1, 9), st.integers(1, 3000), st.integers(1, 30), st.sampled_from([0, 0.3, 1]))
def test_the_lists_are_those_of_all_products(seed, n, m, k, steep):
    customers, factors, barred = shop(seed, n, m, steep)
    lists = LongestFirst.of(factors).top_k(customers, k, barred)
    assert lists.dtype == np.int64
    np.testing.assert_array_equal(lists, slow(customers, factors, k, barred))


def test_nobody_no_items_and_a_customer_of_whom_nothing_is_known():
    customers, factors, barred = shop(0, 3, 40, 1)
    customers[1] = np.nan
    lists = LongestFirst.of(factors).top_k(customers, 50, barred)
    assert lists[1].tolist() == [-1] * 50
    np.testing.assert_array_equal(lists[[0, 2]], slow(customers[[0, 2]], factors, 50, barred[[0, 2]]))
    assert LongestFirst.of(factors).top_k(customers[:0], 5, barred[:0]).shape == (0, 5)
    nothing = LongestFirst.of(factors[:0]).top_k(customers, 5, barred[:, :0])
    assert nothing.tolist() == [[-1] * 5] * 3


def test_short_factors_are_not_looked_at():
    """NaN would spoil the list of whoever met it."""
    customers, factors, barred = shop(1, 5, TILE + 2 * WIDEST, 1)
    items = LongestFirst.of(factors)
    items.factors[TILE:] = np.nan
    np.testing.assert_array_equal(items.top_k(customers, 10, barred), slow(customers, factors, 10, barred))


@pytest.mark.parametrize("size", [7, 200])
def test_lists_of_als(small_shop, size):
    model = Als(factors=16, iterations=3).fit(small_shop.data)
    queries = small_shop.data.histories.take(slice(0, size))
    expected = model.score(queries)
    expected[queries.rows, queries.items] = -np.inf
    lists = LongestFirst.of(model.items_).top_k(model.fold_in(queries), 20, queries.counts)
    np.testing.assert_array_equal(lists, top_k(expected, 20))
