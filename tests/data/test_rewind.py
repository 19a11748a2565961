"""Rewound data are those of the earlier moment."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from recsys.data.interactions import lines_before, train_data
from recsys.data.rewind import rewind

DAYS = 60


def test_it_is_what_an_earlier_fit_would_have_seen(small_shop) -> None:
    orders = small_shop.orders.with_columns(
        returned_at=pl.lit(None, pl.Datetime("us", "UTC")), returned_quantity=pl.lit(None, pl.Float64)
    )
    at = small_shop.test.at
    now = train_data(lines_before(orders, at), small_shop.catalog)
    then = train_data(lines_before(orders, at - timedelta(days=DAYS)), small_shop.catalog, items=now.items)
    found = rewind(now, DAYS)
    assert found.orders.shape[0] < now.orders.shape[0]
    assert (found.orders != then.orders).nnz == 0
    np.testing.assert_allclose(found.order_ages, then.order_ages, atol=1e-4)
    for customer in then.customers.ids:
        a = found.histories.take(found.customers.positions([customer]))
        b = then.histories.take(then.customers.positions([customer]))
        assert a.items.tolist() == b.items.tolist()
        assert a.orders.tolist() == b.orders.tolist()
        np.testing.assert_allclose(a.ages, b.ages, atol=1e-4)
    gone = np.setdiff1d(found.customers.ids, then.customers.ids)
    assert not found.histories.take(found.customers.positions(list(gone))).has_history.any()


def test_the_moment_itself_is_not_known(tiny_data) -> None:
    data = tiny_data(("a", "c", 9, ["x"]), ("b", "c", 5, ["y"]), ("d", "c", 2, ["x"]))
    past = rewind(data, 5)
    assert past.histories.items.tolist() == [data.items.ids.index("x")]
    assert past.histories.ages.tolist() == pytest.approx([4])
    assert past.histories.orders.tolist() == [0]
    assert past.order_ages.tolist() == pytest.approx([4])
