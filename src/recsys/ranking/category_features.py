"""Kinds and prices: what the customer and the cart hold of the item's kind, and at what price."""

from dataclasses import dataclass

import numpy as np

from ..data.histories import LEVELS, Floats, Histories, Ints
from .candidates import Candidates
from .item_stats import ItemStats
from .own_features import at_cells


def category_features(rows: Candidates, queries: Histories, stats: ItemStats, cell: Ints) -> dict[str, Floats]:
    """Columns (m,): shares of the customer's lines, and lines of the cart, that lie in the item's kind.

    A share is of all lines of the history; every column is NaN where the item's kind is unknown. `cell` (m,) of
    `history_cells`.
    """
    out: dict[str, Floats] = {}
    n_lines = np.maximum(np.diff(queries.indptr), 1)[rows.query]
    cart_rows = np.repeat(np.arange(len(queries)), np.diff(queries.cart.indptr))
    for at, level in enumerate(LEVELS):
        kinds = _Kinds.of(stats.levels[:, at], rows, len(queries))
        bought = kinds.counts(queries.rows, queries.items)
        out[f"{level}_share"] = np.where(kinds.known, bought / n_lines, np.nan)
        in_cart = kinds.counts(cart_rows, queries.cart.indices)
        out[f"cart_{level}"] = np.where(kinds.known & queries.has_cart[rows.query], in_cart, np.nan)
    return out | _of_type(kinds, bought, rows, queries, stats, cell, out["type_share"])


def _of_type(
    kinds: "_Kinds", lines: Floats, rows: Candidates, queries: Histories, stats: ItemStats, cell: Ints, share: Floats
) -> dict[str, Floats]:
    """The narrowest level: how lately, in what rhythm and how variedly the customer buys of it."""
    some = kinds.known & (lines > 0)
    newest, oldest = (kinds.extreme(how, queries) for how in (np.minimum, np.maximum))
    age = np.where(some, newest, np.nan)
    interval = np.where(some & (lines > 1), (oldest - newest) / np.maximum(lines - 1, 1), np.nan)
    cells = queries.last_age
    distinct = kinds.counts(np.repeat(np.arange(len(queries)), np.diff(cells.indptr)), cells.indices)
    own = at_cells(cell, queries.times, 0)
    return {
        "type_age": age,
        "type_due": age / np.maximum(interval, 0.5),
        "type_variety": np.where(some, distinct / np.maximum(lines, 1), np.nan),
        "type_expected": share * stats.in_type[rows.item],
        "own_of_type": np.where(some, own / np.maximum(lines, 1), np.nan),
    }


@dataclass(frozen=True)
class _Kinds:
    """One level of the catalog: a cell for every query and code, and a last one of each query for unknown codes.

    codes  of all items, -1 = unknown
    here   int64 (m,): cell of each candidate
    known  bool (m,): the candidate's code is
    """

    codes: np.ndarray
    width: int
    here: Ints
    known: np.ndarray
    n_queries: int

    @classmethod
    def of(cls, codes: np.ndarray, rows: Candidates, n_queries: int) -> "_Kinds":
        width = int(codes.max(initial=-1)) + 2
        code = codes[rows.item]
        return cls(codes, width, rows.query * width + code % width, code >= 0, n_queries)

    def cells(self, rows: Ints, items: Ints) -> Ints:
        return np.asarray(rows * self.width + self.codes[items] % self.width)  # -1 becomes the last

    def counts(self, rows: Ints, items: Ints) -> Floats:
        """float32 (m,): how many of the (query, item) pairs lie in the candidate's kind."""
        if not len(items):
            return np.zeros(len(self.here), np.float32)
        counts = np.bincount(self.cells(rows, items), minlength=self.n_queries * self.width)
        return counts[self.here].astype(np.float32)

    def extreme(self, ufunc: np.ufunc, queries: Histories) -> Floats:
        """float32 (m,): smallest or largest age of its lines in the candidate's kind; NaN: none."""
        out = np.full(self.n_queries * self.width, np.inf if ufunc is np.minimum else -np.inf, np.float32)
        ufunc.at(out, self.cells(queries.rows, queries.items), queries.ages)
        return np.where(np.isfinite(found := out[self.here]), found, np.float32(np.nan))


def price_features(rows: Candidates, queries: Histories, prices: Floats) -> dict[str, Floats]:
    """Columns (m,): price, and its ratio to the mean price of the customer's history and of the cart."""
    price = prices[rows.item]
    cart_rows = np.repeat(np.arange(len(queries)), np.diff(queries.cart.indptr))
    return {
        "price": price,
        "price_to_habit": price / _mean_price(queries.rows, prices[queries.items], len(queries))[rows.query],
        "price_to_cart": price / _mean_price(cart_rows, prices[queries.cart.indices], len(queries))[rows.query],
    }


def _mean_price(rows: Ints, prices: Floats, n: int) -> Floats:
    known = ~np.isnan(prices)
    count = np.bincount(rows[known], minlength=n)
    total = np.bincount(rows[known], prices[known], minlength=n)
    return np.where(total > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
