"""The ranker learns, forgets nothing on disk, and answers the same on any number of threads."""

import numpy as np
import pytest

from recsys.data.interactions import lines_before, train_data
from recsys.data.splits import any_depth, ask, asked_orders, nothing
from recsys.errors import InputError
from recsys.ranking.base_models import BaseModels
from recsys.ranking.blend import by_block, lists, rank, training_rows
from recsys.ranking.features import FEATURES, GROUPS
from recsys.ranking.hybrid import Hybrid, HybridOptions, TrainingRows, kept_columns, standardised

AT = {name: place for place, name in enumerate(FEATURES)}
OPTIONS = HybridOptions(trees=15, min_leaf=5, threads=1)


def planted(seed=0, n=60, size=20):
    """Rows where one feature decides, and all others are noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n * size, len(FEATURES))).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    x[:, AT["own_count"]] = rng.normal(size=n * size)
    return TrainingRows(x, x[:, AT["own_count"]] > 1, np.full(n, size))


def test_the_feature_that_decides_is_found():
    hybrid = Hybrid.fit(planted(), OPTIONS)
    share = hybrid.importances()
    assert max(share, key=share.get) == "own_count"
    assert share["own_count"] > 0.5
    assert sum(share.values()) == pytest.approx(1)
    fresh = planted(seed=1)
    scores = hybrid.score(fresh.x, np.repeat(np.arange(60), 20), 60)
    assert scores.dtype == np.float32
    assert scores[fresh.y].min() > np.median(scores)


@pytest.mark.parametrize("objectives", [("lambdarank",), ("binary",), ("lambdarank", "binary")])
def test_a_saved_ranker_scores_the_same(tmp_path, objectives):
    rows = planted()
    hybrid = Hybrid.fit(rows, HybridOptions(trees=5, min_leaf=5, threads=1, objectives=objectives, drop=("cart",)))
    hybrid.save(tmp_path / "hybrid")
    back = Hybrid.load(tmp_path / "hybrid")
    query = np.repeat(np.arange(60), 20)
    assert set(back.boosters) == set(objectives)
    np.testing.assert_array_equal(back.columns, hybrid.columns)
    np.testing.assert_array_equal(back.score(rows.x, query, 60), hybrid.score(rows.x, query, 60))
    assert back.importances() == hybrid.importances()


def test_fits_are_equal_on_any_number_of_threads():
    rows, query = planted(n=20), np.repeat(np.arange(20), 20)
    one, again, two = (
        Hybrid.fit(rows, HybridOptions(trees=3, min_leaf=5, threads=threads)).score(rows.x, query, 20)
        for threads in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    np.testing.assert_array_equal(one, two)


def test_no_rows_get_no_scores(fitted):
    none = np.zeros((0, len(FEATURES)), np.float32)
    assert fitted.hybrid.score(none, np.zeros(0, int), 3).shape == (0,)


def test_dropped_features_are_not_read():
    hybrid = Hybrid.fit(planted(), HybridOptions(trees=5, min_leaf=5, threads=1, drop=("habit", "als")))
    gone = {*GROUPS["habit"], "als"}
    assert set(hybrid.importances()) == set(FEATURES) - gone
    rows = planted(seed=2)
    query = np.repeat(np.arange(60), 20)
    before = hybrid.score(rows.x, query, 60)
    rows.x[:, [AT[name] for name in gone]] = 7
    np.testing.assert_array_equal(hybrid.score(rows.x, query, 60), before)


def test_kept_columns():
    assert kept_columns(()).tolist() == list(range(len(FEATURES)))
    kept = [FEATURES[c] for c in kept_columns(("price", "als_rank"))]
    assert kept == [f for f in FEATURES if f not in GROUPS["price"] and f != "als_rank"]


def test_standardised_within_each_query():
    values = standardised(np.array([1.0, 3.0, 5.0, 5.0, 9.0]), np.array([0, 0, 2, 2, 3]), 5)
    np.testing.assert_allclose(values, [-1, 1, 0, 0, 0])


def test_score_of_a_query_does_not_depend_on_the_others(fitted):
    rows, query = planted(), np.repeat(np.arange(60), 20)
    whole = fitted.hybrid.score(rows.x, query, 60)
    alone = fitted.hybrid.score(rows.x[40:60], np.zeros(20, int), 1)
    np.testing.assert_allclose(alone, whole[40:60], rtol=1e-6)


# --- blend


@pytest.fixture(scope="module")
def lesson(small_shop, fitted):
    """Models, histories and hidden items of a training moment."""
    moment = small_shop.train[0]
    data = train_data(lines_before(small_shop.orders, moment.at), small_shop.catalog)
    asked = asked_orders(small_shop.orders, moment, data)
    open_, shown = ask(asked, data, nothing), ask(asked, data, any_depth)
    hidden = [(q.histories.cart, q.relevant) for q in (open_, shown)]
    return BaseModels.fit(data, fitted.options), open_.histories, hidden


def test_training_rows_keep_every_bought_candidate(lesson):
    whole, some = (training_rows(*lesson, 30, share, 0) for share in (1.0, 0.3))
    for rows in (whole, some):
        assert rows.x.shape == (len(rows.y), len(FEATURES))
        assert rows.sizes.sum() == len(rows.y)
        assert len(rows.sizes) == 2 * len(lesson[1])
    assert some.y.sum() == whole.y.sum() > 0
    assert (~some.y).sum() == pytest.approx(0.3 * (~whole.y).sum(), rel=0.05)


def test_answers_of_training_rows_are_the_bought_candidates(lesson):
    models, histories, hidden = lesson
    whole = training_rows(models, histories, hidden[:1], 30, 1.0, 0)
    relevant = hidden[0][1].toarray() > 0
    at = 0
    for q, size in enumerate(whole.sizes):
        own = whole.x[at : at + size, AT["own_count"]]
        bought = histories.counts.toarray()[q] > 0
        assert (own > 0).sum() == bought.sum()  # the whole history is among the candidates
        assert whole.y[at : at + size].sum() <= relevant[q].sum()
        assert (whole.y[at : at + size] & (own > 0)).sum() == (relevant[q] & bought).sum()
        at += size


def test_sampling_is_seeded(lesson):
    a, b, c = (training_rows(*lesson, 30, 0.2, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(a.x, b.x)
    assert a.x.shape != c.x.shape or not np.array_equal(a.x, c.x, equal_nan=True)


def test_blocks_come_back_in_order():
    for n in (0, 1, 5, 12):
        for size in (1, 5, 100):
            runs = by_block(n, lambda rows: rows.tolist(), workers=3, size=size)
            assert [row for run in runs for row in run] == list(range(n))
            assert all(len(run) <= size for run in runs)


def test_an_error_in_a_block_is_not_swallowed():
    def fail(rows):
        raise InputError(f"row {rows[0]}")

    with pytest.raises(InputError, match="row 0"):
        by_block(3, fail)


def test_lists_are_the_best_scores(small_shop, fitted):
    queries = small_shop.tasks["cart"].histories.take(slice(0, 6))
    ranked = rank(fitted.models, fitted.hybrid, queries, 30)
    items, scores = lists(ranked, 6, 5)
    for q in range(6):
        mine = ranked.candidates.query == q
        best = np.sort(ranked.scores[mine])[::-1][:5]
        np.testing.assert_array_equal(scores[q], best)
        place = dict(zip(ranked.candidates.item[mine].tolist(), ranked.scores[mine], strict=True))
        assert [place[i] for i in items[q].tolist()] == best.tolist()
