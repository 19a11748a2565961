"""What the check against Cornac can show without Cornac: its data, and what it says where Cornac is missing."""

import sys

import numpy as np
import pytest

from benchmarks import cornac_check


def test_matrices_keep_customers_items_and_the_order_of_baskets():
    """Customer 0 bought 2 in the older basket and 0 and 1 in the latest; customer 1 bought 2."""
    histories = cornac_check.matrices([[[2], [0, 1]], [[2]]], 3).histories
    assert histories.indptr.tolist() == [0, 3, 4]
    assert histories.items.tolist() == [2, 0, 1, 2]
    assert histories.orders.tolist() == [1, 0, 0, 0]


def test_scores_of_ours_are_in_cornacs_unit():
    """Everybody's baskets 2, 1, 1 over those of the best seller, 2."""
    check = cornac_check.CHECKS[0]
    scores = cornac_check.our_scores(check, [[[0], [0, 1]], [[2]]], [[[1], [2]]], 3)
    np.testing.assert_allclose(scores, [[1, 0.5, 0.5]])


@pytest.mark.parametrize(("python", "told"), [("nowhere/python", "does not run"), (sys.executable, "No module named")])
def test_a_missing_cornac_is_told(python, told, monkeypatch):
    monkeypatch.setattr(cornac_check, "baskets", lambda _: ([[[0], [1]]], [[[1], [0]]], 2))
    with pytest.raises(SystemExit, match=told):
        cornac_check.main(["--python", python])
