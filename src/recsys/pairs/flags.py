"""What is said of each pair: is it a season, made by promotions, of one store, of few customers? Null: not judged."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from recsys.affinity import Affinity, low_of
from recsys.data.histories import IdMap, Ints
from recsys.pair_counts import Baskets, order_heads
from recsys.pairs.collected import Collected
from recsys.pairs.crowds import Joint, crowded, ratio, tail, within, within_sizes
from recsys.pairs.options import KEYS, FlagOptions, Level
from recsys.pairs.promotions import promotion_weeks, week_of

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
Columns = dict[str, Any]  # arrays and lists over the pairs; NaN and None are nulls


@dataclass(frozen=True)
class OrderFacts:
    """Of each order, in the rows of `Baskets`: month (0 = January of the first year), week (0 = the first), store (-1 =
    not known)."""

    month: Ints
    week: Ints
    store: Ints
    stores: tuple[str, ...]


def order_facts(collected: Collected) -> OrderFacts:
    time = pl.col("ordered_at")
    heads = order_heads(collected.lines.lazy(), "ordered_at", "store_id").collect()
    month = ((time.dt.year() - time.dt.year().min()) * 12 + time.dt.month() - 1).cast(pl.Int64)
    stores = IdMap.of(heads["store_id"].drop_nulls().unique().to_list())
    told = heads.select(month=month, week=week_of(time, time.min()))
    return OrderFacts(
        told["month"].to_numpy(), told["week"].to_numpy(), stores.positions(heads["store_id"].to_list()), stores.ids
    )


def flags(affinity: Affinity, found: Baskets, collected: Collected, level: Level, options: FlagOptions) -> pl.DataFrame:
    """A row per pair of `affinity`, its flags with their numbers; see docs/affinity.md for each column."""
    joint, facts = Joint.of(affinity, found), order_facts(collected)
    columns = {
        **season(joint, facts, collected, options),
        **promotion(joint, facts, collected, level, options),
        **one_store(joint, facts, options),
        **few_customers(joint, options),
    }
    texts = {"season": pl.String, "store": pl.String}
    truths = dict.fromkeys(("seasonal", "promotion", "one_store", "few_customers"), pl.Boolean)
    table = pl.DataFrame(columns, schema_overrides={**texts, **truths}, strict=False)
    return table.with_columns(pl.col(pl.Float64).fill_nan(None))


def season(joint: Joint, facts: OrderFacts, collected: Collected, options: FlagOptions) -> Columns:
    """The months in a row, at any turn of the year, in which chance is least likely: a scan of twelve stretches.

    p is twelve times that of the best stretch. `season_lift`: joint orders by those that both items' sales in each
    month explain among orders of each size; about 1 = within the months the two know nothing of each other.
    `months_sold`: months in which both were sold; with few of them a new or discontinued item looks like a season.
    """
    n = int(facts.month.max(initial=-1)) + 1
    orders = np.bincount(facts.month, minlength=n)
    by_month = joint.by(facts.month, n)
    counts, of_all = (
        _stretches(folded, options.season_months) for folded in (_folded(by_month), _folded(orders[:, None]))
    )
    base = of_all / max(orders.sum(), 1)
    p = tail(counts, np.broadcast_to(joint.joint, counts.shape), base)
    start, at = p.argmin(axis=0), np.arange(len(joint.joint))
    judged = collected.timed and collected.days >= options.season_days
    share = ratio(counts[start, at], joint.joint)
    least = np.where(judged & (joint.joint > 0), np.minimum(12 * p[start, at], 1.0), np.nan)
    crowds, q = crowded(share, base[start, 0], least, options)
    explained = within_sizes(joint, facts.month)
    months = (within(joint, facts.month, n) > 0).sum(axis=0)
    known = ~np.isnan(least)
    return {
        "seasonal": _told(crowds, known),
        "season": [_span(s, options.season_months) if k else None for s, k in zip(start, known, strict=True)],
        "season_share": np.where(known, share, np.nan),
        "season_of_all": np.where(known, base[start, 0], np.nan),
        "season_q": q,
        "season_lift": np.where(known, ratio(joint.joint, explained), np.nan),
        "months_sold": months,
    }


def _folded(by_month: Ints) -> Ints:
    """(12, m): the same months of all years together."""
    whole = np.zeros((-(-len(by_month) // 12), 12, by_month.shape[1]), np.int64)
    month = np.arange(len(by_month))
    whole[month // 12, month % 12] = by_month
    return np.asarray(whole.sum(axis=0))


def _stretches(folded: Ints, months: int) -> Ints:
    """(12, m): sums over so many months from each on, January after December."""
    return np.asarray(sum(np.roll(folded, -k, axis=0) for k in range(months)))


def _span(start: int, months: int) -> str:
    last = MONTHS[(start + months - 1) % 12]
    return MONTHS[start] if months == 1 else f"{MONTHS[start]}–{last}"


def promotion(joint: Joint, facts: OrderFacts, collected: Collected, level: Level, options: FlagOptions) -> Columns:
    """Weeks in which either is sold below its usual price, out of the weeks in which both prices are known.

    `usual_lift`: joint orders of the other weeks by those that both items' sales in each such week explain, times what
    the size of orders adds within a month. A pair is made by promotions where it crowds into the low weeks and no lift
    above 1 is sure in the others. Judged where half of the joint orders lie in weeks of known prices.
    """
    low = promotion_weeks(collected.lines, KEYS[level], joint.keys, options.discount, options.usual_weeks)
    n = len(low.known)
    orders, by_week = np.bincount(facts.week, minlength=n), joint.by(facts.week, n)
    both = low.known[:, joint.a] & low.known[:, joint.b]
    either = both & (low.low[:, joint.a] | low.low[:, joint.b])
    known, hits = (by_week * both).sum(axis=0), (by_week * either).sum(axis=0)
    base = ratio(orders @ either, orders @ both)
    judged = collected.timed & (known > 0) & (2 * known >= joint.joint)
    share = ratio(hits, known)
    crowds, q = crowded(share, base, np.where(judged, tail(hits, known, base), np.nan), options)
    months = int(facts.month.max(initial=-1)) + 1
    by_size = ratio(within_sizes(joint, facts.month), within(joint, facts.month, months).sum(axis=0))
    expected = (within(joint, facts.week, n) * (both & ~either)).sum(axis=0) * by_size
    others = known - hits
    usual_low = np.where(others > 0, ratio(low_of(np.maximum(others, 1), np.ones(len(others))), expected), 0.0)
    return {
        "promotion": _told(crowds & ~(usual_low >= 1), judged),
        "promotion_share": np.where(judged, share, np.nan),
        "promotion_of_all": np.where(judged, base, np.nan),
        "promotion_q": q,
        "usual_lift": np.where(judged, ratio(others, expected), np.nan),
        "usual_low": np.where(judged, usual_low, np.nan),
    }


def one_store(joint: Joint, facts: OrderFacts, options: FlagOptions) -> Columns:
    """The store with most joint orders; p is its tail times the number of stores. Orders without a store are left
    out, and where they are more than half of the joint orders the pair is not judged."""
    n = len(facts.stores)
    lead = joint.leaders(facts.store, n)
    orders = np.bincount(facts.store[facts.store >= 0], minlength=n)
    share_of = np.append(orders / max(orders.sum(), 1), np.nan)  # -1 = no store
    judged = (lead.known > 0) & (2 * lead.known >= joint.joint)
    share, base = ratio(lead.most, lead.known), share_of[lead.group]
    p = np.where(judged, np.minimum(tail(lead.most, lead.known, base) * n, 1.0), np.nan)
    crowds, q = crowded(share, base, p, options)
    return {
        "one_store": _told(crowds, judged),
        "store": [facts.stores[s] if k else None for s, k in zip(lead.group, judged, strict=True)],
        "store_share": np.where(judged, share, np.nan),
        "store_of_all": np.where(judged, base, np.nan),
        "store_q": q,
    }


def few_customers(joint: Joint, options: FlagOptions) -> Columns:
    """Customers that count: (Σ n)² / Σ n² over each one's joint orders, as many as would share them equally. Orders of
    guests are left out, and where they are more than half of the joint orders the pair is not judged."""
    lead = joint.leaders(joint.customer, int(joint.customer.max(initial=-1)) + 1)
    judged = (lead.known > 0) & (2 * lead.known >= joint.joint)
    effective = np.where(judged, ratio(lead.known.astype(float) ** 2, lead.squares), np.nan)
    return {
        "few_customers": _told(np.nan_to_num(effective, nan=np.inf) < options.min_effective, judged),
        "top_customer_share": np.where(judged, ratio(lead.most, lead.known), np.nan),
        "effective_customers": effective,
    }


def _told(flag: np.ndarray, judged: np.ndarray) -> list[bool | None]:
    return [bool(f) if j else None for f, j in zip(flag, judged, strict=True)]
