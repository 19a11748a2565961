"""The pair rules of one level: counted, filtered by evidence, told what they may be, overridden by hand.

possible ─ counted ─ each bar in turn ─ with evidence ─ never (by hand) ─ flags left out ─┬─ published
                                                                     always (by hand) ───┘
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
import polars as pl

from recsys import affinity as af
from recsys.affinity import Affinity, Evidence
from recsys.pair_counts import Baskets, baskets
from recsys.pairs.by_hand import HandRules
from recsys.pairs.collected import Collected
from recsys.pairs.flags import flags
from recsys.pairs.options import FLAGS, KEYS, AffinityOptions, Level

EXAMPLES = 3  # pairs named of those that a bar dropped


@dataclass(frozen=True)
class LevelRules:
    """`table`: a row per published pair, see docs/affinity.md. `facts`: plain JSON, what was dropped by what."""

    level: Level
    table: pl.DataFrame
    facts: dict[str, Any]


def level_rules(collected: Collected, level: Level, options: AffinityOptions, rules: HandRules) -> LevelRules:
    """Count, filter and flag the pairs of a level. Published are those with evidence and those written by hand."""
    found = baskets(collected.lines, KEYS[level])
    bars = _possible(options.evidence, found)
    counted = af.count_baskets(found, floor(bars, len(found.customer)))
    passed = af.passes(counted, bars)
    evident = np.logical_and.reduce(list(passed.values()))
    table = _judged(counted, np.flatnonzero(evident), found, collected, level, options)
    banned = rules.vetoes(level, table, collected.catalog)
    kept = table.filter(~banned)
    left_out = kept.filter(
        pl.any_horizontal(pl.lit(False), *(pl.col(flag).fill_null(False) for flag in options.leave_out))
    )
    kept = kept.join(left_out.select("a", "b"), on=["a", "b"], how="anti", maintain_order="left")
    whole = _with_always(kept, table, found, collected, level, options, rules)
    names = collected.names if level == "item" else {}
    facts = {
        "level": level, "keys": len(found.items), "orders": counted.n_orders, "possible": counted.possible_pairs,
        "bars": {name: getattr(bars, name) for name in _OPTIONS}, "floor": counted.min_joint, "counted": len(counted),
        "dropped": list(_dropped(counted, passed, bars, names)), "with_evidence": table.height,
        "vetoed": _some(table.filter(banned), names), "left_out": _some(left_out, names),
        "by_hand": whole.filter(pl.col("by_hand").is_not_null()).height, "published": whole.height,
        "flags": {flag: _flagged(table, flag, names) for flag in FLAGS},
        "customary": _customary(counted, evident, names),
    }  # fmt: skip
    return LevelRules(level, _named(whole, names), facts)


_OPTIONS = ("min_joint", "min_customers", "min_support", "min_lift", "max_q", "min_adjusted_low", "min_taste_low")


def _possible(bars: Evidence, found: Baskets) -> Evidence:
    """Without a single customer id none can be asked for."""
    return bars if (found.customer >= 0).any() else replace(bars, min_customers=0)


def floor(bars: Evidence, n_orders: int) -> int:
    """Least joint orders to count, so that both the honest and the customary bar can be answered."""
    customary = ceil(Fraction(str(Evidence.customary().min_support)) * n_orders)
    return max(1, min(bars.min_joint, customary))


def _judged(
    counted: Affinity, at: np.ndarray, found: Baskets, collected: Collected, level: Level, options: AffinityOptions
) -> pl.DataFrame:
    """Measures and flags of the pairs at these places, strongest first."""
    chosen = af.take(counted, at)
    measures = af.measures(counted, at, options.evidence.confidence)
    told = flags(chosen, found, collected, level, options.flags)
    return (
        pl.concat([measures, told], how="horizontal")
        .rename({"item_a": "a", "item_b": "b"})
        .with_columns(by_hand=pl.lit(None, pl.String))
        .sort("adjusted_low", "joint", "a", "b", descending=[True, True, False, False])
    )


def _with_always(
    kept: pl.DataFrame, table: pl.DataFrame, found: Baskets, collected: Collected, level: Level,
    options: AffinityOptions, rules: HandRules,
) -> pl.DataFrame:  # fmt: skip
    """The kept pairs and those that are always to be there, marked: with their measures, null where not sold."""
    wanted = pl.DataFrame(
        [(a, b, way) for (at, a, b), way in rules.always.items() if at == level],
        schema={"a": pl.String, "b": pl.String, "by_hand": pl.String}, orient="row",
    )  # fmt: skip
    if not wanted.height:
        return kept
    key = ["a", "b"]
    others = wanted.join(table, on=key, how="anti")
    counted = pl.concat([table.join(wanted, on=key, how="semi"), _measured(others, found, collected, level, options)])
    by_hand = wanted.join(counted.drop("by_hand"), on=key, how="left").select(table.columns)
    rest = kept.join(wanted, on=key, how="anti", maintain_order="left")
    return pl.concat([by_hand.with_columns(pl.col("joint", "customers", "sold_a", "sold_b").fill_null(0)), rest]).sort(
        "adjusted_low", "joint", "a", "b", descending=[True, True, False, False], nulls_last=True
    )


def _measured(
    pairs: pl.DataFrame, found: Baskets, collected: Collected, level: Level, options: AffinityOptions
) -> pl.DataFrame:
    """Measures and flags of pairs that no bar let through; q is null: they are not among the pairs tested."""
    a, b = (found.items.positions(pairs[name].to_list()) for name in ("a", "b"))
    sold = np.flatnonzero((a >= 0) & (b >= 0))
    order = sold[np.lexsort((b[sold], a[sold]))]
    counted = af.count_these(found, a[order], b[order])
    with np.errstate(divide="ignore", invalid="ignore"):  # nothing expected: no lift
        told = _judged(counted, np.arange(len(counted)), found, collected, level, options)
    none = [pl.lit(None, pl.Float64).alias(name) for name in ("q", "taste_q")]
    numbers = pl.col(pl.Float64)
    return told.with_columns(*none).with_columns(pl.when(numbers.is_finite()).then(numbers))


def _dropped(
    counted: Affinity, passed: dict[str, np.ndarray], bars: Evidence, names: dict[str, str]
) -> Iterator[dict[str, Any]]:
    """Each bar in turn: pairs it drops of those that the bars before left, and its most bought-together ones."""
    left = np.ones(len(counted), bool)
    for bar, ok in passed.items():
        gone = np.flatnonzero(left & ~ok)
        left &= ok
        most = gone[np.argsort(-counted.joint[gone], kind="stable")[:EXAMPLES]]
        examples = _pairs(af.measures(af.take(counted, most), np.arange(len(most)), bars.confidence), names)
        yield {"bar": bar, "dropped": len(gone), "left": int(left.sum()), "examples": examples}


def _customary(counted: Affinity, evident: np.ndarray, names: dict[str, str]) -> dict[str, Any]:
    """Pairs at the customary support and lift, how many of them have evidence, and some that have none."""
    usual = Evidence.customary()
    bars = replace(usual, min_joint=counted.min_joint)
    passed = af.evident(counted, bars)
    without = np.flatnonzero(passed & ~evident)
    most = without[np.argsort(-counted.joint[without], kind="stable")[:EXAMPLES]]
    return {
        "support": usual.min_support, "lift": usual.min_lift, "pairs": int(passed.sum()),
        "with_evidence": int((passed & evident).sum()),
        "examples": _pairs(af.measures(af.take(counted, most), np.arange(len(most)), bars.confidence), names),
    }  # fmt: skip


def _flagged(table: pl.DataFrame, flag: str, names: dict[str, str]) -> dict[str, Any]:
    """How many pairs with evidence have the flag, have it not, and are not judged; the strongest that have it."""
    column = table[flag]
    return {
        "yes": int(column.sum() or 0), "no": int((~column).sum() or 0), "not_judged": column.null_count(),
        "examples": _pairs(table.filter(column), names)[:EXAMPLES],
    }  # fmt: skip


_TOLD = ("joint", "customers", "lift", "adjusted_lift", "adjusted_low", "taste_lift", "season", "season_share",
         "season_lift", "promotion_share", "usual_lift", "store", "store_share", "top_customer_share",
         "effective_customers")  # fmt: skip


def _some(table: pl.DataFrame, names: dict[str, str]) -> dict[str, Any]:
    return {"pairs": table.height, "examples": _pairs(table[:EXAMPLES], names)}


def _pairs(table: pl.DataFrame, names: dict[str, str]) -> list[dict[str, Any]]:
    """Name of both sides and the main numbers, row by row."""
    sides = [name for name in ("a", "item_a") if name in table.columns] + [
        n for n in ("b", "item_b") if n in table.columns
    ]
    rows = table.select(*sides, *(name for name in _TOLD if name in table.columns)).to_dicts()
    first, second = sides
    return [{**row, "a": names.get(row[first], row[first]), "b": names.get(row[second], row[second])} for row in rows]


def _named(table: pl.DataFrame, names: dict[str, str]) -> pl.DataFrame:
    """With name_a and name_b beside the ids; at other levels than the item's a key is its own name."""
    told = [pl.col(side).replace(names).alias(f"name_{side}") for side in ("a", "b")]
    return table.with_columns(told).select("a", "name_a", "b", "name_b", pl.exclude("a", "b", "name_a", "name_b"))
