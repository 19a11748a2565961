"""Rules that people wrote: always these two, never those two. They override the evidence, and say so.

affinity:
  always: [{if: A17, then: B02}, {if: PASTA, then: SAUCE, level: type}]
  never: [{items: [A17, C05]}, {types: [BABY FOOD, SPIRITS]}]
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import combinations
from typing import Any, get_args

import polars as pl

from recsys.errors import InputError
from recsys.pairs.options import KEYS, Level

PLURALS: dict[str, Level] = {"items": "item", "types": "type", "categories": "category", "departments": "department"}
LEVELS: tuple[Level, ...] = get_args(Level)


@dataclass(frozen=True)
class HandRules:
    """`always`: (level, a, b) with a < b → by_hand: a_then_b, b_then_a, both_ways. `never`: (level, a, b), a < b."""

    always: Mapping[tuple[Level, str, str], str]
    never: frozenset[tuple[Level, str, str]]

    def vetoes(self, level: Level, pairs: pl.DataFrame, groups: pl.DataFrame) -> pl.Series:
        """bool, a row per row of `pairs` (a, b): never together, as they are or by a group that `groups` (item_id and
        the levels) puts items into."""
        banned = _banned(self.never, level, pairs)
        if level == "item":
            for wider in LEVELS[1:]:
                names = dict(groups.select("item_id", wider).iter_rows())
                named = pairs.select(pl.col("a", "b").replace_strict(names, default=None, return_dtype=pl.String))
                banned = banned | _banned(self.never, wider, named)
        return banned


def _banned(never: frozenset[tuple[Level, str, str]], level: Level, pairs: pl.DataFrame) -> pl.Series:
    chosen = {(a, b) for at, a, b in never if at == level}
    sides = pairs.select("a", "b").iter_rows()
    return pl.Series("banned", [(a, b) in chosen or (b, a) in chosen for a, b in sides], dtype=pl.Boolean)


def read_rules(
    always: Sequence[Mapping[str, Any]], never: Sequence[Mapping[str, Any]], catalog: pl.DataFrame
) -> HandRules:
    """InputError for a key, an id or a name that is not there: a rule with a typo would silently do nothing.

    `catalog`: schemas.Catalog, which knows every item that was ever sold.
    """
    known = {level: set(catalog[KEYS[level]].drop_nulls()) for level in LEVELS}
    wanted: dict[tuple[Level, str, str], str] = {}
    for at, rule in enumerate(always):
        level, first, then = _always(rule, f"affinity.always[{at}]", known)
        key, way = ((level, first, then), "a_then_b") if first < then else ((level, then, first), "b_then_a")
        wanted[key] = way if wanted.get(key, way) == way else "both_ways"
    vetoed: set[tuple[Level, str, str]] = set()
    for at, rule in enumerate(never):
        vetoed |= _never(rule, f"affinity.never[{at}]", known)
    if both := sorted(set(wanted) & vetoed):
        level, a, b = both[0]
        raise InputError(f"affinity: {a!r} and {b!r} stand both under always and under never; keep one")
    return HandRules(wanted, frozenset(vetoed))


def _always(rule: Mapping[str, Any], place: str, known: Mapping[Level, set[str]]) -> tuple[Level, str, str]:
    _refuse_keys(rule, ("if", "then", "level"), place)
    level = rule.get("level", "item")
    if level not in LEVELS:
        raise InputError(f"{place}: level = {level!r}; give one of {', '.join(LEVELS)}")
    if not {"if", "then"} <= set(rule):
        raise InputError(f"{place} = {dict(rule)}; give {{if: A, then: B}}")
    first, then = _names([rule["if"], rule["then"]], level, place, known)
    return level, first, then


def _never(rule: Mapping[str, Any], place: str, known: Mapping[Level, set[str]]) -> set[tuple[Level, str, str]]:
    _refuse_keys(rule, tuple(PLURALS), place)
    if len(rule) != 1 or not all(isinstance(names, list | tuple) for names in rule.values()):
        raise InputError(f"{place} = {dict(rule)}; give one of {', '.join(PLURALS)} with a list of two or more")
    ((plural, given),) = rule.items()
    names = _names(given, PLURALS[plural], place, known)
    return {(PLURALS[plural], a, b) for a, b in combinations(sorted(names), 2)}


def _refuse_keys(rule: Mapping[str, Any], keys: tuple[str, ...], place: str) -> None:
    for key in rule:
        if key not in keys:
            raise InputError(f"{place}: unknown key {key!r}; known are {', '.join(keys)}")


def _names(given: Sequence[Any], level: Level, place: str, known: Mapping[Level, set[str]]) -> list[str]:
    names = [str(name) for name in given]
    for name in names:
        if name not in known[level]:
            close = get_close_matches(name, known[level], 1, 0.6)
            hint = f"did you mean {close[0]!r}?" if close else "mend it or take the rule out"
            raise InputError(f"{place}: no {level} {name!r} in the catalog or the orders; {hint}")
    if len(set(names)) < max(2, len(names)):
        raise InputError(f"{place}: {names}; give two or more different ones")
    return names
