"""The published methods against sums done by hand, and what they promise as scorers."""

import copy
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.references import PUBLISHED, GPTopFreq, GTopFreq, PerNir, PTopFreq
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
