from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from recsys.data.sufficiency import SufficiencyOptions, judge, require_sufficient
from recsys.errors import InputError

ORDERS = pl.DataFrame(
    {
        "order_id": ["1", "1", "2", "3", "4"],
        "item_id": ["x", "y", "x", "x", "z"],
        "customer_id": ["a", "a", "a", "b", None],
        "ordered_at": [datetime(2024, 1, d, tzinfo=UTC) for d in (1, 1, 2, 3, 11)],
    }
)
LOW = SufficiencyOptions(
    min_customers=2,
    min_repeat_customers=1,
    min_items=3,
    min_orders=4,
    min_orders_per_customer=1.5,
    min_lines=5,
    min_span_days=10,
    max_rejected_share=0.5,
    min_queries=7,
)


def test_values_at_their_thresholds_pass():
    checks = judge(ORDERS, read=10, rejected=5, queries=7, options=LOW)
    assert {c.name: c.value for c in checks} == {
        "customers": 2,
        "repeat_customers": 1,
        "items": 3,
        "orders": 4,
        "orders_per_customer": 1.5,
        "lines": 5,
        "span_days": 10,
        "rejected_share": 0.5,
        "queries": 7,
    }
    assert all(c.passed for c in checks)
    require_sufficient(checks)


def test_unknown_queries_are_not_judged():
    assert "queries" not in [c.name for c in judge(ORDERS, read=10, rejected=5, options=LOW)]


def test_each_failing_value_is_named_with_threshold_and_remedy():
    checks = judge(ORDERS, read=10, rejected=6, queries=6, options=LOW)
    assert [c.name for c in checks if not c.passed] == ["rejected_share", "queries"]
    with pytest.raises(
        InputError,
        match=r"rejected_share is 0\.6, needs at most 0\.5: see .*queries is 6, needs at least 7: hold",
    ):
        require_sufficient(checks)


def test_nothing_at_all_fails_everything():
    checks = judge(ORDERS.clear(), read=0, rejected=0)
    assert not any(c.passed for c in checks)
    assert timedelta(0).days == checks[6].value
