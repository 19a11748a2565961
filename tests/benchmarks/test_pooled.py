"""Ratios of two comparisons and over both, by hand."""

import numpy as np
import polars as pl
import pytest

from benchmarks.pooled import pool, values_by_task
from recsys.errors import InputError

NAN = np.nan


def comparison(ours, theirs):
    """Queries of the customers a, b, c, …; recall@10 of the hybrid and of one contender."""
    values = {"hybrid|all|recall|10": ours, "als|all|recall|10": theirs}
    return pl.DataFrame({"customer_id": list("abcdef")[: len(ours)], "order_id": list("123456")[: len(ours)], **values})


def test_ratios_by_hand():
    first = comparison([0.4, 0.2, NAN], [0.1, 0.2, 0.9])  # .6 / .3; the third was not asked of the hybrid
    second = comparison([0.3], [0.3])
    (row,) = pool([first, second], "all", "recall", 10)
    assert row["contender"] == "als"
    assert row["each"] == pytest.approx([2, 1])
    assert row["mean"] == pytest.approx(1.5)
    assert row["pooled"] == pytest.approx(0.9 / 0.6)
    assert row["n"] == 3
    assert row["low"] <= row["pooled"] <= row["high"]


def test_the_customer_is_drawn_with_all_queries():
    """One customer in both comparisons: every resample is the same, whatever the two ratios are."""
    (row,) = pool([comparison([0.4], [0.1]), comparison([0.1], [0.4])], "all", "recall", 10)
    assert row["pooled"] == pytest.approx(1)
    assert np.isnan(row["low"]) or row["low"] == pytest.approx(row["high"])


def test_what_is_not_in_all_is_left_out():
    other = comparison([0.4], [0.1]).rename({"als|all|recall|10": "popularity|all|recall|10"})
    assert pool([comparison([0.4], [0.1]), other], "all", "recall", 10) == []
    assert pool([other], "new", "recall", 10) == []


def test_tasks_that_all_comparisons_have(tmp_path):
    for name, tasks in (("december", ("cart", "next_item")), ("november", ("cart",))):
        (tmp_path / name).mkdir()
        for task in tasks:
            comparison([0.4], [0.1]).write_parquet(tmp_path / name / f"per_query-{task}.parquet")
    found = values_by_task([tmp_path / "december", tmp_path / "november"])
    assert {task: len(frames) for task, frames in found.items()} == {"cart": 2}
    with pytest.raises(InputError, match="nowhere has no per_query"):
        values_by_task([tmp_path / "nowhere"])
