"""Orders of this run against the profile of the last accepted one.

    accepted   ─ history ───────┤ start     recent     last ├
    this run   ─ history ───────┤        history            ├─ new ─────── last
                                  must be as it was            should be like recent

`new` finds what the shop or its export did since; `history` finds what was rewritten: ids, prices, lost files.
"""

from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from recsys.data.coding import as_text
from recsys.monitoring import measures as m
from recsys.monitoring.checks import ORDER, Check, judged, mix_check, share_check, with_chance
from recsys.monitoring.options import MonitoringOptions
from recsys.monitoring.order_profile import describe, flagged, hash_of, top_items
from recsys.monitoring.volume_checks import volumes

Profile = dict[str, Any]


def compare_orders(
    orders: pl.DataFrame, catalog: pl.DataFrame, mine: Profile, accepted: Profile, options: MonitoringOptions
) -> tuple[list[Check], list[str], dict[str, Any]]:
    """(checks, what could not be compared and why, description of each scope). `mine`: profile of these orders."""
    if mine["counted"] != accepted["counted"]:
        return [], ["the accepted run counted time in another way; nothing of the orders is compared"], {}
    lines = flagged(orders)
    scopes, notes = _scopes(lines, mine, accepted, options)
    checks: list[Check] = [refused_rows(mine, accepted, options)]
    described: dict[str, Any] = {}
    for scope, chosen in scopes.items():
        now = describe(chosen, catalog, accepted["level"], accepted["recent"]["price"]["edges"])
        described[scope] = now
        checks += _mixes(scope, now, accepted["recent"], options)
        checks += _prices(scope, chosen, now, accepted["recent"], options)
        if scope == "new":
            checks += _arrivals(lines, chosen, accepted, options)
        else:
            checks += _losses(scope, lines, accepted, options)
    if not mine["counted"]:
        found, more = volumes(orders, mine, accepted, options)
        checks, notes = [*found, *checks], [*notes, *more]
    return checks, notes, described


def _scopes(
    lines: pl.DataFrame, mine: Profile, accepted: Profile, options: MonitoringOptions
) -> tuple[dict[str, pl.DataFrame], list[str]]:
    if mine["counted"]:
        return {"whole": as_text(lines)}, []
    last, start = (datetime.fromisoformat(accepted[name]) for name in ("last", "start"))
    time = pl.col("ordered_at")
    parts = {
        "new": as_text(lines.filter(time > last)),
        "history": as_text(lines.filter(time.is_between(start, last))) if _history_held(mine, accepted) else lines[:0],
    }
    notes, kept = [], {}
    for scope, part in parts.items():
        n = part["order_id"].n_unique()
        if n >= options.min_orders:
            kept[scope] = part
        elif scope == "new":
            notes.append(f"{n} orders are newer than the accepted run's last ({last:%Y-%m-%d %H:%M}); "
                         f"{options.min_orders} are needed to compare them (monitoring.min_orders)")  # fmt: skip
        else:
            notes.append(f"the orders reach back to {mine['first'][:10]}; of the accepted run's days from "
                         f"{start:%Y-%m-%d} on they hold {n} orders: its history is not compared")  # fmt: skip
    return kept, notes


def _history_held(mine: Profile, accepted: Profile) -> bool:
    """Whether the days that describe the accepted run are still in the export."""
    return str(mine["first"])[:10] <= str(accepted["start"])[:10] <= str(mine["last"])[:10]


def _mixes(scope: str, now: Profile, then: Profile, options: MonitoringOptions) -> list[Check]:
    """Null rates, basket sizes, repeat share, categories."""
    units = (then["orders"], now["orders"])
    sizes = mix_check("basket_size", scope, then["basket_size"], now["basket_size"], units, "lines per order", options)
    mix = {side: {n: c[0] for n, c in part["categories"].items()} for side, part in (("then", then), ("now", now))}
    return [
        null_rates(scope, now, then, options),
        sizes,
        share_check(
            "repeat_share", scope, then["repeat"], now["repeat"], units, "lines that repeat a purchase", options
        ),
        mix_check("category_mix", scope, mix["then"], mix["now"], units, "lines by category", options),
        vanished(scope, now, then, options),
    ]


def null_rates(scope: str, now: Profile, then: Profile, options: MonitoringOptions) -> Check:
    """Largest rise of a share of nulls among the columns that both runs have."""
    found = []
    for column in sorted({*now["nulls"]} & {*then["nulls"]}):
        of_orders = column.startswith("orders.")
        units = (then["orders"], now["orders"]) if of_orders else (then["nulls"][column][1], now["nulls"][column][1])
        found.append(share_check("null_rates", scope, then["nulls"][column], now["nulls"][column], units,
                                 f"nulls in {column}", options, rise=True))  # fmt: skip
    risen = [check for check in found if check.value > 0]
    if not risen:
        return judged(options, "null_rates", scope, 0.0, f"none of {len(found)} columns has more nulls than before")
    return max(risen, key=lambda check: (ORDER.index(check.verdict), check.value))


def vanished(scope: str, now: Profile, then: Profile, options: MonitoringOptions) -> Check:
    """Share of the accepted lines in categories that no order holds now, though chance would have brought some."""
    gone = []
    for name, (lines, orders) in then["categories"].items():
        missed = (1 - orders / then["orders"]) ** now["orders"]  # chance that no order holds it
        if name not in now["categories"] and missed < options.alpha:
            gone.append((lines / then["lines"], name))
    gone.sort(reverse=True)
    share = sum(part for part, _ in gone)
    names = ", ".join(f"{name} ({part:.1%})" for part, name in gone[:5])
    text = f"no line in {len(gone)} categories that had {share:.1%} of the accepted lines: {names}" if gone else (
        f"lines in every category of which {now['orders']:,} orders must be expected to hold one")  # fmt: skip
    return judged(options, "vanished_categories", scope, share, text)


def _prices(scope: str, chosen: pl.DataFrame, now: Profile, then: Profile, options: MonitoringOptions) -> list[Check]:
    """Distribution of all prices, and the level of the same items' prices."""
    if not then["price"]["sample"] or not now["price"]["sample"]:
        return []
    value = m.psi(then["price"]["counts"], now["price"]["counts"])
    d, chance = m.shift_p(then["price"]["sample"], now["price"]["sample"])
    medians = [side["price"]["quantiles"]["0.5"] for side in (then, now)]
    text = f"unit prices: PSI {value:.3f}, KS distance {d:.2f}; median {medians[1]:.2f}, accepted {medians[0]:.2f}"
    return [
        judged(options, "price_distribution", scope, value, with_chance(text, chance), chance),
        price_level(scope, top_items(chosen, then["items"]), then["items"], options),
    ]


def price_level(scope: str, now: dict[str, Any], then: dict[str, Any], options: MonitoringOptions) -> Check:
    """Mean ratio of the median prices of the same items (geometric, weighed by accepted lines); sign test by item."""
    both = [(then[i][0], now[i][1] / then[i][1]) for i in now if (now[i][1] or 0) > 0 and (then[i][1] or 0) > 0]
    weights, changes = np.array([w for w, _ in both], float), np.log([r for _, r in both])
    level = float(np.exp(np.average(changes, weights=weights))) if both else 1.0
    chance = m.sign_p(np.where(np.abs(changes) < 1e-9, 0, changes))
    text = with_chance(f"{len(both):,} items cost {level:.3f} times what they did in the accepted run", chance)
    return judged(options, "price_level", scope, max(level, 1 / level), text, chance)


def refused_rows(mine: Profile, accepted: Profile, options: MonitoringOptions) -> Check:
    """Share of refused rows among the rows added since, or among all where the export did not grow."""
    grown = mine["read"] > accepted["read"]
    rules = {*mine["rules"], *accepted["rules"]}
    added = {r: mine["rules"].get(r, 0) - accepted["rules"].get(r, 0) for r in sorted(rules)}
    if grown:
        now = [min(max(0, mine["rejected"] - accepted["rejected"]), mine["read"] - accepted["read"]),
               mine["read"] - accepted["read"]]  # fmt: skip
    else:
        now = [mine["rejected"], mine["read"]]
    most = max(added, key=lambda rule: added[rule], default=None)
    what = "refused rows" + (" among the rows added" if grown else "")
    what += f", mostly {most} ({added[most]:+,} rows)" if most and added[most] > 0 else ""
    return share_check("refused_rows", "new" if grown else "whole", [accepted["rejected"], accepted["read"]], now,
                       (accepted["read"], now[1]), what, options, rise=True)  # fmt: skip


def _arrivals(lines: pl.DataFrame, new: pl.DataFrame, accepted: Profile, options: MonitoringOptions) -> list[Check]:
    """Items and customers never seen before, against as long a time before the accepted run's last order."""
    last = datetime.fromisoformat(accepted["last"])
    end = new["ordered_at"].max()
    assert isinstance(end, datetime)
    since = last - (end - last)
    before = lines.filter((pl.col("ordered_at") > since) & (pl.col("ordered_at") <= last))
    units = (before["order_id"].n_unique(), new["order_id"].n_unique())

    def arrived(column: str, old: pl.DataFrame, fresh: pl.DataFrame) -> tuple[list[int], list[int]]:
        pairs = ((old[column], since), (fresh[column], last))
        then, now = ([int((first > start).sum()), first.count()] for first, start in pairs)
        return then, now

    items = arrived("item_first", before, new)
    customers = arrived("customer_first", before.unique("order_id"), new.unique("order_id"))
    return [
        share_check("new_items", "new", *items, units, "lines with items never sold before", options, rise=True),
        share_check(
            "new_customers", "new", *customers, units, "orders by customers never seen before", options, rise=True
        ),
    ]


def _losses(scope: str, lines: pl.DataFrame, accepted: Profile, options: MonitoringOptions) -> list[Check]:
    """Items and customers of the accepted run that no line of this run knows."""
    items, then = set(lines["item_id"].unique()), accepted["recent"]["items"]
    total = sum(n for n, _ in then.values())
    gone = {name: n for name, (n, _) in then.items() if name not in items}
    share = sum(gone.values()) / total if total else 0.0
    few = ", ".join(list(gone)[:3])
    text = f"{len(gone):,} of {len(then):,} items of the accepted run are there no more, {share:.1%} of their lines"
    text += f", e.g. {few}" if few else ""
    out = [judged(options, "lost_items", scope, share, text)]
    sample = accepted["recent"]["customer_sample"]
    if sample:
        held = {hash_of(name) for name in lines["customer_id"].drop_nulls().unique()}
        lost = sum(one not in held for one in sample)
        text = f"{lost:,} of {len(sample):,} sampled customers of the accepted run are there no more"
        out.append(judged(options, "lost_customers", scope, lost / len(sample), text))
    return out
