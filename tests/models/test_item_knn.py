"""Item neighbours by hand."""

import numpy as np
import pytest
import scipy.sparse as sp

from recsys.models.item_knn import ItemKnn, shrunk_cosine

ORDERS = [
    ("1", "ann", 40, ["a", "b"]),
    ("2", None, 30, ["a", "b"]),  # guests count
    ("3", "bob", 20, ["a", "b", "c"]),
    ("4", "ann", 10, ["a"]),
    ("5", "bob", 5, ["d"]),
]


@pytest.fixture(scope="module")
def data(tiny_data):
    return tiny_data(*ORDERS)


def test_counts_are_orders(data):
    together, sold = data.together
    assert sold.tolist() == [4, 3, 1, 1]
    assert together.toarray().tolist() == [[0, 3, 1, 0], [3, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]]


def test_shrunk_cosine_by_hand(data):
    """√((f + 5)(g + 5)): a 4, b 3, c 1 → ab 3/√72, ac 1/√54, bc 1/√48."""
    cosine = ItemKnn(shrink=5, min_joint=1).fit(data).cosine_.toarray()
    expected = np.zeros((4, 4))
    expected[0, 1], expected[0, 2], expected[1, 2] = 3 / np.sqrt(72), 1 / np.sqrt(54), 1 / np.sqrt(48)
    np.testing.assert_allclose(cosine, expected + expected.T, rtol=1e-6)


def test_rare_pairs_are_left_out(data):
    kept = ItemKnn(shrink=5, min_joint=2).fit(data).cosine_
    assert kept.nnz == 2
    np.testing.assert_allclose(kept[0, 1], 3 / np.sqrt(72), rtol=1e-6)


def test_the_counts_stay_as_they_are(data):
    """Several models use them, each with its own least number of joint orders."""
    before = data.together[0].toarray()
    ItemKnn(min_joint=2).fit(data)
    np.testing.assert_array_equal(data.together[0].toarray(), before)


def test_shrunk_cosine_of_what_was_never_sold():
    """C(0, 1) = 2 of 2 and 8: 2 / √16; item 2 has neither sales nor cells, and the diagonal is left out."""
    together = sp.csr_matrix(np.float32([[2, 2, 0], [2, 8, 0], [0, 0, 0]]))
    cosine = shrunk_cosine(together, np.float32([2, 8, 0]), 0, 1)
    np.testing.assert_allclose(cosine.toarray(), [[0, 0.5, 0], [0.5, 0, 0], [0, 0, 0]], rtol=1e-6)


def test_history_is_decayed(data, query):
    model = ItemKnn(shrink=5, min_joint=1, half_life=10).fit(data)
    scores = model.score(query(4, [(0, 20.0), (0, 10.0), (1, 10.0)]))[0]
    a, b = 0.25 + 0.5, 0.5
    expected = [b * 3 / np.sqrt(72), a * 3 / np.sqrt(72), a / np.sqrt(54) + b / np.sqrt(48), 0]
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


def test_a_cart_stands_before_the_history(data, query):
    model = ItemKnn(shrink=5, min_joint=1).fit(data)
    with_cart, cart_alone = model.score(query(4, [(0, 20.0)], [2])), model.score(query(4, [], [2]))
    np.testing.assert_array_equal(with_cart, cart_alone)
    np.testing.assert_allclose(cart_alone[0], [1 / np.sqrt(54), 1 / np.sqrt(48), 0, 0], rtol=1e-6)


@pytest.mark.parametrize("half_life", [10, 1e-3])  # the second leaves nothing of any order
def test_recent_cosine_by_brute_force(data, half_life):
    """Cell by cell beside `cosine_`: joint orders and sales count 0.5^(age / half-life)."""
    model = ItemKnn(shrink=5, min_joint=1, recent_half_life=half_life).fit(data)
    weight = np.maximum(np.float32(0.5) ** (data.order_ages / np.float32(half_life)), 1e-12)
    orders, cells = data.orders.toarray(), model.cosine_.tocoo()
    shrink = 5 * weight.mean()
    for row, column, found in zip(cells.row, cells.col, model.recent_, strict=True):
        joint = weight @ (orders[:, row] * orders[:, column])
        sold = [max(weight @ orders[:, item] + shrink, 1e-9) for item in (row, column)]
        assert found == pytest.approx(joint / np.sqrt(sold[0] * sold[1]), rel=1e-5)
