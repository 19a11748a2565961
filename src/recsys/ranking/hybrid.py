"""The learned ranker: LightGBM over the candidates' features, ranking losses averaged with binary log loss."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.histories import Floats, Ints
from ..models.base import places
from .base_models import CART_SOURCES, SOURCES
from .chances import ENOUGH, TERMS, Chances, held_rows
from .features import FEATURES, GROUPS
from .training_rows import TrainingRows, is_new
from .tree_shap import TreeShap
from .within_query import in_order, standardised

if TYPE_CHECKING:  # options are read without LightGBM, which takes a second with all that it looks for
    import lightgbm as lgb

NEW = "new-"  # begins the files of the boosters of new items


@dataclass(frozen=True, kw_only=True)
class HybridOptions:
    """How candidates are found and the ranker is trained."""

    per_cart_source: int = 75  # candidates from each source that looks at the cart alone
    per_history_source: int = 55  # candidates from each of the others
    negatives: float = 0.03  # share of the candidates that were not bought, kept for training
    short_histories: float = 0.15  # share of the training orders asked again with 0 to 3 orders of history
    small_orders: float = 0.5  # an order weighs 1 / (its relevant items ^ this): 0 = all alike
    trees: int = 100
    reader_share: float = 0.6  # of `trees` in the booster that judges all candidates; it learns faster in proportion
    leaves: int = 31
    depth: int = 7  # of a tree, 0 = any; reasons cost its square
    learning_rate: float = 0.12
    min_leaf: int = 100  # training rows in a leaf
    objectives: tuple[str, ...] = ("rank_xendcg", "binary")  # of the boosters; named twice: two of different seeds
    of_new: tuple[str, ...] = ("rank_xendcg",)  # of more boosters, for the order of items new to the customer alone
    reranked: int = 60  # candidates of a query, and new ones, the best by one booster: the others are asked too
    drop: tuple[str, ...] = ()  # features or groups left out (ablations)
    threads: int = 2
    seed: int = 0

    @property
    def proposals(self) -> dict[str, int]:
        """Source → how many of its best items are candidates."""
        return {name: self.per_cart_source if name in CART_SOURCES else self.per_history_source for name in SOURCES}


@dataclass(frozen=True)
class Hybrid:
    """Trained boosters by name; the reader judges all candidates, all of them together order its best.

    proposals  source → how many of its best items are candidates, as they were where the boosters learned
    of_new     boosters that learned from items new to the customer alone; they speak of the order of those only
    """

    boosters: "dict[str, lgb.Booster]"
    chances: Chances
    columns: Ints = field(default_factory=lambda: np.arange(len(FEATURES)))
    reranked: int = HybridOptions.reranked
    proposals: dict[str, int] = field(default_factory=lambda: HybridOptions().proposals)
    of_new: "dict[str, lgb.Booster]" = field(default_factory=dict)

    @classmethod
    def fit(cls, rows: TrainingRows, options: HybridOptions | None = None) -> "Hybrid":
        """Trees on the orders not held back; then the probabilities on those that were."""
        options = options or HybridOptions()
        columns = kept_columns(options.drop)
        held = held_rows(rows.sizes, rows.held, rows.y)
        boosters = _boosters(rows, ~held, options.objectives, (), options)
        new = rows.only(is_new(rows.x))
        taught = ~held_rows(new.sizes, new.held, new.y)
        of_new = options.of_new if new.y[taught].sum() >= ENOUGH else ()
        judged = held if held.any() else np.ones(len(held), bool)
        query = np.repeat(np.arange(len(rows.sizes)), rows.sizes)[judged]
        more = _boosters(new, taught, of_new, options.objectives, options)
        found = cls(boosters, Chances(np.zeros((2, TERMS))), columns, options.reranked, options.proposals, more)
        raw = found.output(found.reader, rows.x[judged], options.threads)
        chances = Chances.fit(raw, rows.y[judged], rows.with_cart[query], options.negatives)
        return replace(found, chances=chances)

    def output(self, name: str, x: Floats, threads: int = 1) -> Floats:
        """Raw output of a booster by its name, or of one of `of_new`, float64 (m,)."""
        if not len(x):  # LightGBM divides by the number of rows
            return np.zeros(0)
        x = np.ascontiguousarray(x[:, self.columns]) if len(self.columns) < x.shape[1] else x
        return np.asarray(self._named[name].predict(x, raw_score=True, num_threads=threads))

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

    @cached_property
    def _named(self) -> "dict[str, lgb.Booster]":
        return self.boosters | self.of_new

    @property
    def reader(self) -> str:
        """The booster whose output speaks of a row by itself: binary where there is one."""
        return reader_of(self.boosters)

    def judge(self, x: Floats, query: Ints, with_cart: np.ndarray, threads: int = 1) -> tuple[Floats, Floats]:
        """Scores and probabilities, float32 (m,) each; `with_cart` bool (n_queries,).

        The score of the `reranked` best of a query by the reader is the mean of the boosters' outputs, each
        standardised within them; the others follow in the reader's order. Of the items new to the customer, each gets
        one of the scores that these have, in the order of the mean that counts `of_new` too.

        ```
        boosters   old 3.1   new A 2.0   old 1.2   new B .4
        of_new               A .1                  B .7
        score      old 3.1   new B 2.0   old 1.2   new A .4
        ```
        """
        n = len(with_cart)
        first = self.output(self.reader, x, threads)
        order = np.lexsort((-first, query))
        best = self._leading(order, query, n)
        best_new = self._leading(order[is_new(x)[order]], query, n) if self.of_new else np.zeros(len(x), bool)
        asked = best | best_new
        voices = [first, *self._voices([name for name in self.boosters if name != self.reader], x, asked, threads)]
        score = _cascade(voices, best, query, n)
        if best_new.any():
            voices += self._voices(self.of_new, x, best_new, threads)
            score[best_new] = in_order(_mean(voices, best_new, query, n), score[best_new], query[best_new])
        return np.asarray(score, np.float32), self.chances.probabilities(first, with_cart[query])

    def _leading(self, order: Ints, query: Ints, n: int) -> np.ndarray:
        """bool (m,): the first `reranked` rows of each query in an order, query after query."""
        out = np.zeros(len(query), bool)
        out[order[places(query[order], n) < self.reranked]] = True
        return out

    def _voices(self, names: Iterable[str], x: Floats, asked: np.ndarray, threads: int) -> Iterator[Floats]:
        """Of each booster its output (m,) for the rows that are asked."""
        rows = x[asked]
        for name in names:
            out = np.empty(len(x))
            out[asked] = self.output(name, rows, threads)
            yield out

    def importances(self) -> dict[str, float]:
        """Share of the total gain per feature, mean over boosters."""
        gains = [b.feature_importance("gain") for b in self._named.values()]
        mean = np.mean([g / max(g.sum(), 1e-12) for g in gains], axis=0)
        return {FEATURES[c]: float(g) for c, g in zip(self.columns, mean, strict=True)}

    def save(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        np.save(directory / "columns.npy", self.columns)
        np.save(directory / "chances.npy", self.chances.weights)
        (directory / "hybrid.json").write_text(json.dumps({"reranked": self.reranked, "proposals": self.proposals}))
        for name, booster in self._named.items():
            booster.save_model(directory / f"{NEW * (name in self.of_new)}{name}.txt")

    @classmethod
    def load(cls, directory: Path) -> "Hybrid":
        import lightgbm as lgb

        files = sorted(directory.glob("*.txt"), key=lambda f: f.stem)
        chances = Chances(np.load(directory / "chances.npy", allow_pickle=False))
        columns = np.load(directory / "columns.npy", allow_pickle=False)
        facts = json.loads((directory / "hybrid.json").read_text())
        general, of_new = (
            {f.stem.removeprefix(NEW): lgb.Booster(model_file=f) for f in files if f.stem.startswith(NEW) == new}
            for new in (False, True)
        )
        return cls(general, chances, columns, facts["reranked"], facts["proposals"], of_new)


def _boosters(
    rows: TrainingRows, kept: np.ndarray, objectives: tuple[str, ...], before: tuple[str, ...], options: HybridOptions
) -> "dict[str, lgb.Booster]":
    """A booster per objective, each time of another seed; the objectives `before` have theirs."""
    import lightgbm as lgb

    if not objectives:
        return {}
    data = _dataset(rows, kept, kept_columns(options.drop), options)
    seen, reader = Counter(before), None if before else reader_of(objectives)
    out = {}
    for objective in objectives:
        name = f"{objective}-{seen[objective] + 1}" if seen[objective] else objective
        trees = max(1, round(options.trees * options.reader_share)) if name == reader else options.trees
        out[name] = lgb.train(_params(options, objective, options.seed + seen[objective], trees), data, trees)
        seen[objective] += 1
    return out


def _mean(voices: list[Floats], some: np.ndarray, query: Ints, n: int) -> Floats:
    """Mean of the outputs for some rows, each standardised within them."""
    return np.asarray(np.mean([standardised(out[some], query[some], n) for out in voices], axis=0))


def _cascade(voices: list[Floats], best: np.ndarray, query: Ints, n: int) -> Floats:
    """float64 (m,): the mean for `best`, each query's highest of the first voice, by which the others follow."""
    first, score = voices[0], np.empty(len(best))
    score[best] = _mean(voices, best, query, n)
    lowest, edge = np.full(n, np.inf), np.full(n, np.inf)
    np.minimum.at(lowest, query[best], score[best])
    np.minimum.at(edge, query[best], first[best])
    behind = query[~best]
    score[~best] = lowest[behind] - edge[behind] + first[~best]
    return score


def _dataset(rows: TrainingRows, kept: np.ndarray, columns: Ints, options: HybridOptions) -> "lgb.Dataset":
    """The kept rows with their queries; an order of few relevant items weighs more than by its items."""
    import lightgbm as lgb

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


def _params(options: HybridOptions, objective: str, seed: int, trees: int) -> dict[str, Any]:
    """LightGBM's; fewer trees than `options.trees` learn faster in proportion."""
    return {
        "objective": objective, "num_leaves": options.leaves, "max_depth": options.depth or -1,
        "learning_rate": options.learning_rate * options.trees / trees, "min_data_in_leaf": options.min_leaf,
        "feature_fraction": 0.7, "bagging_fraction": 0.8, "bagging_freq": 1, "lambda_l2": 5.0, "max_bin": 127,
        "lambdarank_truncation_level": 20, "seed": seed, "verbosity": -1, "num_threads": options.threads,
        "deterministic": True, "force_row_wise": True, "feature_pre_filter": False,
    }  # fmt: skip
