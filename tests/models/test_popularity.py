"""Shares of recent lines, and the customer's own purchases on top."""

import numpy as np
import pytest

from recsys.models.frequency import Frequency
from recsys.models.popularity import Popularity


@pytest.fixture(scope="module")
def data(tiny_data):
    return tiny_data(
        ("1", "ann", 100, ["a", "b"]), ("2", None, 50, ["b", "c"]), ("3", "bob", 49, ["b"]), ("4", "ann", 1, ["c"])
    )


@pytest.mark.parametrize(
    ("days", "share"),
    [
        (500, [1 / 6, 3 / 6, 2 / 6]),
        (100, [0, 1 / 2, 1 / 2]),  # exactly `days` old is too old
        (50, [0, 1 / 2, 1 / 2]),
        (0.5, [1 / 6, 3 / 6, 2 / 6]),  # nothing is so new: all lines
    ],
)
def test_share_of_recent_lines(data, query, days, share):
    recent = {100: [0, 2 / 4, 2 / 4], 50: [0, 1 / 2, 1 / 2]}.get(days, share)
    scores = Popularity(days=days).fit(data).score(query(3, [(0, 3.0)], [1]))
    np.testing.assert_allclose(scores, [recent], rtol=1e-6)
    assert scores.sum() == pytest.approx(1)


def test_own_purchases_are_halved_with_time(data, query):
    model = Frequency(half_life=10, days=500).fit(data)
    scores = model.score(query(3, [(0, 20.0), (0, 10.0), (2, 0.0)], [1]))[0]
    np.testing.assert_allclose(scores, [0.75 + 1 / 6, 3 / 6, 1 + 2 / 6], rtol=1e-6)


def test_a_stranger_gets_what_is_popular(data, query):
    np.testing.assert_allclose(Frequency(days=500).fit(data).score(query(3)), [[1 / 6, 3 / 6, 2 / 6]], rtol=1e-6)


def test_damped_quantities_weigh_in_frequency(data, query):
    one = query(3, [(0, 10.0)])
    one.weights[:] = 3
    assert Frequency(half_life=10, days=500).fit(data).score(one)[0, 0] == pytest.approx(1.5 + 1 / 6)
