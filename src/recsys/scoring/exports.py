"""Recommendations as shops and e-mail tools read them: CSV, a row per item or per customer, and JSON lines.

A spreadsheet runs a cell that begins with = + - @ as a formula, so CSV cells of text that could be read so get a
leading apostrophe (OWASP, CSV Injection) and all text is quoted. Taking one apostrophe off every such cell gives the
text back, since texts that begin with apostrophes before a formula get one more. JSON lines and Parquet stay exact.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import polars as pl

from recsys.scoring.options import ScoringOptions

FILES = {"csv": "recommendations.csv", "wide": "recommendations_wide.csv", "jsonl": "recommendations.jsonl"}
# apostrophes, blanks and invisible characters, then a sign that starts a formula, also in full width; or a control
FORMULA = r"^'*(?:[\s\p{C}]*[=+\-@＝＋－＠]|[\t\r\n])"
SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t"}
ITEM = ("item", "name", "reason")  # columns of each item in the wide file: item_1, name_1, reason_1, item_2 …
Tables = Iterable[tuple[pl.DataFrame, pl.DataFrame]]  # rows and customers of each partition


def is_formula(column: str) -> pl.Expr:
    """bool: a spreadsheet could run the text."""
    return pl.col(column).str.contains(FORMULA)


def guarded(table: pl.DataFrame) -> pl.DataFrame:
    """Text columns with an apostrophe before what a spreadsheet could run."""
    texts = [name for name, kind in table.schema.items() if kind == pl.String]
    return table.with_columns(
        pl.when(is_formula(name)).then(pl.concat_str(pl.lit("'"), name)).otherwise(name).alias(name) for name in texts
    )


def write_exports(folder: Path, tables: Callable[[], Tables], options: ScoringOptions) -> dict[str, dict[str, int]]:
    """Write the wanted files, a partition at a time; their names with the rows of each."""
    written = {}
    for kind in options.exports:
        folder.mkdir(exist_ok=True)
        with (folder / FILES[kind]).open("wb") as file:
            rows = sum(_WRITERS[kind](file, at == 0, *pair, options) for at, pair in enumerate(tables()))
        written[FILES[kind]] = {"rows": rows}
    return written


def _long(file: BinaryIO, first: bool, rows: pl.DataFrame, _customers: pl.DataFrame, options: ScoringOptions) -> int:
    write_csv(file, _with_text_times(rows), options, first)
    return rows.height


def _wide(file: BinaryIO, first: bool, rows: pl.DataFrame, _customers: pl.DataFrame, options: ScoringOptions) -> int:
    """A row per customer with at least one item; cells beyond the end of a shorter list are empty."""
    lists = rows.group_by("customer_id", maintain_order=True).agg(
        pl.col("fallback").first(), pl.col("item_id").alias("item"), "name", "reason",
        pl.col("model_version").first(), pl.col("scored_at").first(),
    )  # fmt: skip
    cells = [_cell(part, at) for at in range(options.k) for part in ITEM]
    table = _with_text_times(lists.select("customer_id", "fallback", *cells, "model_version", "scored_at"))
    write_csv(file, table, options, first)
    return table.height


def _cell(part: str, at: int) -> pl.Expr:
    return pl.col(part).list.get(at, null_on_oob=True).alias(f"{part}_{at + 1}")


def _json_lines(
    file: BinaryIO, first: bool, rows: pl.DataFrame, customers: pl.DataFrame, options: ScoringOptions
) -> int:
    """An object per answered customer, an empty list with its reason included."""
    del first, options
    of_item = ("rank", "item_id", "name", "score", "probability", "reason", "reason_code")
    lists = rows.group_by("customer_id", maintain_order=True).agg(items=pl.struct(of_item))
    answered = customers.filter(pl.col("outcome").is_in(["listed", "empty"]))
    none = pl.lit([], dtype=lists.schema["items"])
    objects = answered.drop("items").join(lists, on="customer_id", how="left", maintain_order="left")
    objects = objects.select(
        "customer_id", "fallback", "model_version", "scored_at",
        pl.when(pl.col("reason") != "").then("reason").alias("empty_because"),
        pl.col("items").fill_null(none),
    )  # fmt: skip
    _with_text_times(objects).write_ndjson(file)
    return objects.height


_WRITERS: dict[str, Callable[..., int]] = {"csv": _long, "wide": _wide, "jsonl": _json_lines}


def _with_text_times(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(pl.col("scored_at").dt.to_string("%Y-%m-%dT%H:%M:%SZ"))


class CsvOptions(Protocol):
    """How CSV is written."""

    @property
    def csv_separator(self) -> str: ...
    @property
    def csv_bom(self) -> bool: ...


def write_csv(file: Any, table: pl.DataFrame, options: CsvOptions, first: bool = True) -> None:
    """Text guarded and in quotes, numbers bare, quotes doubled, UTF-8, one header."""
    guarded(table).write_csv(
        file,
        include_header=first,
        include_bom=first and options.csv_bom,
        separator=SEPARATORS[options.csv_separator],
        quote_style="non_numeric",
    )


def count_guarded(tables: Tables) -> dict[str, int]:
    """Customers, and different items, whose id reads otherwise in CSV than in Parquet and JSON lines."""
    customers, items = 0, set()
    for rows, answered in tables:
        customers += answered.filter(is_formula("customer_id")).height
        items |= set(rows.filter(is_formula("item_id"))["item_id"].unique())
    return {"customer_ids": customers, "item_ids": len(items)}
