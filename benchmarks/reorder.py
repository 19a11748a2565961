"""Reorders: which items a customer buys again within 7 and 14 days, against decayed frequency and a rule by date.

    python -m benchmarks.reorder [--config FILE] [--set section.key=value] [--out DIR]

Protocol: docs/metrics.md, section "Reorders". Asked at the config's cut, and 28 days before it, where nothing was
chosen; everything is learned before each. Intervals draw customers. DIR gets table.md and metrics.json. Exits with 1
where a bar of the default config is missed.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.offering.part import line, spread
from recsys import pipeline
from recsys.config import load_config
from recsys.data.checked_store import read_checked
from recsys.data.histories import Floats, Ints
from recsys.data.splits import held_out_window
from recsys.evaluation.bootstrap import bootstrap_mean, paired_ratio
from recsys.evaluation.calibration import calibration
from recsys.moments.purchases import Purchases, Repeats
from recsys.moments.reorder import PastRows, fit_reorder, past_rows, reorder_table
from recsys.moments.reorder_model import ReorderOptions
from recsys.moments.subscriptions import subscriptions
from recsys.stages import write_json

DEFAULT = "configs/complete_journey.yaml"
EARLIER = timedelta(days=28)
HALF_LIVES = (7, 14, 28, 42, 56, 84, 112)
BARS = {7: 0.30, 14: 0.39}  # least precision at N by days ahead, of Complete Journey
OF_RULE = 1.5
Row = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """Customer-items at a cut and what became of them; `y` bool (m,)."""

    at: datetime
    days: int
    repeats: Repeats
    y: np.ndarray

    @property
    def n(self) -> int:
        return int(self.y.sum())

    def top(self, score: Floats, n: int) -> np.ndarray:
        """bool (m,): the n of the highest score; ties in the order of customers and items."""
        out = np.zeros(len(self.y), bool)
        out[np.argsort(-score, kind="stable")[:n]] = True
        return out

    def hits(self, listed: np.ndarray) -> Floats:
        """float64 (n_customers,): listed and bought, of each customer."""
        return np.bincount(self.repeats.customer, listed & self.y).astype(float)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=DEFAULT)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--out", type=Path, help="folder of the results; without it they are printed only")
    given = parser.parse_args(arguments)
    config = load_config(given.config, given.settings)
    checked = read_checked(pipeline.ingest_orders(config, datetime.now(UTC)) / "checked")
    purchases = Purchases.of(checked.orders, checked.catalog)
    cut, _ = held_out_window(checked.orders, config.split)
    rows = [row for at in (cut - EARLIER, cut) for row in judge(purchases, at, config.moments.reorder)]
    regular = [judge_subscriptions(purchases, at) for at in (cut - 2 * EARLIER, cut - EARLIER)]
    table = [*_table(rows), "", *_subscription_table(regular)]
    print("\n".join(table))
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        write_json(given.out / "metrics.json", {"records": rows + regular})
        (given.out / "table.md").write_text("\n".join(table) + "\n", encoding="utf-8")
    missed = missed_of([row for row in rows if row["cut"] == f"{cut:%Y-%m-%d}"])
    print("\n".join(missed))
    return len(missed) if given.config == DEFAULT and not given.settings else 0


def judge(purchases: Purchases, at: datetime, options: ReorderOptions) -> list[Row]:
    """A row for each number of days ahead."""
    start = time.perf_counter()
    model = fit_reorder(purchases, at, options)
    fitted = time.perf_counter() - start
    start = time.perf_counter()
    repeats, x = reorder_table(purchases, at, options.min_times)
    chances = {days: model.chances(x, days) for days in options.horizons}
    print(f"{at:%Y-%m-%d}: fitted in {fitted:.0f} s, {len(repeats):,} asked in {time.perf_counter() - start:.1f} s")
    out = []
    for days in options.horizons:
        asked = Asked(at, days, repeats, purchases.bought_within(repeats.customer, repeats.item, at, days))
        plain = logistic(past_rows(purchases, at, days, options), x)
        out.append(compared(asked, chances[days], plain))
    return out


def compared(asked: Asked, chance: Floats, plain: Floats) -> Row:
    """Precision at N of all, and the model against each; the rule by date also as short as it is by itself."""
    n, repeats, groups = asked.n, asked.repeats, np.unique(asked.repeats.customer)
    ours = asked.top(chance, n)
    decayed = {days: asked.top(repeats.decayed(days), n) for days in HALF_LIVES}
    best = max(decayed, key=lambda days: (decayed[days] & asked.y).sum())
    ahead = repeats.interval - repeats.last
    inside = (ahead >= 0) & (ahead < asked.days)
    away = np.maximum(np.maximum(-ahead, ahead - asked.days), 0)
    n_rule = int(inside.sum())
    others = {
        "decayed": (ours, decayed[best]),
        "rule": (ours, asked.top(-away, n)),
        "rule_short": (asked.top(chance, n_rule), inside),
        "logistic": (ours, asked.top(plain, n)),
    }
    drawn = bootstrap_mean(asked.y[ours].astype(float), groups=repeats.customer[ours])
    row: Row = {
        "cut": f"{asked.at:%Y-%m-%d}", "days": asked.days, "asked": len(repeats), "n": n, "half_life": best,
        "n_rule": n_rule, "precision": float(drawn.mean[0]), "low": float(drawn.low[0]), "high": float(drawn.high[0]),
        "calibration": calibration(chance, asked.y, repeats.customer),
    }  # fmt: skip
    for name, (own, other) in others.items():
        ratio = paired_ratio(asked.hits(own)[groups], asked.hits(other)[groups])
        row[f"{name}_precision"] = float((other & asked.y).sum() / max(other.sum(), 1))
        row |= {f"of_{name}": float(ratio.ratio[0]), f"of_{name}_low": float(ratio.low[0]),
                f"of_{name}_high": float(ratio.high[0])}  # fmt: skip
    return row | {"of_rule_as_it_is": row["precision"] / row["rule_short_precision"]}


def logistic(rows: PastRows, x: Floats) -> Floats:
    """Chances by a logistic regression on the logarithms of the same features and their squares."""
    seen, asked = _logarithms(rows.x), _logarithms(x)
    mean, scale = seen.mean(axis=0), seen.std(axis=0) + 1e-6
    model = LogisticRegression(C=0.1, tol=1e-3, max_iter=300).fit((seen - mean) / scale, rows.y)
    return np.asarray(model.predict_proba((asked - mean) / scale)[:, 1])


def _logarithms(x: Floats) -> Floats:
    logs = np.log1p(np.abs(np.nan_to_num(x, posinf=400))) * np.sign(x)
    logs = np.nan_to_num(logs)
    return np.concatenate([logs, logs**2], axis=1)


def judge_subscriptions(purchases: Purchases, at: datetime) -> Row:
    """Share of the candidates whose next purchase came within 1.5 intervals of the last, beside that of all repeats."""
    found = subscriptions(purchases, at)
    every = Repeats.of(purchases.before(at), 5)
    due = every.last <= 1.5 * every.median_gap
    waited = {
        "candidates": _positions(purchases, found["customer_id"], found["item_id"]),
        "others": (every.customer[due], every.item[due]),
    }
    row: Row = {"cut": f"{at:%Y-%m-%d}"}
    for name, (customer, item) in waited.items():
        came = _next_within(purchases, every, customer, item, at)
        row |= {name: len(customer), f"{name}_came": float(came.mean())}
    return row


def _positions(purchases: Purchases, customers: Any, items: Any) -> tuple[Ints, Ints]:
    return purchases.customers.positions(customers.to_list()), purchases.items.positions(items.to_list())


def _next_within(purchases: Purchases, every: Repeats, customer: Ints, item: Ints, at: datetime) -> np.ndarray:
    """bool (m,): bought after `at`, before 1.5 median gaps since the last purchase had passed."""
    n = len(purchases.items)
    at_cell = np.searchsorted(every.customer * n + every.item, customer * n + item)
    left = 1.5 * every.median_gap[at_cell] - every.last[at_cell]
    out = np.zeros(len(left), bool)
    for days in np.unique(np.ceil(left)):
        some = np.ceil(left) == days
        out[some] = purchases.bought_within(customer[some], item[some], at, float(days))
    return out


def missed_of(rows: list[Row]) -> list[str]:
    out = []
    for row in rows:
        wanted = (("precision", BARS.get(row["days"], 0)), ("of_decayed", 1.0), ("of_rule", OF_RULE))
        out += [
            f"missed: {name} {row[name]:.3f} below {bar} at {row['days']} days"
            for name, bar in wanted
            if row[name] < bar
        ]
    return out


def _table(rows: list[Row]) -> list[str]:
    heads = ["cut", "days", "asked", "N", "precision at N", "decayed frequency", "ratio", "rule by date at N", "ratio",
             "rule as it is", "ours, as many", "ratio", "logistic", "predicted / observed"]  # fmt: skip
    return ["## Reorders", "", line(heads), line(["---"] * len(heads)), *map(_line, rows)]


def _line(row: Row) -> str:
    ratio = {name: f"{row[f'of_{name}']:.2f} ({spread(row[f'of_{name}_low'], row[f'of_{name}_high'])})"
             for name in ("decayed", "rule", "rule_short")}  # fmt: skip
    many = row["of_rule_short"] * row["rule_short_precision"]
    told = row["calibration"]
    return line([
        row["cut"], str(row["days"]), f"{row['asked']:,}", f"{row['n']:,}",
        f"{row['precision']:.3f} ({spread(row['low'], row['high'], 3)})",
        f"{row['decayed_precision']:.3f} ({row['half_life']} days)", ratio["decayed"], f"{row['rule_precision']:.3f}",
        ratio["rule"], f"{row['rule_short_precision']:.3f} of {row['n_rule']:,}", f"{many:.3f}", ratio["rule_short"],
        f"{row['logistic_precision']:.3f}", f"{told['predicted']:.4f} / {told['observed']:.4f}",
    ])  # fmt: skip


def _subscription_table(rows: list[Row]) -> list[str]:
    heads = ["cut", "candidates", "came back in time", "all others due", "came back in time"]
    return [
        "## Subscriptions", "", line(heads), line(["---"] * len(heads)),
        *(line([r["cut"], f"{r['candidates']:,}", f"{r['candidates_came']:.3f}", f"{r['others']:,}",
                f"{r['others_came']:.3f}"]) for r in rows),
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
