"""Rows that were not kept, each with the rule it broke and the row as it came."""

from collections.abc import Iterable, Mapping

import polars as pl

from recsys.data.cells import text_of
from recsys.data.sources import Source

# rule → field that broke it; None: the row as a whole. Price and time take whichever field is mapped.
RULES: dict[str, tuple[str, ...] | None] = {
    "field_count": None,  # a line with too few or too many fields, or blank
    "quoting": None,  # a quote that is opened and never closed, or closed in the middle of a field
    "encoding": None,  # bytes that are no text in the encoding told
    "excluded_row": None,  # a value that orders.exclude names
    "blank_order_id": ("order_id",),
    "blank_item_id": ("item_id",),
    "excluded_item": ("item_id",),  # code of no product, or item that catalog.exclude names
    "not_in_catalog": ("item_id",),
    "unparsable_quantity": ("quantity",),
    "zero_quantity": ("quantity",),
    "absurd_quantity": ("quantity",),
    "refused_return": ("quantity",),  # a return or cancellation where returns: reject
    "unparsable_price": ("unit_price", "line_value"),
    "negative_price": ("unit_price", "line_value"),
    "zero_price": ("unit_price", "line_value"),
    "absurd_price": ("unit_price", "line_value"),
    "unparsable_time": ("ordered_at", "order_number"),
    "future_time": ("ordered_at", "order_number"),
    "before_earliest": ("ordered_at", "order_number"),
    "order_of_two_customers": ("customer_id",),
    "repeated_line": None,  # an exact repeat within an order where duplicates: reject
    "unmatched_return": ("item_id",),  # no earlier purchase with that many units left
    "duplicate_item": ("item_id",),  # catalog: another row of the item was kept
}


def rejected_rows(
    source: Source,
    refused: pl.DataFrame,
    mapping: Mapping[str, str],
    constants: Mapping[str, object],
    rules: Mapping[str, tuple[str, ...] | None] = RULES,
) -> pl.DataFrame:
    """Columns schemas.REJECTED, sorted by source and source_row, broken lines of the file included.

    `refused`: row (position in `source.table`) and rule. `mapping`: field → source column. `rules`: rule → fields
    that broke it.
    """
    frames = [_broken(source.broken)]
    for (rule,), rows in refused.group_by("rule", maintain_order=True):
        frames.append(_of_rule(source, rows["row"], str(rule), rules[str(rule)] or (), mapping, constants))
    return pl.concat(frames).sort("source", "source_row", "rule", maintain_order=True)


def _broken(broken: pl.DataFrame) -> pl.DataFrame:
    """Lines that are no records: the line itself is both value and row."""
    raw = pl.struct(line="value").struct.json_encode()
    return broken.select("source", "source_row", "rule", pl.lit(None, pl.String).alias("column"), "value", raw=raw)


def _of_rule(
    source: Source,
    rows: pl.Series,
    rule: str,
    fields: Iterable[str],
    mapping: Mapping[str, str],
    constants: Mapping[str, object],
) -> pl.DataFrame:
    rows = rows.sort()
    table = source.table[rows]
    column, value = _culprit(table, fields, mapping, constants)
    return source.origin[rows].select(
        "source",
        "source_row",
        pl.lit(rule).alias("rule"),
        pl.lit(column, pl.String).alias("column"),
        value.alias("value"),
        _as_json(table).alias("raw"),
    )


def _culprit(
    table: pl.DataFrame, fields: Iterable[str], mapping: Mapping[str, str], constants: Mapping[str, object]
) -> tuple[str | None, pl.Series]:
    """(source column, or field where the value is a constant; its raw values as text)."""
    for name in fields:
        if name in mapping:
            column = mapping[name]
            return column, table.select(text_of(column, table.schema[column]).alias("value")).to_series()
        if name in constants:
            return name, pl.Series("value", [str(constants[name])]).new_from_index(0, table.height)
    return None, pl.Series("value", [None], pl.String).new_from_index(0, table.height)


def _as_json(table: pl.DataFrame) -> pl.Series:
    """Each row as a JSON object; what JSON has no type for is text."""
    plain = [
        name if dtype in (pl.String, pl.Boolean) or dtype.is_integer() or dtype.is_float() else text_of(name, dtype)
        for name, dtype in table.schema.items()
    ]
    return table.select(pl.struct(plain).struct.json_encode()).to_series()
