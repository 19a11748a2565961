"""Ids as small codes: an id takes 4 bytes instead of its text, and is sorted and joined faster.

block ─ code ─┐   codes in order of appearance
block ─ code ─┼─ concat ─ in_order ─ pl.Enum of the sorted ids: sorts, compares and groups as the texts would
block ─ code ─┘
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

IDS = ("order_id", "customer_id", "item_id", "store_id")
LINES = "lines.arrow"


class Coder:
    """Codes the ids of blocks that come one after the other; texts of a finished block are not kept."""

    def __init__(self, columns: Sequence[str] = IDS) -> None:
        self._kinds = {name: pl.Categorical(pl.Categories.random()) for name in columns}

    def code(self, block: pl.DataFrame) -> pl.DataFrame:
        """The block with ids as pl.Categorical, one set of categories per column."""
        return block.with_columns(pl.col(name).cast(kind) for name, kind in self._kinds.items())

    def in_order(self, lines: pl.DataFrame) -> pl.DataFrame:
        """Coded lines with ids as pl.Enum of the ids that occur, sorted."""
        for name in self._kinds:
            lines = lines.with_columns(_in_order(lines[name]))
        return lines


def _in_order(ids: pl.Series) -> pl.Series:
    known = ids.unique().drop_nulls()
    names = known.cast(pl.String)
    place = names.arg_sort().to_numpy()
    code = known.to_physical().to_numpy()
    rank = np.zeros(int(code.max(initial=0)) + 1, np.uint32)
    rank[code[place]] = np.arange(len(place), dtype=np.uint32)
    plain = ids.to_physical()
    ranked = pl.Series(ids.name, rank[plain.fill_null(0).to_numpy()])
    if plain.null_count():
        ranked = ranked.set(plain.is_null(), None)
    return ranked.cat.to(pl.Enum(names.gather(place)))


def as_text(lines: pl.DataFrame, columns: Sequence[str] = IDS) -> pl.DataFrame:
    """The same lines with ids as text."""
    return lines.with_columns(pl.col(name).cast(pl.String) for name in columns if name in lines.columns)


def pair_of(one: str, other: str) -> pl.Expr:
    """Two coded ids as one number, which is compared faster than the two; null where either is."""
    high, low = (pl.col(name).to_physical().cast(pl.UInt64) for name in (one, other))
    return high * 2**32 + low


def coded(lines: pl.DataFrame) -> pl.DataFrame:
    """The same lines with ids as pl.Enum; as they are where they are coded already."""
    columns = [name for name in IDS if name in lines.columns and not isinstance(lines.schema[name], pl.Enum)]
    coder = Coder(columns)
    return coder.in_order(coder.code(lines))


def coded_as(frame: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """`frame` with its ids coded as those of `lines` are, so that the two can be joined; an unknown id is null."""
    kinds = {name: lines.schema[name] for name in IDS if name in frame.columns}
    return frame.with_columns(pl.col(name).cast(kind, strict=False) for name, kind in kinds.items())


def write_coded(lines: pl.DataFrame, directory: Path) -> None:
    """Coded lines: LINES with the codes, and the ids of each column in an arrow file of its name.

    An Enum itself takes polars a minute to read where it has millions of ids.
    """
    directory.mkdir(parents=True)
    for name in IDS:
        pl.DataFrame({"id": lines[name].dtype.categories}).write_ipc(directory / f"{name}.arrow", compression="lz4")  # type: ignore[attr-defined]
    lines.with_columns(pl.col(name).to_physical() for name in IDS).write_ipc(directory / LINES, compression="lz4")


def read_coded(directory: Path, columns: list[str] | None = None) -> pl.DataFrame:
    """What `write_coded` wrote, or these columns of it."""
    lines = pl.read_ipc(directory / LINES, columns=columns)
    for name in (one for one in IDS if one in lines.columns):
        lines = lines.with_columns(lines[name].cat.to(pl.Enum(read_ids(directory, name))))
    return lines


def read_codes(directory: Path, column: str) -> pl.Series:
    """One column of what `write_coded` wrote, ids as their codes."""
    return pl.read_ipc(directory / LINES, columns=[column])[column]


def read_ids(directory: Path, column: str) -> pl.Series:
    """The ids of the codes of a column."""
    return pl.read_ipc(directory / f"{column}.arrow")["id"]
