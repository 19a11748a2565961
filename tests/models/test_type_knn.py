"""Kinds of goods bought together: by hand, and against a loop over orders."""

import math

import numpy as np
import pytest

from recsys.data.histories import LEVELS
from recsys.models.type_knn import TypeKnn, share_within

ORDERS = [
    ("1", "ann", 9, ["beer", "crisps", "nuts"]),
    ("2", "bob", 8, ["beer", "crisps"]),
    ("3", None, 7, ["ale", "crisps"]),  # guests count
    ("4", "eve", 300, ["nuts", "nuts2"]),  # too old for the shares
    ("5", "eve", 6, ["odd"]),
]
TYPES = {"ale": "drink", "beer": "drink", "crisps": "snack", "nuts": "snack", "nuts2": "snack"}


@pytest.fixture(scope="module")
def data(tiny_data):
    return tiny_data(*ORDERS, catalog={item: {"type": kind} for item, kind in TYPES.items()})


def test_type_knn_by_hand(data, query):
    """Items ale, beer, crisps, nuts, nuts2, odd. Drinks and snacks meet in 3 orders, of 3 and 4: 3 / √(4·5) at s = 1.

    Shares of the last 84 days: snacks crisps ¾, nuts ¼, nuts2 0; the drinks are of the cart's own type; odd has none.
    """
    model = TypeKnn(shrink=1).fit(data)
    cosine = 3 / math.sqrt(20)
    expected = [0, 0, 0.75 * cosine, 0.25 * cosine, 0, np.nan]
    np.testing.assert_allclose(model.score(query(6, cart=[1]))[0], expected, rtol=1e-6)
    np.testing.assert_allclose(model.score(query(6, [(1, 60.0)]))[0], np.array(expected) / 2, rtol=1e-6)
    np.testing.assert_array_equal(model.score(query(6, cart=[5]))[0], [0, 0, 0, 0, 0, np.nan])  # links to nothing


@pytest.mark.parametrize("level", LEVELS)
def test_type_knn_by_brute_force(small_shop, level):
    data = small_shop.data
    codes = data.facts.levels[:, LEVELS.index(level)]
    joint = np.zeros((codes.max() + 1, codes.max() + 1))
    for order in np.split(data.orders.indices, data.orders.indptr[1:-1]):
        kinds = np.unique(codes[order])
        joint[np.ix_(kinds, kinds)] += 1
    held = joint.diagonal().copy()
    np.fill_diagonal(joint, 0)
    expected = joint / np.sqrt(np.outer(held + 5, held + 5))
    np.testing.assert_allclose(TypeKnn(level=level, shrink=5).fit(data).cosine_.toarray(), expected, rtol=1e-5)


def test_shares_of_a_kind_sum_to_one(small_shop):
    model = TypeKnn().fit(small_shop.data)
    np.testing.assert_allclose(np.bincount(model.code_, model.share_), 1, rtol=1e-5)


def test_share_within():
    shares = share_within(np.array([0, 0, 1, -1, 2]), np.float32([0.25, 0.5, 0.125, 0.125, 0]))
    np.testing.assert_allclose(shares, [1 / 3, 2 / 3, 1, np.nan, 0], rtol=1e-6)
    assert np.isnan(share_within(np.full(3, -1), np.float32([0.2, 0.3, 0.5]))).all()
