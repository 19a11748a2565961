from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from recsys.data.lines import OrdersOptions, map_columns, map_lines
from recsys.data.validation import ValidationOptions, line_rules, validate_lines
from recsys.errors import InputError
from recsys.schemas import Orders

NOW = datetime(2024, 6, 1, tzinfo=UTC)
NAMES = ("order_id", "customer_id", "item_id", "ordered_at", "quantity", "unit_price")
GOOD = ("1", "a", "x", "2024-01-01", "2", "10")


def lines(rows, **options):
    raw = pl.DataFrame(rows, schema=dict.fromkeys(NAMES, pl.String), orient="row")
    chosen = OrdersOptions(cancellation_pattern="^C", exclude_item_pattern="^POST$", **options)
    return map_lines(raw, map_columns(raw.columns, chosen), chosen)


def validate(rows, now=NOW, known=None, excluded=None, **options):
    series = [pl.Series(ids, dtype=pl.String) if ids is not None else None for ids in (excluded, known)]
    return validate_lines(
        lines(rows), ValidationOptions(**options), now, excluded_items=series[0], known_items=series[1]
    )


def row(**changes):
    return tuple((dict(zip(NAMES, GOOD, strict=True)) | changes).values())


def refused(result):
    return dict(result.refused.sort("row").rows())


@pytest.mark.parametrize(
    ("changes", "options", "rule"),
    [
        ({"order_id": " "}, {}, "blank_order_id"),
        ({"item_id": "NA"}, {}, "blank_item_id"),
        ({"item_id": "POST"}, {}, "excluded_item"),
        ({"item_id": "gas"}, {"excluded": ["gas"]}, "excluded_item"),
        ({"item_id": "z"}, {"known": ["x", "y"]}, "not_in_catalog"),
        ({"quantity": "two"}, {}, "unparsable_quantity"),
        ({"quantity": "0"}, {}, "zero_quantity"),
        ({"quantity": "100001"}, {}, "absurd_quantity"),
        ({"quantity": "-100001"}, {}, "absurd_quantity"),
        ({"quantity": "-1"}, {"returns": "reject"}, "refused_return"),
        ({"order_id": "C1"}, {"returns": "reject"}, "refused_return"),
        ({"quantity": "-1", "customer_id": "b"}, {}, "unmatched_return"),
        ({"unit_price": ""}, {}, "unparsable_price"),
        ({"unit_price": "-1"}, {}, "negative_price"),
        ({"unit_price": "0"}, {}, "zero_price"),
        ({"unit_price": "51"}, {"max_unit_price": 50}, "absurd_price"),
        ({"order_id": "2", "unit_price": "1001"}, {"max_price_ratio": 100}, "absurd_price"),
        ({"ordered_at": "soon"}, {}, "unparsable_time"),
        ({"ordered_at": "2024-06-01 00:00:01"}, {}, "future_time"),
        ({"ordered_at": "2019-12-31"}, {"earliest": "2020-01-01"}, "before_earliest"),
        ({"customer_id": "b"}, {}, "order_of_two_customers"),
        ({}, {"duplicates": "reject"}, "repeated_line"),
    ],
)
def test_one_dirty_row_among_good_ones_breaks_its_rule(changes, options, rule):
    good = [GOOD, row(item_id="y"), row(order_id="3"), row(order_id="4")]
    result = validate([*good, row(**changes)], **options)
    assert refused(result) == {4: rule}
    assert result.orders.height == 4


def test_values_at_their_limits_are_kept():
    rows = [
        row(quantity="100000"),
        row(order_id="2", ordered_at="2024-06-01"),
        row(order_id="3", unit_price="0"),
    ]
    result = validate(rows, allow_zero_price=True, earliest="2024-01-01", max_unit_price=10, max_price_ratio=1)
    assert result.refused.is_empty()


def test_the_first_broken_rule_is_named():
    assert refused(validate([row(item_id="", quantity="0", unit_price="x")])) == {0: "blank_item_id"}


def test_guests_are_kept_and_counted():
    result = validate([row(customer_id=""), row(order_id="2")])
    assert result.orders["customer_id"].to_list() == [None, "a"]
    assert result.notes["guest_lines"] == 1


def test_duplicates_merge_to_their_sum_at_the_mean_price():
    result = validate(
        [
            GOOD,
            row(quantity="6", unit_price="2"),
            row(order_id="2", unit_price="0.1"),
            row(order_id="2", unit_price="0.1"),
        ]
    )
    assert result.orders.select("order_id", "quantity", "unit_price").rows() == [
        ("1", 8.0, 4.0),
        ("2", 4.0, 0.1),
    ]
    assert result.accepted == {"accepted_lines": 2, "merged_lines": 2, "returns_matched": 0}


def test_reject_refuses_exact_repeats_and_merges_the_others():
    result = validate([GOOD, GOOD, row(quantity="3")], duplicates="reject")
    assert refused(result) == {1: "repeated_line"}
    assert result.orders["quantity"].to_list() == [5.0]


def test_an_order_has_one_customer_and_one_time():
    rows = [
        row(ordered_at="2024-01-01 10:01"),
        row(item_id="y", ordered_at="2024-01-01 10:00", customer_id=""),
        row(item_id="z", customer_id="b", ordered_at="2024-01-01 09:00"),
        row(item_id="w", ordered_at="2024-01-01 10:02"),
        row(order_id="2", customer_id="d"),
        row(order_id="2", customer_id="c", item_id="y"),
    ]
    result = validate(rows)
    assert refused(result) == {2: "order_of_two_customers", 4: "order_of_two_customers"}
    first = result.orders.filter(pl.col("order_id") == "1")
    assert set(first["customer_id"]) == {"a"}
    assert set(first["ordered_at"]) == {datetime(2024, 1, 1, 10, tzinfo=UTC)}
    assert result.notes["customer_from_order"] == 1
    assert result.notes["time_from_order"] == 2


def test_returns_and_cancellations_are_attached_to_the_purchase():
    rows = [
        row(quantity="5"),
        row(order_id="C2", quantity="-2", ordered_at="2024-01-03", unit_price="junk"),
        row(order_id="C3", quantity="3", ordered_at="2024-01-02"),
        row(order_id="4", quantity="-1", ordered_at="2024-01-04"),
    ]
    result = validate(rows)
    assert refused(result) == {3: "unmatched_return"}
    ((quantity, at),) = result.orders.select("returned_quantity", "returned_at").rows()
    assert (quantity, at) == (5.0, datetime(2024, 1, 3, tzinfo=UTC))
    assert result.accepted["returns_matched"] == 2


def test_without_a_price_none_is_judged():
    result = validate_lines(lines([row(unit_price="")]), ValidationOptions(), NOW, priced=False)
    assert result.orders["unit_price"].to_list() == [None]


def test_now_needs_a_time_zone():
    with pytest.raises(InputError, match="aware"):
        line_rules(ValidationOptions(), NOW.replace(tzinfo=None))


DIRT = st.tuples(
    st.sampled_from(["1", "2", "3", "C4", "", "5"]),
    st.sampled_from(["a", "b", ""]),
    st.sampled_from(["x", "y", "POST", "NA"]),
    st.sampled_from(["2024-01-01", "2024-01-02", "2024-01-03 10:00", "2025-01-01", "?"]),
    st.sampled_from(["1", "2", "0.1", "0.7", "-1", "-0.1", "0", "x"]),
    st.sampled_from(["1", "0.3", "2.7", "5000", "0", "-1", ""]),
)
CHOICES = st.fixed_dictionaries(
    {"returns": st.sampled_from(["match", "reject"]), "duplicates": st.sampled_from(["merge", "reject"])}
)


@settings(max_examples=50, deadline=None)
@given(rows=st.lists(DIRT, max_size=25), options=CHOICES, seed=st.integers(0, 99))
def test_every_row_is_kept_or_refused_once_and_row_order_does_not_matter(rows, options, seed):
    mapped = lines(rows)
    result = validate_lines(mapped, ValidationOptions(**options), NOW)
    assert sum(result.accepted.values()) + result.refused.height == len(rows)
    assert result.refused["row"].is_unique().all()
    assert Orders.is_valid(result.orders)
    assert result.orders.equals(result.orders.sort("ordered_at", "order_id", "item_id"))
    shuffled = mapped.sample(fraction=1, shuffle=True, seed=seed).with_columns(
        row=pl.int_range(pl.len(), dtype=pl.UInt32)
    )
    again = validate_lines(shuffled, ValidationOptions(**options), NOW)
    assert_frame_equal(again.orders, result.orders, check_exact=True)
    assert again.accepted == result.accepted
    assert again.notes == result.notes
    assert sorted(again.refused["rule"]) == sorted(result.refused["rule"])


def test_units_are_neither_made_nor_lost():
    rows = [
        row(
            order_id=str(n % 7),
            item_id="xyz"[n % 3],
            quantity="0.1",
            ordered_at=str((NOW - timedelta(days=n % 5)).date()),
        )
        for n in range(50)
    ]
    assert validate(rows).orders["quantity"].sum() == pytest.approx(5.0)


def test_merged_lines_keep_a_store():
    """The smaller id of two, and the known one beside an unknown."""
    stores = pl.Series("store_id", ["s2", "s1", None, "s3", None], dtype=pl.String)
    rows = [row(), row(), row(item_id="y"), row(item_id="y"), row(item_id="z")]
    found = validate_lines(lines(rows).with_columns(stores), ValidationOptions(), NOW)
    assert found.orders.select("item_id", "store_id").rows() == [("x", "s1"), ("y", "s3"), ("z", None)]
