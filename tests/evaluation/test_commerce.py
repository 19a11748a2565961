"""Commerce measures against the hand-worked table of docs/metrics.md, a plain oracle and what must be refused."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

from recsys.errors import InputError
from recsys.evaluation.commerce import of_lists, of_offers, of_orders, retention, slow_movers

FIRST, SECOND, END = (datetime(2024, month, 1, tzinfo=UTC) for month in (1, 2, 3))


def lines(*rows):
    """(order_id, customer_id, ordered_at, quantity, unit_price, returned_quantity) each; items by their place."""
    columns = ("order_id", "customer_id", "ordered_at", "quantity", "unit_price", "returned_quantity")
    kinds = (pl.String, pl.String, pl.Datetime("us", "UTC"), pl.Float64, pl.Float64, pl.Float64)
    table = pl.DataFrame(rows, schema=dict(zip(columns, kinds, strict=True)), orient="row")
    return table.with_row_index("at").with_columns(item_id=pl.format("i{}", "at")).drop("at")


WORKED = lines(
    ("o1", "a", FIRST, 2, 5, 1), ("o1", "a", FIRST, 1, 10, None), ("o2", "a", SECOND, 1, 30, None),
    ("o3", "b", FIRST, 1, 40, None), ("o4", "b", SECOND, 1, 10, None), ("o5", "d", FIRST, 1, 20, None),
    ("o6", None, FIRST, 3, 10, None), ("o6", None, FIRST, 1, None, None),
)  # fmt: skip


def test_orders_and_retention_as_worked_by_hand():
    assert of_orders(WORKED).values() == pytest.approx(
        {"items_per_order": 8 / 6, "revenue_per_order": 25, "revenue_per_customer": 40, "return_rate": 5 / 150}
    )
    found = retention(WORKED, FIRST, SECOND, END).values()
    assert found == pytest.approx(
        {"net_revenue_retention": 0.5, "expansion": 0.125, "contraction": 0.375, "churn": 0.25}
    )
    kept = 1 + found["expansion"] - found["contraction"] - found["churn"]
    assert kept == pytest.approx(found["net_revenue_retention"])


def test_a_guest_and_a_customer_of_the_same_name_are_two_units():
    named = lines(("x", "y", FIRST, 1, 2, None), ("y", None, FIRST, 1, 4, None))
    assert len(of_orders(named).above) == 2
    assert of_orders(named).values()["revenue_per_customer"] == 2


def test_offers():
    orders = lines(
        ("o1", "a", FIRST, 1, 60, None), ("o2", "a", FIRST, 1, 20, None), ("o3", "b", FIRST, 1, 20, None),
    )  # fmt: skip
    log = pl.DataFrame(
        [
            ("a", "cross_sell", "o1", 6.0), ("a", "cross_sell", "o1", 4.0), ("a", "cross_sell", None, None),
            ("a", "upsell", None, None), ("b", "upsell", "o3", 10.0), ("c", "bundle", None, None),
        ],
        schema={"customer_id": pl.String, "kind": pl.String, "order_id": pl.String, "value": pl.Float64},
        orient="row",
    )  # fmt: skip
    measures = of_offers(log, orders)
    assert measures.values() == pytest.approx(
        {
            "conversion": 3 / 6, "conversion_cross_sell": 2 / 3, "conversion_upsell": 1 / 2, "conversion_bundle": 0,
            "attach_rate": 1 / 3, "upsell_rate": 1 / 2, "expansion_share": 20 / 100,
        }
    )  # fmt: skip
    (first, *_) = measures.records(resamples=200)
    assert first["low"] <= first["value"] <= first["high"]
    assert (first["units"], first["below"]) == (3, 6)
    nobody = of_offers(log.clear(), orders).values()
    assert np.isnan(nobody["conversion"])
    assert nobody["attach_rate"] == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": pl.lit("gift")}, "kind 'gift'; known are cross_sell, upsell, bundle"),
        ({"order_id": pl.lit("o9")}, "names order 'o9', which the order lines do not hold"),
        ({"kind": None}, "no column 'kind'"),
    ],
)
def test_a_log_that_cannot_be_read_is_refused(change, said):
    log = pl.DataFrame({"customer_id": ["a"], "kind": ["upsell"], "order_id": ["o1"], "value": [1.0]})
    broken = log.drop("kind") if change.get("kind", 0) is None else log.with_columns(**change)
    with pytest.raises(InputError, match=said):
        of_offers(broken, WORKED)


def test_lists_are_worth_what_the_order_held():
    lists = np.array([[0, 1, 2], [2, 3, -1], [1, -1, -1], [0, 1, 3]])
    relevant = sp.csr_matrix(np.array([[1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0], [1, 1, 0, 1]]))
    prices, costs = np.array([2.0, 3.0, np.nan, 5.0]), np.array([1.0, np.nan, 1.0, 6.0])
    slow = np.array([False, False, True, True])
    two = of_lists(lists, relevant, 2, prices=prices, costs=costs, slow=slow).values()
    assert two == pytest.approx(
        {
            "attach_rate": 3 / 3,
            "hits": (1 + 1 + 2) / 3,
            "revenue": (2 + 5 + 2 + 3) / 3,
            "margin": (1 - 1 + 1) / 3,
            "priced": 4 / 4,
            "costed": 3 / 4,
            "slow_movers": 2 / 6,
        }
    )
    for unknown in (None, np.full(4, np.nan)):
        three = of_lists(lists, relevant, 3, prices=prices, costs=unknown).values()
        assert three["priced"] == 5 / 6
        assert np.isnan([three["margin"], three["costed"], three["slow_movers"]]).all()


def test_slow_movers_are_below_the_quantile():
    np.testing.assert_array_equal(slow_movers(np.array([9, 1, 5, 1])), [False, True, False, True])
    np.testing.assert_array_equal(slow_movers(np.array([4, 4, 4])), [False, False, False])
    assert len(slow_movers(np.array([], int))) == 0
    with pytest.raises(InputError, match="share of slow movers is 1"):
        slow_movers(np.array([1]), 1)


def test_periods_out_of_order_are_refused():
    with pytest.raises(InputError, match="are not in order"):
        retention(WORKED, SECOND, FIRST, END)


def test_no_orders_have_no_value():
    assert np.isnan(list(of_orders(WORKED.clear()).values().values())).all()
    assert [row["value"] for row in of_orders(WORKED.clear()).records()] == [None] * 4
