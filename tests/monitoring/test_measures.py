"""Effect sizes by hand-worked examples, p values by cases whose answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.monitoring import measures as m

COUNTS = st.lists(st.integers(0, 200), min_size=3, max_size=3)


def test_psi_by_hand():
    """Shares (1/2, 1/2) and (3/4, 1/4): 1/4 · ln(3/2) − 1/4 · ln(1/2) = 1/4 · ln 3 = 0.27465."""
    assert m.psi([50, 50], [75, 25], add=0) == pytest.approx(0.25 * np.log(3), abs=1e-12)
    # half a count to each bin: (50.5, 50.5) / 101 and (75.5, 25.5) / 101
    by_hand = (75.5 - 50.5) / 101 * np.log(75.5 / 50.5) + (25.5 - 50.5) / 101 * np.log(25.5 / 50.5)
    assert m.psi([50, 50], [75, 25]) == pytest.approx(by_hand, abs=1e-12)
    assert m.psi([10, 0], [0, 10]) == pytest.approx(2 * (10.5 - 0.5) / 11 * np.log(10.5 / 0.5))
    assert m.psi([0, 0], [1, 2]) == 0


@given(COUNTS, COUNTS)
def test_psi_is_symmetric_never_negative_and_zero_for_equals(a, b):
    assert m.psi(a, b) == pytest.approx(m.psi(b, a))
    assert m.psi(a, b) >= 0
    assert m.psi(a, a) == pytest.approx(0)


def test_bins_hold_their_upper_edge():
    edges = m.decile_edges(np.arange(1, 101))
    assert len(edges) == 9
    assert m.binned(np.arange(1, 101), edges) == [10] * 10
    assert m.binned([1, 2, 2, 3], [2.0]) == [3, 1]
    assert m.decile_edges([5, 5, 5]) == [5.0], "equal deciles fall together"


def test_jaccard_and_rbo_by_hand():
    assert m.jaccard("abc", "bcd") == 0.5
    assert m.jaccard("", "") == 1
    # depth 1: a|b share 0; depth 2: share 2. RBO_ext = 2/2 · p² + (1 − p)/p · (0 · p + 2/2 · p²), p = 0.5
    assert m.rank_biased_overlap("ab", "ba", 0.5) == pytest.approx(0.25 + 1 * (0 + 0.25))
    assert m.rank_biased_overlap("abcd", "abcd") == pytest.approx(1)
    assert m.rank_biased_overlap("ab", "cd") == 0
    assert m.rank_biased_overlap("", "") == 1


def test_a_change_at_the_top_weighs_more():
    same, first, last = "abcde", "xbcde", "abcdx"
    assert m.jaccard(same, first) == m.jaccard(same, last)
    assert m.rank_biased_overlap(same, first) < m.rank_biased_overlap(same, last)


def test_units_are_orders_not_lines():
    """Forty lines of four orders prove less than forty orders do."""
    then, now = np.array([200.0, 200.0]), np.array([30.0, 10.0])
    assert m.mix_p(then, now, (400, 40)) < 0.01 < 0.1 < m.mix_p(then, now, (40, 4))
    assert m.shares_p((200, 400), (30, 40), (400, 40)) < 0.01 < 0.1 < m.shares_p((200, 400), (30, 40), (40, 4))


def test_chance_alone_is_rarely_significant():
    """Ten thousandths of the draws of one mix may lie below 0.001; of 400 none does but by bad luck of the seed."""
    rng = np.random.default_rng(0)
    share = np.array([0.5, 0.3, 0.15, 0.04, 0.01])
    p = [m.mix_p(rng.multinomial(3000, share), rng.multinomial(200, share), (3000, 200)) for _ in range(400)]
    assert min(p) > 1e-4
    assert 0.02 < np.mean(np.array(p) < 0.05) < 0.08


def test_what_cannot_be_compared_is_no_alarm():
    assert m.mix_p(np.zeros(2), np.ones(2), (0, 2)) == 1
    assert m.mix_p(np.array([5.0]), np.array([9.0]), (5, 9)) == 1
    assert m.shift_p([], [1.0]) == (0, 1)
    assert m.shares_p((0, 0), (1, 2), (0, 2)) == 1
    assert m.volume_p(0, 0, 0.5) == 1
    assert m.sign_p(np.zeros(9)) == 1
    assert m.cramers_v(np.zeros(2), np.ones(2)) == 0


def test_known_extremes():
    assert m.cramers_v(np.array([5.0, 0]), np.array([0, 7.0])) == 1
    assert m.sign_p(np.ones(12)) == pytest.approx(2 * 0.5**12)
    assert m.volume_p(0, 14, 0.5) == pytest.approx(2 * 0.5**14)
    d, p = m.shift_p(np.arange(100.0), np.arange(100.0) + 1000)
    assert (d, p < 1e-9) == (1, True)
