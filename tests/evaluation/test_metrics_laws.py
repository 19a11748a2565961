"""Laws of the ranking metrics beyond one list at a time: moves that must help, dividers that must order, names."""

from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import sparse as sp

from recsys.evaluation import metrics as m

DIVIDERS = {
    "ndcg": [partial(m.ndcg_at, ideal=ideal) for ideal in ("min", "full", "k")],
    "map": [partial(m.map_at, divider=divider) for divider in ("min", "relevant", "k")],
}
EVERY = [m.recall_at, m.precision_at, m.hit_rate_at, m.mrr_at, *DIVIDERS["ndcg"], *DIVIDERS["map"]]
BY_COUNT = [m.recall_at, m.precision_at, m.hit_rate_at]
TINY = 1e-12
cases = settings(max_examples=60, deadline=None)


@st.composite
def judged(draw, least=1):
    """hits bool (n, width) and n_relevant ≥ 1 (n,), from a seed."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    hits = random.random((draw(st.integers(1, 12)), draw(st.integers(least, 10)))) < random.random()
    return hits, np.maximum(hits.sum(axis=1) + random.integers(0, 15, len(hits)), 1)


@cases
@given(judged(), st.randoms(use_true_random=False))
def test_the_order_of_the_queries_does_not_matter(case, random):
    hits, relevant = case
    order = random.sample(range(len(hits)), len(hits))
    for metric in EVERY:
        k = hits.shape[1]
        np.testing.assert_array_equal(metric(hits[order], relevant[order], k), metric(hits, relevant, k)[order])


@cases
@given(judged(least=2), st.data())
def test_a_hit_that_moves_up_helps_and_never_by_count(case, data):
    """Swap a hit with the miss right above it: what looks at places rises, what counts stays."""
    hits, relevant = case
    rank = data.draw(st.integers(1, hits.shape[1] - 1))
    better = hits.copy()
    better[:, [rank - 1, rank]] = better[:, [rank, rank - 1]]
    moved = hits[:, rank] & ~hits[:, rank - 1]
    assume(moved.any())
    k = hits.shape[1]
    for metric in BY_COUNT:
        np.testing.assert_array_equal(metric(better, relevant, k), metric(hits, relevant, k))
    for metric in DIVIDERS["ndcg"] + DIVIDERS["map"]:
        assert (metric(better, relevant, k)[moved] > metric(hits, relevant, k)[moved]).all()
    assert (m.mrr_at(better, relevant, k)[moved] >= m.mrr_at(hits, relevant, k)[moved]).all()


@cases
@given(judged(), st.data())
def test_one_more_hit_helps_where_the_number_of_relevant_items_is_the_same(case, data):
    hits, relevant = case
    rank = data.draw(st.integers(0, hits.shape[1] - 1))
    more = hits.copy()
    more[:, rank] = True
    gained = ~hits[:, rank]
    relevant = np.maximum(relevant, more.sum(axis=1))
    for metric in EVERY:
        change = metric(more, relevant, hits.shape[1]) - metric(hits, relevant, hits.shape[1])
        assert (change[~gained] == 0).all()
        if metric in (m.hit_rate_at, m.mrr_at):
            assert (change >= 0).all()
        else:
            assert (change[gained] > 0).all()


@cases
@given(judged())
def test_what_has_a_divider_without_k_cannot_fall_with_k(case):
    """The others may: nDCG and MAP over min(k, R) or k, and precision, have a divider that grows."""
    hits, relevant = case
    ks = range(1, hits.shape[1] + 1)
    for metric in (m.recall_at, m.hit_rate_at, m.mrr_at, DIVIDERS["ndcg"][1], DIVIDERS["map"][1]):
        steps = np.diff([metric(hits, relevant, k) for k in ks], axis=0)
        assert (steps >= -TINY).all(), metric
    found = np.array([m.precision_at(hits, relevant, k) * k for k in ks])
    np.testing.assert_allclose(np.diff(found, axis=0), hits.T[1:], atol=TINY)


@pytest.mark.parametrize("metric", [m.precision_at, *DIVIDERS["ndcg"][::2], *DIVIDERS["map"][::2]])
def test_what_has_a_growing_divider_does_fall_with_k(metric):
    hits, relevant = np.array([[True, False]]), np.array([2])
    assert metric(hits, relevant, 1) > metric(hits, relevant, 2)


@cases
@given(judged())
def test_a_larger_divider_never_gives_more(case):
    """min(k, R) is the smallest of the three, so ours is the largest figure; equal where R = k."""
    hits, relevant = case
    k = hits.shape[1]
    for ours, by_relevant, by_k in DIVIDERS.values():
        value = ours(hits, relevant, k)
        assert (value >= by_relevant(hits, relevant, k) - TINY).all()
        assert (value >= by_k(hits, relevant, k) - TINY).all()
        exact = np.full(len(hits), k)
        np.testing.assert_allclose(ours(hits, exact, k), by_relevant(hits, exact, k))
        np.testing.assert_allclose(ours(hits, exact, k), by_k(hits, exact, k))
        fewer, more = relevant <= k, relevant >= k
        np.testing.assert_allclose(value[fewer], by_relevant(hits, relevant, k)[fewer])
        np.testing.assert_allclose(value[more], by_k(hits, relevant, k)[more])


@cases
@given(judged(), st.integers(1, 10))
def test_what_stands_behind_k_does_not_count(case, k):
    hits, relevant = case
    k = min(k, hits.shape[1])
    cut = hits.copy()
    cut[:, k:] = False
    for metric in EVERY:
        np.testing.assert_array_equal(metric(hits, relevant, k), metric(cut, relevant, k))


@cases
@given(judged(), st.integers(0, 2**32 - 1))
def test_precision_of_what_was_shown_agrees_with_a_loop(case, seed):
    hits, relevant = case
    lengths = np.random.default_rng(seed).integers(0, hits.shape[1] + 1, len(hits))
    hits = hits & (np.arange(hits.shape[1]) < lengths[:, None])
    for k in range(1, hits.shape[1] + 1):
        expected = [sum(h[:k]) / min(k, n) if n else 0.0 for h, n in zip(hits.tolist(), lengths, strict=True)]
        np.testing.assert_allclose(m.precision_at(hits, relevant, k, lengths), expected)


@cases
@given(st.integers(0, 2**32 - 1))
def test_names_of_items_and_order_of_relevant_items_do_not_matter(seed):
    """Rename every item, and the columns of the matrix with it: the hits are the same."""
    random = np.random.default_rng(seed)
    lists = np.argsort(random.random((6, 9)), axis=1)[:, :5]
    relevant = random.random((6, 9)) < 0.4
    name = random.permutation(9)
    renamed = np.zeros_like(relevant)
    renamed[:, name] = relevant
    hits = m.find_hits(lists, sp.csr_matrix(relevant))
    np.testing.assert_array_equal(m.find_hits(name[lists], sp.csr_matrix(renamed)), hits)
    assert hits.sum() == sum(relevant[q, item] for q, row in enumerate(lists) for item in row)
