"""Which pair rules are published, and when a pair is called a season, a promotion, one store's or few customers'."""

from dataclasses import dataclass, field
from typing import Any, Literal

from recsys.affinity import Evidence

Level = Literal["item", "type", "category", "department"]
Flag = Literal["seasonal", "promotion", "one_store", "few_customers"]
FLAGS: tuple[Flag, ...] = ("seasonal", "promotion", "one_store", "few_customers")
KEYS: dict[Level, str] = {"item": "item_id", "type": "type", "category": "category", "department": "department"}


@dataclass(frozen=True, kw_only=True)
class FlagOptions:
    """When the joint orders of a pair crowd into a season, promotion weeks or one store, and when few are behind."""

    min_share: float = 0.5  # of the joint orders lie there
    min_odds: float = 3.0  # times the odds with which any order lies there
    max_q: float = 0.05  # false discovery rate over all pairs judged of a level
    season_months: int = 3  # consecutive months of the year that make a season
    season_days: int = 300  # of history; with less no pair is judged
    discount: float = 0.1  # below the usual price from which a week is one of promotion
    usual_weeks: int = 13  # before and after; the usual price is the median of the weeks' medians
    min_effective: float = 5.0  # customers, (Σ n)² / Σ n² of their joint orders


@dataclass(frozen=True, kw_only=True)
class AffinityOptions:
    """Pair rules out of whole orders: `recsys affinity`. docs/affinity.md."""

    months: int | None = 24  # look back from the last order; null = all
    levels: tuple[Level, ...] = ("item", "type", "category", "department")  # those that the catalog knows
    evidence: Evidence = field(default_factory=Evidence)
    flags: FlagOptions = field(default_factory=FlagOptions)
    leave_out: tuple[Flag, ...] = ()  # flags whose pairs are not published
    always: tuple[dict[str, Any], ...] = ()  # {if: A, then: B}; ids, or names with level: type (category, department)
    never: tuple[dict[str, Any], ...] = ()  # {items: [A, B]}, or types, categories, departments: names
    csv_separator: Literal["comma", "semicolon", "tab"] = "comma"
    csv_bom: bool = False  # a byte order mark, by which Excel knows UTF-8
    out: str = "affinity"  # affinity/latest and one folder per run; relative paths start at the working directory
    keep: int = 5  # folders of the latest runs
