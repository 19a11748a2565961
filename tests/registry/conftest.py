"""A realistic run directory, made up from a seed: the files that the pipeline hands to the report."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# contender: (kind, level on repeat purchases, level on new ones, share of the shop it shows)
CONTENDERS = {
    "popularity": ("single", 0.10, 0.020, 0.002),
    "frequency": ("single", 0.36, 0.0, 0.61),
    "als": ("single", 0.21, 0.031, 0.22),
    "content": ("single", 0.12, 0.026, 0.70),
    "item_knn": ("single", 0.24, 0.042, 0.55),
    "user_knn": ("single", 0.33, 0.038, 0.33),
    "hybrid": ("hybrid", 0.41, 0.052, 0.48),
    "hybrid_without_cart": ("ablation", 0.395, 0.047, 0.47),
    "last_basket": ("reference", 0.22, 0.0, 0.58),
}
SHARE_OF = {"recall": 1.0, "precision": 0.35, "ndcg": 0.8, "hit_rate": 1.6, "mrr": 0.9, "map": 0.55}
CHECK = ("name", "value", "threshold", "passed", "remedy")
NAMES = (
    "Wholemeal bread",
    "Oat milk 1 l",
    "Bananas",
    "Greek yoghurt 500 g",
    "Coffee beans, dark",
    "Olive oil 750 ml",
)


def level(contender: str, task: str, segment: str) -> float:
    _, repeat, new, _ = CONTENDERS[contender]
    value = {"repeat": repeat, "new": new, "all": 0.7 * repeat + 0.3 * new}[segment]
    return value if task == "next_basket" else 0.12 + 0.5 * value * (1.6 if contender == "item_knn" else 1.0)


def records() -> list[dict[str, Any]]:
    rows = []
    for contender, (kind, *_, shown) in CONTENDERS.items():
        for task in ("next_basket", "cart"):
            base = {"contender": contender, "kind": kind, "task": task, "n": 4210 if task == "cart" else 6150}
            for segment in ("all", "repeat", "new"):
                for metric, share in SHARE_OF.items():
                    for k, depth in ((5, 0.68), (10, 1.0), (20, 1.3)):
                        value = min(0.99, level(contender, task, segment) * share * depth)
                        half = 0.004 + 0.03 * value
                        rows.append({**base, "segment": segment, "metric": metric, "k": k, "value": value,
                                     "low": max(0.0, value - half), "high": value + half})  # fmt: skip
            for metric, value in (
                ("coverage", shown),
                ("novelty", 6 + 5 * shown),
                ("diversity", 0.6 + shown / 3),
            ):
                rows.append(
                    {
                        **base,
                        "segment": "all",
                        "metric": metric,
                        "k": 10,
                        "value": value,
                        "low": None,
                        "high": None,
                    }
                )
    return rows


def paired() -> list[dict[str, Any]]:
    best_single = {"next_basket": "frequency", "cart": "item_knn"}
    rows = []
    for task, baseline in best_single.items():
        for contender in ("hybrid", "hybrid_without_cart"):
            for segment in ("all", "repeat", "new"):
                mine, theirs = level(contender, task, segment), level(baseline, task, segment)
                ratio = mine / theirs if theirs else None
                rows.append({
                    "contender": contender, "baseline": baseline, "task": task, "segment": segment,
                    "metric": "recall", "k": 10, "difference": mine - theirs, "low": mine - theirs - 0.01,
                    "high": mine - theirs + 0.01, "ratio": ratio, "ratio_low": ratio and ratio * 0.96,
                    "ratio_high": ratio and ratio * 1.04, "p": 0.0005, "n": 4000,
                })  # fmt: skip
    return rows


def metrics() -> dict[str, Any]:
    return {
        "records": records(), "paired": paired(), "best": "hybrid",
        "primary": {"task": "next_basket", "segment": "all", "metric": "recall", "k": 10},
        "baseline_best_single": {"next_basket": "frequency", "cart": "item_knn"},
    }  # fmt: skip


def ingest() -> dict[str, Any]:
    rules = {
        "quantity_not_positive": 4120,
        "date_unreadable": 310,
        "item_id_missing": 96,
        "return_without_purchase": 1870,
    }
    checks = [
        ("rejected_share", 0.0044, 0.05, True, "look at rejected.parquet"),
        ("days_since_last_order", 3, 14, True, "load newer orders"),
        (
            "share_of_items_in_catalog",
            0.91,
            0.95,
            False,
            "extend the catalog or set catalog.missing = 'keep'",
        ),
    ]
    return {
        "read": 1469307, "kept": 1441002, "guests": 20311, "merged_lines": 12904, "returns_matched": 9005,
        "rejected": sum(rules.values()), "rules": [{"rule": r, "rows": n} for r, n in rules.items()],
        "first": "2025-01-01T09:12:00+00:00", "last": "2025-12-30T21:40:00+00:00",
        "customers": 24690, "items": 9230, "orders": 155848,
        "checks": [dict(zip(CHECK, check, strict=True)) for check in checks],
    }  # fmt: skip


def importances() -> list[dict[str, Any]]:
    groups = {"own_history": 9, "model_scores": 7, "popularity": 4, "cart": 4, "price": 3, "context": 2}
    names = [(f"{group}_{i}", group) for group, size in groups.items() for i in range(size)]
    gains = np.random.default_rng(5).pareto(1.0, len(names)) + 0.05
    return [{"feature": f, "group": g, "gain": float(x)} for (f, g), x in zip(names, gains / gains.sum(), strict=True)]


def example(title: str, customer: str | None, cart: bool) -> dict[str, Any]:
    items = [
        {
            "rank": i + 1, "item_id": f"{1000 + i}", "name": NAMES[i % 6], "score": 2.5 - 0.3 * i,
            "hit": i in (0, 3),
            "probability": None if cart else 0.44 - 0.06 * i, "price": None if i == 2 else 1.49 + i,
            "reason": "bought 7 times, usually every 9 days" if i % 2 else "goes with Pasta in the cart",
        }
        for i in range(6)
    ]  # fmt: skip
    history = [{"item_id": f"{1000 + i}", "name": NAMES[i], "times": 7 - i} for i in range(5)]
    return {
        "title": title, "customer_id": customer, "items": items, "bought": ["1000", "1003", "77"],
        "history": [] if customer is None else history,
        "cart": [{"item_id": "5", "name": "Pasta"}, {"item_id": "6", "name": "Tomato sauce"}] if cart else [],
    }  # fmt: skip


def coverage(known: int = 9230) -> dict[str, Any]:
    def counts(share: float) -> list[int]:
        ranks = np.arange(1, max(12, int(known * share)) + 1)
        return [int(x) for x in np.ceil(60000 / ranks / np.log(len(ranks) + 1))]

    return {name: {"counts": counts(shown)} for name, (*_, shown) in CONTENDERS.items()}


def calibration() -> dict[str, Any]:
    bins = [
        {"predicted": p, "observed": 0.8 * p if p > 1e-4 else 0.0, "low": 0.5 * p, "high": 1.3 * p,
         "n": int(90000 * (1 - p) ** 8) + 40}
        for p in np.geomspace(5e-5, 0.7, 12)
    ]  # fmt: skip
    rest = {"n": 900_000, "predicted": 0.013, "observed": 0.0125, "skill": 0.19, "ece": 0.0012, "log_loss": 0.06,
            "log_loss_reference": 0.07}  # fmt: skip
    listed = {**rest, "bins": bins[-5:], "n": 42_000, "brier": 0.1198, "brier_reference": 0.1331}
    return {
        t: {**rest, "bins": bins, "brier": b, "brier_reference": r, "listed": listed}
        for t, b, r in (("next_basket", 0.0412, 0.0508), ("cart", 0.0188, 0.0203))
    }


def bucket(of: str, dimension: str, name: str, task: str, contender: str, n: int, step: int) -> dict[str, Any]:
    """One record of a group; the hybrid gains from 0.7 (worse beyond chance) in steps of 0.13."""
    value = level(contender, task, "all") * (0.7 + 0.13 * step)
    row = {"dimension": dimension, "of": of, "bucket": name, "task": task, "contender": contender, "n": n,
           "metric": "recall", "k": 10, "value": value, "low": value * 0.93, "high": value * 1.07}  # fmt: skip
    ratio = 0.85 + 0.1 * step
    compared = {"baseline": "frequency", "ratio": ratio, "ratio_low": ratio - 0.08, "ratio_high": ratio + 0.08}
    return row | (compared if contender == "hybrid" else {})


def segments() -> list[dict[str, Any]]:
    sizes = {
        ("queries", "orders before"): {"1": 350, "2–4": 1120, "5–19": 2980, "20+": 1700},
        ("items", "category"): {"Dairy": 2200, "Household & garden": 900, "other": 400},
        ("queries", "cart size"): {"1": 900, "2–3": 1800, "4+": 1510},
    }
    return [
        bucket(of, dimension, name, task, contender, n, step)
        for (of, dimension), buckets in sizes.items()
        for task in (("cart",) if dimension == "cart size" else ("next_basket", "cart"))
        for contender in ("hybrid", "frequency", "item_knn", "popularity")
        for step, (name, n) in enumerate(buckets.items())
    ]


def cold_start() -> list[dict[str, Any]]:
    groups = {"whole history": 500, "as if no order were known": 500, "one order in fact": 9, "first order ever": 0}
    rows = []
    for step, (group, n) in enumerate(groups.items()):
        for task in ("next_basket", "cart"):
            for contender in ("hybrid", "frequency"):
                row = bucket("queries", "", group, task, contender, n, 2 - step if step < 2 else 0)
                row |= {"about": "customers"} | ({"value": None, "low": None, "high": None} if not n else {})
                rows.append({k: v for k, v in row.items() if k not in ("dimension", "of")})
    items = {"about": "items", "metric": "recall", "k": 10, "bucket": "items never sold", "contender": "content",
             "value": 0.014, "low": 0.003, "high": 0.026, "n": 318, "bought": 584, "pool": 26554, "whole_pool": 26554,
             "expected": 0.00038, "empty_lists": 0}  # fmt: skip
    return [*rows, {**items, "task": "cart"}, {**items, "task": "next_basket", "low": 0.0}]


def run_json() -> dict[str, Any]:
    return {
        "name": "2026-11-23-quiet-otter", "shop": "Corner Shop",
        "config_file": "configs/complete_journey.yaml",
        "started": "2026-11-23T04:12:00+00:00", "cut": "2025-12-02", "end": "2025-12-30",
        "now": "2025-12-31",
        "seconds": {"ingest": 6.2, "split": 1.4, "train_models": 48.0, "candidates": 61.3,
                    "train_ranker": 74.9, "evaluate": 38.4, "refit": 55.0, "register": 4.8},
        "versions": {"python": "3.11.2", "recsys": "0.1.0", "lightgbm": "4.6.0", "polars": "2.1.0"},
        "git_commit": "4f2c9ab", "data_digest": "sha256:91b0c0ffee",
        "queries": {"next_basket": 6150, "cart": 4210},
        "notes": ["Demonstration data, simulated after real shopping; not for commercial decisions."],
        "known_items": 9230, "customers": 24690, "peak_memory_mb": 1840.0,
        "registered": {"name": "recsys", "version": "7", "alias": "champion", "uri": "models:/recsys/7"},
    }  # fmt: skip


def write_run(directory: Path, **replaced: Any) -> Path:
    """Write all files of a run; a replacement of None leaves that file out."""
    cards = [
        example("A regular with a weekly shop", "00042", cart=False),
        example("Half a pasta dinner", "00311", cart=True),
        example("An anonymous cart", None, cart=True),
    ]
    files = {
        "metrics": metrics(), "ingest": ingest(), "importances": importances(), "examples": cards,
        "coverage": coverage(), "calibration": calibration(), "segments": segments(),
        "cold_start": cold_start(), "run": run_json(),
        **replaced,
    }  # fmt: skip
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if content is not None:
            (directory / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return directory


def small(directory: Path, **replaced: Any) -> Path:
    """A run that is quick to draw: one task, one metric, no optional file."""
    found = metrics()
    keep = [r for r in found["records"] if r["task"] == "next_basket" and r["metric"] == "recall"]
    parts = {
        "metrics": {**found, "records": keep, "paired": found["paired"][:6]},
        "importances": [], "coverage": {}, "calibration": None, "segments": None, "cold_start": None,
    }  # fmt: skip
    return write_run(directory, **{**parts, **replaced})


class Sample:
    """What the tests take from here: the parts, and the writer."""

    metrics = staticmethod(metrics)
    run = staticmethod(run_json)
    ingest = staticmethod(ingest)
    example = staticmethod(example)
    write = staticmethod(write_run)
    small = staticmethod(small)


@pytest.fixture(scope="session")
def sample() -> type[Sample]:
    return Sample
