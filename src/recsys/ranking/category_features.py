"""Kinds and prices: what the customer and the cart hold of the item's kind, and at what price."""

import numpy as np

from ..data.histories import LEVELS, Floats, Histories, Ints
from .candidates import Candidates
from .item_stats import ItemStats
from .own_features import at_cells, history_cells


def category_features(rows: Candidates, queries: Histories, stats: ItemStats) -> dict[str, Floats]:
    """Columns (m,): shares of the customer's lines, and lines of the cart, that lie in the item's kind.

    A share is of all lines of the history; every column is NaN where the item's kind is unknown.
    """
    out = {}
    n_lines = np.maximum(np.diff(queries.indptr), 1)[rows.query]
    cart_rows = np.repeat(np.arange(len(queries)), np.diff(queries.cart.indptr))
    for at, level in enumerate(LEVELS):
        codes = stats.levels[:, at]
        of_item = codes[rows.item]
        known = of_item >= 0
        bought = _by_level(queries.rows, codes[queries.items], len(queries), codes)[rows.query, of_item]
        out[f"{level}_share"] = np.where(known, bought / n_lines, np.nan)
        in_cart = _by_level(cart_rows, codes[queries.cart.indices], len(queries), codes)[rows.query, of_item]
        out[f"cart_{level}"] = np.where(known & queries.has_cart[rows.query], in_cart, np.nan)
    return out | _of_type(rows, queries, stats, out["type_share"])


def _of_type(rows: Candidates, queries: Histories, stats: ItemStats, type_share: Floats) -> dict[str, Floats]:
    """The narrowest level: how lately, in what rhythm and how variedly the customer buys of it."""
    codes = stats.levels[:, -1]
    of_item = codes[rows.item]
    known = of_item >= 0
    newest, oldest = (_extreme_by(how, queries, codes)[rows.query, of_item] for how in (np.minimum, np.maximum))
    lines = _by_level(queries.rows, codes[queries.items], len(queries), codes)[rows.query, of_item]
    some = known & (lines > 0)
    age = np.where(some, newest, np.nan)
    interval = np.where(some & (lines > 1), (oldest - newest) / np.maximum(lines - 1, 1), np.nan)
    cells = queries.last_age
    cell_rows = np.repeat(np.arange(len(queries)), np.diff(cells.indptr))
    distinct = _by_level(cell_rows, codes[cells.indices], len(queries), codes)[rows.query, of_item]
    own = at_cells(history_cells(rows, queries), queries.times, 0)
    return {
        "type_age": age,
        "type_due": age / np.maximum(interval, 0.5),
        "type_variety": np.where(some, distinct / np.maximum(lines, 1), np.nan),
        "type_expected": type_share * stats.in_type[rows.item],
        "own_of_type": np.where(some, own / np.maximum(lines, 1), np.nan),
    }


def _extreme_by(ufunc: np.ufunc, queries: Histories, codes: np.ndarray) -> Floats:
    """float32 (n, number of codes + 1): smallest or largest age of the lines of each code."""
    out = np.full((len(queries), int(codes.max(initial=-1)) + 2), np.nan, np.float32)
    fill = np.float32(np.inf if ufunc is np.minimum else -np.inf)
    place = (queries.rows, codes[queries.items])
    out[place] = fill
    ufunc.at(out, place, queries.ages)
    return out


def _by_level(rows: Ints, codes: np.ndarray, n: int, all_codes: np.ndarray) -> Floats:
    """float32 (n, number of codes + 1): lines per row and code; the last column takes the unknown (-1)."""
    width = int(all_codes.max(initial=-1)) + 2
    cells = rows * width + np.where(codes < 0, width - 1, codes)
    return np.bincount(cells, minlength=n * width).reshape(n, width).astype(np.float32)


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
