"""The items on sale: read from a source of their own, or gathered from the order lines."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, NamedTuple

import polars as pl

from recsys.data.cells import flag_of, id_of, number_of, text_of
from recsys.data.sources import Source, SourceOptions, require_columns
from recsys.errors import InputError
from recsys.schemas import Catalog

TEXTS = ("name", "description", "department", "category", "type", "brand", "size")
NUMBERS = ("unit_price", "unit_cost")
FIELDS = ("item_id", *TEXTS, *NUMBERS, "in_stock")
PRICE_SPAN = timedelta(days=90)


@dataclass(frozen=True, kw_only=True)
class CatalogOptions(SourceOptions):
    """Items: where they are, which column is what, and which are no products."""

    columns: dict[str, str] = field(default_factory=dict)  # field: source column; empty: fields' own names
    exclude: dict[str, list[str | int | float]] = field(default_factory=dict)  # field or column: values left out
    missing: Literal["keep", "reject"] = "keep"  # lines of items that are not in the catalog
    from_orders: bool = False  # no source of its own: columns name columns of the order source


class ReadCatalog(NamedTuple):
    items: pl.DataFrame  # columns FIELDS, one row per item, excluded ones gone
    excluded: pl.Series  # item_ids that `exclude` took out
    refused: pl.DataFrame  # row (of the source), rule
    fields: dict[str, str]  # field: source column
    notes: dict[str, int]  # cells that could not be read and became null, by what was wrong


def read_catalog(source: Source, options: CatalogOptions) -> ReadCatalog:
    """The catalog of a source. Where an item has several rows the fullest one is kept.

    Ties go to the first in the order of the cells' text, so row order does not matter. Unreadable or
    negative prices and unreadable stock flags become null and are counted: the item itself is good.
    """
    mapping = _mapping(source.table.columns, options)
    rows, notes = _cells(source.table, mapping, options)
    rows = rows.with_columns(out=_excluded(source.table, mapping, options)).with_row_index("row")
    known = rows.filter(pl.col("item_id").is_not_null())
    empty = pl.sum_horizontal(pl.col(name).is_null() for name in FIELDS)
    order = [pl.col(name).cast(pl.String) for name in FIELDS[1:]]
    kept = known.sort("item_id", empty, *order, "out", "row", nulls_last=True).unique(
        "item_id", keep="first", maintain_order=True
    )
    refused = [
        (rows.filter(pl.col("item_id").is_null()), "blank_item_id"),
        (known.join(kept.select("row"), on="row", how="anti"), "duplicate_item"),
        (kept.filter("out"), "excluded_item"),
    ]
    return ReadCatalog(
        items=kept.filter(~pl.col("out")).select(FIELDS),
        excluded=kept.filter("out")["item_id"],
        refused=pl.concat([r.select("row", pl.lit(rule).alias("rule")) for r, rule in refused]).sort("row"),
        fields=mapping,
        notes=notes,
    )


def _mapping(exist: list[str], options: CatalogOptions) -> dict[str, str]:
    unknown = [name for name in options.columns if name not in FIELDS]
    if unknown:
        raise InputError(f"data.catalog.columns: no field {unknown[0]!r}; fields are {', '.join(FIELDS)}")
    mapping = {f: c for f, c in options.columns.items() if c} or {f: f for f in FIELDS if f in exist}
    if "item_id" not in mapping and not options.from_orders:
        raise InputError(f"data.catalog.columns lacks 'item_id'; the source has {', '.join(exist)}")
    require_columns(exist, mapping.values(), "data.catalog.columns: the source")
    return mapping


def _cells(
    table: pl.DataFrame, mapping: Mapping[str, str], options: CatalogOptions
) -> tuple[pl.DataFrame, dict[str, int]]:
    """(the mapped columns, null where there is none or it cannot be read; what could not be read)."""

    def cell(name: str) -> pl.Expr:
        if name not in mapping:
            kind = pl.Float64 if name in NUMBERS else pl.Boolean if name == "in_stock" else pl.String
            return pl.lit(None, kind)
        column, dtype = mapping[name], table.schema[mapping[name]]
        if name in NUMBERS:
            return number_of(column, dtype, options.nulls, decimal=options.decimal, thousands=options.thousands)
        return flag_of(column, dtype) if name == "in_stock" else id_of(column, dtype, options.nulls)

    rows = table.select(cell(name).alias(name) for name in FIELDS)
    notes = {}
    for name in (*NUMBERS, "in_stock"):
        if name in mapping:
            given = table.select(id_of(mapping[name], table.schema[mapping[name]], options.nulls)).to_series()
            notes[f"unreadable_{name}"] = int((given.is_not_null() & rows[name].is_null()).sum())
    for name in NUMBERS:
        notes[f"negative_{name}"] = int((rows[name] < 0).sum())
        rows = rows.with_columns(pl.when(pl.col(name) >= 0).then(name).alias(name))
    return rows, {name: count for name, count in notes.items() if count}


def _excluded(table: pl.DataFrame, mapping: Mapping[str, str], options: CatalogOptions) -> pl.Series:
    """Rows that `exclude` names, by field or else by column of the source."""
    columns = {key: mapping.get(key, key) for key in options.exclude}
    require_columns(table.columns, columns.values(), "data.catalog.exclude: the source")
    conditions = [
        text_of(columns[key], table.schema[columns[key]])
        .str.strip_chars()
        .is_in([str(value) for value in values])
        .fill_null(False)
        for key, values in options.exclude.items()
    ]
    if not conditions:
        return pl.Series("out", [False]).new_from_index(0, table.height)
    return table.select(pl.any_horizontal(conditions).alias("out")).to_series()


def catalog_from_orders(purchases: pl.DataFrame, table: pl.DataFrame, options: CatalogOptions) -> pl.DataFrame:
    """Columns FIELDS: for each item the most frequent text of each mapped column, ties to the first by text.

    `purchases`: item_id and row (of `table`) of the accepted lines.
    """
    return catalog_from_texts(purchases, item_texts(table, text_columns(table.columns, options), options))


def text_columns(exist: list[str], options: CatalogOptions) -> dict[str, str]:
    """Field → column of the order source, for the texts of items that come from there."""
    if options.exclude:
        raise InputError("data.catalog.exclude needs a catalog source; with from_orders use data.orders.exclude")
    mapping = _mapping(exist, options) if options.columns else {}
    unread = sorted(set(mapping) - {"item_id", *TEXTS})
    if unread:
        raise InputError(f"data.catalog.columns.{unread[0]} cannot come from_orders; it takes {', '.join(TEXTS)}")
    return {name: mapping[name] for name in TEXTS if name in mapping}


def item_texts(table: pl.DataFrame, columns: Mapping[str, str], options: CatalogOptions) -> pl.DataFrame:
    """The texts of each row of the order source, one column per field of `columns`."""
    return table.select(id_of(c, table.schema[c], options.nulls).alias(name) for name, c in columns.items())


def catalog_from_texts(purchases: pl.DataFrame, texts: pl.DataFrame) -> pl.DataFrame:
    """As `catalog_from_orders`, of the `item_texts` of all rows."""
    purchases = purchases.with_columns(pl.col("item_id").cast(pl.String))
    items = purchases.select("item_id").unique()
    for name in texts.columns:
        counted = _most_frequent(purchases["item_id"], texts[name].gather(purchases["row"]))
        items = items.join(counted, on="item_id", how="left")
    blank = [pl.lit(None, pl.String).alias(n) for n in TEXTS if n not in texts.columns]
    blank += [pl.lit(None, pl.Float64).alias(n) for n in NUMBERS]
    return items.with_columns(*blank, in_stock=pl.lit(None, pl.Boolean)).select(FIELDS).sort("item_id")


def _most_frequent(item: pl.Series, text: pl.Series) -> pl.DataFrame:
    return (
        pl.DataFrame({"item_id": item, text.name: text})
        .drop_nulls(text.name)
        .group_by("item_id", text.name)
        .len()
        .sort("item_id", -pl.col("len").cast(pl.Int64), text.name)
        .unique("item_id", keep="first", maintain_order=True)
        .drop("len")
    )


def complete_catalog(items: pl.DataFrame, orders: pl.DataFrame) -> pl.DataFrame:
    """Catalog: sold items that `items` lacks get a row of nulls, and unknown prices the price they sold at.

    That is the median of the accepted prices of the item's last 90 days of sales.
    """
    sold = orders.select(pl.col("item_id").unique().cast(pl.String)).join(items, on="item_id", how="anti")
    last = pl.col("ordered_at").max().over("item_id")
    prices = (
        orders.lazy()
        .select("item_id", "ordered_at", "unit_price")
        .drop_nulls("unit_price")
        .filter(pl.col("ordered_at") > last - PRICE_SPAN)
        .group_by("item_id")
        .agg(paid=pl.col("unit_price").median())
        .with_columns(pl.col("item_id").cast(pl.String))
        .collect()
    )
    catalog = (
        pl.concat([items, sold], how="diagonal")
        .join(prices, on="item_id", how="left")
        .with_columns(pl.coalesce("unit_price", "paid").alias("unit_price"))
        .select(FIELDS)
        .sort("item_id")
    )
    return Catalog.validate(catalog)
