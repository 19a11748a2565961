"""Types of a catalog of descriptions only: the words of a name that say best what an item costs.

`LUNCH BAG SUKI DESIGN` and `LUNCH BAG RED RETROSPOT` cost alike, `RED RETROSPOT …` is anything from a napkin to a
teapot: words of a kind keep the price, words of a motif do not. So no list of words and no language is needed.
"""

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from ..data.histories import Floats, Ints
from ..errors import InputError
from .shelf import Shelf

WORD = re.compile(r"[^\W\d_]{3,}")  # three letters or more of any script


@dataclass(frozen=True, kw_only=True)
class TextTypeOptions:
    """When words name a type."""

    min_items: int = 3  # items at known prices whose names hold the words
    doubt: float = 2.0  # items' worth of the catalog's own spread of prices that is added to that of the words
    min_explained: float = 0.5  # share of the spread of prices that the words take away, after the doubt

    def __post_init__(self) -> None:
        if self.min_items < 2:
            raise InputError(f"text_types.min_items is {self.min_items}; a type holds 2 items or more")


def text_types(
    names: tuple[str, ...], prices: Floats, options: TextTypeOptions | None = None
) -> tuple[Ints, tuple[str, ...]]:
    """(codes, labels): code int64 (n,) of each name, -1 = no words of it say enough; labels of the codes, sorted.

    Words and pairs of neighbouring words compete. What words take away of the variance of log prices:
    1 - (Σ (x - mean)² + doubt · variance of all) / (items + doubt) / variance of all; ties go to more items, then to
    the term last in the alphabet. prices (n,): NaN or 0 = unknown; without prices no name has a type.
    """
    options = options or TextTypeOptions()
    terms = [_terms(name) for name in names]
    explained = _explained(terms, prices, options)
    best = [max((t for t in own if t in explained), key=lambda t: (explained[t], t), default=None) for own in terms]
    labels = tuple(sorted({term for term in best if term is not None}))
    code = {term: at for at, term in enumerate(labels)}
    return np.array([-1 if term is None else code[term] for term in best], np.int64), labels


def _terms(name: str) -> set[str]:
    words = [word.lower() for word in WORD.findall(name)]
    return {*words, *(f"{one} {two}" for one, two in pairwise(words))}


def _explained(terms: list[set[str]], prices: Floats, options: TextTypeOptions) -> dict[str, tuple[float, int]]:
    """Term → (share of the variance that it takes away, items), for the terms that pass."""
    known = np.flatnonzero(prices > 0)
    logs = dict(zip(known.tolist(), np.log(prices[known]).tolist(), strict=True))
    variance = float(np.var(list(logs.values()))) if logs else 0.0
    held: defaultdict[str, list[float]] = defaultdict(list)
    for at, price in logs.items():
        for term in terms[at]:
            held[term].append(price)
    out = {}
    for term, own in held.items():
        if len(own) >= options.min_items and variance > 0:
            spread = (len(own) * float(np.var(own)) + options.doubt * variance) / (len(own) + options.doubt)
            share = 1 - spread / variance
            if share >= options.min_explained:
                out[term] = (round(share, 9), len(own))
    return out


def with_text_types(shelf: Shelf, options: TextTypeOptions | None = None) -> Shelf:
    """The shelf with types from its names where the catalog has none at all; else as it is."""
    if (shelf.types >= 0).any():
        return shelf
    return replace(shelf, types=text_types(shelf.names, shelf.prices, options)[0])
