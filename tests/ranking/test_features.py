"""What the ranker sees: by hand, in bounds, and the same alone as in a block."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from recsys.data.histories import Histories, carts
from recsys.models.item_knn import ItemKnn
from recsys.ranking.base_models import SOURCES, BaseModels, cart_scores, history_scores
from recsys.ranking.blend import rank
from recsys.ranking.candidates import Candidates, best_scores
from recsys.ranking.features import FEATURES, GROUPS, features
from recsys.ranking.item_stats import ItemStats

M = 4


@pytest.fixture(scope="module")
def ranked(small_shop, fitted):
    """Both tasks of twenty customers as one block."""
    return {
        task: rank(fitted.models, fitted.hybrid, queries.histories.take(slice(0, 20)))
        for task, queries in small_shop.tasks.items()
    }


def test_groups_share_out_the_features():
    named = [name for names in GROUPS.values() for name in names]
    assert len(named) == len(set(named))
    assert tuple(named) == FEATURES


def test_every_feature_says_something(ranked):
    x = np.concatenate([r.features for r in ranked.values()])
    assert x.shape[1] == len(FEATURES)
    assert x.dtype == np.float32
    silent = [name for name, column in zip(FEATURES, x.T, strict=True) if len(np.unique(column[~np.isnan(column)])) < 2]
    assert silent == ["item_season"]  # two hundred days know no last year


def test_nothing_is_infinite(ranked):
    for r in ranked.values():
        infinite = np.isinf(r.features).any(axis=0)
        assert [name for name, bad in zip(FEATURES, infinite, strict=True) if bad] == []
        assert np.isfinite(r.scores).all()


@pytest.mark.parametrize("task", ["next_basket", "cart"])
def test_one_request_alone_is_as_in_a_block(ranked, small_shop, fitted, task):
    queries, block = small_shop.tasks[task].histories, ranked[task]
    for q in range(20):
        alone = rank(fitted.models, fitted.hybrid, queries.take([q]))
        mine = block.candidates.query == q
        assert alone.candidates.item.tolist() == block.candidates.item[mine].tolist()
        np.testing.assert_allclose(alone.features, block.features[mine], rtol=2e-5, atol=1e-6)
        np.testing.assert_allclose(alone.scores, block.scores[mine], rtol=1e-4, atol=1e-5)


def mixed(small_shop):
    """Queries with a cart and a history, with either and with neither, in turn."""
    queries = small_shop.tasks["cart"].histories
    rows = np.arange(12)
    asked = queries.take_or_blank(np.where(rows % 4 < 2, rows, -1))
    held = [queries.cart[q].indices if q % 2 else np.zeros(0, np.int64) for q in rows]
    return asked.with_cart(carts(held, queries.n_items))


def test_sources_that_know_nothing_of_some_queries_answer_the_others(small_shop, fitted):
    """Queries without what a model looks at are not asked of it; its answers to the others do not change."""
    asked, models = mixed(small_shop), fitted.models
    assert {(h, c) for h, c in zip(asked.has_history.tolist(), asked.has_cart.tolist(), strict=True)} == {
        (True, False), (True, True), (False, False), (False, True)
    }  # fmt: skip
    found = history_scores(models, asked) | cart_scores(models, asked)
    bare = asked.without_cart()
    for name, scores in found.items():
        if name.endswith("_cart") or name == "basket_knn":
            expected = np.where(asked.has_cart[:, None], models[name.removesuffix("_cart")].score(asked), np.nan)
        else:
            expected = models[name.removesuffix("_history")].score(asked if name == "als" else bare)
        np.testing.assert_allclose(scores, expected, rtol=2e-5, atol=1e-6, err_msg=name)


def test_queries_of_a_kind_alone_are_as_in_a_mixed_block(small_shop, fitted):
    """Without any cart in the block, the features of carts take a shorter way to the same values."""
    asked = mixed(small_shop)
    block = rank(fitted.models, fitted.hybrid, asked)
    for q in range(len(asked)):
        alone = rank(fitted.models, fitted.hybrid, asked.take([q]))
        mine = block.candidates.query == q
        assert alone.candidates.item.tolist() == block.candidates.item[mine].tolist()
        np.testing.assert_allclose(alone.features, block.features[mine], rtol=2e-5, atol=1e-6)


def test_barred_items_move_nothing_else(small_shop, fitted):
    """The features of what is left do not depend on what another rule took away, but for the ranks."""
    queries = small_shop.tasks["cart"].histories.take(slice(0, 5))
    all_items = replace(fitted.hybrid, proposals=dict.fromkeys(fitted.hybrid.proposals, 300))
    free = rank(fitted.models, all_items, queries)
    barred = np.zeros(queries.cart.shape, bool)
    barred[:, ::3] = True
    left = rank(fitted.models, all_items, queries, barred)
    kept = ~barred[free.candidates.query, free.candidates.item]
    assert left.candidates.item.tolist() == free.candidates.item[kept].tolist()
    steady = [at for at, name in enumerate(FEATURES) if not name.endswith("_rank")]
    np.testing.assert_array_equal(left.features[:, steady], free.features[kept][:, steady])


def test_strangers_do_not_break_the_features(fitted, query):
    n = fitted.models.stats.share.size
    for asked in (query(n), query(n, [], [3]), query(n, [(2, 1.0)])):
        r = rank(fitted.models, fitted.hybrid, asked)
        assert len(r.candidates) > 0
        assert not np.isinf(r.features).any()
        assert np.isfinite(r.scores).all()


def test_best_scores():
    best = best_scores({"a": np.float32([[1, np.nan, 3], [np.nan] * 3, [0, -1, 0]])})["a"]
    np.testing.assert_array_equal(best, np.float32([3, np.nan, np.nan]))
    assert best.dtype == np.float32


# --- by hand: item 0 bought 30, 20 and 10 days ago, 1 with it the first time, 2 the last time; 1 lies in the cart


@pytest.fixture(scope="module")
def by_hand():
    """Feature → values of the candidates 0, 2 and 3."""
    history = Histories(
        np.array([0, 5]),
        np.array([0, 1, 0, 0, 2], np.int32),
        np.array([2, 2, 1, 0, 0], np.int32),
        np.array([30, 30, 20, 10, 10], np.float32),
        np.ones(5, np.float32),
        carts([np.array([1])], M),
        np.array([-1]),
    )
    stats = ItemStats(
        share=np.float32([0.4, 0.3, 0.2, 0.1]),
        recent=np.float32([0.5, 0.2, 0.2, 0.1]),
        rise=np.float32([1, 2, 2, 1]),
        trend=np.float32([1, 2, 3, 4]),
        season=np.float32([1, 1, 2, np.nan]),
        adoption=np.float32([0.1, 0.2, 0.3, 0.4]),
        in_type=np.float32([0.75, 0.25, 1, np.nan]),
        repeat=np.float32([0.5, 0.25, 0.125, 0]),
        interval=np.float32([5, 8, 20, np.nan]),
        size=np.float32([2, 2, 3, 1]),
        price=np.float32([1, 4, np.nan, 6]),
        levels=np.array([[0, 0, 0], [0, 0, 0], [0, 1, 1], [-1, -1, -1]], np.int32),
    )
    scores = {name: np.float32([2, np.nan, 1]) for name in SOURCES}
    ranks = {name: np.float32([1, np.nan, 2]) for name in SOURCES}
    rows = Candidates(np.zeros(3, int), np.array([0, 2, 3]), scores, ranks, {name: np.float32([2]) for name in SOURCES})
    knn = ItemKnn(shrink=0)
    knn.sold_ = np.float32([4, 4, 1, 1])
    cosine = np.zeros((M, M), np.float32)
    cosine[1, 0] = cosine[0, 1] = 0.5
    knn.cosine_ = sp.csr_matrix(cosine)
    knn.recent_, knn.orders_ = np.float32([0.1, 0.25]), 81
    models = BaseModels({"item_knn": knn}, stats)
    x = features(rows, history, models)
    return dict(zip(FEATURES, x.T, strict=True))


NAN = np.nan
HAND = {
    "als": [2, NAN, 1],
    "als_rank": [1, NAN, 2],
    "als_of_best": [1, NAN, 0.5],
    "order_decayed": [1 + 0.95 + 0.95**2, 1, 0],
    "own_count": [3, 1, 0],
    "own_share": [1, 1 / 3, 0],
    "own_age": [10, 10, NAN],
    "own_first_age": [30, 10, NAN],
    "own_orders_ago": [0, 0, NAN],
    "own_due_orders": [1, NAN, NAN],  # one order since, one between two purchases
    "own_together": [1, 0, 0],  # every own order that meets the cart held it
    "own_of_type": [3 / 4, 1, NAN],
    "type_variety": [2 / 4, 1, NAN],
    "type_due": [10 / (20 / 3), NAN, NAN],
    "type_expected": [4 / 5 * 0.75, 1 / 5, NAN],
    "cart_best": [0.5, 0, 0],
    "cart_linked": [1, 0, 0],
    "cart_confidence": [np.log(2), 0, 0],  # two of four orders with the cart's item hold it: -log(1 - 1/2)
    "cart_recent": [0.25, 0, 0],  # the cell (1, 0)
    "cart_lift": [np.log(2), 0, 0],  # 2 joint orders of 81, 4 + 5 orders with each
    "cart_lift_best": [np.log(2), 0, 0],
    "item_recent": [0.5, 0.2, 0.1],
    "item_season": [1, 2, NAN],
    "explored": [3 / 5] * 3,
    "own_interval": [10, NAN, NAN],
    "own_due": [1, NAN, NAN],
    "item_interval": [5, 20, NAN],
    "item_due": [2, 0.5, NAN],
    "own_overlap": [1 / np.sqrt(2), 0, 0],  # of the cart's items, the first order held one among two
    "item_share": [0.4, 0.2, 0.1],
    "item_trend": [1, 3, 4],
    "item_repeat": [0.5, 0.125, 0],
    "item_order_size": [2, 3, 1],
    "department_share": [1, 1, NAN],
    "category_share": [4 / 5, 1 / 5, NAN],
    "type_share": [4 / 5, 1 / 5, NAN],
    "type_age": [10, 10, NAN],
    "cart_type": [1, 0, NAN],
    "cart_category": [1, 0, NAN],
    "price": [1, NAN, 6],
    "price_to_habit": [1 / 1.75, NAN, 6 / 1.75],  # of 1, 4, 1, 1; the unknown price of 2 does not count
    "price_to_cart": [0.25, NAN, 1.5],
    "n_orders": [3, 3, 3],
    "order_age": [10, 10, 10],
    "order_gap": [10, 10, 10],
    "basket_size": [5 / 3] * 3,
    "distinct_items": [3, 3, 3],
    "cart_size": [1, 1, 1],
}


@pytest.mark.parametrize("name", HAND)
def test_features_by_hand(by_hand, name):
    np.testing.assert_allclose(by_hand[name], HAND[name], rtol=1e-6)


def test_sources_are_those_that_the_features_name(small_shop, fitted):
    queries = small_shop.tasks["cart"].histories.take([0])
    assert set(SOURCES) == set(history_scores(fitted.models, queries) | cart_scores(fitted.models, queries))


def test_links_with_the_cart_by_brute_force(small_shop, fitted, ranked):
    """Every candidate against every item of its cart, one at a time."""
    knn, found = fitted.models["item_knn"], ranked["cart"]
    queries = small_shop.tasks["cart"].histories.take(slice(0, 20))
    x = dict(zip(FEATURES, found.features.T, strict=True))
    recent = sp.csr_matrix((knn.recent_, knn.cosine_.indices, knn.cosine_.indptr), shape=knn.cosine_.shape)
    for at in range(0, len(found.candidates), 7):
        query, item = found.candidates.query[at], found.candidates.item[at]
        cart = queries.cart.indices[queries.cart.indptr[query] : queries.cart.indptr[query + 1]]
        sold, s = knn.sold_.astype(float), knn.shrink
        cosine = np.array([knn.cosine_[j, item] for j in cart], float)
        joint = cosine * np.sqrt((sold[item] + s) * (sold[cart] + s))
        lift = joint * knn.orders_ / ((sold[item] + 5) * (sold[cart] + 5))
        logs = np.log(np.maximum(lift, 1))
        expected = {
            "cart_best": cosine.max(),
            "cart_linked": (cosine > 0).mean(),
            "cart_confidence": -np.log(np.prod(1 - np.minimum(joint / (sold[cart] + s), 0.95))),
            "cart_recent": sum(recent[j, item] for j in cart),
            "cart_lift": logs.mean(),
            "cart_lift_best": logs.max(),
        }
        for name, value in expected.items():
            assert x[name][at] == pytest.approx(value, rel=1e-4, abs=1e-6), (name, at)
