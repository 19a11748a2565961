"""TIFU-KNN against sums done by hand and a loop over baskets."""

import numpy as np
import pytest

from recsys.models.tifu_knn import TifuKnn

# items a, b, c, d are 0 … 3; customers ann, bob, eve are 0, 1, 2
FADING = [
    ("1", "ann", 9, ["a"]), ("2", "ann", 8, ["a", "b"]), ("3", "ann", 7, ["b"]), ("4", "ann", 6, ["c"]),
    ("5", "ann", 5, ["a"]), ("6", "bob", 9, ["b"]), ("7", "eve", 9, ["c"]), ("8", "eve", 8, ["d"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("k", "expected"), [(1, [0.247917, 0.116667, 0.133333, 0.15]), (300, [0.247917, 0.266667, 0.095833, 0.075])]
)
def test_tifu_knn_by_hand(tiny_data, k, expected):
    """ann's 5 baskets in 2 groups: {a} {ab} | {b} {c} {a}, both decays 1/2.

    g1 = (½{a} + {ab}) / 2 = a .75, b .5;  g2 = (¼{b} + ½{c} + {a}) / 3 = a 1/3, b 1/12, c 1/6
    u = (½g1 + g2) / 2 = a .354167, b .166667, c .083333
    bob, one basket, one group: u = b 1;  eve, two groups of one: u = (½{c} + {d}) / 2 = c .25, d .5
    distance² to bob .827, to eve .431, so k = 1 takes eve; k = 300 takes both: mean b .5, c .125, d .25
    .7·u + .3·(c .25, d .5) = .247917, .116667, .058333 + .075, .15
    .7·u + .3·(b .5, c .125, d .25) = .247917, .116667 + .15, .058333 + .0375, .075
    """
    data = tiny_data(*FADING)
    model = TifuKnn(k=k, groups=2, within=0.5, over=0.5, alpha=0.7).fit(data)
    np.testing.assert_allclose(model.score(data.histories)[0], expected, rtol=1e-4)


@pytest.mark.parametrize(("n", "sizes"), [(1, [1]), (3, [1, 1, 1]), (4, [1, 1, 1, 1]), (6, [1, 1, 2, 2]),
                                          (8, [2, 2, 2, 2]), (11, [2, 3, 3, 3])])  # fmt: skip
def test_tifu_groups(n, sizes):
    """Four groups; with decay over groups alone, each group's baskets weigh r_g^(m − i) / (m·s)."""
    weights = TifuKnn(groups=4, within=1.0, over=0.5)._basket_weights(np.full(n, n), np.arange(n))
    m = len(sizes)
    expected = [0.5 ** (m - 1 - at) / (m * size) for at, size in enumerate(sizes) for _ in range(size)]
    np.testing.assert_allclose(weights, expected)


def test_tifu_within_a_group():
    """One group of three: r_b^2 / 3, r_b / 3, 1 / 3."""
    weights = TifuKnn(groups=1, within=0.9)._basket_weights(np.full(3, 3), np.arange(3))
    np.testing.assert_allclose(weights, [0.27, 0.3, 1 / 3])


def slow_vectors(data, model):
    """u of every customer, float64 (n_customers, n_items): the equations, basket by basket."""
    h = data.histories
    out = np.zeros((len(h), h.n_items))
    for row in range(len(h)):
        lines = slice(h.indptr[row], h.indptr[row + 1])
        baskets = [h.items[lines][h.orders[lines] == back] for back in range(h.n_orders[row] - 1, -1, -1)]
        m = min(model.groups, len(baskets))
        sizes = [len(baskets) // m + (group >= m - len(baskets) % m) for group in range(m)]
        for group, size in enumerate(sizes):
            for place, basket in enumerate(baskets[sum(sizes[:group]) : sum(sizes[: group + 1])]):
                weight = model.within ** (size - 1 - place) / size * model.over ** (m - 1 - group) / m
                out[row, basket] += weight
    return out


@pytest.mark.parametrize("k", [1, 7, 500])
def test_tifu_knn_by_brute_force(small_shop, k):
    data = small_shop.data
    model = TifuKnn(k=k, groups=3).fit(data)
    queries = data.histories.take(slice(0, 12))
    scores = model.score(queries)
    vectors = slow_vectors(data, model)
    for row, own in enumerate(vectors[:12]):
        distance = ((vectors - own) ** 2).sum(axis=1)
        distance[row] = np.inf
        near = vectors[np.argsort(distance, kind="stable")[: min(k, len(vectors) - 1)]].mean(axis=0)
        np.testing.assert_allclose(scores[row], 0.7 * own + 0.3 * near, rtol=1e-4, atol=1e-6)


def test_a_lonely_customer_gets_the_own_vector(tiny_data):
    data = tiny_data(("1", "ann", 9, ["a"]), ("2", None, 8, ["b"]))
    np.testing.assert_allclose(TifuKnn(alpha=0.7).fit(data).score(data.histories), [[0.7, 0]], rtol=1e-6)
