"""Metrics against the hand-worked tables of docs/metrics.md, a plain Python oracle and the laws they obey."""

import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.errors import InputError
from recsys.evaluation import metrics as m

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"
RANKED = {
    "recall": m.recall_at,
    "precision": m.precision_at,
    "hit_rate": m.hit_rate_at,
    "ndcg": m.ndcg_at,
    "ndcg full": partial(m.ndcg_at, ideal="full"),
    "ndcg k": partial(m.ndcg_at, ideal="k"),
    "mrr": m.mrr_at,
    "map": m.map_at,
    "map relevant": partial(m.map_at, divider="relevant"),
    "map k": partial(m.map_at, divider="k"),
}


# The tables of the docs.


def documented(title: str) -> dict[str, list[str]]:
    """Columns of the Markdown table under the heading `title` of docs/metrics.md."""
    section = DOCS.read_text(encoding="utf-8").split(f"### {title}\n")[1].split("\n#")[0]
    lines = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    header, _, *rows = [[cell.strip() for cell in line] for line in lines]
    return {name: [row[at] for row in rows] for at, name in enumerate(header)}


def numbers(cells: list[str]) -> np.ndarray:
    return np.array([float(cell) for cell in cells])


@pytest.mark.parametrize("k", [3, 5])
def test_ranking_metrics_give_the_documented_table(k):
    table = documented(f"Hand-worked: ranking metrics at {k}")
    hits = np.array([[mark == "1" for mark in cell.split()] for cell in table["ranks 1-5"]])
    relevant = np.array([int(cell) for cell in table["relevant"]])
    for name, metric in RANKED.items():
        np.testing.assert_allclose(metric(hits, relevant, k), numbers(table[name]), atol=5e-5, err_msg=name)


def documented_lists() -> tuple[np.ndarray, dict[str, list[str]]]:
    table = documented("Hand-worked: lists")
    rows = [[-1 if cell == "-" else int(cell) for cell in row.split()] for row in table["list"]]
    return np.array(rows), table


def documented_items() -> tuple[np.ndarray, np.ndarray]:
    table = documented("Hand-worked: seven items")
    vectors = np.array([[float(x) for x in cell.split()] for cell in table["vector"]])
    return numbers(table["popularity"]), vectors


@pytest.mark.parametrize("matrix", [np.asarray, sp.csr_matrix, lambda v: v.astype(np.float32)])
def test_list_measures_give_the_documented_table(matrix):
    (popularity, vectors), (lists, table) = documented_items(), documented_lists()
    everybody = np.tile([0, 1, 2], (len(lists), 1))
    answers = {
        "novelty": m.novelty_at(lists, popularity, 3),
        "diversity": m.intra_list_diversity_at(lists, matrix(vectors), 3),
        "overlap with 0 1 2": m.overlap_at(lists, everybody, 3),
    }
    for name, values in answers.items():
        np.testing.assert_allclose(values, numbers(table[name]), atol=5e-5, err_msg=name)
    assert m.catalog_coverage(lists, 3, 7) == 6 / 7
    assert m.catalog_coverage(lists, 1, 7) == 2 / 7


# The oracle: one query at a time, from the words of the docs.


def oracle(hits: list[bool], relevant: int, k: int) -> dict[str, float]:
    if relevant == 0:
        return dict.fromkeys(RANKED, math.nan)
    top, reach = hits[:k], min(k, relevant)
    gain = [1 / math.log2(rank + 1) for rank in range(1, max(k, relevant) + 1)]
    dcg = sum(g for g, hit in zip(gain, top, strict=False) if hit)
    average = sum(sum(top[: r + 1]) / (r + 1) for r in range(k) if top[r])
    return {
        "recall": sum(top) / relevant,
        "precision": sum(top) / k,
        "hit_rate": float(any(top)),
        "ndcg": dcg / sum(gain[:reach]),
        "ndcg full": dcg / sum(gain[:relevant]),
        "ndcg k": dcg / sum(gain[:k]),
        "mrr": next((1 / (r + 1) for r in range(k) if top[r]), 0.0),
        "map": average / reach,
        "map relevant": average / relevant,
        "map k": average / k,
    }


@st.composite
def judged(draw):
    """hits (n, k_max), n_relevant (n,) and a k; some queries without relevant items."""
    n, k_max = draw(st.integers(0, 8)), draw(st.integers(1, 12))
    row = st.lists(st.booleans(), min_size=k_max, max_size=k_max)
    hits = np.array(draw(st.lists(row, min_size=n, max_size=n)), dtype=bool).reshape(n, k_max)
    missed = np.array(draw(st.lists(st.integers(0, 30), min_size=n, max_size=n)), dtype=int)
    return hits, hits.sum(axis=1) + missed, draw(st.integers(1, k_max))


@settings(max_examples=80, deadline=None)
@given(judged())
def test_every_metric_agrees_with_the_oracle(case):
    hits, relevant, k = case
    expected = [oracle(list(h), int(r), k) for h, r in zip(hits, relevant, strict=True)]
    for name, metric in RANKED.items():
        np.testing.assert_allclose(metric(hits, relevant, k), [e[name] for e in expected], err_msg=name)


@settings(max_examples=40, deadline=None)
@given(judged())
def test_one_pass_equals_the_single_functions(case):
    hits, relevant, k = case
    ks = sorted({1, k, hits.shape[1]})
    together = m.ranking_metrics(hits, relevant, ks)
    assert set(together) == {(name, each) for name in m.RANKING for each in ks}
    for (name, each), values in together.items():
        np.testing.assert_array_equal(values, RANKED[name](hits, relevant, each))


@settings(max_examples=60, deadline=None)
@given(judged(), st.randoms(use_true_random=False))
def test_laws(case, random):
    hits, relevant, k = case
    all_ks = list(range(1, hits.shape[1] + 1))
    values = m.ranking_metrics(hits, relevant, all_ks)
    some = relevant > 0
    for (name, each), value in values.items():
        assert np.isnan(value[~some]).all()
        assert ((value[some] >= 0) & (value[some] <= 1)).all(), (name, each)
    for name in ("recall", "hit_rate", "mrr"):
        steps = np.diff([values[name, each][some] for each in all_ks], axis=0)
        assert (steps >= 0).all(), f"{name} falls with k"
    for each in all_ks:
        assert (values["hit_rate", each][some] >= values["recall", each][some]).all()
        assert ((values["recall", each] > 0) == (values["hit_rate", each] == 1))[some].all()
    order = random.sample(range(len(hits)), len(hits))
    turned = m.ranking_metrics(hits[order], relevant[order], [k])
    longer = m.ranking_metrics(np.pad(hits, ((0, 0), (0, 1))), relevant, all_ks)
    for (name, each), value in turned.items():
        np.testing.assert_array_equal(value, values[name, each][order])
    for key, value in values.items():
        np.testing.assert_array_equal(value, longer[key])


def test_a_perfect_list_scores_one_everywhere():
    hits = np.arange(6) < np.array([[1], [4], [6]])
    for (name, k), value in m.ranking_metrics(hits, np.array([1, 4, 6]), [1, 4, 6]).items():
        if name != "precision" and not (name == "recall" and k < 6):
            np.testing.assert_array_equal(value, 1, err_msg=f"{name}@{k}")


def test_precision_of_what_was_shown_divides_by_the_length():
    hits = np.array([[True, False, False, False], [True, True, False, False], [False] * 4])
    lengths, relevant = np.array([1, 4, 0]), np.array([2, 2, 2])
    np.testing.assert_allclose(m.precision_at(hits, relevant, 3, lengths), [1, 2 / 3, 0])
    np.testing.assert_allclose(m.precision_at(hits, relevant, 3), [1 / 3, 2 / 3, 0])
    with pytest.raises(InputError, match=r"row 1 has a hit behind its length 1"):
        m.precision_at(hits, relevant, 3, np.array([1, 1, 0]))
    with pytest.raises(InputError, match="3 lists need one length each"):
        m.precision_at(hits, relevant, 3, np.array([1, 1]))


HITS, RELEVANT = np.array([[True, True], [False, True]]), np.array([2, 1])


@pytest.mark.parametrize(
    ("hits", "relevant", "k", "message"),
    [
        (HITS, RELEVANT, 3, r"k = 3 does not lie in 1 … 2"),
        (HITS, RELEVANT, 0, r"k = 0 does not lie"),
        (HITS, np.array([1, 1]), 2, r"row 0 has 2 hits but 1 relevant"),
        (HITS.astype(float), RELEVANT, 2, r"hits must be bool .* not float64"),
        (HITS, np.array([2]), 2, r"n_relevant must be int \(2,\)"),
        (HITS, RELEVANT / 1, 2, r"n_relevant must be int .* not float64"),
    ],
)
def test_inputs_that_would_mislead_are_refused(hits, relevant, k, message):
    with pytest.raises(InputError, match=message):
        m.recall_at(hits, relevant, k)


def test_unknown_dividers_are_refused():
    with pytest.raises(InputError, match="called 'most'"):
        m.ndcg_at(HITS, RELEVANT, 2, ideal="most")
    with pytest.raises(InputError, match="called 'most'"):
        m.map_at(HITS, RELEVANT, 2, divider="most")


# Lists.


@st.composite
def recommended(draw):
    """Lists without repeats, -1 at their end, relevant items and an oracle's view of both."""
    n, k, n_items = draw(st.integers(0, 6)), draw(st.integers(1, 6)), draw(st.integers(1, 9))
    rows = [draw(st.lists(st.integers(0, n_items - 1), unique=True, max_size=k)) for _ in range(n)]
    wanted = [draw(st.sets(st.integers(0, n_items - 1))) for _ in range(n)]
    lists = np.array([row + [-1] * (k - len(row)) for row in rows], dtype=np.int32).reshape(n, k)
    dense = np.zeros((n, n_items), dtype=bool)
    for query, items in enumerate(wanted):
        dense[query, list(items)] = True
    return lists, rows, wanted, sp.csr_matrix(dense)


@settings(max_examples=80, deadline=None)
@given(recommended())
def test_find_hits_agrees_with_set_membership(case):
    lists, rows, wanted, relevant = case
    expected = np.zeros(lists.shape, dtype=bool)
    for query, row in enumerate(rows):
        expected[query, : len(row)] = [item in wanted[query] for item in row]
    np.testing.assert_array_equal(m.find_hits(lists, relevant), expected)
    assert m.count_relevant(relevant).tolist() == [len(items) for items in wanted]
    assert m.list_lengths(lists).tolist() == [len(row) for row in rows]


def test_relevant_items_may_be_unsorted_repeated_or_stored_as_false():
    columns, values = np.array([3, 0, 3, 1]), np.array([True, True, True, False])
    relevant = sp.csr_matrix((values, columns, np.array([0, 4])), shape=(1, 4))
    assert m.find_hits(np.array([[1, 3, 0]]), relevant).tolist() == [[False, True, True]]
    assert m.count_relevant(relevant).tolist() == [2]
    assert relevant.nnz == 4, "the caller's matrix is not touched"


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ([[0, 1, 2], [3, 1, 3]], r"query row 1: item 3 stands twice"),
        ([[0, 1, 2], [0, 4, 1]], r"query row 1: item 4 is no known item"),
        ([[0, -2, 2], [0, 1, 2]], r"query row 0: item -2 is no known item"),
        ([[0, -1, 2], [0, 1, 2]], r"query row 0: item 2 stands behind a gap"),
        ([[0.0, 1.0, 2.0], [0, 1, 2]], r"lists must be int .* not float64"),
        ([[0, 1, 2]], r"1 lists but 2 rows of relevant items"),
    ],
)
def test_find_hits_refuses_broken_lists(lists, message):
    with pytest.raises(InputError, match=message):
        m.find_hits(np.array(lists), sp.csr_matrix(np.ones((2, 4), dtype=bool)))


@settings(max_examples=60, deadline=None)
@given(recommended(), st.integers(0, 2**32 - 1), st.booleans())
def test_list_measures_agree_with_loops(case, seed, sparse):
    lists, rows, _, relevant = case
    n_items, k = relevant.shape[1], lists.shape[1]
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(n_items, 3))
    vectors[0] = 0
    vectors[1:] /= np.linalg.norm(vectors[1:], axis=1, keepdims=True)
    counts = random.integers(0, 5, n_items) + np.eye(1, n_items)[0]
    share = np.maximum(counts, counts[counts > 0].min()) / counts.sum()
    novelty, diversity = [], []
    for row in rows:
        novelty.append(sum(-math.log2(share[i]) for i in row) / len(row) if row else math.nan)
        cosines = [vectors[i] @ vectors[j] for i in row for j in row if i < j]
        diversity.append(1 - sum(cosines) / len(cosines) if cosines else math.nan)
    given_vectors = sp.csr_matrix(vectors) if sparse else vectors
    np.testing.assert_allclose(m.novelty_at(lists, counts, k), novelty)
    answer = m.intra_list_diversity_at(lists, given_vectors, k, block=2)
    np.testing.assert_allclose(answer, diversity, atol=1e-12)
    assert m.catalog_coverage(lists, k, n_items) == len({i for row in rows for i in row}) / n_items


@settings(max_examples=60, deadline=None)
@given(recommended(), st.randoms(use_true_random=False), st.integers(1, 6))
def test_overlap_agrees_with_sets_and_is_symmetric(case, random, k):
    lists, rows, _, _ = case
    k = min(k, lists.shape[1])
    order = random.sample(range(len(rows)), len(rows))
    expected = []
    for a, b in zip(rows, (rows[at] for at in order), strict=True):
        longer = max(len(a[:k]), len(b[:k]))
        expected.append(len(set(a[:k]) & set(b[:k])) / longer if longer else math.nan)
    np.testing.assert_allclose(m.overlap_at(lists, lists[order], k), expected)
    np.testing.assert_array_equal(m.overlap_at(lists, lists[order], k), m.overlap_at(lists[order], lists, k))


def test_list_measures_refuse_what_they_cannot_mean():
    lists = np.array([[0, 1], [1, -1]])
    with pytest.raises(InputError, match=r"k = 3 does not lie in 1 … 2"):
        m.catalog_coverage(lists, 3, 2)
    with pytest.raises(InputError, match="item 1 is no known item"):
        m.novelty_at(lists, np.array([1.0]), 2)
    with pytest.raises(InputError, match="positive for at least one item"):
        m.novelty_at(lists, np.zeros(2), 2)
    with pytest.raises(InputError, match="vector of item 1 has length 2"):
        m.intra_list_diversity_at(lists, np.array([[1.0, 0], [0, 2]]), 2)
    with pytest.raises(InputError, match="2 lists against 1"):
        m.overlap_at(lists, lists[:1], 2)
    assert math.isnan(m.catalog_coverage(np.empty((0, 2), dtype=int), 2, 0))
