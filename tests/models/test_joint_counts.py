"""Compiled pair counts against a product of matrices."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.models import joint_counts as module
from recsys.models.joint_counts import joint_counts

ALL = 10**9


def dense(found):
    """Counts and weights as arrays, 0 where there is no cell."""
    counts, weight = found
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    weighed = np.zeros(counts.shape)
    weighed[rows, counts.indices] = weight
    return counts.toarray(), weighed


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 12), st.integers(1, 4), st.integers(1, 60))
def test_against_the_product(seed, n_orders, n_items, least, visits):
    rng = np.random.default_rng(seed)
    orders = sp.csr_matrix((rng.random((n_orders, n_items)) < 0.4).astype(np.float32))
    weights = rng.random(n_orders).astype(np.float32)
    expected = (orders.T @ orders).toarray()
    np.fill_diagonal(expected, 0)
    expected[expected < least] = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "VISITS", visits)  # many stretches
        counts, weighed = dense(joint_counts(orders, weights, least, ALL))
    np.testing.assert_array_equal(counts, expected)
    faded = (orders.T @ sp.diags_array(weights) @ orders).toarray() * (expected > 0)
    np.testing.assert_allclose(weighed, faded, rtol=1e-5)


@pytest.mark.parametrize("visits", [1, 10, 10**7])
def test_too_many_cells_leave_those_of_most_orders(visits, monkeypatch):
    """Items 0 and 1 meet four times, 1 and 2 three times, 0 and 2 twice, the others once."""
    monkeypatch.setattr(module, "VISITS", visits)
    held = [[0, 1], [0, 1], [0, 1, 2], [0, 1, 2, 3], [1, 2]]
    orders = sp.csr_matrix(np.array([[float(item in order) for item in range(4)] for order in held], np.float32))
    ones = np.ones(len(held), np.float32)
    kept = {most: joint_counts(orders, ones, 1, most)[0] for most in (12, 11, 6, 5, 3, 1)}
    assert {most: sorted(set(found.data.tolist())) for most, found in kept.items()} == {
        12: [1, 2, 3, 4], 11: [2, 3, 4], 6: [2, 3, 4], 5: [3, 4], 3: [4], 1: []
    }  # fmt: skip


def test_a_weight_of_nothing_keeps_its_cell_and_empty_orders_have_none():
    orders = sp.csr_matrix(np.array([[1, 1, 0], [0, 0, 0]], np.float32))
    counts, weight = joint_counts(orders, np.zeros(2, np.float32), 1, ALL)
    assert counts.toarray().tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]
    assert weight.tolist() == [0, 0]
    assert joint_counts(orders[1:], np.ones(1, np.float32), 1, ALL)[0].nnz == 0
