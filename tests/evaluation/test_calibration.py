"""Calibration: figures by hand, calibrated draws inside their intervals, crooked ones found, clusters seen."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.data.histories import carts, empty_histories
from recsys.data.splits import Queries
from recsys.errors import InputError
from recsys.evaluation import calibration as module
from recsys.evaluation.calibration import (
    EDGES,
    SMALLEST,
    ProbabilityRows,
    calibration,
    calibration_records,
    effective_rows,
    wilson,
)
from recsys.evaluation.protocols import contender_lists


def test_scores_of_the_hand_worked_table():
    """docs/metrics.md, hand-worked: probabilities."""
    found = calibration(np.array([0.8, 0.4, 0.2, 0.2]), np.array([1, 0, 0, 1]))
    assert found["brier"] == pytest.approx((0.04 + 0.16 + 0.04 + 0.64) / 4)
    assert found["brier_reference"] == 0.25
    assert found["skill"] == pytest.approx(1 - 0.22 / 0.25)
    assert found["log_loss"] == pytest.approx(-(math.log(0.8) + math.log(0.6) + math.log(0.8) + math.log(0.2)) / 4)
    assert found["log_loss_reference"] == pytest.approx(math.log(2))
    assert (found["predicted"], found["observed"], found["n"]) == (pytest.approx(0.4), 0.5, 4)
    assert found["ece"] == pytest.approx(0.1), "four rows are one bin: |.5 - .4|"


def test_bins_and_calibration_error_by_hand(monkeypatch):
    monkeypatch.setattr(module, "SMALLEST", 2)
    p = np.array([0.03, 0.04, 0.25, 0.25, 0.25, 0.9])
    bins = calibration(p, np.array([0, 0, 1, 0, 0, 1]))["bins"]
    assert [b["n"] for b in bins] == [2, 4], "the single row at .9 joins the next lower bin"
    assert [b["predicted"] for b in bins] == pytest.approx([0.035, 0.4125])
    assert [b["observed"] for b in bins] == [0, 0.5]
    assert calibration(p, np.array([0, 0, 1, 0, 0, 1]))["ece"] == pytest.approx((2 * 0.035 + 4 * 0.0875) / 6)


def test_wilson_against_the_published_example():
    """Newcombe (1998), table I: 81 of 263 has (.2553, .3662); 0 of 20 has (0, .1611)."""
    low, high = wilson(np.array([81 / 263, 0.0]), np.array([263.0, 20.0]))
    assert low == pytest.approx([0.2553, 0.0], abs=5e-5)
    assert high == pytest.approx([0.3662, 0.1611], abs=5e-5)


def test_extremes_have_finite_answers():
    sure = calibration(np.array([1.0, 0.0]), np.array([1, 0]))
    assert (sure["brier"], sure["skill"]) == (0, 1)
    wrong = calibration(np.array([1.0, 0.0]), np.array([0, 1]))
    assert wrong["brier"] == 1
    assert wrong["log_loss"] == pytest.approx(-math.log(1e-7))
    assert calibration(np.array([0.1, 0.2]), np.array([0, 0]))["skill"] is None
    empty = calibration(np.zeros(0), np.zeros(0))
    assert (empty["n"], empty["bins"], empty["brier"]) == (0, [], None)


@pytest.mark.parametrize("bad", [-0.1, 1.1, np.nan])
def test_what_is_no_probability_is_refused(bad):
    with pytest.raises(InputError, match="row 1 has probability"):
        calibration(np.array([0.5, bad]), np.array([0, 1]))
    with pytest.raises(InputError, match="one probability and one outcome"):
        calibration(np.array([0.5]), np.array([0, 1]))


def tiny_probabilities(random, n):
    """Like those of candidates: most below 1%, a few near 1."""
    return np.clip(10 ** random.uniform(-4.5, 0, n), 0, 0.95)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_calibrated_draws_lie_inside_their_intervals_and_crooked_ones_do_not(seed):
    """At 99.9%, of some 20 bins seldom more than one lies outside; odds of a half are found everywhere."""
    random = np.random.default_rng(seed)
    p = tiny_probabilities(random, 60_000)
    y = random.random(len(p)) < p
    bins = calibration(p, y, level=0.999)["bins"]
    outside = [b for b in bins if not b["low"] <= b["predicted"] <= b["high"]]
    assert len(bins) > 10
    assert len(outside) <= 1
    crooked = calibration(p / (2 - p), y, level=0.999)
    assert sum(not b["low"] <= b["predicted"] <= b["high"] for b in crooked["bins"]) > len(bins) / 3
    assert crooked["ece"] > 5 * calibration(p, y)["ece"]


@given(st.integers(0, 10_000), st.integers(1, 400))
def test_laws_of_bins(seed, n):
    random = np.random.default_rng(seed)
    p = tiny_probabilities(random, n)
    y = random.random(n) < 0.3
    found = calibration(p, y)
    bins = found["bins"]
    assert sum(b["n"] for b in bins) == n
    assert len(bins) == 1 or min(b["n"] for b in bins) >= SMALLEST
    assert all(0 <= b["low"] <= b["observed"] + 1e-12 and b["observed"] <= b["high"] + 1e-12 <= 1 + 1e-9 for b in bins)
    assert [b["predicted"] for b in bins] == sorted(b["predicted"] for b in bins)
    shuffled = random.permutation(n)
    assert calibration(p[shuffled], y[shuffled])["brier"] == pytest.approx(found["brier"])
    assert [b["n"] for b in calibration(p[shuffled], y[shuffled])["bins"]] == [b["n"] for b in bins]


def test_rows_that_hang_together_count_less():
    """Ten rows a query, all alike: as many independent rows as there are queries."""
    random = np.random.default_rng(3)
    y = np.repeat(random.random(5000) < 0.4, 10).astype(float)
    query, bin_of = np.repeat(np.arange(5000), 10), np.zeros(50_000, np.int64)
    effective = effective_rows(bin_of, y, query, np.array([50_000]), np.array([y.mean()]))
    assert effective == pytest.approx([5000], rel=1e-6)
    lone = effective_rows(bin_of, y, np.arange(50_000), np.array([50_000]), np.array([y.mean()]))
    assert lone == pytest.approx([50_000], rel=1e-6)


def test_edges_rise_from_0_to_1():
    assert EDGES[0] == 0
    assert EDGES[-1] == 1
    assert (np.diff(EDGES) > 0).all()


def ranked(query, item, p):
    return SimpleNamespace(
        candidates=SimpleNamespace(query=np.array(query), item=np.array(item)), probabilities=np.float32(p)
    )


def test_rows_of_all_blocks_meet_their_outcomes_whatever_order_they_came_in():
    gathered = ProbabilityRows.of_sample(2, 0)
    gathered("cart", np.array([1]), ranked([0, 0], [2, 0], [0.3, 0.1]))
    gathered("cart", np.array([0]), ranked([0], [1], [0.9]))
    relevant = carts([np.array([1]), np.array([0, 3])], 4)
    tasks = {"cart": Queries(("a", "b"), empty_histories(2, 4), relevant)}
    lists = {("hybrid", "cart", "all"): np.array([[1, -1], [2, -1]])}
    assert [c.tolist() for c in gathered.of("cart")[:2]] == [[0, 1, 1], [1, 2, 0]]
    found = calibration_records(gathered, tasks, lists)["cart"]
    assert found["brier"] == pytest.approx((0.1**2 + 0.3**2 + 0.9**2) / 3)
    assert found["listed"]["n"] == 2
    assert found["listed"]["brier"] == pytest.approx((0.1**2 + 0.3**2) / 2)


def test_of_many_queries_a_seeded_sample_is_judged(monkeypatch):
    monkeypatch.setattr(module, "QUERIES", 3)
    gathered = ProbabilityRows.of_sample(10, 1)
    gathered("cart", np.arange(10), ranked(np.arange(10), np.zeros(10, int), np.full(10, 0.5)))
    assert len(gathered.of("cart").query) == 3
    assert gathered.of("cart").query.tolist() == np.flatnonzero(ProbabilityRows.of_sample(10, 1).judged).tolist()


def test_the_lists_show_every_candidate_to_the_watch_and_do_not_change(fitted, small_shop):
    """Chances made of the scores: each listed item of the hybrid is among the rows, once."""
    seen = ProbabilityRows.of_sample(len(small_shop.tasks["cart"]), 0)

    def watch(task, rows, block):
        chance = 1 / (1 + np.exp(-block.scores))
        seen(task, rows, SimpleNamespace(candidates=block.candidates, probabilities=chance))

    given_ = (fitted.models, fitted.hybrid, small_shop.tasks, 10)
    lists, plain = contender_lists(*given_, watch=watch), contender_lists(*given_)
    assert all(np.array_equal(lists[key], plain[key]) for key in plain)
    found = calibration_records(seen, small_shop.tasks, lists)
    for task in small_shop.tasks:
        rows = seen.of(task)
        assert len({*zip(rows.query.tolist(), rows.item.tolist(), strict=True)}) == len(rows.query)
        assert found[task]["listed"]["n"] == (lists["hybrid", task, "all"] >= 0).sum()
        assert found[task]["n"] == len(rows.query)
        assert found[task]["listed"]["observed"] > found[task]["observed"]
