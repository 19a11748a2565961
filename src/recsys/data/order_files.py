"""Order lines of a source, file by file: each file is read and mapped once, kept by its content, and joined.

    2024-05-01.csv ─ read ─ map ─ kept ─┐
    2024-05-02.csv ─ read ─ map ─ kept ─┼─ lines of all ─ rules across files (see `validation`)
    2024-05-03.csv ─ read ─ map ────────┘

What one line says of itself is kept. What depends on other lines is judged anew every time, over all of them: prices
against the item's median, orders of two customers, repeats, returns. So a split into files never changes the result.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from recsys.data.catalog import CatalogOptions, item_texts, text_columns
from recsys.data.databases import is_database
from recsys.data.lines import OrdersOptions, map_columns, map_lines
from recsys.data.rejected import rejected_rows
from recsys.data.sources import (
    Part,
    Source,
    SourceFile,
    conform,
    file_digest,
    find_files,
    format_of,
    is_local,
    read_file,
    read_source,
    refuse_empty,
    stacked_schema,
)
from recsys.errors import InputError

# Keep(name, what it depends on, build): the directory that `build` filled, now or on an earlier call
Keep = Callable[[str, Any, Callable[[Path], None]], Path]
Schema = dict[str, pl.DataType]
PLACE = "data.orders"
READING = ("separator", "encoding")  # options on which a file's raw rows depend; Parquet has neither
MAPPING = ("decimal", "thousands", "nulls", "columns", "constants", "exclude", "exclude_item_pattern",
           "cancellation_pattern", "time_format", "time_zone")  # options on which lines depend  # fmt: skip


@dataclass(frozen=True)
class OrderLines:
    """`lines`: as of `map_lines`. `texts`: as of `item_texts`, row by row, empty where a catalog has a source.

    `rejected(refused)`: the refused rows (row, rule) and the broken lines as they came, columns schemas.REJECTED.
    """

    lines: pl.DataFrame
    texts: pl.DataFrame
    mapping: dict[str, str]
    read: int  # rows, those that are no records included
    digests: dict[str, str]
    files: dict[str, int]  # all: files of the source; read: those that were read this time
    rejected: Callable[[pl.DataFrame], pl.DataFrame]


@dataclass(frozen=True)
class OrderFile:
    """One file of the source and the directory that keeps its rows (CSV) or only their schema (Parquet)."""

    file: SourceFile
    digest: str
    kept: Path
    schema: Schema
    rows: int
    broken: int


def order_lines(options: OrdersOptions, catalog: CatalogOptions, keep: Keep | None = None) -> OrderLines:
    """All lines of the source. Files of a folder or glob are kept one by one, where there is a `keep`."""
    if keep is None or is_database(options.path):
        return _of_source(options, catalog)
    found = find_files(options.path, PLACE)
    if len(found) < 2 or not all(is_local(file) for file in found):  # a change of the only file changes everything
        return _of_source(options, catalog)
    reader = _Counted(keep)
    files = [_order_file(file, options, reader) for file in found]
    refuse_empty(sum(file.rows + file.broken for file in files), options, PLACE)
    schema = stacked_schema(file.schema for file in files)
    mapping = map_columns(list(schema), options)
    if "order_number" in mapping or any(pl.Binary in _types(dtype) for dtype in schema.values()):
        return _across(files, schema, options, catalog, reader.built)  # what a cell means depends on other rows
    return _by_file(files, schema, options, catalog, reader)


class _Counted:
    """A `keep` that counts what was built."""

    def __init__(self, keep: Keep) -> None:
        self.keep, self.built = keep, 0

    def __call__(self, name: str, depends: Any, build: Callable[[Path], None]) -> Path:
        def counted(out: Path) -> None:
            self.built += 1
            build(out)

        return self.keep(name, depends, counted)


def _types(dtype: pl.DataType) -> set[Any]:
    inner = getattr(dtype, "inner", None)
    return {dtype.base_type()} | (_types(inner) if inner else set())


def _of_source(options: OrdersOptions, catalog: CatalogOptions) -> OrderLines:
    """Everything read at once, nothing kept."""
    source = read_source(options, PLACE)
    return _of_table(source, options, catalog, len(source.digests))


def _of_table(source: Source, options: OrdersOptions, catalog: CatalogOptions, read: int) -> OrderLines:
    mapping = map_columns(source.table.columns, options)
    texts = text_columns(source.table.columns, catalog) if catalog.from_orders else {}
    return OrderLines(
        lines=map_lines(source.table, mapping, options),
        texts=item_texts(source.table, texts, catalog),
        mapping=mapping,
        read=source.table.height + source.broken.height,
        digests=source.digests,
        files={"all": len(source.digests), "read": read},
        rejected=lambda refused: rejected_rows(source, refused, mapping, options.constants),
    )


def _order_file(file: SourceFile, options: OrdersOptions, keep: Keep) -> OrderFile:
    """The file's rows, read now or found by its content, whatever its name."""
    digest, kind = file_digest(file, None), format_of(file, options, PLACE)
    reading = {name: getattr(options, name) for name in READING} if kind == "csv" else {}

    def build(out: Path) -> None:
        part = _read(file, options, digest)
        part.table.clear().write_ipc(out / "schema.arrow")
        if kind == "csv":
            part.table.write_parquet(out / "table.parquet")
        part.origin.select("source_row").write_parquet(out / "origin.parquet")
        part.broken.drop("source").write_parquet(out / "broken.parquet")
        (out / "rows.json").write_text(json.dumps([part.table.height, part.broken.height]))

    kept = keep("file", {"content": digest, "format": kind, **reading}, build)
    rows, broken = json.loads((kept / "rows.json").read_text())
    return OrderFile(file, digest, kept, dict(pl.read_ipc_schema(kept / "schema.arrow")), rows, broken)


def _read(file: SourceFile, options: OrdersOptions, digest: str) -> Part:
    """The rows of the file, which has the content of that digest, or an InputError."""
    part = read_file(file, options, PLACE)
    if file_digest(file, None) != digest:
        raise InputError(f"{PLACE}: {file.name} changed while it was read; wait for the export to end, run again")
    return part


def _part(file: OrderFile, options: OrdersOptions) -> Part:
    """The raw rows once more: a CSV file's from where they are kept, a Parquet file's from itself."""
    name = pl.lit(file.file.name).alias("source")
    table = file.kept / "table.parquet"
    return Part(
        file.file.name,
        pl.read_parquet(table) if table.exists() else _read(file.file, options, file.digest).table,
        pl.read_parquet(file.kept / "origin.parquet").select(name, "source_row"),
        pl.read_parquet(file.kept / "broken.parquet").select(name, pl.all()),
    )


def _source_of(files: list[OrderFile], schema: Schema, options: OrdersOptions) -> Source:
    parts = [_part(file, options) for file in files]
    return Source(
        pl.concat([conform(part.table, schema) for part in parts]),
        pl.concat([part.origin for part in parts]),
        pl.concat([part.broken for part in parts]),
        {file.file.name: file.digest for file in files},
    )


def _across(
    files: list[OrderFile], schema: Schema, options: OrdersOptions, catalog: CatalogOptions, built: int
) -> OrderLines:
    """All files mapped as one table; only reading them is saved."""
    return _of_table(_source_of(files, schema, options), options, catalog, built)


def _by_file(
    files: list[OrderFile], schema: Schema, options: OrdersOptions, catalog: CatalogOptions, reader: _Counted
) -> OrderLines:
    """Each file mapped by itself, its rows in the places that they have in one table of all."""
    mapping = map_columns(list(schema), options)
    texts = text_columns(list(schema), catalog) if catalog.from_orders else {}
    used = {*mapping.values(), *options.exclude, *texts.values()}
    depends = {
        "schema": _plain({name: dtype for name, dtype in schema.items() if name in used}),
        "orders": {name: asdict(options)[name] for name in MAPPING},
        "mapping": mapping,
        "texts": [texts, list(catalog.nulls)],
    }
    files_read, keep = reader.built, reader.keep

    def build(file: OrderFile, out: Path) -> None:
        table = conform(_part(file, options).table, schema)
        map_lines(table, mapping, options).drop("row").write_parquet(out / "lines.parquet")
        item_texts(table, texts, catalog).write_parquet(out / "texts.parquet")

    kept = [keep("lines", {"from": f.kept.name, **depends}, lambda out, f=f: build(f, out)) for f in files]  # type: ignore[misc]
    lines = pl.concat([pl.read_parquet(directory / "lines.parquet") for directory in kept])
    said = [pl.read_parquet(directory / "texts.parquet") for directory in kept] if texts else []
    return OrderLines(
        lines=lines.with_row_index("row"),
        texts=pl.concat(said) if said else pl.DataFrame(),
        mapping=mapping,
        read=sum(file.rows + file.broken for file in files),
        digests={file.file.name: file.digest for file in files},
        files={"all": len(files), "read": files_read},
        rejected=lambda refused: _rejected(files, schema, refused, mapping, options, keep),
    )


def _rejected(
    files: list[OrderFile],
    schema: Schema,
    refused: pl.DataFrame,
    mapping: Mapping[str, str],
    options: OrdersOptions,
    keep: Keep,
) -> pl.DataFrame:
    """Refused rows file by file; a file of which the same rows are refused as before is not looked at again."""
    refused, start, frames = refused.sort("row"), 0, []
    for file in files:
        first, last = refused["row"].search_sorted(start), refused["row"].search_sorted(start + file.rows)
        own = refused[first:last].with_columns((pl.col("row") - start).cast(pl.UInt32))
        start += file.rows
        if own.is_empty() and not file.broken:
            continue
        depends = {
            "from": file.kept.name,
            "rows": _digest_of(own),
            "schema": _plain(schema),
            "mapping": dict(mapping),
            "constants": options.constants,
        }

        def build(out: Path, file: OrderFile = file, own: pl.DataFrame = own) -> None:
            source = _source_of([file], schema, options)
            found = rejected_rows(source, own, mapping, options.constants)
            found.drop("source").write_parquet(out / "rejected.parquet")

        kept = pl.read_parquet(keep("rejected", depends, build) / "rejected.parquet")
        frames.append(kept.select(pl.lit(file.file.name).alias("source"), pl.all()))
    if not frames:
        return rejected_rows(_source_of(files[:1], schema, options), refused, mapping, options.constants)
    return pl.concat(frames).sort("source", "source_row", "rule", maintain_order=True)


def _digest_of(refused: pl.DataFrame) -> str:
    digest = hashlib.sha256(refused["row"].to_numpy().tobytes())
    digest.update("\n".join(refused["rule"]).encode())
    return digest.hexdigest()


def _plain(schema: Schema) -> list[list[str]]:
    return [[name, str(dtype)] for name, dtype in schema.items()]
