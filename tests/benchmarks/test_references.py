"""The published methods against sums done by hand, and what they promise as scorers."""

import copy
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.references import PUBLISHED, GPTopFreq, GTopFreq, PerNir, PTopFreq, TifuKnn, UpCf
from recsys.data.histories import carts, empty_histories
from recsys.models.base import load, save

NAN = float("nan")
# items a, b, c, d are 0 … 3; customers ann, bob, eve are 0, 1, 2; the guest's basket belongs to nobody
FREQUENT = [
    ("1", "ann", 9, ["a", "b"]), ("2", "ann", 8, ["a", "c"]), ("3", "bob", 9, ["d"]), ("4", None, 7, ["c", "d"]),
]  # fmt: skip
FADING = [
    ("1", "ann", 9, ["a"]), ("2", "ann", 8, ["a", "b"]), ("3", "ann", 7, ["b"]), ("4", "ann", 6, ["c"]),
    ("5", "ann", 5, ["a"]), ("6", "bob", 9, ["b"]), ("7", "eve", 9, ["c"]), ("8", "eve", 8, ["d"]),
]  # fmt: skip
RECENT = [
    ("1", "ann", 9, ["a"]), ("2", "ann", 8, ["a", "b"]), ("3", "ann", 7, ["b"]), ("4", "bob", 9, ["b"]),
    ("5", "eve", 9, ["a"]), ("6", "eve", 8, ["c"]),
]  # fmt: skip
WITHIN = [
    ("1", "ann", 9, ["a", "b"]), ("2", "ann", 8, ["a", "c"]), ("3", "bob", 9, ["a", "d"]), ("4", "eve", 9, ["c"]),
]  # fmt: skip


@pytest.fixture(params=PUBLISHED)
def name(request):
    return request.param


def test_top_freq_by_hand(tiny_data):
    """Baskets: a 2, b 1, c 2, d 2; ann's own: a 2, b 1, c 1. A share is baskets / (2 + 1)."""
    data = tiny_data(*FREQUENT)
    ann = data.histories.take([0])
    np.testing.assert_array_equal(GTopFreq().fit(data).score(ann), [[2, 1, 2, 2]])
    np.testing.assert_array_equal(PTopFreq().fit(data).score(ann), [[2, 1, 1, NAN]])
    np.testing.assert_allclose(GPTopFreq().fit(data).score(ann), [[2 + 2 / 3, 1 + 1 / 3, 1 + 2 / 3, 2 / 3]], rtol=1e-6)


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


@pytest.mark.parametrize(
    ("k", "cart", "expected"),
    [
        (1, [0], [0.254059, 0.15, 0.3, 0.396863]),
        (1, [], [0.254059, 0.045, 0.09, 0.119059]),
        (1, [0, 1], [0.359059, 0.15, 0.3, 0.396863]),
        (5, [0], [0.194529, 0.15, 0.356125, 0.198431]),
    ],
)
def test_pernir_by_hand(tiny_data, k, cart, expected):
    """ann {ab} {ac}: h = a 1.5, b .5, c 1; C(a, b) = ½, C(a, c) = 1. bob {ad}: h = a 1, d 1, C(a, d) = 1. eve {c}.

    cos(ann, bob) = 1.5 / (√3.5·√2) = .566947; cos(ann, eve) = 1 / √3.5 = .534522; a = b = .3 below
    k 1, cart a:   personal .3h + .7Cf = a .45, b .15 + .35, c .3 + .7; bob .566947·(a .3, d .3 + .7)
                   .3·personal + .7·bob = .135 + .119059, .15, .3, .396863
    k 1, no cart:  .3·(.45, .15, .3) and .7·.566947·.3 for a and d
    k 1, cart ab:  f = 1 each: C f = a ½, b ½, c 1: a = .3·(.45 + .35) + .119059
    k 5, cart a:   mean over two: bob .283473, eve .267261: a .135 + .7·.3·.283473, c .3 + .7·.3·.267261, d .7·.283473
    """
    data = tiny_data(*WITHIN)
    query = data.histories.take([0]).with_cart(carts([np.array(cart, np.int64)], 4))
    scores = PerNir(k=k, history=0.3, personal=0.3).fit(data).score(query)
    np.testing.assert_allclose(scores[0], expected, rtol=1e-4)


@pytest.fixture(scope="module")
def trained(small_shop):
    return {name: copy.deepcopy(model).fit(small_shop.data) for name, model in PUBLISHED.items()}


@pytest.fixture(scope="module")
def queries(small_shop):
    return small_shop.tasks["cart"].histories.take(slice(0, 12))


def same_scores(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_a_block_is_answered_like_its_queries_one_by_one(trained, queries, name):
    scores = trained[name].score(queries)
    assert scores.dtype == np.float32
    assert scores.shape == queries.cart.shape
    assert np.nanstd(scores, axis=1).min() > 0
    same_scores(np.concatenate([trained[name].score(queries.take([q])) for q in range(len(queries))]), scores)


def test_a_saved_reference_comes_back(trained, queries, tmp_path, name):
    save(trained[name], tmp_path / "model")
    back = load(type(trained[name]), tmp_path / "model")
    np.testing.assert_array_equal(back.score(queries), trained[name].score(queries))


def test_a_second_fit_forgets_the_first(trained, small_shop, queries, tiny_data, name):
    again = copy.deepcopy(PUBLISHED[name]).fit(tiny_data(*FADING)).fit(small_shop.data)
    np.testing.assert_array_equal(again.score(queries), trained[name].score(queries))


def test_who_has_no_history_gets_nan_or_popularity(trained, small_shop, name):
    n_items = len(small_shop.data.items)
    nobody = trained[name].score(empty_histories(2, n_items))
    assert np.isnan(nobody).all() == (name not in ("G-TopFreq", "GP-TopFreq"))
    assert trained[name].score(empty_histories(0, n_items)).shape == (0, n_items)


@pytest.mark.parametrize("name", ["TIFU-KNN", "UP-CF@r", "PerNIR"])
def test_a_customer_is_not_the_own_neighbour(small_shop, trained, name):
    """Fitted without the customer or with, the scores are the same."""
    ann = small_shop.tasks["cart"].histories.take([3])
    others = np.flatnonzero(small_shop.data.histories.customers != ann.customers[0])
    without = replace(small_shop.data, histories=small_shop.data.histories.take(others))
    alone = copy.deepcopy(PUBLISHED[name]).fit(without).score(replace(ann, customers=np.array([-1])))
    same_scores(trained[name].score(ann), alone)
