"""Candidates against a plain reading of their promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recsys.data.histories import Histories, carts
from recsys.ranking.base_models import cart_scores, history_scores
from recsys.ranking.candidates import candidates

N, M = 3, 12
VALUES = st.sampled_from([np.nan, -1.0, 0.0, 0.25, 0.5, 1.0, 2.0])
SOURCE = arrays(np.float32, (N, M), elements=VALUES)
ITEMS = st.lists(st.lists(st.integers(0, M - 1), max_size=4), min_size=N, max_size=N)


def asked(history, cart):
    sizes = [len(row) for row in history]
    m = sum(sizes)
    return Histories(
        np.concatenate([[0], np.cumsum(sizes)]),
        np.array([i for row in history for i in row], np.int32),
        np.zeros(m, np.int32),
        np.ones(m, np.float32),
        np.ones(m, np.float32),
        carts([np.array(row, int) for row in cart], M),
        np.full(N, -1),
    )


@settings(max_examples=150, deadline=None)
@given(SOURCE, SOURCE, ITEMS, ITEMS, st.none() | arrays(bool, (N, M)), st.tuples(*[st.integers(1, 6)] * 2))
def test_candidates_are_the_best_of_each_source(one, two, history, cart, barred, most):
    sources, proposals = {"one": one, "two": two}, dict(zip(("one", "two"), most, strict=True))
    found = candidates(sources, asked(history, cart), proposals, barred)
    expected = {}
    for q in range(N):
        ranks, chosen = {}, set()
        for name, scores in sources.items():
            listed = [i for i in range(M) if i not in cart[q] and scores[q, i] > 0]
            listed.sort(key=lambda i: (-scores[q, i], i))
            ranks[name] = {item: at + 1 for at, item in enumerate(listed[: proposals[name]])}
            chosen |= set([i for i in listed if barred is None or not barred[q, i]][: proposals[name]])
        for item in chosen:
            expected[q, item] = {name: ranks[name].get(item, np.nan) for name in sources}
    assert list(zip(found.query.tolist(), found.item.tolist(), strict=True)) == sorted(expected)
    for name, scores in sources.items():
        wanted = np.array([expected[key][name] for key in sorted(expected)], np.float32)
        np.testing.assert_array_equal(found.ranks[name], wanted)
        np.testing.assert_array_equal(found.scores[name], scores[found.query, found.item])
        assert found.ranks[name].dtype == found.scores[name].dtype == np.float32


def test_take_keeps_rows_together():
    one = np.arange(N * M, dtype=np.float32).reshape(N, M)
    found = candidates({"one": one}, asked([[0], [], [5]], [[1], [2], []]), {"one": 3})
    assert found.item.tolist() == [9, 10, 11] * N
    some = found.take(np.array([4, 0]))
    assert len(some) == 2
    assert some.item.tolist() == found.item[[4, 0]].tolist()
    assert some.scores["one"].tolist() == found.scores["one"][[4, 0]].tolist()
    np.testing.assert_array_equal(some.ranks["one"], found.ranks["one"][[4, 0]])


@pytest.mark.parametrize("task", ["next_basket", "cart"])
def test_a_shops_candidates(small_shop, fitted, task):
    queries = small_shop.tasks[task].histories.take(slice(0, 20))
    sources = history_scores(fitted.models, queries) | cart_scores(fitted.models, queries)
    found = candidates(sources, queries, dict.fromkeys(sources, 5))
    cart, bought = queries.cart.toarray() > 0, queries.counts.toarray() > 0
    most = queries.decayed(60).toarray().argmax(axis=1)
    listed = np.zeros(cart.shape, bool)
    listed[found.query, found.item] = True
    assert not (listed & cart).any()
    assert (listed | cart)[np.arange(len(queries)), most].all()
    assert (listed & ~bought).any(axis=1).mean() > 0.5
    for ranks in found.ranks.values():
        for q in range(len(queries)):
            mine = ranks[(found.query == q) & ~np.isnan(ranks)]
            assert sorted(mine.tolist()) == list(range(1, len(mine) + 1))
            assert len(mine) <= 5


def test_one_query_alone_has_the_same_candidates(small_shop, fitted):
    queries = small_shop.tasks["cart"].histories.take(slice(0, 10))
    sources = history_scores(fitted.models, queries) | cart_scores(fitted.models, queries)
    five = dict.fromkeys(sources, 5)
    block = candidates(sources, queries, five)
    for q in range(len(queries)):
        alone = candidates({name: s[q : q + 1] for name, s in sources.items()}, queries.take([q]), five)
        assert alone.item.tolist() == block.item[block.query == q].tolist()
