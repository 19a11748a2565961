"""The cells that may be among the k highest of a row."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recsys.models.base import dense, high_cells, unknown_rows

VALUES = st.sampled_from([0.0, -0.0, 0.5, 1.0, -1.0, 3e38, -3e38, np.nan, -np.inf])
SCORES = arrays(np.float32, st.tuples(st.integers(0, 3), st.integers(1, 70)), elements=VALUES)


@settings(max_examples=150, deadline=None)
@given(SCORES, st.integers(1, 80))
def test_all_that_may_be_listed_is_found(scores, k):
    """The k highest and everything that ties with the last of them; sorted; never NaN or -inf."""
    rows, columns = high_cells(scores, k)
    found = list(zip(rows.tolist(), columns.tolist(), strict=True))
    assert found == sorted(set(found))
    for row, values in enumerate(scores):
        finite = [column for column, value in enumerate(values) if np.isfinite(value)]
        edge = sorted((values[c] for c in finite), reverse=True)[:k]
        needed = {column for column in finite if values[column] >= edge[-1]} if edge else set()
        mine = {column for r, column in found if r == row}
        assert needed <= mine <= set(finite)


def test_few_more_cells_than_asked_for():
    scores = np.random.default_rng(0).random((20, 5000), np.float32)
    rows, _ = high_cells(scores, 10)
    assert 20 * 10 <= len(rows) < 20 * 30


@pytest.mark.parametrize("shape", [(0, 7), (2, 0), (0, 0)])
def test_nothing_in_nothing(shape):
    rows, columns = high_cells(np.zeros(shape, np.float32), 3)
    assert (rows.tolist(), columns.tolist()) == ([], [])


def test_unknown_rows_are_nan():
    scores = unknown_rows(np.ones((3, 2), np.float32), np.array([True, False, True]))
    assert np.isnan(scores).tolist() == [[False, False], [True, True], [False, False]]
    assert dense(sp.csr_matrix((2, 3))).dtype == np.float32
