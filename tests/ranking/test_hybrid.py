"""The ranker learns, forgets nothing on disk, and answers the same on any number of threads."""

from dataclasses import replace

import numpy as np
import pytest

from recsys.data.interactions import lines_before, train_data
from recsys.data.splits import ask, asked_orders, half, nothing
from recsys.errors import InputError
from recsys.ranking.base_models import BaseModels, cart_scores, history_scores
from recsys.ranking.blend import by_block, lists, rank
from recsys.ranking.candidates import candidates
from recsys.ranking.features import FEATURES, GROUPS
from recsys.ranking.hybrid import Hybrid, HybridOptions, kept_columns
from recsys.ranking.training_rows import TrainingRows
from recsys.ranking.within_query import standardised
from recsys.training_set import SHORT, moment_rows, training_rows
from tests.conftest import FEW

AT = {name: place for place, name in enumerate(FEATURES)}
PROPOSALS = HybridOptions(**FEW).proposals
OPTIONS = HybridOptions(trees=15, min_leaf=5, threads=1)


def planted(seed=0, n=60, size=20):
    """Rows where one feature decides, and all others are noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n * size, len(FEATURES))).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    x[:, AT["own_count"]] = rng.normal(size=n * size)
    y = x[:, AT["own_count"]] > 1
    bought = y.reshape(n, size).sum(axis=1)
    return TrainingRows(x, y, np.full(n, size), bought, np.arange(n) % 2 == 0, np.arange(n) % 10 == 0)


def scores_of(hybrid, x, query, n):
    return hybrid.judge(x, query, np.zeros(n, bool))[0]


def test_the_feature_that_decides_is_found():
    hybrid = Hybrid.fit(planted(), OPTIONS)
    share = hybrid.importances()
    assert max(share, key=share.get) == "own_count"
    assert share["own_count"] > 0.5
    assert sum(share.values()) == pytest.approx(1)
    fresh = planted(seed=1)
    scores = scores_of(hybrid, fresh.x, np.repeat(np.arange(60), 20), 60)
    assert scores.dtype == np.float32
    assert scores[fresh.y].min() > np.median(scores)


@pytest.mark.parametrize(
    ("objectives", "names"),
    [
        (("lambdarank",), {"lambdarank"}),
        (("binary",), {"binary"}),
        (("rank_xendcg", "binary", "rank_xendcg"), {"rank_xendcg", "binary", "rank_xendcg-2"}),
    ],
)
def test_a_saved_ranker_scores_the_same(tmp_path, objectives, names):
    rows = planted()
    hybrid = Hybrid.fit(rows, HybridOptions(trees=5, min_leaf=5, threads=1, objectives=objectives, drop=("cart",),
                                             reranked=7))  # fmt: skip
    hybrid.save(tmp_path / "hybrid")
    back = Hybrid.load(tmp_path / "hybrid")
    assert back.reranked == hybrid.reranked == 7
    query = np.repeat(np.arange(60), 20)
    assert set(back.boosters) == names
    np.testing.assert_array_equal(back.columns, hybrid.columns)
    np.testing.assert_array_equal(scores_of(back, rows.x, query, 60), scores_of(hybrid, rows.x, query, 60))
    assert back.importances() == hybrid.importances()


def test_an_objective_named_twice_is_asked_with_two_seeds():
    rows = planted()
    given = HybridOptions(trees=5, reader_share=1, min_leaf=5, threads=1)
    hybrid = Hybrid.fit(rows, replace(given, objectives=("binary", "binary"), seed=4))
    first, second = hybrid.output("binary", rows.x), hybrid.output("binary-2", rows.x)
    assert not np.array_equal(first, second)
    alone = replace(given, objectives=("binary",), seed=5)
    np.testing.assert_array_equal(second, Hybrid.fit(rows, alone).output("binary", rows.x))


def test_fits_are_equal_on_any_number_of_threads():
    rows, query = planted(n=20), np.repeat(np.arange(20), 20)
    one, again, two = (
        scores_of(Hybrid.fit(rows, HybridOptions(trees=3, min_leaf=5, threads=threads)), rows.x, query, 20)
        for threads in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    np.testing.assert_array_equal(one, two)


def test_no_rows_get_no_scores(fitted):
    none = np.zeros((0, len(FEATURES)), np.float32)
    assert scores_of(fitted.hybrid, none, np.zeros(0, int), 3).shape == (0,)


def test_dropped_features_are_not_read():
    hybrid = Hybrid.fit(planted(), HybridOptions(trees=5, min_leaf=5, threads=1, drop=("habit", "als")))
    gone = {*GROUPS["habit"], "als"}
    assert set(hybrid.importances()) == set(FEATURES) - gone
    rows = planted(seed=2)
    query = np.repeat(np.arange(60), 20)
    before = scores_of(hybrid, rows.x, query, 60)
    rows.x[:, [AT[name] for name in gone]] = 7
    np.testing.assert_array_equal(scores_of(hybrid, rows.x, query, 60), before)


def test_kept_columns():
    assert kept_columns(()).tolist() == list(range(len(FEATURES)))
    kept = [FEATURES[c] for c in kept_columns(("price", "als_rank"))]
    assert kept == [f for f in FEATURES if f not in GROUPS["price"] and f != "als_rank"]


def test_standardised_within_each_query():
    values = standardised(np.array([1.0, 3.0, 5.0, 5.0, 9.0]), np.array([0, 0, 2, 2, 3]), 5)
    np.testing.assert_allclose(values, [-1, 1, 0, 0, 0])


def test_score_of_a_query_does_not_depend_on_the_others(fitted):
    rows, query = planted(), np.repeat(np.arange(60), 20)
    whole = scores_of(fitted.hybrid, rows.x, query, 60)
    alone = scores_of(fitted.hybrid, rows.x[40:60], np.zeros(20, int), 1)
    np.testing.assert_allclose(alone, whole[40:60], rtol=1e-6)


@pytest.mark.parametrize("reranked", [1, 3, 19, 20, 150])
def test_all_boosters_order_the_best_of_the_reader_and_the_others_follow(reranked):
    """Queries of 20, of one and of no candidate; without ties but where all is alike."""
    rows = planted()
    objectives = ("rank_xendcg", "binary", "rank_xendcg")
    hybrid = replace(Hybrid.fit(rows, replace(OPTIONS, objectives=objectives)), reranked=reranked)
    assert hybrid.reader == "binary"
    query = np.concatenate([np.repeat(np.arange(5), 20), [6]])
    x = rows.x[: len(query)]
    score, chance = hybrid.judge(x, query, np.zeros(8, bool))
    first, *more = (hybrid.output(name, x) for name in ("binary", "rank_xendcg", "rank_xendcg-2"))
    for q in range(8):
        mine = np.flatnonzero(query == q)
        order = sorted(mine, key=lambda r: (-first[r], r))
        best, others = order[:reranked], order[reranked:]
        if not len(mine):
            continue
        z = [(out[best] - out[best].mean()) / max(out[best].std(), 1e-9) for out in (first, *more)]
        np.testing.assert_allclose(score[best], np.mean(z, axis=0), atol=1e-5)
        for low, high in zip(others[1:], others, strict=False):
            assert score[low] - score[high] == pytest.approx(first[low] - first[high], abs=1e-5)
        if others:
            assert score[others[0]] <= score[best].min() + 1e-6
    np.testing.assert_array_equal(chance, hybrid.chances.probabilities(first, np.zeros(len(x), bool)))


def planted_new(seed=0, n=60, size=20):
    """Half of each query's rows new: of the old ones `price` decides what is bought, of the new ones `popularity`."""
    rows = planted(seed, n, size)
    new = np.arange(len(rows.y)) % 2 == 0
    rows.x[:, AT["own_count"]] = np.where(new, 0, 3)
    y = np.where(new, rows.x[:, AT["popularity"]] > 1, rows.x[:, AT["price"]] > 0.5)
    return replace(rows, y=y, relevant=y.reshape(n, size).sum(axis=1)), new


def test_boosters_of_new_items_order_those_and_leave_the_others():
    (rows, _), (fresh, new) = planted_new(), planted_new(seed=1)
    query, no_cart = np.repeat(np.arange(60), 20), np.zeros(60, bool)
    whole = Hybrid.fit(rows, OPTIONS)
    without = Hybrid.fit(rows, replace(OPTIONS, of_new=()))
    assert (list(whole.of_new), list(without.of_new)) == (["rank_xendcg-2"], [])
    score, chance = whole.judge(fresh.x, query, no_cart)
    plain, same = without.judge(fresh.x, query, no_cart)
    np.testing.assert_array_equal(chance, same)
    np.testing.assert_array_equal(score[~new], plain[~new])
    np.testing.assert_array_equal(np.sort(score[new].reshape(60, -1)), np.sort(plain[new].reshape(60, -1)))
    assert (score[new] != plain[new]).any()
    voices = [whole.output(name, fresh.x)[new] for name in ("binary", "rank_xendcg", "rank_xendcg-2")]
    mean = np.mean([standardised(voice, query[new], 60) for voice in voices], axis=0)
    for q in range(60):
        mine = query[new] == q
        np.testing.assert_array_equal(np.argsort(-score[new][mine]), np.argsort(-mean[mine]))


def test_boosters_of_new_items_learn_from_them_alone():
    rows, new = planted_new()
    other = replace(rows, x=rows.x.copy(), y=rows.y & new)
    other.x[~new] = 7
    one, two = (Hybrid.fit(r, OPTIONS).of_new["rank_xendcg-2"].model_to_string() for r in (rows, other))
    assert one.split("Tree=0")[1].split("parameters:")[0] == two.split("Tree=0")[1].split("parameters:")[0]


def test_too_few_new_items_bought_teach_no_booster():
    rows, new = planted_new()
    rows.y[new] = False
    assert Hybrid.fit(rows, OPTIONS).of_new == {}


def test_the_reader_has_fewer_trees():
    hybrid = Hybrid.fit(planted(), HybridOptions(trees=10, reader_share=0.25, min_leaf=5, threads=1))
    assert {name: b.num_trees() for name, b in hybrid.boosters.items()} == {"binary": 2, "rank_xendcg": 10}


# --- blend


@pytest.fixture(scope="module")
def lesson(small_shop, fitted):
    """Models of a training moment, and its orders asked without and with a cart."""
    moment = small_shop.train[0]
    data = train_data(lines_before(small_shop.orders, moment.at), small_shop.catalog)
    asked = asked_orders(small_shop.orders, moment, data)
    return BaseModels.fit(data, fitted.options), [ask(asked, data, shown) for shown in (nothing, half)]


def test_training_rows_keep_every_bought_candidate(lesson):
    whole, some = (training_rows(*lesson, PROPOSALS, share, 0) for share in (1.0, 0.3))
    for rows in (whole, some):
        assert rows.x.shape == (len(rows.y), len(FEATURES))
        assert rows.sizes.sum() == len(rows.y)
        assert len(rows.sizes) == 2 * len(lesson[1][0])
    assert some.y.sum() == whole.y.sum() > 0
    assert (~some.y).sum() == pytest.approx(0.3 * (~whole.y).sum(), rel=0.05)


def test_answers_of_training_rows_are_the_bought_candidates(lesson):
    models, asks = lesson
    histories = asks[0].histories
    found = candidates(history_scores(models, histories) | cart_scores(models, histories), histories, PROPOSALS)
    whole = training_rows(models, asks[:1], PROPOSALS, 1.0, 0)
    relevant = asks[0].relevant.toarray() > 0
    assert whole.relevant.tolist() == relevant.sum(axis=1).tolist()
    assert whole.sizes.tolist() == np.bincount(found.query, minlength=len(histories)).tolist()
    assert whole.y.tolist() == relevant[found.query, found.item].tolist()
    bought = histories.times.toarray()[found.query, found.item]
    assert whole.x[:, AT["own_count"]].tolist() == bought.tolist()
    assert 0 < (whole.y & (bought > 0)).sum() < whole.y.sum()


def test_sampling_is_seeded(lesson):
    a, b, c = (training_rows(*lesson, PROPOSALS, 0.2, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(a.x, b.x)
    assert a.x.shape != c.x.shape or not np.array_equal(a.x, c.x, equal_nan=True)


def test_newcomers_are_among_the_lessons(small_shop, fitted):
    """A share of the orders is asked again with few orders of history, with and without a cart, and weighs its part."""
    moment = small_shop.train[0]
    data = train_data(lines_before(small_shop.orders, moment.at), small_shop.catalog)
    asked, models = asked_orders(small_shop.orders, moment, data), BaseModels.fit(data, fitted.options)
    n = asked.height
    plain, more = (
        moment_rows(models, data, asked, HybridOptions(**FEW, negatives=1, short_histories=share)) for share in (0, 0.5)
    )
    assert len(plain.sizes) == 2 * n
    assert len(more.sizes) == 2 * n + 2 * round(n / 2)
    first = np.concatenate([[0], np.cumsum(more.sizes)[:-1]])[2 * n :]
    assert set(more.x[first, AT["n_orders"]]) == set(SHORT)
    assert more.with_cart.sum() == n + round(n / 2)
    assert 0 < more.held.mean() < 0.3


def test_probabilities_are_those_of_orders_not_learned_from():
    """Noise learned by heart would promise too much; what was held back says what a score is worth."""
    rng = np.random.default_rng(0)
    n, size = 400, 20
    x = rng.normal(size=(n * size, len(FEATURES))).astype(np.float32)
    y = rng.random(n * size) < 0.1
    query = np.repeat(np.arange(n), size)
    rows = TrainingRows(x, y, np.full(n, size), np.bincount(query, y), np.arange(n) % 2 == 0, np.arange(n) % 4 == 0)
    hybrid = Hybrid.fit(rows, HybridOptions(trees=40, min_leaf=5, threads=1, negatives=1, objectives=("binary",)))
    chance = hybrid.judge(x, query, rows.with_cart)[1]
    held = rows.held[query]
    assert chance[held].mean() == pytest.approx(y[held].mean(), abs=0.01)
    assert chance[held].std() < 0.03


def test_dropped_negatives_are_made_up_for():
    """Three in four rows not bought were left away: a probability counts them all the same."""
    whole = planted(n=400)
    rng = np.random.default_rng(1)
    kept = whole.y | (rng.random(len(whole.y)) < 0.25)
    query = np.repeat(np.arange(400), 20)[kept]
    some = TrainingRows(
        whole.x[kept], whole.y[kept], np.bincount(query, minlength=400), whole.relevant, whole.with_cart, whole.held
    )
    hybrid = Hybrid.fit(some, HybridOptions(trees=15, min_leaf=5, threads=1, negatives=0.25))
    chance = hybrid.judge(whole.x, np.repeat(np.arange(400), 20), whole.with_cart)[1]
    assert chance.mean() == pytest.approx(whole.y.mean(), rel=0.1)


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


@pytest.mark.parametrize("task", ["next_basket", "cart"])
def test_what_is_barred_changes_nothing_of_the_others(small_shop, fitted, task):
    """A request without the bought items is judged by the features that the ranker learned from."""
    queries = small_shop.tasks[task].histories.take(slice(0, 30))
    barred = queries.times.toarray() > 0
    whole, some = (rank(fitted.models, fitted.hybrid, queries, no) for no in (None, barred))
    assert barred[whole.candidates.query, whole.candidates.item].any()
    assert not barred[some.candidates.query, some.candidates.item].any()
    cells = [found.candidates.query * barred.shape[1] + found.candidates.item for found in (whole, some)]
    left = ~barred[whole.candidates.query, whole.candidates.item]
    at = np.searchsorted(cells[1], cells[0][left])
    np.testing.assert_array_equal(cells[1][at], cells[0][left])  # all that are left, and more that come after them
    assert len(some.candidates) > left.sum()
    np.testing.assert_array_equal(some.features[at], whole.features[left])


def test_lists_are_the_best_scores(small_shop, fitted):
    queries = small_shop.tasks["cart"].histories.take(slice(0, 6))
    ranked = rank(fitted.models, fitted.hybrid, queries)
    items, scores = lists(ranked, 6, 5)
    for q in range(6):
        mine = ranked.candidates.query == q
        best = np.sort(ranked.scores[mine])[::-1][:5]
        np.testing.assert_array_equal(scores[q], best)
        place = dict(zip(ranked.candidates.item[mine].tolist(), ranked.scores[mine], strict=True))
        assert [place[i] for i in items[q].tolist()] == best.tolist()


def test_sources_of_the_cart_and_of_the_history_propose_numbers_of_their_own():
    found = HybridOptions(per_cart_source=3, per_history_source=2).proposals
    assert found == {
        "popularity": 2, "frequency": 2, "tifu_knn": 2, "user_knn": 2, "item_knn_history": 2, "type_knn_history": 2,
        "content_history": 2, "als": 2, "basket_knn": 3, "item_knn_cart": 3, "type_knn_cart": 3, "content_cart": 3,
    }  # fmt: skip
