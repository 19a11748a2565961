"""The up-sell benchmark: hits by hand, prices of before the cut, and a whole run on the synthetic shop."""

import numpy as np
import polars as pl
import pytest

from benchmarks.offering.upsell import hits, judge, usual_prices
from recsys.data.histories import IdMap
from recsys.offers.upsell_queries import Asked


def test_a_hit_is_among_the_best_three_and_ties_go_to_the_lower_position() -> None:
    query = np.array([0, 0, 0, 0, 1, 1, 2, 2, 2, 2])
    items = np.array([0, 1, 2, 3, 0, 1, 4, 5, 6, 7])
    bought = np.array([1, 0, 0, 0, 0, 1, 0, 0, 0, 1], bool)
    asked = Asked(np.arange(3), np.arange(3), np.ones(3, int), query, items, bought)
    assert hits(asked, np.array([1, 4, 3, 2, 9, 1, 5, 5, 5, 5.0])).tolist() == [False, True, False]
    assert hits(asked, np.array([2, 4, 3, 2, 9, 1, 5, 5, 5, 5.1])).tolist() == [True, True, True]


def test_usual_prices_are_medians_of_what_is_above_nothing() -> None:
    lines = pl.DataFrame({"item_id": ["a", "a", "a", "a", "b"], "unit_price": [1.0, 3.0, 9.0, 0.0, None]})
    prices = usual_prices(lines, IdMap(("a", "b", "c")))
    assert prices[0] == 3
    assert np.isnan(prices[1:]).all()


def test_a_whole_run(small_config, tmp_path, capsys) -> None:
    rows = judge(small_config(tmp_path))
    said = capsys.readouterr().out
    assert len(rows) == 6  # twice against three; no query has ten candidates
    assert said.count("no query") == 2
    for row in rows:
        assert row["ratio"] == pytest.approx(row["hit"] / row["of_baseline"])
        assert 0 < row["hit"] <= 1
    assert "changes to another item of the type" in said
    assert "rule no_better" in said
