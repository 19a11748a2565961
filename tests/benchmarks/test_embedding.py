"""Vectors out of joint orders: the pointwise mutual information by hand, and its full factorisation."""

import math

import numpy as np
import pytest

from benchmarks.references.embedding import Embedding

ORDERS = [
    ("1", "ann", 9, ["a", "b"]), ("2", "bob", 8, ["a", "b"]), ("3", None, 7, ["c", "d"]), ("4", "eve", 6, ["c", "d"]),
    ("5", "eve", 5, ["b", "c"]), ("6", "ann", 4, ["a"]),
]  # fmt: skip


@pytest.fixture(scope="module")
def data(tiny_data):
    return tiny_data(*ORDERS)


def test_information_by_hand(data):
    """Joint orders: ab 2, cd 2, bc 1; rows sum to a 2, b 3, c 3, d 2, 10 in all.

    ab: log(2·10 / (2·3)), bc: log(1·10 / (3·3)); nothing is smoothed at the power of 1
    """
    information = Embedding(min_joint=1, smoothing=1.0)._information(data.together[0]).toarray()
    expected = np.zeros((4, 4))
    expected[0, 1] = expected[2, 3] = math.log(20 / 6)
    expected[1, 2] = math.log(10 / 9)
    np.testing.assert_allclose(information, expected + expected.T, rtol=1e-6)


def test_information_is_smoothed_and_positive(small_shop):
    together = small_shop.data.together[0].toarray().astype(np.float64)
    kept = np.where(together >= 2, together, 0)
    total = kept.sum(axis=1)
    context = total**0.75 / (total**0.75).sum()
    information = Embedding()._information(small_shop.data.together[0]).toarray()
    for i, j in zip(*np.nonzero(kept), strict=True):
        kept[i, j] = max(0, math.log(kept[i, j] / total[i] / context[j]))
    np.testing.assert_allclose(information, kept, rtol=1e-4, atol=1e-5)


def test_all_factors_give_the_information_back(small_shop, query):
    """Of rank n - 1 at most here: the score of a one-item cart is that item's row."""
    data = small_shop.data
    n = len(data.items)
    model = Embedding(factors=4096).fit(data)
    information = model._information(data.together[0]).toarray()
    left, size, right = np.linalg.svd(information)
    best = (left[:, : n - 1] * size[: n - 1]) @ right[: n - 1]
    np.testing.assert_allclose(model.score(query(n, cart=[7]))[0], best[7], atol=1e-3)


def test_few_factors_come_close_to_the_best(small_shop):
    """The error is that of the best matrix of this rank (Eckart & Young), to a hundredth."""
    data = small_shop.data
    model = Embedding(factors=20).fit(data)
    information = model._information(data.together[0]).toarray()
    size = np.linalg.svd(information, compute_uv=False)
    error = np.linalg.norm(information - model.sources_ @ model.targets_.T)
    assert np.linalg.norm(size[20:]) * 0.9999 <= error <= np.linalg.norm(size[20:]) * 1.01


def test_a_cart_stands_before_the_history(data, query):
    model = Embedding(factors=3, min_joint=1, half_life=10).fit(data)
    np.testing.assert_array_equal(model.score(query(4, [(0, 20.0)], [2])), model.score(query(4, [], [2])))
    np.testing.assert_allclose(model.score(query(4, [(2, 10.0)])), model.score(query(4, [], [2])) / 2, rtol=1e-5)


@pytest.mark.parametrize("orders", [[["a", "b"]], [["a"], ["b"], ["c"]]])
def test_hardly_any_pairs(tiny_data, query, orders):
    """Fewer items than factors; where nothing was bought together every score is 0."""
    data = tiny_data(*((str(at), "ann", 9 - at, order) for at, order in enumerate(orders)))
    scores = Embedding(min_joint=1).fit(data).score(query(len(data.items), cart=[0]))
    assert np.isfinite(scores).all()
    assert (len(orders) > 1) == (scores == 0).all()
