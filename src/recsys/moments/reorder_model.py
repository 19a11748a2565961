"""The chance that an item is bought again within some days: boosted trees, calibrated on customers they did not see.

LightGBM (Ke et al. 2017), binary log loss; calibration of the log odds by a line (Platt 1999).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.data.histories import Floats
from recsys.errors import InputError
from recsys.moments.reorder_features import FEATURES

if TYPE_CHECKING:  # what is configured is read without it
    import lightgbm as lgb


@dataclass(frozen=True, kw_only=True)
class ReorderOptions:
    """Which items fall due for which customer, and what that is learned from."""

    horizons: tuple[int, ...] = (7, 14)  # days ahead that chances are learned for
    min_times: int = 3  # days on which the customer bought the item: fewer make no rhythm
    moments: int = 6  # past moments that are learned from
    every_days: int = 7  # days between them
    trees: int = 150
    leaves: int = 15
    learning_rate: float = 0.08
    min_leaf: int = 300  # rows in a leaf, but at most a fiftieth of all rows
    threads: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.horizons or min(self.horizons) < 1:
            raise InputError(f"reorder.horizons is {list(self.horizons)}; give days ahead, each 1 or more")
        if self.min_times < 3:
            raise InputError(f"reorder.min_times is {self.min_times}; give 3 or more, as two gaps make a rhythm")
        for name in ("moments", "every_days", "trees", "min_leaf", "threads"):
            if getattr(self, name) < 1:
                raise InputError(f"reorder.{name} is {getattr(self, name)}; it must be 1 or more")


@dataclass(frozen=True)
class ReorderModel:
    """Learned from what lay before `at`.

    boosters  by days ahead
    lines     by days ahead: (a, b), calibrated log odds = a + b · log odds of the booster
    """

    at: datetime
    options: ReorderOptions
    boosters: "Mapping[int, lgb.Booster]"
    lines: Mapping[int, tuple[float, float]]

    def chances(self, x: Floats, days: int) -> Floats:
        """float64 (m,): that an item is bought within `days`. `x`: float32 (m, len(FEATURES))."""
        if days not in self.boosters:
            known = ", ".join(map(str, sorted(self.boosters)))
            raise InputError(f"nothing was learned for {days} days ahead, only for {known}; add it to reorder.horizons")
        raw = raw_odds(self.boosters[days], x, self.options.threads)
        a, b = self.lines[days]
        return np.asarray(1 / (1 + np.exp(-(a + b * raw))))

    def save(self, directory: Path) -> None:
        """JSON and LightGBM's text; nothing pickled."""
        directory.mkdir(parents=True)
        facts = {
            "at": self.at.isoformat(),
            "options": asdict(self.options),
            "features": FEATURES,
            "lines": {str(days): line for days, line in self.lines.items()},
        }
        (directory / "reorder.json").write_text(json.dumps(facts, indent=2))
        for days, booster in self.boosters.items():
            booster.save_model(directory / f"{days}.txt")

    @classmethod
    def load(cls, directory: Path) -> "ReorderModel":
        """InputError where it was saved with other features than those of now."""
        import lightgbm as lgb

        facts = json.loads((directory / "reorder.json").read_text())
        if tuple(facts["features"]) != FEATURES:
            raise InputError(f"{directory} was learned from other features; fit the reorder model again")
        lines = {int(days): (float(a), float(b)) for days, (a, b) in facts["lines"].items()}
        given = {f.name: facts["options"][f.name] for f in fields(ReorderOptions)}
        options = ReorderOptions(**given | {"horizons": tuple(given["horizons"])})
        boosters = {days: lgb.Booster(model_file=directory / f"{days}.txt") for days in lines}
        return cls(datetime.fromisoformat(facts["at"]), options, boosters, lines)


def boost(x: Floats, y: np.ndarray, options: ReorderOptions) -> "lgb.Booster":
    """Trees on (m, len(FEATURES)) rows; the same rows give the same trees."""
    import lightgbm as lgb

    parameters: dict[str, Any] = {
        "objective": "binary", "num_leaves": options.leaves, "learning_rate": options.learning_rate,
        "min_data_in_leaf": max(1, min(options.min_leaf, len(x) // 50)), "feature_fraction": 0.5,
        "bagging_fraction": 0.7, "bagging_freq": 1, "lambda_l2": 5.0, "seed": options.seed, "verbosity": -1,
        "num_threads": options.threads, "deterministic": True, "force_row_wise": True,
    }  # fmt: skip
    rows = lgb.Dataset(x, y.astype(np.float32), feature_name=list(FEATURES), params=parameters)
    return lgb.train(parameters, rows, options.trees)


def raw_odds(booster: "lgb.Booster", x: Floats, threads: int) -> Floats:
    """float64 (m,): log odds as the trees have them."""
    if not len(x):
        return np.zeros(0)
    return np.asarray(booster.predict(x, raw_score=True, num_threads=threads), np.float64)


def calibration_line(raw: Floats, y: np.ndarray) -> tuple[float, float]:
    """(a, b) of the likeliest log odds a + b · raw; Platt's smoothed targets keep both finite."""
    from scipy.optimize import minimize

    positive = int(y.sum())
    target = np.where(y, (positive + 1) / (positive + 2), 1 / (len(y) - positive + 2))

    def loss(w: Floats) -> tuple[float, Floats]:
        odds = w[0] + w[1] * raw
        error = 1 / (1 + np.exp(-np.clip(odds, -500, 500))) - target
        return float((np.logaddexp(0, odds) - target * odds).mean()), np.array([error.mean(), (error * raw).mean()])

    found = minimize(loss, np.array([0.0, 1.0]), jac=True, method="L-BFGS-B", options={"ftol": 1e-12, "gtol": 1e-8})
    return float(found.x[0]), float(found.x[1])
