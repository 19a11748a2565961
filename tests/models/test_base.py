"""The cells that may be among the k highest of a row."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recsys.models.base import dense, high_cells, product, unit_rows, unknown_rows

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


VALUES_OF_CELLS = st.sampled_from([0.0, 0.1, 1.0, -3.7, 1e5])
CELLS = arrays(np.float32, st.tuples(st.integers(0, 4), st.just(6)), elements=VALUES_OF_CELLS)


@settings(max_examples=60, deadline=None)
@given(CELLS, arrays(np.float32, (6, 9), elements=st.sampled_from([0.0, 0.3, 2.5, -1.1])))
def test_the_product_is_that_of_scipy(rows, matrix):
    """Rows of nothing, cells in any order, and cells that stand twice, as texts of several items of a history do."""
    sparse, right = sp.csr_matrix(rows), sp.csr_matrix(matrix)
    twice = sp.csr_matrix((np.tile(sparse.data, 2), np.tile(sparse.indices, 2), [0, 2 * sparse.nnz]), shape=(1, 6))
    backwards = sp.csr_matrix((sparse.data[::-1], sparse.indices[::-1], [0, sparse.nnz]), shape=(1, 6))
    for left in (sparse, twice, backwards):
        found = product(left, right)
        assert found.dtype == np.float32
        exact, size = left.astype(float) @ right.astype(float), abs(left) @ abs(right)
        np.testing.assert_array_less(abs(found - exact.toarray()), 1e-6 * size.toarray() + 1e-30)


@settings(max_examples=60, deadline=None)
@given(CELLS)
def test_unit_rows_by_norm(rows):
    length = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    found = unit_rows(sp.csr_matrix(rows)).toarray()
    np.testing.assert_allclose(found, rows / np.where(length > 0, length, 1), rtol=1e-6)


def test_unit_rows():
    rows = unit_rows(sp.csr_matrix(np.float32([[3, 4], [0, 0], [0, 1e-3]])))
    np.testing.assert_allclose(rows.toarray(), [[0.6, 0.8], [0, 0], [0, 1]], rtol=1e-6)
