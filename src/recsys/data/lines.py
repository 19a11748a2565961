"""The mapping: a shop's own columns to order lines of one shape. Nothing is refused here, only read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import polars as pl

from recsys.data.cells import id_of, moment_of, number_of, text_of, times_of
from recsys.data.sources import SourceOptions, require_columns
from recsys.errors import InputError
from recsys.schemas import UTC

FIELDS = (
    "order_id",
    "customer_id",
    "item_id",
    "ordered_at",
    "order_number",
    "quantity",
    "unit_price",
    "line_value",
    "store_id",
)
Value = str | int | float


@dataclass(frozen=True, kw_only=True)
class OrdersOptions(SourceOptions):
    """Order lines: where they are, which column is what, and what is no sale of a product."""

    columns: dict[str, str] = field(default_factory=dict)  # field: source column; empty: fields' own names
    constants: dict[str, Value] = field(default_factory=dict)  # field: value, for fields the source lacks
    exclude: dict[str, list[Value]] = field(default_factory=dict)  # source column: values of rows left out
    exclude_item_pattern: str | None = None  # regex on item_id: codes that are no products (POST, M …)
    cancellation_pattern: str | None = None  # regex on order_id: orders that cancel others, e.g. '^C'
    time_format: str | None = None  # strptime format; null: ISO and the usual unambiguous ones
    time_zone: str = "UTC"  # IANA name of the clock on the shop's wall, for times without an offset
    order_number_epoch: str = "2000-01-01T00:00Z"  # order_number mode: date of each customer's last order


def map_columns(exist: list[str], options: OrdersOptions) -> dict[str, str]:
    """Field → source column of every field that has one; InputError names what is missing or doubled."""
    unknown = [name for name in (*options.columns, *options.constants) if name not in FIELDS]
    if unknown:
        raise InputError(f"data.orders.columns: no field {unknown[0]!r}; fields are {', '.join(FIELDS)}")
    mapping = {f: c for f, c in options.columns.items() if c} or {f: f for f in FIELDS if f in exist}
    both = sorted(set(mapping) & set(options.constants))
    if both and options.columns:
        raise InputError(f"data.orders: {both[0]!r} is both in columns and in constants; keep one")
    mapping = {f: c for f, c in mapping.items() if f not in options.constants}
    require_columns(exist, mapping.values(), "data.orders.columns: the source")
    known = {*mapping, *options.constants}
    for needed in ("order_id", "item_id", "quantity"):
        if needed not in known:
            raise InputError(f"data.orders.columns lacks {needed!r}; the source has {', '.join(exist)}")
    if len({"ordered_at", "order_number"} & known) != 1:
        raise InputError("data.orders.columns needs either ordered_at or, without times, order_number")
    if {"unit_price", "line_value"} <= known:
        raise InputError("data.orders.columns has unit_price and line_value; map one, the other follows")
    return mapping


def map_lines(table: pl.DataFrame, mapping: Mapping[str, str], options: OrdersOptions) -> pl.DataFrame:
    """One line per raw row, in row order; unreadable cells are null.

    Columns: row UInt32, order_id, customer_id, item_id, store_id, quantity, price (as mapped: per unit or line),
    unit_price, ordered_at, excluded (by raw values), no_product (by code), is_return (negative or cancelled).
    """
    check_time_zone(options.time_zone)
    fields = _fields(table, mapping, options)
    lines = table.lazy().select(**fields).with_row_index("row").collect()
    lines = lines.with_columns(_time(table, lines, mapping, options))
    price = pl.col("line_value") / pl.col("quantity") if "line_value" in fields else pl.col("price")
    return lines.with_columns(
        unit_price=price,
        excluded=_excluded(table, options),
        no_product=_matches("item_id", options.exclude_item_pattern, "exclude_item_pattern"),
        is_return=(pl.col("quantity") < 0) | _matches("order_id", options.cancellation_pattern, "cancellation_pattern"),
    ).drop("line_value", "order_number", strict=False)


def check_time_zone(time_zone: str, place: str = "data.orders.time_zone") -> None:
    try:
        pl.Series([0]).cast(pl.Datetime("us")).dt.replace_time_zone(time_zone)
    except pl.exceptions.PolarsError:
        raise InputError(f"{place} {time_zone!r} is unknown; use an IANA name like Europe/London") from None


def _fields(table: pl.DataFrame, mapping: Mapping[str, str], options: OrdersOptions) -> dict[str, pl.Expr]:
    def source(name: str) -> tuple[str, pl.DataType]:
        return mapping[name], table.schema[mapping[name]]

    def text(name: str) -> pl.Expr:
        if name in mapping:
            return id_of(*source(name), options.nulls)
        return pl.lit(str(options.constants[name]) if name in options.constants else None, pl.String)

    def number(name: str) -> pl.Expr:
        if name in mapping:
            return number_of(*source(name), options.nulls, decimal=options.decimal, thousands=options.thousands)
        return pl.lit(_constant_number(name, options), pl.Float64)

    fields = {name: text(name) for name in ("order_id", "customer_id", "item_id", "store_id")}
    fields["quantity"] = number("quantity")
    price = next((p for p in ("line_value", "unit_price") if p in mapping or p in options.constants), None)
    fields["price"] = number(price) if price else pl.lit(None, pl.Float64)
    if price == "line_value":
        fields["line_value"] = fields["price"]
    if "order_number" in mapping:
        fields["order_number"] = number("order_number")
    return fields


def _constant_number(name: str, options: OrdersOptions) -> float | None:
    if name not in options.constants:
        return None
    try:
        return float(options.constants[name])
    except ValueError:
        raise InputError(f"data.orders.constants.{name} {options.constants[name]!r} is no number") from None


def _time(table: pl.DataFrame, lines: pl.DataFrame, mapping: Mapping[str, str], options: OrdersOptions) -> pl.Series:
    if "order_number" in mapping:
        return _counted_back(lines, options)
    if "ordered_at" in mapping:
        return times_of(table[mapping["ordered_at"]], options.time_format, options.time_zone).alias("ordered_at")
    if "ordered_at" not in options.constants:
        raise InputError("data.orders.constants: order_number cannot be constant; map it, or map ordered_at")
    moment = moment_of(str(options.constants["ordered_at"]), "data.orders.constants.ordered_at")
    return pl.Series("ordered_at", [moment], UTC).new_from_index(0, lines.height)


def _counted_back(lines: pl.DataFrame, options: OrdersOptions) -> pl.Series:
    """Time in orders: a customer's last order is at the epoch, the one before it a day earlier, and so on.

    Orders count by distinct order numbers, so gaps in the numbers do not matter. Guests are at the epoch.
    """
    epoch = moment_of(options.order_number_epoch, "data.orders.order_number_epoch")
    whole = pl.col("order_number") == pl.col("order_number").round()
    number = pl.when(whole).then(pl.col("order_number").cast(pl.Int64, strict=False))
    keys = lines.select("row", "customer_id", number=number)
    ages = (
        keys.drop_nulls(["customer_id", "number"])
        .select("customer_id", "number")
        .unique()
        .sort("customer_id", "number", descending=[False, True])
        .with_columns(age=pl.int_range(pl.len()).over("customer_id"))
    )
    age = pl.when(pl.col("number").is_not_null()).then(pl.col("age").fill_null(0))
    return (
        keys.join(ages, on=["customer_id", "number"], how="left", maintain_order="left")
        .select((pl.lit(epoch, UTC) - age * timedelta(days=1)).cast(UTC).alias("ordered_at"))
        .to_series()
    )


def _excluded(table: pl.DataFrame, options: OrdersOptions) -> pl.Series:
    require_columns(table.columns, options.exclude, "data.orders.exclude: the source")
    conditions = [
        text_of(name, table.schema[name]).str.strip_chars().is_in([str(v) for v in values]).fill_null(False)
        for name, values in options.exclude.items()
    ]
    if not conditions:
        return pl.Series("excluded", [False]).new_from_index(0, table.height)
    return table.select(pl.any_horizontal(conditions).alias("excluded")).to_series()


def _matches(name: str, pattern: str | None, option: str) -> pl.Expr:
    """Whether the id matches the pattern somewhere; an id that is null does not."""
    if pattern is None:
        return pl.lit(False)
    try:
        pl.Series([""]).str.contains(pattern)
    except pl.exceptions.PolarsError as error:
        raise InputError(f"data.orders.{option} {pattern!r} is no regular expression: {error}") from None
    return pl.col(name).str.contains(pattern).fill_null(False)
