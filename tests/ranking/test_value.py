"""Lists by value: calibrated probabilities in the order of the scores, times what an item is worth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.ranking.value import Worth, value_scores
from recsys.ranking.within_query import in_order

QUERY = np.array([0, 0, 0, 1, 1])


def test_probabilities_are_handed_out_in_the_order_of_the_scores():
    scores, p = np.array([1.0, 3, 2, -5, 7]), np.array([0.5, 0.1, 0.2, 0.3, 0.4])
    np.testing.assert_array_equal(in_order(scores, p, QUERY), [0.1, 0.5, 0.2, 0.3, 0.4])


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(-5, 5), st.floats(0, 1)), min_size=1, max_size=30))
def test_nothing_is_lost_and_the_order_is_that_of_the_scores(rows):
    query, scores, p = (np.array(column) for column in zip(*sorted(rows, key=lambda row: row[0]), strict=True))
    found = in_order(scores, p, query)
    for q in range(4):
        mine = query == q
        np.testing.assert_array_equal(np.sort(found[mine]), np.sort(p[mine]))
        by_score = np.argsort(-scores[mine], kind="stable")
        assert (np.diff(found[mine][by_score]) <= 0).all()


def test_weight_one_is_expected_worth_and_what_is_worth_nothing_comes_last():
    p, worth = np.array([0.5, 0.1, 0.2, 0.4]), np.array([1.0, 9.0, 4.0, 0.0])
    assert np.argsort(-value_scores(p, worth, 1.0)).tolist() == [1, 2, 0, 3]  # 0.9, 0.8, 0.5
    assert np.argsort(-value_scores(p, worth, 1e-6)).tolist() == [0, 2, 1, 3]
    np.testing.assert_allclose(np.exp(value_scores(p, worth, 1.0))[:3], [0.5, 0.9, 0.8])
    each = value_scores(p, worth, np.array([1.0, 1e-6, 1e-6, 1.0]))
    assert np.argsort(-each).tolist() == [0, 2, 1, 3]


def test_unknown_worth_is_the_median_of_the_known_ones(tmp_path):
    worth = Worth.of(np.array([1.0, np.nan, 3.0, 8.0], np.float32), np.array([2.0, 1.0, np.nan, 3.0], np.float32))
    np.testing.assert_array_equal(worth.known("price"), [1, 3, 3, 8])
    np.testing.assert_array_equal(worth.known("margin"), [-1, 2, 2, 5])
    assert worth.any_known("margin")
    none = Worth.of(np.array([1.0, 2.0], np.float32), None)
    assert not none.any_known("margin")
    np.testing.assert_array_equal(none.known("margin"), [1, 1])
    worth.save(tmp_path / "worth.npz")
    back = Worth.load(tmp_path / "worth.npz")
    assert back.known("margin") == pytest.approx(worth.known("margin"))
