"""ALS: a known answer, and the fold-in against the normal equations written out."""

import numpy as np
import pytest

from recsys.errors import InputError
from recsys.models.als import Als, no_gpu
from recsys.ranking.topk import top_k


@pytest.fixture(scope="module")
def board(tiny_data):
    """Even customers buy even items, odd ones odd items; each leaves one out."""
    items = [f"i{n:02d}" for n in range(12)]
    orders = [
        (f"o{c}", f"c{c:02d}", 5, [name for n, name in enumerate(items) if n % 2 == c % 2 and n // 2 != c % 6])
        for c in range(24)
    ]
    return tiny_data(*orders)


def test_checkerboard_is_completed(board):
    """The left-out item of the customer's own colour scores above all of the other colour."""
    scores = Als(factors=2, regularization=0.5, iterations=10).fit(board).score(board.histories)
    colour = np.arange(12) % 2
    for customer in range(24):
        own, other = scores[customer, colour == customer % 2], scores[customer, colour != customer % 2]
        assert own.min() > other.max() + 0.3


def plain_fold_in(model, counts):
    """x that minimises Σ_i c_i (p_i − xᵀy_i)² + λ|x|², over all items, bought or not, one sum at a time."""
    y = model.items_.astype(np.float64)
    left, right = model.regularization * np.eye(model.factors), np.zeros(model.factors)
    for item, count in enumerate(counts):
        confidence = 1 + model.alpha * np.log1p(count) if count else 1.0
        left += confidence * np.outer(y[item], y[item])
        right += confidence * (count > 0) * y[item]
    return np.linalg.inv(left) @ right


def test_fold_in_solves_the_normal_equations(small_shop):
    model = Als(factors=8, iterations=3, regularization=3.0, alpha=7.0).fit(small_shop.data)
    queries = small_shop.tasks["cart"].histories.take(slice(0, 20))
    counts = (queries.counts + queries.cart).toarray()
    expected = np.array([plain_fold_in(model, row) for row in counts])
    np.testing.assert_allclose(model.fold_in(queries), expected, rtol=2e-3, atol=2e-4)
    np.testing.assert_allclose(model.score(queries), expected @ model.items_.T, rtol=5e-3, atol=5e-4)


def test_fold_in_is_the_minimum(small_shop):
    """No step away from it lowers the loss."""
    model = Als(factors=5, iterations=3).fit(small_shop.data)
    one = small_shop.tasks["cart"].histories.take([0])
    counts = (one.counts + one.cart).toarray()[0]
    confidence = np.where(counts > 0, 1 + model.alpha * np.log1p(counts), 1.0)

    def loss(x):
        return (confidence * ((counts > 0) - model.items_ @ x) ** 2).sum() + model.regularization * (x @ x)

    best = model.fold_in(one)[0].astype(np.float64)
    steps = 0.05 * np.random.default_rng(0).normal(size=(50, 5))
    assert all(loss(best + step) > loss(best) for step in steps)


def test_cart_counts_as_one_more_purchase(small_shop, query):
    model = Als(factors=5, iterations=3).fit(small_shop.data)
    n = len(small_shop.data.items)
    np.testing.assert_array_equal(model.score(query(n, [], [3, 8])), model.score(query(n, [(3, 9.0), (8, 2.0)])))
    twice = model.score(query(n, [(3, 9.0)], [3]))
    np.testing.assert_array_equal(twice, model.score(query(n, [(3, 9.0), (3, 1.0)])))
    assert (twice != model.score(query(n, [(3, 9.0)]))).any()


def test_the_seed_decides(small_shop):
    a, b, c = (Als(factors=4, iterations=2, seed=seed).fit(small_shop.data).items_ for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.allclose(a, c)


def test_the_gpu_is_taken_where_there_is_one_and_else_refused(small_shop):
    """Another solver, the same objective: the factors it finds answer alike."""
    if why := no_gpu():
        with pytest.raises(InputError, match=r"models\.als\.device is gpu, but .*set it to cpu"):
            Als(device="gpu").fit(small_shop.data)
        pytest.skip(f"no GPU to fit on: {why}")
    queries = small_shop.tasks["next_basket"].histories.take(slice(0, 50))
    here, there = (top_k(Als(device=device).fit(small_shop.data).score(queries), 10) for device in ("cpu", "gpu"))
    shared = np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(here, there, strict=True)])
    assert shared > 0.7
