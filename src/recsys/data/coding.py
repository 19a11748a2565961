"""Ids as small codes: a table of order lines takes 4 bytes for an id instead of its text, and is sorted and joined faster.

    block ─ code ─┐   codes in order of appearance
    block ─ code ─┼─ concat ─ in_order ─ pl.Enum of the sorted ids: sorts, compares and groups as the texts would
    block ─ code ─┘
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

IDS = ("order_id", "customer_id", "item_id", "store_id")


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


def texts(lines: pl.DataFrame, columns: Sequence[str] = IDS) -> pl.DataFrame:
    """The same lines with ids as text."""
    return lines.with_columns(pl.col(name).cast(pl.String) for name in columns if name in lines.columns)
