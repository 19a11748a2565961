"""The order after: by hand, and against a loop over the orders of every customer."""

import math

import numpy as np
import pytest

from recsys.models.transitions import Transitions, baskets_in_time

# items a, b, c are 0, 1, 2
ORDERS = [
    ("1", "ann", 40, ["a"]),
    ("2", "ann", 30, ["b", "c"]),
    ("3", "ann", 20, ["a", "b"]),
    ("4", "bob", 30, ["a"]),
    ("5", "bob", 10, ["b"]),
    ("6", None, 5, ["c"]),  # a guest has no order after, and follows nobody
]


def test_transitions_by_hand(tiny_data, query):
    """a → b twice (ann, bob), a → c, b → a, c → a, c → b once each; known customers' orders: a 3, b 3, c 1.

    s = 1: a → b 2 / √16, a → c 1 / √8, b → a 1 / √16. An order of b before one of a, decay ½:
    a = ½·¼ (b → a), b = 2/4 (a → b), c = 1 / √8 (a → c)
    """
    model = Transitions(shrink=1, min_joint=1, decay=0.5).fit(tiny_data(*ORDERS))
    scores = model.score(query(3, [(1, 9.0), (0, 2.0)]))
    np.testing.assert_allclose(scores[0], [0.125, 0.5, 1 / math.sqrt(8)], rtol=1e-6)
    latest = Transitions(shrink=1, min_joint=2, depth=1).fit(tiny_data(*ORDERS)).score(query(3, [(1, 9.0), (0, 2.0)]))
    np.testing.assert_allclose(latest[0], [0, 0.5, 0], rtol=1e-6)  # only a → b happened twice; b is not looked at


@pytest.mark.parametrize("min_joint", [1, 3])
def test_transitions_by_brute_force(small_shop, min_joint):
    h = small_shop.data.histories
    joint, sold = np.zeros((h.n_items, h.n_items)), np.zeros(h.n_items)
    for row in range(len(h)):
        lines = slice(h.indptr[row], h.indptr[row + 1])
        baskets = [h.items[lines][h.orders[lines] == back] for back in range(h.n_orders[row] - 1, -1, -1)]
        for place, basket in enumerate(baskets):
            sold[basket] += 1
            for item in basket if place + 1 < len(baskets) else ():
                joint[item, baskets[place + 1]] += 1
    np.fill_diagonal(joint, 0)
    expected = np.where(joint >= min_joint, joint, 0) / np.sqrt(np.outer(sold + 5, sold + 5))
    cosine = Transitions(shrink=5, min_joint=min_joint).fit(small_shop.data).cosine_
    np.testing.assert_allclose(cosine.toarray(), expected, rtol=1e-5)


def test_baskets_in_time(small_shop, query):
    h = small_shop.data.histories
    baskets, who = baskets_in_time(h)
    np.testing.assert_array_equal(np.bincount(who, minlength=len(h)), h.n_orders)
    assert baskets.sum() == len(h.items)
    none, nobody = baskets_in_time(query(4))
    assert none.shape == (0, 4)
    assert len(nobody) == 0
