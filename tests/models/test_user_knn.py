"""User neighbours against a loop over all customers."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recsys.models.tifu_knn import TifuKnn
from recsys.models.user_knn import UserKnn, nearest


def slow_score(own, others, k):
    """Σ cos² of the k nearest times their purchases; ties go to the first."""

    def cosine(a, b):
        lengths = math.sqrt(a @ a) * math.sqrt(b @ b)
        return a @ b / lengths if lengths else 0.0

    near = sorted(((-cosine(own, other), at) for at, other in others))[:k]
    rows = dict(others)
    return sum((s**2 * rows[at] for s, at in near), np.zeros(len(own)))


@pytest.mark.parametrize("k", [1, 3, 40, 500])
def test_neighbours_by_brute_force(small_shop, k):
    data = small_shop.data
    queries = small_shop.tasks["next_basket"].histories.take(slice(0, 15))
    scores = UserKnn(k=k, half_life=45).fit(data).score(queries)
    decayed = data.histories.decayed(45).toarray().astype(np.float64)
    for row, customer in enumerate(queries.customers):
        others = [(at, decayed[at]) for at in range(len(decayed)) if at != customer]
        np.testing.assert_allclose(scores[row], slow_score(decayed[customer], others, k), rtol=1e-4, atol=1e-6)


def test_a_customer_is_not_the_own_neighbour(tiny_data):
    data = tiny_data(("1", "ann", 9, ["a", "b"]), ("2", "bob", 9, ["a", "c"]), ("3", "eve", 9, ["d"]))
    model = UserKnn(half_life=9).fit(data)
    known = model.score(data.histories)
    np.testing.assert_allclose(known[0], [0.125, 0, 0.125, 0], rtol=1e-5)  # cos 1/2 to bob, who has a half of each
    assert (known[2] == 0).all()  # nobody shares an item with eve
    stranger = model.score(replace(data.histories.take([0]), customers=np.array([-1])))
    np.testing.assert_allclose(stranger[0], [0.5 + 0.125, 0.5, 0.125, 0], rtol=1e-5)


def test_the_cart_is_not_looked_at(small_shop):
    queries = small_shop.tasks["cart"].histories.take(slice(0, 5))
    model = UserKnn(k=9).fit(small_shop.data)
    np.testing.assert_array_equal(model.score(queries), model.score(queries.without_cart()))


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(1, 40)), elements=st.sampled_from([0, 0.25, 0.5, 1])),
    st.integers(1, 50),
)
def test_nearest_keeps_the_k_largest_positive(similarity, k):
    kept = nearest(similarity, k).toarray()
    for row, values in enumerate(similarity):
        order = sorted(range(len(values)), key=lambda c: (-values[c], c))[:k]
        expected = np.zeros_like(values)
        expected[order] = values[order]
        np.testing.assert_array_equal(kept[row], expected)


@pytest.mark.parametrize("model", [UserKnn(k=9, pool=30), TifuKnn(k=9, pool=30)])
def test_a_pool_is_the_shop_of_its_customers_alone(small_shop, model):
    """Others ask as strangers would: what they bought is their own, and no neighbour's."""
    data, queries = small_shop.data, small_shop.tasks["next_basket"].histories.take(slice(0, 40))
    rows = data.histories.latest_queries(30)
    place = {customer: at for at, customer in enumerate(rows)}
    own = np.array([place.get(customer, -1) for customer in queries.customers])
    assert (own < 0).any()
    assert (own >= 0).any()
    alone = replace(data, histories=data.histories.take(rows))
    expected = type(model)(k=9).fit(alone).score(replace(queries, customers=own))
    np.testing.assert_array_equal(model.fit(data).score(queries), expected)
