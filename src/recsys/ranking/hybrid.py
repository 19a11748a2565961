"""The learned ranker: LightGBM over the candidates' features, ranking losses averaged with binary log loss."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np

from ..data.histories import Floats, Ints
from ..models.base import places
from .chances import TERMS, Chances, held_rows
from .features import FEATURES, GROUPS
from .tree_shap import TreeShap


@dataclass(frozen=True, kw_only=True)
class HybridOptions:
    """How candidates are found and the ranker is trained."""

    per_source: int = 75  # candidates from each source
    negatives: float = 0.03  # share of the candidates that were not bought, kept for training
    short_histories: float = 0.15  # share of the training orders asked again with 0 to 3 orders of history
    small_orders: float = 0.5  # an order weighs 1 / (its relevant items ^ this): 0 = all alike
    trees: int = 100
    reader_share: float = 0.6  # of `trees` in the booster that judges all candidates; it learns faster in proportion
    leaves: int = 31
    depth: int = 7  # of a tree, 0 = any; reasons cost its square
    learning_rate: float = 0.12
    min_leaf: int = 100  # training rows in a leaf
    objectives: tuple[str, ...] = ("rank_xendcg", "rank_xendcg", "binary")  # named twice: two of different seeds
    reranked: int = 60  # candidates of a query, the best by one booster, that the others are asked about too
    drop: tuple[str, ...] = ()  # features or groups left out (ablations)
    threads: int = 2
    seed: int = 0


@dataclass(frozen=True)
class TrainingRows:
    """Sampled candidates with their features and answers, query after query.

    x          float32 (m, n_features)
    y          bool (m,): bought
    sizes      int64 (n_queries,): rows of each query
    relevant   int64 (n_queries,): hidden items of the order, candidates or not
    with_cart  bool (n_queries,)
    held       bool (n_queries,): kept from the trees, for the probabilities
    """

    x: Floats
    y: np.ndarray
    sizes: Ints
    relevant: Ints
    with_cart: np.ndarray
    held: np.ndarray

    @classmethod
    def concatenate(cls, parts: list["TrainingRows"]) -> "TrainingRows":
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))

    @classmethod
    def empty(cls) -> "TrainingRows":
        none = np.zeros(0, np.int64)
        return cls(np.zeros((0, len(FEATURES)), np.float32), none > 0, none, none, none > 0, none > 0)

    def save(self, file: Path) -> None:
        np.savez(file, **{f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def load(cls, file: Path) -> "TrainingRows":
        with np.load(file, allow_pickle=False) as kept:
            return cls(**{f.name: kept[f.name] for f in fields(cls)})


@dataclass(frozen=True)
class Hybrid:
    """Trained boosters by name; the reader judges all candidates, all of them together order its best."""

    boosters: dict[str, lgb.Booster]
    chances: Chances
    columns: Ints = field(default_factory=lambda: np.arange(len(FEATURES)))
    reranked: int = HybridOptions.reranked

    @classmethod
    def fit(cls, rows: TrainingRows, options: HybridOptions | None = None) -> "Hybrid":
        """Trees on the orders not held back; then the probabilities on those that were."""
        options = options or HybridOptions()
        columns = kept_columns(options.drop)
        held = held_rows(rows.sizes, rows.held, rows.y)
        data = _dataset(rows, ~held, columns, options)
        seen = Counter[str]()
        boosters = {}
        for objective in options.objectives:
            again = seen[objective]
            name = f"{objective}-{again + 1}" if again else objective
            reads = name == reader_of(options.objectives)
            trees = max(1, round(options.trees * options.reader_share)) if reads else options.trees
            boosters[name] = lgb.train(_params(options, objective, options.seed + again, trees), data, trees)
            seen[objective] += 1
        judged = held if held.any() else np.ones(len(held), bool)
        query = np.repeat(np.arange(len(rows.sizes)), rows.sizes)[judged]
        found = cls(boosters, Chances(np.zeros((2, TERMS))), columns, options.reranked)
        raw = found.output(found.reader, rows.x[judged], options.threads)
        chances = Chances.fit(raw, rows.y[judged], rows.with_cart[query], options.negatives)
        return replace(found, chances=chances)

    def output(self, name: str, x: Floats, threads: int = 1) -> Floats:
        """Raw output of a booster, float64 (m,)."""
        if not len(x):  # LightGBM divides by the number of rows
            return np.zeros(0)
        x = np.ascontiguousarray(x[:, self.columns]) if len(self.columns) < x.shape[1] else x
        return np.asarray(self.boosters[name].predict(x, raw_score=True, num_threads=threads))

    @cached_property
    def _shap(self) -> TreeShap | None:
        return TreeShap.of(self.boosters[self.reader])

    def contributions(self, x: Floats) -> Floats:
        """float64 (m, len(FEATURES)): what each feature added to a row's output of the reader; 0 where left out."""
        out = np.zeros((len(x), len(FEATURES)))
        if len(x):  # LightGBM divides by the number of rows
            kept = x[:, self.columns]
            if self._shap is not None:
                out[:, self.columns] = self._shap.contributions(kept)
            else:
                booster = self.boosters[self.reader]
                shap = np.asarray(booster.predict(kept, pred_contrib=True, num_threads=1))
                out[:, self.columns] = shap[:, :-1]  # the last column is the expected output
        return out

    @property
    def reader(self) -> str:
        """The booster whose output speaks of a row by itself: binary where there is one."""
        return reader_of(self.boosters)

    def judge(self, x: Floats, query: Ints, with_cart: np.ndarray, threads: int = 1) -> tuple[Floats, Floats]:
        """Scores and probabilities, float32 (m,) each; `with_cart` bool (n_queries,).

        The score of the `reranked` best of a query by the reader is the mean of the boosters' outputs, each
        standardised within them; the others follow in the reader's order.
        """
        n = len(with_cart)
        first = self.output(self.reader, x, threads)
        best = within(first, query, n) < self.reranked
        outputs = [first[best]] + [self.output(name, x[best], threads) for name in self.boosters if name != self.reader]
        score = np.empty(len(x))
        score[best] = np.mean([standardised(out, query[best], n) for out in outputs], axis=0)
        lowest, edge = np.full(n, np.inf), np.full(n, np.inf)
        np.minimum.at(lowest, query[best], score[best])
        np.minimum.at(edge, query[best], first[best])
        behind = query[~best]
        score[~best] = lowest[behind] - edge[behind] + first[~best]
        return np.asarray(score, np.float32), self.chances.probabilities(first, with_cart[query])

    def importances(self) -> dict[str, float]:
        """Share of the total gain per feature, mean over boosters."""
        gains = [b.feature_importance("gain") for b in self.boosters.values()]
        mean = np.mean([g / max(g.sum(), 1e-12) for g in gains], axis=0)
        return {FEATURES[c]: float(g) for c, g in zip(self.columns, mean, strict=True)}

    def save(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        np.save(directory / "columns.npy", self.columns)
        np.save(directory / "chances.npy", self.chances.weights)
        (directory / "hybrid.json").write_text(json.dumps({"reranked": self.reranked}))
        for name, booster in self.boosters.items():
            booster.save_model(directory / f"{name}.txt")

    @classmethod
    def load(cls, directory: Path) -> "Hybrid":
        files = sorted(directory.glob("*.txt"), key=lambda f: f.stem)
        chances = Chances(np.load(directory / "chances.npy", allow_pickle=False))
        columns = np.load(directory / "columns.npy", allow_pickle=False)
        facts = json.loads((directory / "hybrid.json").read_text())
        return cls({f.stem: lgb.Booster(model_file=f) for f in files}, chances, columns, facts["reranked"])


def _dataset(rows: TrainingRows, kept: np.ndarray, columns: Ints, options: HybridOptions) -> lgb.Dataset:
    """The kept rows with their queries; an order of few relevant items weighs more than by its items."""
    query = np.repeat(np.arange(len(rows.sizes)), rows.sizes)[kept]
    sizes = np.bincount(query, minlength=len(rows.sizes))
    weight = np.maximum(rows.relevant, 1.0)[query] ** -options.small_orders
    x = rows.x if kept.all() else rows.x[kept]
    return lgb.Dataset(
        x[:, columns] if len(columns) < x.shape[1] else x,
        rows.y[kept].astype(np.float32),
        weight=weight / weight.mean(),
        group=sizes[sizes > 0],
        feature_name=[FEATURES[i] for i in columns],
        free_raw_data=False,
        params=_params(options, "binary", options.seed, options.trees),
    ).construct()


def reader_of(names: Iterable[str]) -> str:
    """Of boosters, the one that judges all candidates."""
    names = tuple(names)
    return "binary" if "binary" in names else names[0]


def kept_columns(drop: tuple[str, ...]) -> Ints:
    """Positions of the features that are neither named in `drop` nor in a group named there."""
    gone = set(drop) | {name for group in drop for name in GROUPS.get(group, ())}
    return np.array([i for i, name in enumerate(FEATURES) if name not in gone], np.int64)


def within(values: Floats, query: Ints, n_queries: int) -> Ints:
    """int64 (m,): place of each row among those of its query, 0 = the highest value; ties in their order."""
    order = np.lexsort((-values, query))
    out = np.empty(len(values), np.int64)
    out[order] = places(query[order], n_queries)
    return out


def standardised(values: Floats, query: Ints, n_queries: int) -> Floats:
    """Mean 0 and deviation 1 within each query; 0 where a query's values are all alike."""
    count = np.maximum(np.bincount(query, minlength=n_queries), 1)
    mean = np.bincount(query, values, minlength=n_queries) / count
    centred = values - mean[query]
    deviation = np.sqrt(np.bincount(query, centred**2, minlength=n_queries) / count)
    return np.asarray(centred / np.maximum(deviation, 1e-9)[query])


def _params(options: HybridOptions, objective: str, seed: int, trees: int) -> dict[str, Any]:
    """LightGBM's; fewer trees than `options.trees` learn faster in proportion."""
    return {
        "objective": objective, "num_leaves": options.leaves, "max_depth": options.depth or -1,
        "learning_rate": options.learning_rate * options.trees / trees, "min_data_in_leaf": options.min_leaf, "feature_fraction": 0.7,
        "bagging_fraction": 0.8, "bagging_freq": 1, "lambda_l2": 5.0, "max_bin": 127,
        "lambdarank_truncation_level": 20, "seed": seed, "verbosity": -1, "num_threads": options.threads,
        "deterministic": True, "force_row_wise": True, "feature_pre_filter": False,
    }  # fmt: skip
