"""The reorder benchmark: figures by hand, and a whole run on the synthetic shop."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from benchmarks.reorder import Asked, compared, judge, judge_subscriptions, main
from recsys.moments.purchases import Purchases, Repeats
from recsys.moments.reorder_model import ReorderOptions

AT = datetime(2024, 7, 1, tzinfo=UTC)
QUICK = ReorderOptions(moments=2, trees=5, leaves=4, min_leaf=20, threads=1)


def test_figures_by_hand() -> None:
    """Four customer-items of two customers, bought every ten days, the last time 6, 4, 20 and 2 days ago; two are true.

    They are expected in 4, 6, -10 and 8 days: the rule of 7 days names the first two, of which one is true.
    """
    ages = np.array([26, 16, 6, 24, 14, 4, 40, 30, 20, 22, 12, 2], float)
    repeats = Repeats(np.array([0, 0, 1, 1]), np.arange(4), np.full(4, 3), np.array([0, 3, 6, 9]), ages, np.arange(12))
    asked = Asked(AT, 7, repeats, np.array([True, False, False, True]))
    row = compared(asked, np.array([0.9, 0.1, 0.2, 0.8]), np.array([0.9, 0.8, 0.2, 0.1]))
    assert (row["n"], row["asked"], row["n_rule"]) == (2, 4, 2)
    assert row["precision"] == 1.0
    assert row["logistic_precision"] == row["rule_short_precision"] == row["rule_precision"] == 0.5
    assert row["of_rule"] == row["of_rule_short"] == row["of_logistic"] == 2.0
    assert row["decayed_precision"] == 0.5  # the two bought last
    assert row["calibration"]["observed"] == 0.5


def test_a_whole_run(small_shop, monkeypatch) -> None:
    monkeypatch.setattr("benchmarks.reorder.HALF_LIVES", (28,))
    purchases = Purchases.of(small_shop.orders, small_shop.catalog)
    rows = judge(purchases, small_shop.test.at - timedelta(days=3), QUICK)
    assert [row["days"] for row in rows] == [7, 14]
    for row in rows:
        assert 0 < row["precision"] <= 1
        assert row["of_decayed"] == pytest.approx(row["precision"] / row["decayed_precision"])
        assert row["asked"] > row["n"] > 10
    told = judge_subscriptions(purchases, small_shop.test.at)
    assert told["candidates"] < told["others"]


def test_help_says_what_it_does(capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "decayed frequency" in capsys.readouterr().out
