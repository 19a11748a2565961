"""The bootstrap against closed forms, its own law of coverage and a plain resampling oracle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recsys.errors import InputError
from recsys.evaluation import bootstrap
from recsys.evaluation.bootstrap import bootstrap_mean, paired_difference, paired_ratio

NAN = float("nan")


def normal(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def test_constant_values_have_no_width():
    answer = bootstrap_mean(np.full((50, 2), 0.3))
    for bound in answer[:3]:
        np.testing.assert_allclose(bound, 0.3, rtol=1e-12)
    assert answer.n.tolist() == [50, 50]


def test_normal_data_have_the_textbook_interval():
    values = normal(2000, 3) * [1, 5, 0.1] + [0, 10, -3]
    mean, low, high, _ = bootstrap_mean(values, n_resamples=4000)
    error = values.std(axis=0, ddof=1) / np.sqrt(2000)
    np.testing.assert_allclose(mean, values.mean(axis=0))
    np.testing.assert_allclose(low, mean - 1.96 * error, atol=0.12 * error.max())
    np.testing.assert_allclose((high - low) / error, 2 * 1.96, rtol=0.06)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    values = normal(100, 1200, seed=4)
    for level in (0.95, 0.8):
        _, low, high, _ = bootstrap_mean(values, level=level)
        covered = np.mean((low <= 0) & (high >= 0))
        assert abs(covered - level) < 0.03, covered


def test_grouped_intervals_cover_where_plain_ones_do_not():
    """60 customers of 5 queries each; all the spread lies between the customers."""
    groups = np.repeat(np.arange(60), 5)
    values = normal(60, 600, seed=5)[groups] + 0.1 * normal(300, 600, seed=6)
    covered = {}
    for name, codes in (("plain", None), ("grouped", groups)):
        _, low, high, _ = bootstrap_mean(values, n_resamples=500, groups=codes)
        covered[name] = np.mean((low <= 0) & (high >= 0))
    assert covered["grouped"] > 0.91
    assert covered["plain"] < 0.75


@pytest.mark.parametrize("compare", [paired_difference, paired_ratio])
def test_pairs_are_drawn_by_whole_groups_too(compare):
    """Each group repeats one pair 9 times, so the honest interval is 3 times as wide as the plain one."""
    groups = np.repeat(np.arange(300), 9)
    a, b = (3 + normal(300, 1, seed=s)[groups] for s in (1, 2))
    plain, grouped = compare(a, b), compare(a, b, groups=groups)
    widths = [answer.high - answer.low for answer in (grouped, plain)]
    np.testing.assert_allclose(widths[0] / widths[1], 3, rtol=0.15)


def test_groups_of_one_query_are_the_plain_bootstrap():
    values = normal(40, 2)
    plain, grouped = bootstrap_mean(values), bootstrap_mean(values, groups=np.arange(40) * 7)
    for a, b in zip(plain, grouped, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_the_grouped_mean_weighs_queries_not_groups():
    answer = bootstrap_mean(np.array([0.0, 0.0, 0.0, 1.0]), groups=np.array([5, 5, 5, 2]))
    assert answer.mean.tolist() == [0.25]
    assert (answer.low[0], answer.high[0]) == (0, 1), "a resample can hold one group alone"
    assert answer.n.tolist() == [4]


def test_the_weights_are_those_of_drawing_with_replacement(monkeypatch):
    """Resample by resample against plain indexing, at blocks of one, some and all resamples."""
    values, n = np.where(normal(9, 3, seed=2) > 1, NAN, normal(9, 3)), 9
    random = np.random.default_rng(11)
    drawn = [np.nanmean(values[(random.random(n) * n).astype(int)], axis=0) for _ in range(200)]
    expected = np.sort(drawn, axis=0)
    for cells in (1, 9 * 7, 10**6):
        monkeypatch.setattr(bootstrap, "WEIGHTS_AT_ONCE", cells)
        mean, low, high, _ = bootstrap_mean(values, n_resamples=200, level=0.9, seed=11)
        np.testing.assert_allclose(mean, np.nanmean(values, axis=0))
        np.testing.assert_allclose(low, expected[9])  # .05 · 199 = 9.95, rounded outwards
        np.testing.assert_allclose(high, expected[190])


def test_counts_are_multinomial():
    random = np.random.default_rng(0)
    counts = np.stack([bootstrap._counts(random, 20) for _ in range(20_000)])
    assert (counts.sum(axis=1) == 20).all()
    np.testing.assert_allclose(counts.mean(axis=0), 1, atol=0.04)
    covariance = np.cov(counts.T)
    np.testing.assert_allclose(np.diag(covariance), 0.95, atol=0.06)  # n p (1 - p)
    np.testing.assert_allclose(covariance[~np.eye(20, dtype=bool)].mean(), -0.05, atol=0.005)  # - n p²


def test_missing_values_leave_the_query_out_of_that_metric_only():
    values = np.array([[1.0, NAN, NAN], [3.0, 5.0, NAN], [NAN, 5.0, NAN]])
    mean, low, high, n = bootstrap_mean(values)
    np.testing.assert_array_equal(mean, [2, 5, NAN])
    np.testing.assert_array_equal(low, [1, 5, NAN])
    np.testing.assert_array_equal(high, [3, 5, NAN])
    assert n.tolist() == [2, 2, 0]


def test_one_query_has_a_mean_and_no_interval():
    one = np.array([[0.4, NAN]])
    mean, low, high, n = bootstrap_mean(one)
    np.testing.assert_array_equal(mean, [0.4, NAN])
    assert np.isnan([low, high]).all()
    assert n.tolist() == [1, 0]
    one_customer = bootstrap_mean(normal(20, 1), groups=np.zeros(20, dtype=int))
    assert np.isnan([one_customer.low, one_customer.high]).all()
    single = paired_difference(one, one - 1)
    assert np.isnan([single.low, single.high, single.share_above, single.p]).all()


def test_no_query_at_all():
    answer = bootstrap_mean(np.empty((0, 2)))
    assert np.isnan([answer.mean, answer.low, answer.high]).all()
    assert answer.n.tolist() == [0, 0]
    assert bootstrap_mean(np.empty((0, 2)), groups=np.empty(0, dtype=int)).n.tolist() == [0, 0]


def test_the_seed_decides():
    values = normal(30, 2)
    again, other = bootstrap_mean(values, seed=3), bootstrap_mean(values, seed=4)
    np.testing.assert_array_equal(bootstrap_mean(values, seed=3), again)
    np.testing.assert_array_equal(other.mean, again.mean)
    assert not np.array_equal(other.low, again.low)


def test_another_order_of_the_queries_agrees_closely():
    values = normal(500, 1)
    one, other = bootstrap_mean(values, 4000), bootstrap_mean(values[::-1], 4000)
    np.testing.assert_allclose(one[:3], other[:3], atol=0.01)


def test_pairing_removes_what_both_share():
    shared, gain = 10 * normal(400, 1, seed=7), 0.1 + 0.1 * normal(400, 1, seed=8)
    paired = paired_difference(shared + gain, shared)
    np.testing.assert_allclose(paired.mean, gain.mean(axis=0), rtol=1e-9)
    assert paired.high - paired.low < 0.03
    assert paired.low > 0
    assert paired.share_above.tolist() == [1.0]
    np.testing.assert_allclose(paired.p, 2 / 1001)


def test_equal_models_differ_in_nothing():
    values = normal(50, 2)
    same = paired_difference(values, values)
    np.testing.assert_array_equal([same.mean, same.low, same.high, same.share_above], np.zeros((4, 2)))
    np.testing.assert_array_equal(same.p, 1)


def test_p_is_uniform_where_nothing_differs():
    a, b = normal(80, 1000, seed=9), normal(80, 1000, seed=10)
    p = paired_difference(a, b).p
    for level in (0.05, 0.2, 0.5):
        assert abs(np.mean(p <= level) - level) < 0.05


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(np.float64, (12, 2, 2), elements=st.one_of(st.floats(0, 1), st.just(NAN))),
    st.integers(0, 2**31),
)
def test_swapping_the_pair_mirrors_it(values, seed):
    a, b = values[:, 0], values[:, 1]
    one, other = (paired_difference(*pair, n_resamples=99, seed=seed) for pair in ((a, b), (b, a)))
    np.testing.assert_allclose(one.mean, -other.mean)
    np.testing.assert_allclose(one.low, -other.high, atol=1e-12)
    np.testing.assert_array_equal(one.n, other.n)
    bounded = ~np.isnan(one.low)
    assert (one.low <= one.high)[bounded].all()
    assert ((one.p > 0) & (one.p <= 1))[bounded].all()


def test_a_pair_counts_only_queries_that_both_hold():
    a, b = np.array([1.0, NAN, 3.0, 5.0]), np.array([1.0, 9.0, NAN, 1.0])
    assert paired_difference(a, b).mean.tolist() == [2]
    assert paired_difference(a, b).n.tolist() == [2]
    assert paired_ratio(a, b).ratio.tolist() == [3]
    assert paired_ratio(a, b).n.tolist() == [2]


def test_ratio_of_proportional_values_is_exact():
    base = np.abs(normal(60, 2)) + 0.1
    answer = paired_ratio(base * [2, 0.5], base, groups=np.repeat(np.arange(20), 3))
    for part in answer[:3]:
        np.testing.assert_allclose(part, [2, 0.5], rtol=1e-12)


def test_ratio_has_the_interval_of_the_delta_method():
    a, b = 2 + 0.3 * normal(3000, 1, seed=1), 4 + 0.5 * normal(3000, 1, seed=2)
    ratio, low, high, _ = paired_ratio(a, b, n_resamples=3000)
    spread = np.std(a - ratio * b) / b.mean() / np.sqrt(3000)
    np.testing.assert_allclose([(ratio - low) / spread, (high - ratio) / spread], 1.96, rtol=0.08)


def test_ratio_over_nothing_has_a_stated_answer():
    a = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
    never = paired_ratio(a, np.zeros((3, 2)))
    np.testing.assert_array_equal(never.ratio, [np.inf, NAN])
    np.testing.assert_array_equal(never.low, [np.inf, NAN])
    rare = paired_ratio(a[:, :1], np.array([[0.0], [0.0], [1.0]]))
    assert rare.ratio.tolist() == [6]
    assert rare.high.tolist() == [np.inf], "30% of the resamples miss the only positive divider"
    assert np.isfinite(rare.low).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda v: bootstrap_mean(v, n_resamples=0), "n_resamples = 0"),
        (lambda v: bootstrap_mean(v, level=95), "level = 95 does not lie between 0 and 1"),
        (lambda v: bootstrap_mean(v[None]), r"values have shape \(1, 4, 2\)"),
        (lambda v: bootstrap_mean(np.where(v > -9, np.inf, v)), "query row 0, metric 0 is infinite"),
        (lambda v: bootstrap_mean(v, groups=np.arange(3)), r"groups must be int \(4,\)"),
        (lambda v: bootstrap_mean(v, groups=np.ones(4)), r"groups must be int .* not float64"),
        (lambda v: bootstrap_mean(v, groups=np.array([0, -1, 1, 1])), "query row 1 has group -1"),
        (lambda v: paired_difference(v, v[:3]), "a pair needs the same queries and metrics"),
        (lambda v: paired_ratio(v, v[:, :1]), "a pair needs the same queries and metrics"),
    ],
)
def test_what_cannot_be_resampled_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call(normal(4, 2))
