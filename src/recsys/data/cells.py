"""Raw cells to ids, numbers and times. What cannot be read is null; the caller decides what that means."""

import re
from datetime import UTC as UTC_ZONE
from datetime import datetime, timedelta

import polars as pl

from recsys.errors import InputError
from recsys.schemas import UTC

# Tried in this order, each on what the earlier ones left. Day/month orders that could be read two ways
# (01/02/2024) are not among them: they need a time_format.
TIME_FORMATS = (
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M%#z",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y",
    "%Y%m%d",
)
BEFORE_GAP = timedelta(hours=25)


def text_of(name: str, dtype: pl.DataType) -> pl.Expr:
    """Any column as text; whole floats and decimals lose their ".0", NaN is null, bytes may be hex."""
    column = pl.col(name)
    if dtype.is_float():
        whole = (column == column.round()) & (column.abs() < 2**63)
        digits = column.cast(pl.Int64, strict=False).cast(pl.String)
        return pl.when(whole).then(digits).otherwise(column.fill_nan(None).cast(pl.String))
    if dtype.is_decimal():
        return column.cast(pl.String).str.replace(r"\.0+$", "")
    if dtype == pl.Binary:
        return column.map_batches(_bytes_as_text, return_dtype=pl.String)
    return column if dtype == pl.String else column.cast(pl.String, strict=False)


def _bytes_as_text(column: pl.Series) -> pl.Series:
    """UTF-8 where all of the column is, as some writers of Parquet mark no text as such; else hex (UUIDs)."""
    try:
        return column.cast(pl.String)
    except pl.exceptions.PolarsError:
        return column.bin.encode("hex")


def id_of(name: str, dtype: pl.DataType, nulls: tuple[str, ...]) -> pl.Expr:
    """Trimmed text, leading zeros kept; the texts in `nulls` are null."""
    text = text_of(name, dtype)
    if dtype.is_numeric():
        return text
    text = text.str.strip_chars()
    return pl.when(text.is_in([*nulls, ""])).then(None).otherwise(text)


def number_of(
    name: str, dtype: pl.DataType, nulls: tuple[str, ...], *, decimal: str = ".", thousands: str = ""
) -> pl.Expr:
    """Finite Float64; null where the text is no number, or groups its thousands in another way than told."""
    if dtype.is_numeric():
        number = pl.col(name).cast(pl.Float64)
    else:
        text = id_of(name, dtype, nulls)
        if thousands:
            group, point = re.escape(thousands), re.escape(decimal)
            grouped = text.str.contains(rf"^[+-]?(\d{{1,3}}({group}\d{{3}})+|\d*)({point}\d*)?$")
            text = pl.when(grouped).then(text.str.replace_all(thousands, "", literal=True))
        if decimal != ".":
            text = pl.when(~text.str.contains(".", literal=True)).then(text.str.replace(decimal, ".", literal=True))
        number = text.cast(pl.Float64, strict=False)
    return pl.when(number.is_finite()).then(number)


def flag_of(name: str, dtype: pl.DataType) -> pl.Expr:
    """Boolean from yes/no, true/false, 1/0, in/out; null otherwise."""
    if dtype == pl.Boolean:
        return pl.col(name)
    text = text_of(name, dtype).str.strip_chars().str.to_lowercase()
    yes, no = (
        text.is_in(["true", "t", "yes", "y", "1", "in"]),
        text.is_in(["false", "f", "no", "n", "0", "out"]),
    )
    return pl.when(yes).then(True).when(no).then(False)


def times_of(column: pl.Series, time_format: str | None, time_zone: str) -> pl.Series:
    """Datetime[us, UTC]; times without an offset are clock times in `time_zone`. Null where unreadable."""
    if column.dtype == pl.Datetime and getattr(column.dtype, "time_zone", None):
        return column.dt.convert_time_zone("UTC").cast(UTC)
    if column.dtype.is_temporal() and column.dtype not in (pl.Time, pl.Duration):
        return localise(column.cast(pl.Datetime("us")), time_zone)
    text = _texts(column)
    if time_format is None:
        text = text.str.replace(r"^(\d{4}-\d\d-\d\d)T", "${1} ").str.replace(r"\s*(Z|UTC)$", "+00:00")
    times = pl.Series(column.name, [None], UTC).new_from_index(0, len(column))
    for pattern in TIME_FORMATS if time_format is None else (time_format,):
        todo = times.is_null() & text.is_not_null()
        if not todo.any():
            break
        times = times.zip_with(~todo, _parsed(text.set(~todo, None), pattern, time_zone))
    return times


def _texts(column: pl.Series) -> pl.Series:
    name = column.name
    return column.to_frame().select(text_of(name, column.dtype).str.strip_chars().alias(name)).to_series()


def _parsed(text: pl.Series, pattern: str, time_zone: str) -> pl.Series:
    """The texts that fit the pattern, as UTC; null for the others."""
    if re.search(r"%:{0,3}#?z|%\+", pattern):
        return text.str.to_datetime(pattern, time_unit="us", time_zone="UTC", strict=False).cast(UTC)
    if not re.search(r"%-?[HIklTRXcrs]", pattern):
        return localise(text.str.to_date(pattern, strict=False).cast(pl.Datetime("us")), time_zone)
    return localise(text.str.to_datetime(pattern, time_unit="us", strict=False), time_zone)


def localise(clock: pl.Series, time_zone: str) -> pl.Series:
    """Clock times of a place to UTC, one to one as far as the clock is, and never null.

    An hour that happens twice is taken as the earlier; one that does not happen is read with the offset
    before the gap, which shifts it forward by the length of the gap (02:30 becomes 03:30 summer time).
    """
    if time_zone == "UTC":
        return clock.dt.replace_time_zone("UTC")

    def utc(times: pl.Series) -> pl.Series:
        placed = times.dt.replace_time_zone(time_zone, ambiguous="earliest", non_existent="null")
        return placed.dt.convert_time_zone("UTC")

    times = utc(clock)
    gap = times.is_null() & clock.is_not_null()
    return times.zip_with(~gap, utc(clock - BEFORE_GAP) + BEFORE_GAP) if gap.any() else times


def moment_of(text: str, place: str) -> datetime:
    """An ISO date or time of an option as an aware datetime; without offset it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{place} {text!r} is no date; write e.g. 2024-01-31 or 2024-01-31T08:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC_ZONE)
