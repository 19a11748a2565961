"""Facts of items by hand."""

import numpy as np
import pytest

from recsys.ranking.item_stats import ItemStats


@pytest.fixture(scope="module")
def stats(tiny_data):
    data = tiny_data(
        ("1", "ann", 400, ["a", "b"]),
        ("2", "ann", 100, ["a"]),
        ("3", "ann", 90, ["a", "c"]),
        ("4", "bob", 60, ["a", "c"]),
        ("5", "bob", 40, ["a"]),
        ("6", None, 27, ["c", "d", "e"]),
    )
    return ItemStats.fit(data)


def test_share_of_a_years_lines(stats):
    np.testing.assert_allclose(stats.share, np.array([4, 0, 3, 1, 1]) / 9, rtol=1e-6)


def test_trend_is_shrunk_to_one(stats):
    expected = np.array([4, 0, 3, 1, 1]) / 9 * 3
    np.testing.assert_allclose(stats.trend, (np.array([0, 0, 1, 1, 1]) + 5) / (expected + 5), rtol=1e-6)


def test_repeat_share_is_shrunk_to_the_mean(stats):
    """Buyers a 2, b 1, c 2, d 0, e 0 (guests have no history); both of a came back: mean 2/5."""
    again, buyers = np.array([2, 0, 0, 0, 0]), np.array([2, 1, 2, 0, 0])
    np.testing.assert_allclose(stats.repeat, (again + 10 * 2 / 5) / (buyers + 10), rtol=1e-6)


def test_interval_is_the_lower_median_of_the_gaps(stats):
    np.testing.assert_allclose(stats.interval, [20, np.nan, np.nan, np.nan, np.nan])  # of 300, 10, 20


def test_order_size(stats):
    np.testing.assert_allclose(stats.size, [(2 + 1 + 2 + 2 + 1) / 5, 2, 7 / 3, 3, 3], rtol=1e-6)


def test_everything_is_float32(stats):
    for name in ("share", "trend", "repeat", "interval", "size", "price"):
        assert getattr(stats, name).dtype == np.float32


def test_intervals_against_a_loop(small_shop):
    data = small_shop.data
    gaps = [[] for _ in data.items.ids]
    h = data.histories
    for customer in range(len(h)):
        lines = slice(h.indptr[customer], h.indptr[customer + 1])
        for item in np.unique(h.items[lines]):
            ages = np.sort(h.ages[lines][h.items[lines] == item])
            gaps[item] += np.diff(ages).tolist()
    expected = [sorted(g)[(len(g) - 1) // 2] if g else np.nan for g in gaps]
    np.testing.assert_allclose(ItemStats.fit(data).interval, expected, rtol=1e-6)
