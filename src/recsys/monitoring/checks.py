"""One comparison: a value, its limits, the verdict, a sentence with the numbers, and what to look at."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from recsys.monitoring import measures as m
from recsys.monitoring.options import LOWER_IS_WORSE, MonitoringOptions

OK, WARN, STOP = "ok", "warn", "stop"
ORDER = (OK, WARN, STOP)
REMEDIES = {
    "volume": "does the export miss a source or file, or hold one twice? A holiday or a campaign can be accepted",
    "missing_days": "load the missing days again; a day on which the shop was closed can be accepted",
    "rewritten_days": "does the export still hold all sources? Late orders and deletions can be accepted",
    "null_rates": "look at the export's column and at the mapping data.orders.columns or data.catalog.columns",
    "refused_rows": "look at the rows in rejected.parquet of the ingest; did the export's format change?",
    "price_level": "did the currency, tax or the meaning of the price column change (per unit, per line)?",
    "price_distribution": "did the currency, the assortment or the meaning of the price column change?",
    "category_mix": "did the catalog's categories get other names, or does part of the assortment miss?",
    "vanished_categories": "did the categories get other names, or does a source miss?",
    "basket_size": "were orders split or joined by the export? Look at data.orders.columns.order_id",
    "repeat_share": "did customer or item ids change, or was the history cut? Look at data.orders.columns",
    "new_items": "were item ids renamed or reformatted (leading zeros, prefixes)? New ids have no history",
    "new_customers": "were customer ids renamed or reformatted? New ids have no history",
    "lost_items": "were item ids renamed or reformatted, or did a source fall away?",
    "lost_customers": "were customer ids renamed, or did a source fall away? Deleted accounts can be accepted",
    "scores": "compare the reports of both runs; look at the checks of the orders first",
    "probabilities": "look at the reliability plot of the report before limits such as min_probability are trusted",
    "fallback_mix": "fewer customers with a history? Look at new_customers and lost_customers",
    "short_lists": "are enough items known? Look at interactions.min_item_orders and at new_items",
    "listed_repeats": "look at repeat_share of the orders, and at the feature importances of both reports",
    "listed_categories": "look at category_mix of the orders",
    "listed_popularity": "look at the reach of the lists in both reports",
    "list_overlap": "compare example lists of both reports; a new recipe changes lists, the same recipe changes few",
}


@dataclass(frozen=True, kw_only=True)
class Check:
    """`scope`: new (since the accepted run), history (days that both runs have), whole, or lists."""

    name: str
    scope: str
    value: float
    warn: float | None
    stop: float | None
    verdict: str
    text: str
    remedy: str


def judged(options: MonitoringOptions, name: str, scope: str, value: float, text: str, p: float = 0.0) -> Check:
    """The verdict by the limits of `name`; `p`: how likely chance does as much (0 where the value is a fact)."""
    warn, stop = getattr(options, name)
    verdict = OK
    if p < options.alpha:
        beyond = [_beyond(name, value, limit) for limit in (warn, stop)]
        verdict = STOP if beyond[1] else WARN if beyond[0] else OK
    value = round(float(value), 6)
    return Check(name=name, scope=scope, value=value, warn=warn, stop=stop, verdict=verdict, text=text,
                 remedy="" if verdict == OK else REMEDIES[name])  # fmt: skip


def _beyond(name: str, value: float, limit: float | None) -> bool:
    if limit is None:
        return False
    return value <= limit if name in LOWER_IS_WORSE else value >= limit


def plain(checks: Iterable[Check]) -> list[dict[str, Any]]:
    return [asdict(check) for check in checks]


def worst(checks: Iterable[dict[str, Any]]) -> str:
    """ok, warn or stop: the hardest verdict of all, ok where there are none."""
    return max((str(c["verdict"]) for c in checks), key=ORDER.index, default=OK)


def sentences(checks: Iterable[dict[str, Any]], *verdicts: str) -> list[str]:
    """`price level (new): …; remedy` of the checks with one of the verdicts."""
    return [
        f"{c['name'].replace('_', ' ')} ({c['scope']}): {c['text']}; {c['remedy']}"
        for c in checks
        if c["verdict"] in verdicts
    ]


def with_chance(text: str, p: float) -> str:
    """The sentence with how likely chance does as much."""
    return f"{text} (p {'< 0.0001' if p < 1e-4 else f'= {p:.2g}'})"


def mix_check(
    name: str, scope: str, then: dict[str, int], now: dict[str, int], units: tuple[int, int], what: str,
    options: MonitoringOptions,
) -> Check:  # fmt: skip
    """PSI of two mixes with the chi-square test; the sentence names the part that moved most."""
    names, p, q = m.aligned(then, now)
    value, chance = m.psi(p, q), m.mix_p(p, q, units)
    text = f"{what}: PSI {value:.3f}, Cramér's V {m.cramers_v(p, q):.2f}"
    if p.sum() and q.sum():
        moved = np.abs(q / q.sum() - p / p.sum())
        most = int(moved.argmax())
        text += f"; most moved {names[most]}, from {p[most] / p.sum():.1%} to {q[most] / q.sum():.1%}"
    return judged(options, name, scope, value, with_chance(text, chance), chance)


def share_check(
    name: str, scope: str, then: list[int], now: list[int], units: tuple[int, int], what: str,
    options: MonitoringOptions, rise: bool = False,
) -> Check:  # fmt: skip
    """Difference of two shares [part, whole], or only its rise, with Fisher's exact test."""
    a, b = (part / whole if whole else 0.0 for part, whole in (then, now))
    chance = m.shares_p((then[0], then[1]), (now[0], now[1]), units)
    value = max(0.0, b - a) if rise else abs(b - a)
    text = with_chance(f"share of {what} {b:.1%}, accepted {a:.1%}", chance)
    return judged(options, name, scope, value, text, chance)
