from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.data.cells import flag_of, id_of, localise, moment_of, number_of, text_of, times_of
from recsys.errors import InputError

NULLS = ("", "NA", "null")


def clock(*parts):
    """A time as a clock on the wall shows it."""
    return datetime(*parts)  # noqa: DTZ001


def applied(values, make, dtype=None):
    frame = pl.DataFrame({"x": pl.Series(values, dtype=dtype)})
    return frame.select(make("x", frame.schema["x"]).alias("x")).to_series().to_list()


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([" 00042 ", "NA", "", None, "a b"], pl.String, ["00042", None, None, None, "a b"]),
        ([17850, None], pl.Int64, ["17850", None]),
        ([17850.0, 1.5, float("nan"), None, 1e300], pl.Float64, ["17850", "1.5", None, None, "1e+300"]),
        ([Decimal("12.00"), Decimal("12.50")], pl.Decimal(10, 2), ["12", "12.50"]),
        ([b"abc", None], pl.Binary, ["abc", None]),
        ([b"abc", b"\xff\x00"], pl.Binary, ["616263", "ff00"]),
        (["A", None], pl.Categorical, ["A", None]),
    ],
)
def test_ids_are_text(values, dtype, expected):
    assert applied(values, lambda n, d: id_of(n, d, NULLS), dtype) == expected


@pytest.mark.parametrize(
    ("options", "values", "expected"),
    [
        ({}, ["1.5", " 2 ", "1,5", "x", "NA", "-3", "1e2"], [1.5, 2, None, None, None, -3, 100]),
        ({}, ["inf", "nan", None], [None, None, None]),
        ({"thousands": ","}, ["1,234.5", "1,23", "12,345,678", "-1,000"], [1234.5, None, 12345678, -1000]),
        ({"decimal": ","}, ["1,5", "1.5", "7"], [1.5, None, 7]),
        ({"decimal": ",", "thousands": "."}, ["1.234,5", "1.5", "1234,5"], [1234.5, None, 1234.5]),
        ({"decimal": ",", "thousands": " "}, ["1 234,5", "12 34"], [1234.5, None]),
    ],
)  # fmt: skip
def test_numbers_of_text(options, values, expected):
    assert applied(values, lambda n, d: number_of(n, d, NULLS, **options)) == expected


def test_numbers_that_are_typed():
    assert applied([1, None], lambda n, d: number_of(n, d, NULLS)) == [1.0, None]
    assert applied([1.5, float("inf")], lambda n, d: number_of(n, d, NULLS)) == [1.5, None]


def test_flags():
    assert applied(["Yes", "0", "out", "perhaps", None], flag_of) == [True, False, False, None, None]
    assert applied([True, None], flag_of) == [True, None]


def test_text_of_text_is_untouched():
    assert applied([" x "], text_of) == [" x "]


def test_usual_times():
    texts = [
        "2024-03-01 10:20:30",
        "2024-03-01T10:20:30.5Z",
        "2024-03-01T10:20",
        "2024-03-01",
        "2024-03-01 10:20:30+02:00",
        "2024-03-01 10:20:30 UTC",
        "01.03.2024 10:20",
        "20240301",
        "01/03/2024",
        "never",
        None,
    ]
    day, at = datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 3, 1, 10, 20, tzinfo=UTC)
    half = timedelta(seconds=30)
    expected = [
        at + half,
        at + half + timedelta(seconds=0.5),
        at,
        day,
        at + half - timedelta(hours=2),
        at + half,
    ]
    expected += [at, day, None, None, None]
    assert times_of(pl.Series("t", texts), None, "UTC").to_list() == expected


def test_told_format_is_the_only_one():
    times = times_of(pl.Series("t", ["01/03/2024 10:20", "2024-03-01"]), "%d/%m/%Y %H:%M", "UTC").to_list()
    assert times == [datetime(2024, 3, 1, 10, 20, tzinfo=UTC), None]
    assert times_of(pl.Series("t", [20240301]), "%Y%m%d", "UTC").to_list() == [datetime(2024, 3, 1, tzinfo=UTC)]
    offset = times_of(pl.Series("t", ["01/03/2024 10:20 +0100"]), "%d/%m/%Y %H:%M %z", "America/New_York")
    assert offset.to_list() == [datetime(2024, 3, 1, 9, 20, tzinfo=UTC)]


def test_typed_times():
    aware = pl.Series("t", [clock(2024, 7, 1, 12)]).dt.replace_time_zone("Europe/Berlin")
    assert times_of(aware, None, "Asia/Tokyo").to_list() == [datetime(2024, 7, 1, 10, tzinfo=UTC)]
    assert times_of(pl.Series("t", [date(2024, 7, 1)]), None, "Europe/London").to_list() == [
        datetime(2024, 6, 30, 23, tzinfo=UTC)
    ]


@settings(max_examples=60, deadline=None)
@given(
    zone=st.sampled_from(["Europe/London", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "UTC"]),
    time=st.datetimes(clock(2010, 1, 1), clock(2024, 12, 31)),
)
def test_clock_times_agree_with_zoneinfo(zone, time):
    # fold=0: the earlier of two, and the offset before a gap, which is what Python documents as well
    expected = time.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    assert localise(pl.Series([time], dtype=pl.Datetime("us")), zone).to_list() == [expected]


@pytest.mark.parametrize(
    ("zone", "time", "expected"),
    [
        ("Europe/London", clock(2024, 3, 31, 1, 30), clock(2024, 3, 31, 1, 30)),  # skipped: 02:30 BST
        ("Europe/London", clock(2024, 10, 27, 1, 30), clock(2024, 10, 27, 0, 30)),  # twice: the earlier
        ("Australia/Lord_Howe", clock(2024, 10, 6, 2, 15), clock(2024, 10, 5, 15, 45)),  # half an hour
        ("Pacific/Apia", clock(2011, 12, 30, 12), clock(2011, 12, 30, 22)),  # a whole day skipped
    ],
)
def test_hours_that_do_not_exist_or_exist_twice(zone, time, expected):
    placed = localise(pl.Series([time], dtype=pl.Datetime("us")), zone).to_list()
    assert placed == [expected.replace(tzinfo=UTC)]
    assert placed == [time.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)]


def test_moments_of_options():
    assert moment_of("2024-01-31", "here") == datetime(2024, 1, 31, tzinfo=UTC)
    assert moment_of("2024-01-31T08:00+02:00", "here") == datetime(2024, 1, 31, 6, tzinfo=UTC)
    with pytest.raises(InputError, match="here 'soon'"):
        moment_of("soon", "here")
