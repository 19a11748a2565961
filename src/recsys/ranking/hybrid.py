"""The learned ranker: LightGBM over the candidates' features, lambdarank averaged with binary log loss."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np

from ..data.histories import Floats, Ints
from .features import FEATURES, GROUPS


@dataclass(frozen=True, kw_only=True)
class HybridOptions:
    """How candidates are found and the ranker is trained."""

    per_source: int = 70  # candidates from each source
    negatives: float = 0.02  # share of the candidates that were not bought, kept for training
    trees: int = 100
    leaves: int = 31
    learning_rate: float = 0.12
    min_leaf: int = 100  # training rows in a leaf
    objectives: tuple[str, ...] = ("lambdarank", "binary")
    drop: tuple[str, ...] = ()  # features or groups left out (ablations)
    threads: int = 2
    seed: int = 0


@dataclass(frozen=True)
class TrainingRows:
    """Sampled candidates with their features and answers, query after query.

    x float32 (m, n_features) · y bool (m,) · sizes int64 (n_queries,): rows of each query
    """

    x: Floats
    y: np.ndarray
    sizes: Ints

    @classmethod
    def concatenate(cls, parts: list["TrainingRows"]) -> "TrainingRows":
        return cls(
            np.concatenate([p.x for p in parts]),
            np.concatenate([p.y for p in parts]),
            np.concatenate([p.sizes for p in parts]),
        )


@dataclass(frozen=True)
class Hybrid:
    """Trained boosters by objective; scores are means of per-query standardised outputs."""

    boosters: dict[str, lgb.Booster]
    columns: Ints = field(default_factory=lambda: np.arange(len(FEATURES)))

    @classmethod
    def fit(cls, rows: TrainingRows, options: HybridOptions | None = None) -> "Hybrid":
        options = options or HybridOptions()
        columns = kept_columns(options.drop)
        names = [FEATURES[i] for i in columns]
        data = lgb.Dataset(
            rows.x[:, columns], rows.y.astype(np.float32), group=rows.sizes, feature_name=names, free_raw_data=False,
            params=_params(options, "binary"),
        ).construct()  # fmt: skip
        boosters = {o: lgb.train(_params(options, o), data, options.trees) for o in options.objectives}
        return cls(boosters, columns)

    def outputs(self, x: Floats, threads: int = 1) -> dict[str, Floats]:
        """Raw output of each booster, float64 (m,)."""
        x = x[:, self.columns]
        if not len(x):  # LightGBM divides by the number of rows
            return {name: np.zeros(0) for name in self.boosters}
        return {
            name: np.asarray(b.predict(x, raw_score=True, num_threads=threads)) for name, b in self.boosters.items()
        }

    def score(self, x: Floats, query: Ints, n_queries: int, threads: int = 1) -> Floats:
        """float32 (m,): mean of the boosters' outputs, each standardised within its query."""
        parts = [standardised(out, query, n_queries) for out in self.outputs(x, threads).values()]
        return np.asarray(np.mean(parts, axis=0), np.float32)

    def importances(self) -> dict[str, float]:
        """Share of the total gain per feature, mean over boosters."""
        gains = [b.feature_importance("gain") for b in self.boosters.values()]
        mean = np.mean([g / max(g.sum(), 1e-12) for g in gains], axis=0)
        return {FEATURES[c]: float(g) for c, g in zip(self.columns, mean, strict=True)}

    def save(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        np.save(directory / "columns.npy", self.columns)
        for name, booster in self.boosters.items():
            booster.save_model(directory / f"{name}.txt")

    @classmethod
    def load(cls, directory: Path) -> "Hybrid":
        files = sorted(directory.glob("*.txt"), key=lambda f: f.stem)
        return cls({f.stem: lgb.Booster(model_file=f) for f in files}, np.load(directory / "columns.npy"))


def kept_columns(drop: tuple[str, ...]) -> Ints:
    """Positions of the features that are neither named in `drop` nor in a group named there."""
    gone = set(drop) | {name for group in drop for name in GROUPS.get(group, ())}
    return np.array([i for i, name in enumerate(FEATURES) if name not in gone], np.int64)


def standardised(values: Floats, query: Ints, n_queries: int) -> Floats:
    """Mean 0 and deviation 1 within each query; 0 where a query's values are all alike."""
    count = np.maximum(np.bincount(query, minlength=n_queries), 1)
    mean = np.bincount(query, values, minlength=n_queries) / count
    centred = values - mean[query]
    deviation = np.sqrt(np.bincount(query, centred**2, minlength=n_queries) / count)
    return np.asarray(centred / np.maximum(deviation, 1e-9)[query])


def _params(options: HybridOptions, objective: str) -> dict[str, Any]:
    return {
        "objective": objective, "num_leaves": options.leaves, "learning_rate": options.learning_rate,
        "min_data_in_leaf": options.min_leaf, "feature_fraction": 0.7, "bagging_fraction": 0.8, "bagging_freq": 1,
        "lambda_l2": 5.0, "max_bin": 127, "lambdarank_truncation_level": 20, "seed": options.seed, "verbosity": -1,
        "num_threads": options.threads, "deterministic": True, "force_row_wise": True, "feature_pre_filter": False,
    }  # fmt: skip
