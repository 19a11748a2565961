"""Whole orders like the cart, against a loop over orders."""

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from recsys.models.base import unit_rows
from recsys.models.basket_knn import BasketKnn

ORDERS = [
    ("1", "ann", 20, ["a", "b"]),
    ("2", None, 10, ["a", "c"]),  # guests count
    ("3", "bob", 10, ["d"]),
    ("4", "bob", 0.5, ["b", "d"]),
]


@pytest.mark.parametrize(("k", "places"), [(1, [1]), (2, [0, 1]), (50, [0, 1])])
def test_basket_knn_by_hand(tiny_data, query, k, places):
    """Cart {a}, half-life 10 days. idf: a, b, d in 2 of 4 orders: log 3; c in 1: log 5.

    order 1: cosine log 3 / √(log²3 + log²3) = 1/√2, faded by ¼; order 2: log 3 / √(log²3 + log²5), by ½
    """
    like = [1 / math.sqrt(2) / 4, math.log(3) / math.hypot(math.log(3), math.log(5)) / 2]
    expected = np.zeros(4)
    for place in places:
        expected[[[0, 1], [0, 2]][place]] += like[place]
    scores = BasketKnn(k=k, half_life=10).fit(tiny_data(*ORDERS)).score(query(4, cart=[0]))
    np.testing.assert_allclose(scores[0], expected, rtol=1e-5)


@pytest.mark.parametrize("k", [1, 5, 10_000])
def test_basket_knn_by_brute_force(small_shop, k):
    data = small_shop.data
    queries = small_shop.tasks["cart"].histories
    queries = queries.take(np.flatnonzero(queries.has_cart)[:8])
    orders = data.orders.toarray().astype(np.float64)
    weight = np.log1p(len(orders) / np.maximum(orders.sum(axis=0), 1))
    scores = BasketKnn(k=k, half_life=45).fit(data).score(queries)
    for row, cart in enumerate(queries.cart.toarray()):
        like = np.zeros(len(orders))
        for place, order in enumerate(orders):
            lengths = np.linalg.norm(cart * weight) * np.linalg.norm(order * weight)
            like[place] = (cart * weight) @ (order * weight) / lengths * 0.5 ** (data.order_ages[place] / 45)
        near = np.argsort(-like, kind="stable")[:k]
        assert (np.delete(like, near) < like[near[-1]]).all()  # no tie at the edge
        np.testing.assert_allclose(scores[row], like[near] @ orders[near], rtol=1e-4, atol=1e-6)


def test_the_history_is_not_looked_at(small_shop, query):
    model = BasketKnn().fit(small_shop.data)
    n = len(small_shop.data.items)
    with_history, bare = model.score(query(n, [(3, 2.0), (9, 1.0)], [5, 7])), model.score(query(n, [], [5, 7]))
    np.testing.assert_array_equal(with_history, bare)
    assert np.isnan(model.score(query(n, [(3, 2.0)]))).all()


def test_a_pool_holds_the_latest_orders(small_shop):
    data, queries = small_shop.data, small_shop.tasks["cart"].histories.take(slice(0, 20))
    late = replace(data, orders=data.orders[-50:], order_ages=data.order_ages[-50:])
    model = BasketKnn(pool=50).fit(data)
    assert model.orders_.shape[0] == 50
    unweighted = BasketKnn(pool=50).fit(late)
    unweighted.idf_ = model.idf_  # of all orders: what is rare does not depend on the pool
    fade = sp.diags_array((np.float32(0.5) ** (late.order_ages / np.float32(90))).astype(np.float32))
    unweighted.unit_by_item_ = sp.csr_matrix((fade @ unit_rows(unweighted._weighted(late.orders))).T)
    np.testing.assert_allclose(model.score(queries), unweighted.score(queries), rtol=1e-6)
