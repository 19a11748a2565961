"""UP-CF@r against sums done by hand and a loop over customers."""

import numpy as np
import pytest

from benchmarks.references.up_cf import UpCf

# items a, b, c, d are 0 … 3; customers ann, bob, eve are 0, 1, 2
RECENT = [
    ("1", "ann", 9, ["a"]), ("2", "ann", 8, ["a", "b"]), ("3", "ann", 7, ["b"]), ("4", "bob", 9, ["b"]),
    ("5", "eve", 9, ["a"]), ("6", "eve", 8, ["c"]),
]  # fmt: skip


def test_up_cf_by_hand(tiny_data):
    """r = 2: ann's last baskets {ab} {b}: p = a ½, b 1, |p|² 1.25; bob b 1, |p|² 1; eve a ½, c ½, |p|² ½.

    α = ¼: w(ann, bob) = 1 / 1.25^¼ = .945742; w(ann, eve) = ¼ / (1.25^¼ · .5^¾) = .397636
    q = 2: .894427 and .158114; ann herself 1
    a = ½ + .158114·½ = .579057; b = 1 + .894427; c = .158114·½ = .079057
    """
    data = tiny_data(*RECENT)
    scores = UpCf(recency=2, asymmetry=0.25, locality=2).fit(data).score(data.histories)
    np.testing.assert_allclose(scores[0], [0.579057, 1.894427, 0.079057], rtol=1e-5)


def test_up_cf_of_all_baskets(tiny_data):
    """r = 0 looks at all: ann a 2/3, b 2/3; alone her shares are the scores."""
    data = tiny_data(*RECENT[:3], ("9", "zoe", 3, ["c"]))
    scores = UpCf(recency=0).fit(data).score(data.histories)
    np.testing.assert_allclose(scores[0], [2 / 3, 2 / 3, 0], rtol=1e-6)


@pytest.mark.parametrize(("recency", "asymmetry", "locality"), [(3, 0.25, 5.0), (0, 0.75, 1.0)])
def test_up_cf_by_brute_force(small_shop, recency, asymmetry, locality):
    h = small_shop.data.histories
    shares = np.zeros((len(h), h.n_items))
    for row in range(len(h)):
        seen = min(h.n_orders[row], recency or h.n_orders[row])
        for line in range(h.indptr[row], h.indptr[row + 1]):
            shares[row, h.items[line]] += (h.orders[line] < seen) / seen
    length = np.sqrt((shares**2).sum(axis=1))
    model = UpCf(recency=recency, asymmetry=asymmetry, locality=locality).fit(small_shop.data)
    scores = model.score(h.take(slice(0, 8)))
    for row, own in enumerate(shares[:8]):
        expected = own.copy()
        for other in set(range(len(h))) - {row}:
            cosine = own @ shares[other] / length[row] ** (2 * asymmetry) / length[other] ** (2 - 2 * asymmetry)
            expected += cosine**locality * shares[other]
        np.testing.assert_allclose(scores[row], expected, rtol=1e-4, atol=1e-6)
