from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from recsys.data.lines import OrdersOptions, map_columns, map_lines
from recsys.errors import InputError

RAW = pl.DataFrame(
    {
        "no": ["1", "C2", " 3 ", None],
        "who": [17850.0, None, 2.0, 3.0],
        "code": ["00042", "POST", "NA", "x"],
        "when": ["2024-07-01 12:00", "bad", "2024-07-01", "2024-07-02"],
        "units": ["2", "-1", "x", "0"],
        "worth": ["5", "-3", "1", "1"],
        "land": ["UK", "FR", " DE ", None],
    }
)
COLUMNS = {
    "order_id": "no",
    "customer_id": "who",
    "item_id": "code",
    "ordered_at": "when",
    "quantity": "units",
    "line_value": "worth",
}


def lines(raw=RAW, **options):
    chosen = OrdersOptions(**({"columns": COLUMNS} | options))
    return map_lines(raw, map_columns(raw.columns, chosen), chosen)


def test_columns_are_read_by_their_meaning():
    mapped = lines(time_zone="Europe/London")
    assert mapped["row"].to_list() == [0, 1, 2, 3]
    assert mapped["order_id"].to_list() == ["1", "C2", "3", None]
    assert mapped["customer_id"].to_list() == ["17850", None, "2", "3"]
    assert mapped["item_id"].to_list() == ["00042", "POST", None, "x"]
    assert mapped["quantity"].to_list() == [2, -1, None, 0]
    assert mapped["price"].to_list() == [5, -3, 1, 1]
    assert mapped["unit_price"].to_list()[:2] == [2.5, 3]
    assert mapped["ordered_at"].to_list()[:2] == [datetime(2024, 7, 1, 11, tzinfo=UTC), None]
    assert mapped["is_return"].to_list() == [False, True, None, False]


def test_a_store_is_read_where_it_is_mapped():
    assert lines()["store_id"].to_list() == [None] * 4
    assert lines(columns=COLUMNS | {"store_id": "land"})["store_id"].to_list() == ["UK", "FR", "DE", None]


def test_filters():
    mapped = lines(exclude={"land": ["FR", "DE"]}, exclude_item_pattern="^(POST|M)$", cancellation_pattern="^C")
    assert mapped["excluded"].to_list() == [False, True, True, False]
    assert mapped["no_product"].to_list() == [False, True, False, False]
    assert mapped.filter("is_return")["order_id"].to_list() == ["C2"]


def test_constants_fill_what_the_source_lacks():
    columns = {field: name for field, name in COLUMNS.items() if field[-2:] in ("at", "id") and name != "who"}
    mapped = lines(columns=columns, constants={"quantity": 1, "unit_price": "2.5", "customer_id": 7})
    assert mapped["quantity"].to_list() == [1.0] * 4
    assert mapped["unit_price"].to_list() == [2.5] * 4
    assert mapped["customer_id"].to_list() == ["7"] * 4


def test_fields_of_their_own_name_need_no_mapping():
    raw = pl.DataFrame(
        {"order_id": [1], "item_id": [2], "ordered_at": [datetime(2024, 1, 1, tzinfo=UTC)], "extra": [0]}
    )
    mapped = lines(raw, columns={}, constants={"quantity": 1})
    assert mapped.select("order_id", "item_id", "customer_id", "unit_price").rows() == [("1", "2", None, None)]


def test_order_numbers_count_back_from_each_customers_last_order():
    raw = pl.DataFrame(
        {
            "order_id": ["a", "a", "b", "c", "d", "e", "f"],
            "customer_id": ["1", "1", "1", "1", "2", None, "2"],
            "item_id": ["x", "y", "x", "x", "x", "x", "x"],
            "order_number": ["1", "1", "2", "10", "5", "3", "1.5"],
            "quantity": [1] * 7,
        }
    )
    last = datetime(2020, 5, 1, tzinfo=UTC)
    expected = [last - timedelta(days=n) for n in (2, 2, 1, 0, 0, 0)] + [None]
    mapped = lines(raw, columns={}, order_number_epoch="2020-05-01")
    assert mapped["ordered_at"].to_list() == expected
    backwards = lines(raw[::-1], columns={}, order_number_epoch="2020-05-01")
    assert backwards["ordered_at"].to_list() == expected[::-1]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"columns": COLUMNS | {"colour": "x"}}, "no field 'colour'"),
        ({"columns": COLUMNS | {"quantity": "unit"}}, "Did you mean 'units'"),
        ({"columns": {"order_id": "no"}}, "lacks 'item_id'"),
        ({"columns": COLUMNS | {"order_number": "units"}}, "either ordered_at or"),
        ({"columns": COLUMNS | {"unit_price": "worth"}}, "unit_price and line_value"),
        ({"constants": {"quantity": 1}}, "both in columns and in constants"),
        ({"columns": COLUMNS | {"quantity": None}, "constants": {"quantity": "many"}}, "'many' is no number"),
        ({"exclude": {"country": ["UK"]}}, "no column 'country'"),
        ({"cancellation_pattern": "("}, "no regular expression"),
        ({"time_zone": "Europe/Londinium"}, "IANA name"),
    ],
)
def test_wrong_mappings_say_so(options, says):
    with pytest.raises(InputError, match=says):
        lines(**options)
