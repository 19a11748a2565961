"""What tells whether a customer buys an item again soon: the item's rhythm, the customer's, and the shop's."""

from typing import Any

import numpy as np

from recsys.data.histories import Floats, Ints
from recsys.moments.purchases import Bought, Repeats

GROUPS: dict[str, tuple[str, ...]] = {
    "rhythm": (
        "times", "last", "first", "mean_gap", "spread_gap", "steadiness", "median_gap", "last_gap", "longest_gap",
        "due", "due_median", "until_mean", "until_median",
    ),
    "frequency": ("decayed_7", "decayed_14", "decayed_28", "decayed_56", "decayed_112", "recent_56", "recent_84"),
    "orders": ("orders_ago", "due_orders", "share_56", "share_112"),
    "customer": ("orders", "orders_28", "orders_84", "order_age", "order_rate", "orders_decayed", "lines_56"),
    "item": ("item_14", "item_84", "item_rise", "item_gap", "item_due", "item_silent"),
    "type": ("type_age", "type_decayed", "type_share"),
    "week": ("weekday",),
}  # fmt: skip
FEATURES: tuple[str, ...] = tuple(name for names in GROUPS.values() for name in names)
Columns = dict[str, Any]  # arrays (m,)
SHORTEST = 0.5  # days that a rhythm is at least worth as a divider


def features(bought: Bought, repeats: Repeats, types: Ints) -> Floats:
    """float32 (m, len(FEATURES)) of the cells of `repeats`; NaN = unknown. `types`: int64 (n_items,), -1 = unknown."""
    found = _rhythm(repeats)
    found |= {f"decayed_{days}": repeats.decayed(days) for days in (7, 14, 28, 56, 112)}
    found |= {f"recent_{days}": np.bincount(repeats.cell, repeats.ages < days, len(repeats)) for days in (56, 84)}
    found |= _orders(bought, repeats, found)
    found |= _item(bought, repeats)
    found |= _type(bought, repeats, types, found["decayed_56"])
    found["weekday"] = np.ceil(repeats.last) % 7  # days of the week between the last purchase and the moment
    out = np.empty((len(repeats), len(FEATURES)), np.float32)
    for at, name in enumerate(FEATURES):
        out[:, at] = found[name]
    return out


def _rhythm(repeats: Repeats) -> Columns:
    gaps, cell = repeats.gaps
    last, mean = repeats.last, repeats.interval
    spread, median = repeats.spread_gap, repeats.median_gap
    longest = np.full(len(repeats), -np.inf)
    np.maximum.at(longest, cell, gaps)
    return {
        "times": repeats.times,
        "last": last,
        "first": repeats.ages[repeats.start],
        "mean_gap": mean,
        "spread_gap": spread,
        "steadiness": spread / np.maximum(mean, SHORTEST),
        "median_gap": median,
        "last_gap": gaps[repeats.start - np.arange(len(repeats)) + repeats.times - 2],
        "longest_gap": longest,
        "due": last / np.maximum(mean, SHORTEST),
        "due_median": last / np.maximum(median, SHORTEST),
        "until_mean": mean - last,
        "until_median": median - last,
    }


def _orders(bought: Bought, repeats: Repeats, found: Columns) -> Columns:
    """The customer's orders: how many, how often, how lately, and what share of them holds the item."""
    order, at = np.unique(bought.order, return_index=True)
    customer, age = bought.customer[at], bought.age[at]
    who, n = repeats.customer, int(bought.customer.max(initial=-1)) + 1
    count = np.bincount(customer, minlength=n)
    oldest, newest = np.zeros(n), np.full(n, np.inf)
    np.maximum.at(oldest, customer, age)
    np.minimum.at(newest, customer, age)
    back = np.empty(len(order))  # later orders of the same customer
    back[np.lexsort((order, age, customer))] = np.arange(len(order)) - np.repeat(np.cumsum(count) - count, count)
    ago = back[np.searchsorted(order, repeats.orders)]
    last, first = ago[repeats.start + repeats.times - 1], ago[repeats.start]

    def fading(days: float) -> Floats:
        return np.asarray(np.bincount(customer, 0.5 ** (age / days), minlength=n)[who])

    return {
        "orders_ago": last,
        "due_orders": (last + 1) / np.maximum((first - last) / (repeats.times - 1), SHORTEST),
        "share_56": found["decayed_56"] / fading(56),
        "share_112": found["decayed_112"] / fading(112),
        "orders": count[who],
        "orders_28": np.bincount(customer, age < 28, minlength=n)[who],
        "orders_84": np.bincount(customer, age < 84, minlength=n)[who],
        "order_age": newest[who],
        "order_rate": count[who] / np.maximum(oldest[who], 1),
        "orders_decayed": fading(28),
        "lines_56": np.bincount(bought.customer, bought.age < 56, minlength=n)[who],
    }


def _item(bought: Bought, repeats: Repeats) -> Columns:
    """All customers with the item: how much it sells, whether more than before, and how often it is bought again."""
    n = int(bought.item.max(initial=-1)) + 1
    item, cells = repeats.item, np.bincount(repeats.item, minlength=n)
    short, middle = (np.bincount(bought.item, bought.age < days, minlength=n)[item] for days in (14, 84))
    log_gap = np.bincount(item, np.log(repeats.interval + SHORTEST), minlength=n)
    gap = np.exp(log_gap / np.maximum(cells, 1))[item]
    latest = np.full(n, np.inf)
    np.minimum.at(latest, bought.item, bought.age)
    return {
        "item_14": short,
        "item_84": middle,
        "item_rise": (short + 1) / (middle / 6 + 1),
        "item_gap": gap,
        "item_due": repeats.last / gap,
        "item_silent": latest[item],
    }


def _type(bought: Bought, repeats: Repeats, types: Ints, decayed: Floats) -> Columns:
    """The customer with all items of the type, which may stand in for each other; NaN where the type is unknown."""
    n = int(types.max(initial=-1)) + 1
    known = types[bought.item] >= 0
    key, inverse = np.unique(bought.customer[known] * n + types[bought.item[known]], return_inverse=True)
    age = bought.age[known]
    latest = np.full(len(key), np.inf)
    np.minimum.at(latest, inverse, age)
    fading = np.bincount(inverse, 0.5 ** (age / 56), minlength=len(key))
    own = types[repeats.item]
    at, there = np.searchsorted(key, repeats.customer * n + own), own >= 0
    type_age, type_decayed = (np.full(len(repeats), np.nan) for _ in range(2))
    type_age[there], type_decayed[there] = latest[at[there]], fading[at[there]]
    return {"type_age": type_age, "type_decayed": type_decayed, "type_share": decayed / type_decayed}
