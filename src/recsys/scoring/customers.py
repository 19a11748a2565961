"""Who is scored: all that the model knows or a list, in partitions; who is set aside, and why."""

import json
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path

import polars as pl

from recsys.errors import InputError

ID = "customer_id"
PARQUET, TABLES = (".parquet", ".pq"), {".csv": ",", ".tsv": "\t"}
OPTION = "scoring.customers"  # named in errors, where no other is
MAX_ID = 10_000  # characters; what is longer is no id but a broken file


def file_digest(file: Path, option: str = OPTION) -> str:
    """Digest of a file's bytes; InputError where there is none."""
    digest = blake2b(digest_size=16)
    try:
        with file.open("rb") as lines:
            while chunk := lines.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        raise InputError(
            f"{option} {file}: {error.strerror}; give a file of customer ids, one a line, or a CSV or "
            f"Parquet file with a column {ID}"
        ) from None
    return digest.hexdigest()


def read_ids(file: Path, option: str = OPTION) -> pl.Series:
    """String ids of a list in its order; null where a row of a table has none. Text files: blank lines are skipped."""
    ids = (_of_table if file.suffix.lower() in (*PARQUET, *TABLES) else _of_text)(file, option)
    if not len(ids):
        raise InputError(f"{option} {file} holds no customer id; leave {option} empty to take all")
    return ids


def _of_text(file: Path, option: str) -> pl.Series:
    try:
        lines = [line.removesuffix("\r") for line in file.read_bytes().decode("utf-8-sig").split("\n")]
    except UnicodeDecodeError as error:
        raise InputError(
            f"{option} {file} is no UTF-8 text (byte {error.start}); save it as UTF-8, or as .csv or .parquet"
        ) from None
    return pl.Series(ID, [line for line in lines if line.strip()], pl.String)


def _of_table(file: Path, option: str) -> pl.Series:
    suffix = file.suffix.lower()
    try:
        if suffix in PARQUET:
            table = pl.read_parquet(file)
        else:
            table = pl.read_csv(file, separator=TABLES[suffix], infer_schema=False)
    except pl.exceptions.NoDataError:
        table = pl.DataFrame({ID: pl.Series([], dtype=pl.String)})
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{option} {file} cannot be read: {str(error).splitlines()[0]}") from None
    if ID not in table.columns:
        raise InputError(f"{option} {file} has no column {ID}; it has {', '.join(table.columns[:10])}")
    kind = table[ID].dtype
    if not (kind == pl.String or kind.is_integer() or isinstance(kind, pl.Categorical | pl.Enum) or kind == pl.Null):
        raise InputError(f"{option} {file}: {ID} is {kind}; write the ids as text")
    return table[ID].cast(pl.String)


def who(ids: pl.Series | None, known: Sequence[str], unknown: str) -> tuple[pl.DataFrame, pl.DataFrame, int]:
    """Customers to ask for, customers set aside, and how many ids were repeats of an earlier one.

    The first table has customer_id and `known`, each id once; the second customer_id and `reason`: no_id (null, blank,
    longer than 10,000 characters) or unknown (where `unknown` is set_aside). `ids` null = all that the model knows.
    """
    everyone = pl.DataFrame({ID: pl.Series(list(known), dtype=pl.String)})
    if ids is None:
        return everyone.with_columns(known=True), _aside(everyone.clear(), ""), 0
    given = ids.to_frame()
    blank = pl.col(ID).is_null() | (pl.col(ID).str.strip_chars() == "") | (pl.col(ID).str.len_chars() > MAX_ID)
    listed = given.filter(~blank).unique(ID, maintain_order=True)
    repeats = given.filter(~blank).height - listed.height
    listed = listed.join(everyone.with_columns(known=True), on=ID, how="left", maintain_order="left")
    listed = listed.with_columns(pl.col("known").fill_null(False))
    aside = _aside(given.filter(blank).with_columns(pl.col(ID).str.slice(0, 100)), "no_id")
    if unknown == "set_aside":
        aside = pl.concat([aside, _aside(listed.filter(~pl.col("known")).select(ID), "unknown")])
        listed = listed.filter("known")
    return listed, aside, repeats


def _aside(ids: pl.DataFrame, reason: str) -> pl.DataFrame:
    return ids.with_columns(reason=pl.lit(reason))


def in_partitions(customers: pl.DataFrame, each: int, shown: Callable[[str], str] | None) -> pl.DataFrame:
    """The customers with `shown_id` and `partition`, sorted by the shown id, `each` in a partition.

    `shown` makes the id that files show, null = the id itself. Sorting by it keeps the order of hashed ids from
    telling the order of the ids behind them.
    """
    ids = customers[ID].to_list()
    shown_ids = pl.Series("shown_id", ids if shown is None else [shown(one) for one in ids], pl.String)
    sorted_ones = customers.with_columns(shown_ids).sort("shown_id")
    return sorted_ones.with_columns(partition=pl.int_range(pl.len(), dtype=pl.Int32) // each)


def ids_digest(ids: Sequence[str]) -> str:
    """Digest of ids in their order."""
    return blake2b(json.dumps(list(ids)).encode(), digest_size=16).hexdigest()
