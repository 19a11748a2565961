"""An ordinary bad CSV file: byte order mark, Latin-1 bytes, lines of the wrong length, blank lines."""

import io
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from recsys.errors import InputError

Encoding = Literal["utf-8", "latin-1", "mixed"]
NAME = "name"  # the column with accents
NAMES = ("Crème brûlée", "Jalapeño relish", "Müsli, groß", "Plain rice", "Café noir")  # accents but one
BOM = b"\xef\xbb\xbf"


def write_csv(
    raw: pl.DataFrame,
    path: Path,
    *,
    ragged: float = 0.01,
    bom: bool = True,
    encoding: Encoding = "mixed",
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Write all rows of `raw` (text columns, no line breaks in them) and bad lines in between.

    `ragged` is the number of bad lines of each kind per row, at least one; 0 leaves them out: lines with
    a field too few, a field too many, blank lines. `bom` opens the file with a byte order mark. `encoding`:
    "utf-8"; "latin-1" for the whole file; "mixed" for UTF-8 with bad lines in Latin-1, as many as the other
    kinds (one where ragged is 0). The accents stand in the column `name`, which is added last where `raw`
    has none.

    Returns line (header = 1), kind (too_few, too_many, blank, latin1) and rule (field_count,
    encoding). All other lines hold the rows of `raw` in their order.
    InputError for a mark before Latin-1 and for line breaks in `raw`.
    """
    if bom and encoding == "latin-1":
        raise InputError("a byte order mark does not go with latin-1; set bom=False or another encoding")
    rows = raw if NAME in raw.columns else raw.with_columns(_accented(raw.height))
    code = "latin-1" if encoding == "latin-1" else "utf-8"
    header, *good = _lines(rows, code)
    if len(good) != rows.height:
        raise InputError(f"{len(good)} lines came of {rows.height} rows: take the line breaks out of the text")
    bad = _bad_lines(rows, round(ragged * rows.height) or int(ragged > 0), encoding, rng)
    at = np.concatenate([np.arange(len(good)), rng.uniform(-1, len(good), len(bad))])
    order = np.argsort(at, kind="stable")
    everything = good + [line for _, line in bad]
    _write(path, (BOM if bom else b"") + b"\n".join([header, *(everything[i] for i in order)]) + b"\n")
    return _spoiled([kind for kind, _ in bad], np.argsort(order, kind="stable")[len(good) :])


def _accented(n: int) -> pl.Series:
    return pl.Series(NAME, NAMES).gather(np.arange(n) % len(NAMES))


def _lines(rows: pl.DataFrame, code: str) -> list[bytes]:
    """Header and rows, quoted where needed, without line ends."""
    buffer = io.StringIO()
    rows.write_csv(buffer)
    return [line.encode(code) for line in buffer.getvalue().removesuffix("\n").split("\n")]


def _bad_lines(rows: pl.DataFrame, each: int, encoding: Encoding, rng: np.random.Generator) -> list[tuple[str, bytes]]:
    """(kind, line), made of random rows; their own faults aside they look like any other."""
    if rows.is_empty():
        return []
    code = "latin-1" if encoding == "latin-1" else "utf-8"
    latin1 = max(each, 1) if encoding == "mixed" else 0
    some = {kind: rows.gather(rng.integers(0, rows.height, n)) for kind, n in _amounts(each, latin1).items()}
    lines = {
        "too_few": _lines(some["too_few"].drop(rows.columns[-1]), code)[1:],
        "too_many": _lines(some["too_many"].with_columns(surplus=pl.lit("?")), code)[1:],
        "blank": [b""] * each,
        "latin1": _lines(some["latin1"].with_columns(pl.lit(NAMES[0]).alias(NAME)), "latin-1")[1:],
    }
    return [(kind, line) for kind, made in lines.items() for line in made]


def _amounts(each: int, latin1: int) -> dict[str, int]:
    return {"too_few": each, "too_many": each, "latin1": latin1}


def _spoiled(kinds: list[str], position: np.ndarray) -> pl.DataFrame:
    rules = {
        "too_few": "field_count",
        "too_many": "field_count",
        "blank": "field_count",
        "latin1": "encoding",
    }
    return pl.DataFrame(
        {"line": position + 2, "kind": kinds, "rule": [rules[kind] for kind in kinds]},
        schema={"line": pl.Int64, "kind": pl.String, "rule": pl.String},
    ).sort("line")


def _write(path: Path, content: bytes) -> None:
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_bytes(content)
    unfinished.rename(path)
