"""Groups: every query and item is where it belongs, recall of a group by hand and by brute force, the ratio by law."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.histories import carts, empty_histories
from recsys.data.splits import Queries
from recsys.data.unknowns import category_names
from recsys.evaluation import segments
from recsys.evaluation.protocols import EvaluationOptions, contender_lists, per_query
from recsys.evaluation.segments import (
    HISTORY_STARTS,
    MOST,
    SMALLEST,
    Groups,
    category_groups,
    compared,
    popularity_thirds,
    recall_by_item_group,
    segment_records,
    size_groups,
)

OPTIONS = EvaluationOptions(resamples=50)
sizes_of_any_shop = st.lists(st.integers(1, 2000), min_size=1, max_size=400).map(np.array)


def asked(relevant, n_items):
    """Queries of nobody with these relevant items."""
    n = len(relevant)
    rows = [np.array(row, np.int64) for row in relevant]
    return Queries(tuple(f"o{i}" for i in range(n)), empty_histories(n, n_items), carts(rows, n_items))


@given(sizes_of_any_shop)
def test_every_query_has_one_group_of_its_own_size_and_none_is_small(sizes):
    groups = size_groups("orders before", sizes, HISTORY_STARTS)
    counts = np.bincount(groups.codes, minlength=len(groups.names))
    assert 1 <= len(groups.names) <= MOST
    assert counts.sum() == len(sizes)
    assert len(groups.names) == 1 or counts.min() >= SMALLEST
    for size, code in zip(sizes.tolist(), groups.codes.tolist(), strict=True):
        first, _, last = groups.names[code].replace("+", "–100000").partition("–")
        assert int(first) <= size <= int(last or first)


def test_small_groups_join_the_smaller_neighbour_and_say_so():
    sizes = np.repeat([1, 3, 7, 12], [100, 10, 40, 200])
    groups = size_groups("orders before", sizes, (1, 2, 5, 10))
    assert groups.names == ("1", "2–9", "10+")
    assert np.bincount(groups.codes).tolist() == [100, 50, 200]


def test_thirds_hold_a_third_of_the_lines_each():
    lines = np.array([1.0, 6, 2, 1, 1, 1, 3, 3])  # 18 lines, 6 a third
    groups = popularity_thirds(lines)
    assert groups.codes.tolist() == [2, 0, 2, 2, 2, 2, 1, 1]
    assert groups.names == ("head, 1 items", "middle, 2 items", "tail, 5 items")
    assert popularity_thirds(np.array([9.0, 1, 0])).codes.tolist() == [0, 2, 2], "one item swallows the middle"


def test_categories_are_the_largest_and_the_rest_is_other(monkeypatch):
    monkeypatch.setattr(segments, "SMALLEST", 2)
    monkeypatch.setattr(segments, "MOST_CATEGORIES", 2)
    levels = np.array([[0, 0], [1, 0], [1, 0], [2, 0], [3, 0], [-1, 0]])
    queries = asked([[0, 1, 2], [1, 3], [1, 3], [4, 4, 5], [0]], 6)
    groups = category_groups(levels, [["bread", "milk", "soap", "tea"], ["one"]], queries)
    assert groups.names == ("milk", "bread", "other")
    assert groups.codes.tolist() == [1, 0, 0, 2, 2, 2]


def test_a_level_that_tells_nothing_apart_is_passed_over():
    levels = np.array([[0, 0], [0, 1], [-1, -1]])
    queries = asked([[0], [1]], 3)
    assert category_groups(levels, [["all"], ["a", "b"]], queries).codes.tolist() == [0, 0, 0], "each under 30 queries"
    assert category_groups(levels, [["all"], []], queries) is None
    assert category_groups(levels, [[], []], queries) is None


def test_recall_of_an_item_group_by_hand():
    """Items 0-2 are a, 3-5 are b; the list is not cut again: item 5 at rank 3 is outside the first two."""
    groups = Groups("category", np.array([0, 0, 0, 1, 1, 1]), ("a", "b"))
    lists = np.array([[0, 3, 5], [4, 1, 2], [1, -1, -1]])
    queries = asked([[0, 1, 5], [4], [5, 3]], 6)
    found = recall_by_item_group(lists, queries, groups, 2)
    np.testing.assert_array_equal(found, [[1 / 2, 0], [np.nan, 1], [np.nan, 0]])
    assert recall_by_item_group(lists, queries, groups, 3)[0, 1] == 1


@given(st.integers(0, 10_000))
def test_groups_of_items_add_up_to_the_whole(seed):
    """Hits and relevant items of all groups together are those of the list."""
    random = np.random.default_rng(seed)
    n, m, k = 6, 12, 4
    lists = np.stack([random.permutation(m)[:k] for _ in range(n)])
    relevant = [random.permutation(m)[: random.integers(1, 5)] for _ in range(n)]
    codes = random.integers(0, 3, m)
    found = recall_by_item_group(lists, asked(relevant, m), Groups("any", codes, ("a", "b", "c")), k)
    for q in range(n):
        for g in range(3):
            own = {i for i in relevant[q].tolist() if codes[i] == g}
            slow = len(own & set(lists[q].tolist())) / len(own) if own else np.nan
            np.testing.assert_equal(found[q, g], slow)


def test_the_hybrid_is_compared_with_the_best_single_of_each_bucket():
    values = {
        "hybrid": np.array([[0.5, np.nan], [0.7, np.nan], [np.nan, 0.2], [np.nan, 0.4]]),
        "als": np.array([[0.6, np.nan], [0.6, np.nan], [np.nan, 0.1], [np.nan, 0.1]]),
        "content": np.array([[0.1, np.nan], [0.1, np.nan], [np.nan, 0.3], [np.nan, 0.3]]),
    }
    rows = {(r["bucket"], r["contender"]): r for r in compared(("few", "many"), values, OPTIONS)}
    few, many = rows["few", "hybrid"], rows["many", "hybrid"]
    assert (few["baseline"], many["baseline"]) == ("als", "content")
    assert (few["ratio"], many["ratio"]) == (pytest.approx(1.0), pytest.approx(1.0))
    assert few["n"] == many["n"] == 2
    assert many["ratio_low"] == pytest.approx(2 / 3)
    assert "baseline" not in rows["few", "als"]


def test_a_bucket_without_queries_has_no_value():
    values = {name: np.full((3, 1), np.nan) for name in ("hybrid", "als")}
    rows = list(compared(("nobody",), values, OPTIONS))
    assert [(r["value"], r["low"], r["n"]) for r in rows] == [(None, None, 0)] * 2
    assert rows[0]["ratio"] is None


@pytest.fixture(scope="module")
def records(fitted, small_shop):
    models, tasks = fitted.models, small_shop.tasks
    lists = contender_lists(models, fitted.hybrid, tasks, 10)
    table = per_query(lists, tasks, (10,), models.stats.share, models["content"].vectors())
    names = category_names(small_shop.data, small_shop.catalog)
    return table, segment_records(table, lists, tasks, small_shop.data, names, OPTIONS)


def test_query_groups_of_a_shop_average_to_the_whole(records):
    """Weighed by their queries, the values of a dimension's groups give the overall figure."""
    table, rows = records
    for task in ("next_basket", "cart"):
        for contender in ("hybrid", "frequency"):
            own = [r for r in rows if (r["dimension"], r["task"], r["contender"]) == ("orders before", task, contender)]
            whole = table.of(contender, task, "all", "recall", 10)
            assert sum(r["n"] for r in own) == np.isfinite(whole).sum()
            mean = sum(r["n"] * r["value"] for r in own) / sum(r["n"] for r in own)
            assert mean == pytest.approx(np.nanmean(whole))


def test_every_dimension_is_there_and_carts_only_in_their_task(records):
    rows = records[1]
    assert {r["dimension"] for r in rows} == {"orders before", "cart size", "item popularity", "category"}
    assert {r["task"] for r in rows if r["dimension"] == "cart size"} == {"cart"}
    assert all(0 <= r["low"] <= r["value"] <= r["high"] <= 1 for r in rows if r["n"] > 1)
    assert all(r["n"] > 0 for r in rows)


def test_another_primary_metric_adds_groups_of_queries_only(fitted, small_shop):
    tasks = {"next_basket": small_shop.tasks["next_basket"]}
    lists = contender_lists(fitted.models, fitted.hybrid, tasks, 10)
    vectors = sp.csr_matrix((len(small_shop.data.items), 1), dtype=np.float32)
    table = per_query(lists, tasks, (10,), fitted.models.stats.share, vectors)
    rows = segment_records(
        table, lists, tasks, small_shop.data, [[], [], []], EvaluationOptions(resamples=20, primary_metric="ndcg")
    )
    assert {(r["of"], r["metric"]) for r in rows} == {("queries", "ndcg"), ("queries", "recall"), ("items", "recall")}
    assert "category" not in {r["dimension"] for r in rows}
