"""Bundles of two: do their items lie together in the orders after the cut, more than the sizes of orders explain?

Beside each bundle stand random pairs of two types whose items were sold as often before the cut.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import scipy.sparse as sp

from benchmarks.offering.part import Before, Part, Row, line, spread
from recsys.affinity import Affinity
from recsys.config import Config
from recsys.data.histories import Floats, Ints
from recsys.data.splits import in_window
from recsys.evaluation.protocols import EvaluationOptions
from recsys.offers.bundles import Bundle, BundleOptions, NoBundle, ShelfNow, bundles
from recsys.offers.upsell import recent_orders
from recsys.pair_counts import SIZE_BINS, Baskets, baskets

RECENT_DAYS = 28.0  # an item without an order in them is not offered
LIKE = 20  # items sold next to as often, of which one stands in for a bundle's item
CONTROLS, TRIES = 20, 100  # random pairs for each bundle, and draws to find them
DRAWS = 50  # of customers at once: bounded memory
LEAST_BUNDLES, LEAST_LIFT = 200, 2.5
OURS, CONTROL = "bundles", "random pairs of equal popularity"
Pairs = list[tuple[str, str]]


def run(config: Config, now: datetime) -> Part:
    before = Before.read(config, now)
    counted, rules = before.evident()
    today = ShelfNow(substitutes=before.substitutes(), recent=recent_orders(before.data, RECENT_DAYS))
    made, left_out = bundles(rules, shelf=before.shelf, now=today)
    larger, _ = bundles(rules, shelf=before.shelf, now=today, options=BundleOptions(largest=4))
    window = Window.of(baskets(before.orders.filter(in_window(before.moment)), "item_id"))
    pairs = [(b.items[0], b.items[1]) for b in made]
    rng = np.random.default_rng(config.evaluation.seed)
    rows = [
        _record(OURS, window, pairs, config.evaluation),
        _record(CONTROL, window, controls(pairs, counted, before, rng), config.evaluation),
    ]
    rows[0] |= _facts(made, left_out, larger, len(rules))
    return Part(rows, _table(rows), _missed(rows[0]))


def controls(pairs: Pairs, counted: Affinity, before: Before, rng: np.random.Generator) -> Pairs:
    """At most CONTROLS pairs for each, of two types: both items replaced by one that sold next to as often."""
    order = np.argsort(counted.sold, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    types = before.shelf.types_of(list(counted.items.ids))
    of_bundles = set(pairs)
    out: Pairs = []
    for pair in pairs:
        mine: Pairs = []
        at = place[counted.items.positions(list(pair))]
        for away in rng.integers(-LIKE // 2, LIKE // 2 + 1, (TRIES, 2)):
            a, b = sorted(order[np.clip(at + away, 0, len(order) - 1)])
            names = (counted.items.ids[a], counted.items.ids[b])
            if -1 < types[a] != types[b] > -1 and names not in of_bundles:
                mine.append(names)
        out += mine[:CONTROLS]
    return out


@dataclass(frozen=True)
class Window:
    """Orders of the window: customers' codes, guests one by one, and size bins."""

    found: Baskets
    groups: Ints
    bins: Ints

    @classmethod
    def of(cls, found: Baskets) -> "Window":
        guests = np.flatnonzero(found.customer < 0)
        groups = found.customer.copy()
        groups[guests] = found.customer.max(initial=-1) + 1 + np.arange(len(guests))
        return cls(found, groups, np.searchsorted(SIZE_BINS, found.sizes, side="right") - 1)

    def joint_and_expected(self, pairs: Pairs, weights: Floats) -> tuple[Floats, Floats]:
        """Joint orders and what sizes explain, float64 (len(pairs), draws); weights (n_orders, draws).

        A pair with an item that nobody bought in the window has 0 of both.
        """
        names = sorted({item for pair in pairs for item in pair})
        at = self.found.items.positions(names)
        columns = sp.csr_matrix(np.where(at >= 0, 1, 0), dtype=float)
        there = sp.csr_matrix(self.found.matrix[:, np.maximum(at, 0)], dtype=float) @ sp.diags_array(
            columns.toarray()[0]
        )
        code = {name: i for i, name in enumerate(names)}
        a, b = np.array([[code[x], code[y]] for x, y in pairs]).T
        both = sp.csr_matrix(there[:, a].multiply(there[:, b]))
        expected = np.zeros((len(pairs), weights.shape[1]))
        for size in np.unique(self.bins):
            rows = self.bins == size
            sold, n = there[rows].T @ weights[rows], weights[rows].sum(axis=0)
            expected += np.divide(sold[a] * sold[b], n, out=np.zeros_like(expected), where=n > 0)
        return both.T @ weights, expected


def lifts(joint: Floats, expected: Floats) -> Floats:
    """joint / expected; 0 where nothing was to expect, since the offer would have moved nothing."""
    return np.divide(joint, expected, out=np.zeros_like(joint), where=expected > 0)


def _record(name: str, window: Window, pairs: Pairs, options: EvaluationOptions) -> Row:
    """Median size-adjusted lift of the pairs in the window, and Σ joint / Σ expected.

    The interval of the median draws pairs, that of the sums customers. Customers drawn anew move the median down
    (`drawn_customers`): most pairs have one or two joint orders in a window, and a draw leaves a third of them out.
    """
    facts = {"part": "bundles", "contender": name, "metric": "median_adjusted_lift", "n": len(pairs)}
    if not pairs:
        return facts
    joint, expected = window.joint_and_expected(pairs, np.ones((len(window.bins), 1)))
    own = lifts(joint, expected)[:, 0]
    rng = np.random.default_rng(options.seed)
    ends = [(1 - options.level) / 2, (1 + options.level) / 2]
    drawn = [float(np.median(own[rng.integers(0, len(own), len(own))])) for _ in range(options.resamples)]
    of_customers = _drawn_customers(window, pairs, options.resamples, rng)
    return {
        **facts,
        "value": float(np.median(own)),
        **_interval("", drawn, ends),
        "pooled": float(joint.sum() / expected.sum()),
        **_interval("pooled_", of_customers[:, 1], ends),
        **_interval("drawn_customers_", of_customers[:, 0], ends),
        "with_joint_orders": float((joint > 0).mean()),
        "unsold": float((expected == 0).mean()),
    }


def _interval(prefix: str, values: Floats | list[float], ends: list[float]) -> Row:
    low, high = np.quantile(values, ends)
    return {f"{prefix}low": float(low), f"{prefix}high": float(high)}


def _drawn_customers(window: Window, pairs: Pairs, resamples: int, rng: np.random.Generator) -> Floats:
    """float64 (resamples, 2): median lift and Σ joint / Σ expected with customers drawn anew; the pairs stay."""
    n = int(window.groups.max()) + 1
    out = []
    for at in range(0, resamples, DRAWS):
        times = [np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(min(DRAWS, resamples - at))]
        joint, expected = window.joint_and_expected(pairs, np.stack(times, axis=1)[window.groups].astype(float))
        out.append(np.stack([np.median(lifts(joint, expected), axis=0), joint.sum(axis=0) / expected.sum(axis=0)], 1))
    return np.concatenate(out)


def _facts(made: list[Bundle], left_out: list[NoBundle], larger: list[Bundle], asked: int) -> Row:
    """What the bundles are, and why the other pairs are none."""
    reasons = Counter("in stronger bundles" if "stronger" in one.reason else one.reason for one in left_out)
    off = [1 - b.offer_price / b.list_price for b in made]
    return {
        "pairs": asked,
        "left_out": dict(reasons.most_common()),
        "together": float(np.median([b.together for b in made])) if made else None,
        "discount": [min(off, default=0.0), max(off, default=0.0)],
        "most_per_item": max(Counter(i for b in made for i in b.items).values(), default=0),
        "by_size": dict(sorted(Counter(len(b.items) for b in larger).items())),
    }


def _missed(row: Row) -> list[str]:
    out = [f"bundles: {row['n']}, {LEAST_BUNDLES} wanted"] if row["n"] < LEAST_BUNDLES else []
    if row["n"] and row["value"] < LEAST_LIFT:
        out.append(f"bundles: median lift {row['value']:.2f} after the cut, {LEAST_LIFT} wanted")
    return out


def _table(rows: list[Row]) -> list[str]:
    heads = ["pairs", "number", "median lift (interval)", "Σ joint / Σ expected (interval)", "seen together",
             "an item unsold"]  # fmt: skip
    lines = [_line(row) for row in rows if row["n"]]
    made = rows[0]
    why = ", ".join(f"{n:,} {reason}" for reason, n in made["left_out"].items())
    sizes = ", ".join(f"{n} of {size}" for size, n in made["by_size"].items())
    return [
        "## Bundles", "", "Size-adjusted lift in the window after the cut, of pairs chosen before it.", "", line(heads),
        line(["---"] * len(heads)), *lines, "",
        f"{made['pairs']:,} pairs with evidence; left out: {why}. {made['discount'][0]:.1%} to "
        f"{made['discount'][1]:.1%} off, at most {made['most_per_item']} bundles per item; in the median bundle "
        f"{made['together'] or 0:.0%} of the orders with either item hold both anyway. "
        f"With up to four items: {sizes or 'none'}.",
    ]  # fmt: skip


def _line(row: Row) -> str:
    median = f"{row['value']:.2f} ({spread(row['low'], row['high'])})"
    sums = f"{row['pooled']:.2f} ({spread(row['pooled_low'], row['pooled_high'])})"
    shares = (f"{row[name]:.0%}" for name in ("with_joint_orders", "unsold"))
    return line([row["contender"], f"{row['n']:,}", median, sums, *shares])
