"""Lists against a sort."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recsys.ranking.topk import top_k, top_k_of_rows

TIES = st.sampled_from([0.0, 0.5, 1.0, np.nan, -np.inf])
SCORES = arrays(
    np.float32, st.tuples(st.integers(1, 4), st.integers(1, 60)), elements=TIES | st.floats(-2, 2, width=32)
)


def slow(values, k):
    """Positions of the k highest, ties to the lower; NaN and -inf never; padded with -1."""
    order = sorted((c for c, v in enumerate(values) if np.isfinite(v)), key=lambda c: (-values[c], c))[:k]
    return order + [-1] * (k - len(order))


@settings(max_examples=150, deadline=None)
@given(SCORES, st.integers(1, 70))
def test_top_k_is_a_sort(scores, k):
    lists = top_k(scores, k)
    assert lists.dtype == np.int64
    assert lists.shape == (len(scores), k)
    assert lists.tolist() == [slow(values, k) for values in scores]


@settings(max_examples=60, deadline=None)
@given(arrays(np.float32, (2, 300), elements=st.sampled_from([0.0, 1.0, 2.0, np.nan])), st.integers(1, 40))
def test_top_k_of_wide_rows_with_heavy_ties(scores, k):
    assert top_k(scores, k).tolist() == [slow(values, k) for values in scores]


def test_a_row_of_nothing_and_no_rows():
    scores = np.float32([[np.nan, -np.inf], [np.nan, 1]])
    assert top_k(scores, 3).tolist() == [[-1, -1, -1], [1, -1, -1]]
    assert top_k(np.zeros((0, 4), np.float32), 3).shape == (0, 3)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 9), st.sampled_from([0.0, 0.5, -1.0])),
        unique_by=lambda row: row[:2], max_size=30,
    ),
    st.integers(1, 6),
)  # fmt: skip
def test_lists_of_rows_are_a_sort(rows, k):
    rows = sorted(rows)
    query, item, score = (np.array([row[at] for row in rows], kind) for at, kind in enumerate((int, int, np.float32)))
    lists, values = top_k_of_rows(query, item, score, 5, k)
    assert values.dtype == np.float32
    for q in range(5):
        mine = sorted((-s, i) for at, i, s in rows if at == q)[:k]
        assert lists[q].tolist() == [i for _, i in mine] + [-1] * (k - len(mine))
        np.testing.assert_array_equal(values[q], np.float32([-s for s, _ in mine] + [np.nan] * (k - len(mine))))
