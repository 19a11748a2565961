"""The numbers behind the drift section's plots, small enough for a report."""

from typing import Any

import numpy as np

from recsys.monitoring.list_checks import overlaps
from recsys.monitoring.measures import binned

SHOWN = 12  # parts of a mix
QUANTILES = tuple(range(5, 100, 5))  # percent, of prices and probabilities
TENTHS = tuple(at / 10 for at in range(1, 10))
Profile = dict[str, Any]


def of_orders(mine: Profile, accepted: Profile, described: dict[str, Profile]) -> dict[str, Any]:
    """Orders a day; and of the new orders, or else of the history, categories and price quantiles beside accepted."""
    out: dict[str, Any] = {
        "daily": mine["daily"],
        "whole_until": mine["whole_until"],
        "accepted": accepted["last"][:10],
    }
    scope = next(iter(described), None)
    if scope is None:
        return out
    then, now = accepted["recent"], described[scope]
    lines = {side: {n: c[0] for n, c in part["categories"].items()} for side, part in (("then", then), ("now", now))}
    return out | {
        "scope": scope,
        "categories": mix(lines["then"], lines["now"]),
        "prices": [
            [then["price"]["quantiles"].get(q), now["price"]["quantiles"].get(q)] for q in then["price"]["quantiles"]
        ],
        "price_quantiles": [float(q) for q in then["price"]["quantiles"]],
    }


def of_lists(mine: Profile, accepted: Profile) -> dict[str, Any]:
    """Lists by overlap (counts of ten bins), categories, and quantiles of the probabilities."""
    found = [jaccard for jaccard, _ in overlaps(mine["lists"], accepted["lists"])]
    values = [side["probabilities"]["values"] for side in (accepted, mine)]
    return {
        "overlap": binned(found, TENTHS) if found else [],
        "categories": mix(accepted["categories"], mine["categories"]),
        "popularity": mix(accepted["popularity"], mine["popularity"]),
        "probabilities": [np.percentile(v, QUANTILES).tolist() if v else [] for v in values],
    }


def mix(then: dict[str, int], now: dict[str, int]) -> list[dict[str, Any]]:
    """Name, accepted and present share of the largest parts, the rest in one."""
    totals = [max(1, sum(side.values())) for side in (then, now)]
    names = sorted({*then, *now}, key=lambda n: (-then.get(n, 0) / totals[0] - now.get(n, 0) / totals[1], n))
    parts = [(n, then.get(n, 0), now.get(n, 0)) for n in names]
    rest = parts[SHOWN:]
    shown = parts[:SHOWN] + ([("others", sum(r[1] for r in rest), sum(r[2] for r in rest))] if rest else [])
    return [{"name": n, "accepted": a / totals[0], "now": b / totals[1]} for n, a, b in shown]
