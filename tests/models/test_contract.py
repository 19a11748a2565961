"""What every model promises, whatever it learns."""

import copy
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

from recsys.data.histories import carts, empty_histories
from recsys.models.als import Als
from recsys.models.base import load, save
from recsys.models.basket_knn import BasketKnn
from recsys.models.content import Content
from recsys.models.frequency import Frequency
from recsys.models.item_knn import ItemKnn
from recsys.models.popularity import Popularity
from recsys.models.tifu_knn import TifuKnn
from recsys.models.type_knn import TypeKnn
from recsys.models.user_knn import UserKnn
from recsys.ranking.base_models import OF_CART, OF_HISTORY, SINGLES, BaseModels, ModelOptions

MODELS = {
    "popularity": Popularity(days=50),
    "frequency": Frequency(half_life=30),
    "tifu_knn": TifuKnn(k=10, groups=3),
    "user_knn": UserKnn(k=10),
    "als": Als(factors=6, iterations=3, regularization=2.0),
    "basket_knn": BasketKnn(k=20),
    "item_knn": ItemKnn(shrink=5, half_life=40),
    "type_knn": TypeKnn(shrink=5),
    "content": Content(neighbours=30),
}
ANSWERS_ANYBODY = ("popularity", "frequency")  # of the others a query of which nothing is known gets NaN
TINY = {
    "two items": [("o", "ann", 3, ["x", "y"])],
    "one customer": [("o", "ann", 9, ["x", "y", "z"]), ("p", "ann", 3, ["x"])],
    "nothing bought twice": [
        ("o", "ann", 9, ["x"]),
        ("p", "bob", 8, ["y"]),
        ("q", "eve", 7, ["z"]),
        ("r", None, 6, ["w"]),
    ],
    "only old orders": [("o", "ann", 900, ["x", "y"]), ("p", "bob", 800, ["x", "z"])],
    "all bought all": [("o", "ann", 9, ["x", "y"]), ("p", "bob", 8, ["x", "y"]), ("q", "eve", 7, ["x", "y"])],
}


@pytest.fixture(params=MODELS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def trained(small_shop):
    """Every model after one fit, never changed."""
    return {name: copy.deepcopy(model).fit(small_shop.data) for name, model in MODELS.items()}


@pytest.fixture(scope="module")
def queries(small_shop):
    """Histories with carts, the last two of them without a history, the very last without anything."""
    asked = small_shop.tasks["cart"].histories.take(slice(0, 12))
    sizes = np.diff(asked.indptr)
    sizes[10:] = 0
    m = sizes.sum()
    indptr = np.concatenate([[0], np.cumsum(sizes)])
    cart = sp.csr_matrix(sp.vstack([asked.cart[:5], empty_histories(5, asked.n_items).cart, asked.cart[10:11],
                                    empty_histories(1, asked.n_items).cart]))  # fmt: skip
    customers = np.where(np.arange(12) % 2, asked.customers, -1)
    lines = {name: getattr(asked, name)[:m] for name in ("items", "orders", "ages", "weights")}
    return replace(asked, indptr=indptr, cart=cart, customers=customers, **lines)


def learned(model):
    """Learned attributes by name."""
    return {k: v for k, v in vars(model).items() if k.endswith("_")}


def same(a, b):
    """Equal to the last bit: arrays and CSR matrices."""
    if sp.issparse(a):
        return all(np.array_equal(getattr(a, part), getattr(b, part)) for part in ("data", "indices", "indptr"))
    return np.array_equal(a, b, equal_nan=True)


def same_models(a, b):
    return learned(a).keys() == learned(b).keys() and all(same(v, learned(b)[k]) for k, v in learned(a).items())


def frozen(data):
    """All arrays of TrainData, copied."""
    h = data.histories
    parts = [h.indptr, h.items, h.orders, h.ages, h.weights, h.cart.data, h.customers, data.order_ages]
    parts += [data.orders.data, data.orders.indices, data.orders.indptr, data.facts.levels, data.facts.prices]
    parts += [h.counts.data, h.counts.indices, h.last_age.data]  # cached, so a model may not write into them
    parts += [data.together[0].data, data.together[0].indices, data.together[1]]
    return [part.copy() for part in parts]


def answered(name, queries):
    """bool (n_queries,): the model of this name has something to say of the query."""
    if name in ANSWERS_ANYBODY:
        return np.ones(len(queries), bool)
    if name in OF_HISTORY:
        return queries.has_history
    return queries.has_cart if name in OF_CART else queries.has_history | queries.has_cart


def test_every_single_model_is_here():
    assert tuple(MODELS) == SINGLES
    assert {n: type(m) for n, m in MODELS.items()} == {n: type(getattr(ModelOptions(), n)) for n in SINGLES}


def test_scores_have_one_row_a_query_and_one_column_an_item(trained, queries, name):
    scores = trained[name].score(queries)
    assert scores.shape == queries.cart.shape
    assert scores.dtype == np.float32
    assert not np.isinf(scores).any()
    known = answered(name, queries)
    np.testing.assert_array_equal(np.isnan(scores), np.broadcast_to(~known[:, None], scores.shape))


def test_no_queries_get_no_scores(trained, small_shop, name):
    n_items = len(small_shop.data.items)
    assert trained[name].score(empty_histories(0, n_items)).shape == (0, n_items)


def test_scores_vary(trained, queries, name):
    assert trained[name].score(queries.take(answered(name, queries) & queries.has_history)).std(axis=1).min() > 0


def test_a_second_fit_forgets_the_first(trained, small_shop, tiny_data, name):
    other = tiny_data(*TINY["one customer"])
    again = copy.deepcopy(MODELS[name]).fit(other).fit(small_shop.data)
    assert same_models(again, trained[name])


def test_two_fits_are_equal(trained, small_shop, name):
    assert same_models(copy.deepcopy(MODELS[name]).fit(small_shop.data), trained[name])


def test_thread_counts_do_not_matter(trained, small_shop, queries, name):
    for threads in (1, 2):
        with threadpool_limits(threads):
            model = copy.deepcopy(MODELS[name]).fit(small_shop.data)
            scores = model.score(queries)
        assert same_models(model, trained[name])
        np.testing.assert_allclose(scores, trained[name].score(queries), rtol=1e-5, atol=1e-6)


def test_fit_and_score_change_nothing_they_are_given(small_shop, queries, name):
    model = copy.deepcopy(MODELS[name])
    before, asked = frozen(small_shop.data), frozen(replace(small_shop.data, histories=queries))
    model.fit(small_shop.data).score(queries)
    assert all(map(same, frozen(small_shop.data), before))
    assert all(map(same, frozen(replace(small_shop.data, histories=queries)), asked))
    assert [getattr(model, f.name) for f in fields(model)] == [getattr(MODELS[name], f.name) for f in fields(model)]


def test_score_changes_nothing_learned(trained, queries, name):
    before = copy.deepcopy(trained[name])
    first = trained[name].score(queries)
    assert same(trained[name].score(queries), first)
    assert same_models(trained[name], before)


def test_order_of_queries_permutes_the_scores(trained, queries, name):
    order = np.random.default_rng(0).permutation(len(queries))
    scores = trained[name].score(queries)
    np.testing.assert_allclose(trained[name].score(queries.take(order)), scores[order], rtol=1e-5, atol=1e-6)


def test_a_block_is_answered_like_its_queries_one_by_one(trained, queries, name):
    scores = trained[name].score(queries)
    alone = np.concatenate([trained[name].score(queries.take(slice(q, q + 1))) for q in range(len(queries))])
    np.testing.assert_allclose(alone, scores, rtol=1e-5, atol=1e-6)


def test_queries_do_not_influence_each_other(trained, queries, name):
    """The others' carts change; the first three rows do not."""
    full = np.arange(queries.n_items)
    other = queries.with_cart(sp.csr_matrix(sp.vstack([queries.cart[:3], carts([full] * 9, queries.n_items)])))
    np.testing.assert_allclose(trained[name].score(other)[:3], trained[name].score(queries)[:3], rtol=1e-5, atol=1e-6)


def test_a_saved_model_comes_back_whole(trained, queries, tmp_path, name):
    save(trained[name], tmp_path / "model")
    back = load(type(trained[name]), tmp_path / "model")
    assert back == trained[name]  # the hyperparameters
    assert same_models(back, trained[name])
    assert same(back.score(queries), trained[name].score(queries))


def test_nothing_is_pickled(trained, tmp_path, name):
    save(trained[name], tmp_path / "model")
    for file in (tmp_path / "model").iterdir():
        assert file.suffix in (".json", ".npy", ".npz")
        if file.suffix != ".json":
            kept = np.load(file, allow_pickle=False)
            arrays = [kept] if file.suffix == ".npy" else [kept[name] for name in kept.files]  # reads each, or raises
            assert all(array.dtype != object for array in arrays)


@pytest.mark.parametrize("case", TINY)
@pytest.mark.parametrize("words", [True, False])
def test_tiny_shops_do_not_break_a_model(tiny_data, query, name, case, words):
    catalog = {item: {"name": f"Green tea {item}"} for item in "wxyz"} if words else {}
    data = tiny_data(*TINY[case], catalog=catalog)
    n = len(data.items)
    model = copy.deepcopy(MODELS[name]).fit(data)
    for asked in (data.histories, query(n, [(0, 2.0)], [1], 0), query(n, [], [0, 1]), query(n, [(1, 5.0)]), query(n)):
        scores = model.score(asked)
        assert scores.shape == (len(asked), n)
        assert not np.isinf(scores).any()
        unsaid = np.isnan(scores)  # a model says something of all items or of none; these have no types
        silent = np.ones(len(asked), bool) if name == "type_knn" else ~answered(name, asked)
        np.testing.assert_array_equal(unsaid, np.broadcast_to(silent[:, None], unsaid.shape))


def test_base_models_leave_the_options_unfitted_and_fit_apart(small_shop, fitted):
    assert all(not learned(getattr(fitted.options, name)) for name in SINGLES)
    again = BaseModels.fit(small_shop.data, fitted.options)
    for name in SINGLES:
        assert again[name] is not fitted.models[name]
        assert same_models(again[name], fitted.models[name])


def test_base_models_come_back_whole(fitted, queries, tmp_path):
    fitted.models.save(tmp_path / "models")
    back = BaseModels.load(tmp_path / "models")
    for name in SINGLES:
        assert back[name] == fitted.models[name]
        assert same(back[name].score(queries), fitted.models[name].score(queries))
    for field in fields(back.stats):
        assert same(getattr(back.stats, field.name), getattr(fitted.models.stats, field.name))


def test_options_are_frozen():
    with pytest.raises(FrozenInstanceError):
        ModelOptions().als = Als()
