"""Order lines of a source, file by file: each file is read and mapped once, kept by its content, and joined.

    2024-05-01.csv ─ read ─ map ─ kept ─┐
    2024-05-02.csv ─ read ─ map ─ kept ─┼─ lines of all ─ rules across files (see `validation`)
    2024-05-03.csv ─ read ─ map ────────┘

What one line says of itself is kept. What depends on other lines is judged anew every time, over all of them: prices
against the item's median, orders of two customers, repeats, returns. So a split into files never changes the result.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
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
    parquet_head,
    read_file,
    read_source,
    refuse_empty,
    stacked_schema,
)
from recsys.errors import InputError
from recsys.schemas import REJECTED

# Keep(name, what it depends on, build): the directory that `build` filled, now or on an earlier call
Keep = Callable[[str, Any, Callable[[Path], None]], Path]
Schema = dict[str, pl.DataType]
PLACE = "data.orders"
HELD = 3_000_000  # raw rows
READING = ("separator", "encoding")  # options on which a file's raw rows depend; Parquet has neither
MAPPING = ("decimal", "thousands", "nulls", "columns", "constants", "exclude", "exclude_item_pattern",
           "cancellation_pattern", "time_format", "time_zone")  # options on which lines depend  # fmt: skip


@dataclass(frozen=True)
class OrderLines:
    """`blocks()`: lines as of `map_lines`, as many blocks as files. `texts`: as of `item_texts`, row by row, empty
    where a catalog has a source.

    `rejected(refused)`: the refused rows (row, rule) and the broken lines as they came, columns schemas.REJECTED.
    """

    blocks: Callable[[], Iterator[pl.DataFrame]]
    texts: pl.DataFrame
    mapping: dict[str, str]
    read: int  # rows, those that are no records included
    digests: dict[str, str]
    files: Callable[[], dict[str, int]]  # all: files of the source; read: those read so far
    rejected: Callable[[pl.DataFrame], pl.DataFrame]


@dataclass(frozen=True)
class OrderFile:
    """One file of the source; `kept` is the directory that knows its schema and size, by its content."""

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
    reader = _Reader(options, keep)
    files = [reader.open(file) for file in found]
    refuse_empty(sum(file.rows + file.broken for file in files), options, PLACE)
    schema = stacked_schema(file.schema for file in files)
    mapping = map_columns(list(schema), options)
    if "order_number" in mapping or any(pl.Binary in _types(dtype) for dtype in schema.values()):
        # what a cell means depends on the rows of other files, which are read too
        return _of_table(reader.source(files, schema), options, catalog, len(files))
    return _by_file(files, schema, options, catalog, reader)


class _Reader:
    """Reads files, as a rule once; `read` counts them. Raw rows are held for a second look up to HELD of them."""

    def __init__(self, options: OrdersOptions, keep: Keep) -> None:
        self.options, self.keep = options, keep
        self.parts: dict[str, Part] = {}
        self.read: set[str] = set()

    def open(self, file: SourceFile) -> OrderFile:
        """The file as known by its content, whatever its name; read now where that is new."""
        digest, kind = file_digest(file, None), format_of(file, self.options, PLACE)
        reading = {name: getattr(self.options, name) for name in READING} if kind == "csv" else {}

        def build(out: Path) -> None:
            if kind == "parquet" and not file.partitions:
                empty, rows, broken = *parquet_head(file, PLACE), 0
            else:
                part = self.part(file, digest)
                empty, rows, broken = part.table.clear(), part.table.height, part.broken.height
            empty.write_ipc(out / "schema.arrow")
            (out / "rows.json").write_text(json.dumps([rows, broken]))

        kept = self.keep("file", {"content": digest, "format": kind, **reading}, build)
        rows, broken = json.loads((kept / "rows.json").read_text())
        return OrderFile(file, digest, kept, dict(pl.read_ipc_schema(kept / "schema.arrow")), rows, broken)

    def part(self, file: SourceFile, digest: str) -> Part:
        """The raw rows of the file, which has the content of that digest, or an InputError."""
        if file.name not in self.parts:
            part = read_file(file, self.options, PLACE)
            if file_digest(file, None) != digest:
                raise InputError(f"{PLACE}: {file.name} changed while it was read; wait for the export, run again")
            self.read.add(file.name)
            while self.parts and part.table.height + sum(p.table.height for p in self.parts.values()) > HELD:
                self.parts.pop(next(iter(self.parts)))
            self.parts[file.name] = part
        return self.parts[file.name]

    def source(self, files: list[OrderFile], schema: Schema) -> Source:
        """These files as one source."""
        parts = [self.part(file.file, file.digest) for file in files]
        return Source(
            pl.concat([conform(part.table, schema) for part in parts]),
            pl.concat([part.origin for part in parts]),
            pl.concat([part.broken for part in parts]),
            {file.file.name: file.digest for file in files},
        )


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
        blocks=lambda: iter([map_lines(source.table, mapping, options)]),
        texts=item_texts(source.table, texts, catalog),
        mapping=mapping,
        read=source.table.height + source.broken.height,
        digests=source.digests,
        files=lambda: {"all": len(source.digests), "read": read},
        rejected=lambda refused: rejected_rows(source, refused, mapping, options.constants),
    )


def _by_file(
    files: list[OrderFile], schema: Schema, options: OrdersOptions, catalog: CatalogOptions, reader: _Reader
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

    def build(file: OrderFile, out: Path) -> None:
        table = reader.source([file], schema).table
        map_lines(table, mapping, options).drop("row").write_ipc(out / "lines.arrow", compression="lz4")
        item_texts(table, texts, catalog).write_ipc(out / "texts.arrow", compression="lz4")

    kept = [reader.keep("lines", {"from": f.kept.name, **depends}, partial(build, f)) for f in files]
    said = [pl.read_ipc(directory / "texts.arrow") for directory in kept] if texts else []
    return OrderLines(
        blocks=lambda: _blocks(kept),
        texts=pl.concat(said) if said else pl.DataFrame(),
        mapping=mapping,
        read=sum(file.rows + file.broken for file in files),
        digests={file.file.name: file.digest for file in files},
        files=lambda: {"all": len(files), "read": len(reader.read)},
        rejected=lambda refused: _rejected(files, schema, refused, mapping, options, reader),
    )


def _blocks(kept: list[Path]) -> Iterator[pl.DataFrame]:
    """Kept lines, file by file, each row with its place among all."""
    start = 0
    for directory in kept:
        lines = pl.read_ipc(directory / "lines.arrow")
        yield lines.with_row_index("row", offset=start)
        start += lines.height


def _rejected(
    files: list[OrderFile],
    schema: Schema,
    refused: pl.DataFrame,
    mapping: Mapping[str, str],
    options: OrdersOptions,
    reader: _Reader,
) -> pl.DataFrame:
    """Refused rows file by file; a file of which the same rows are refused as before is not looked at again."""
    refused, start = refused.sort("row"), 0
    frames = [pl.DataFrame(schema=REJECTED)]
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
            found = rejected_rows(reader.source([file], schema), own, mapping, options.constants)
            found.drop("source").write_ipc(out / "rejected.arrow", compression="lz4")

        kept = pl.read_ipc(reader.keep("rejected", depends, build) / "rejected.arrow")
        frames.append(kept.select(pl.lit(file.file.name).alias("source"), pl.all()).select(list(REJECTED)))
    return pl.concat(frames).sort("source", "source_row", "rule", maintain_order=True)


def _digest_of(refused: pl.DataFrame) -> str:
    digest = hashlib.sha256(refused["row"].to_numpy().tobytes())
    digest.update("\n".join(refused["rule"]).encode())
    return digest.hexdigest()


def _plain(schema: Schema) -> list[list[str]]:
    return [[name, str(dtype)] for name, dtype in schema.items()]
