"""The single models of one moment, fitted together, asked together, kept together."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..data.histories import Floats, Histories, TrainData
from ..models.als import Als
from ..models.base import Scorer, load, save
from ..models.basket_knn import BasketKnn
from ..models.content import Content
from ..models.frequency import Frequency
from ..models.item_knn import ItemKnn
from ..models.popularity import Popularity
from ..models.tifu_knn import TifuKnn
from ..models.type_knn import TypeKnn
from ..models.user_knn import UserKnn
from .item_stats import ItemStats

OF_ANYBODY = ("popularity", "frequency")  # they have an answer for everyone
OF_HISTORY = (*OF_ANYBODY, "tifu_knn", "user_knn")  # a cart changes nothing
OF_BOTH = ("als",)  # cart and history in one answer
OF_CART = ("basket_knn",)  # without a cart they say nothing
OF_EITHER = ("item_knn", "type_knn", "content")  # the cart, or the history where there is no cart
SINGLES = (*OF_HISTORY, *OF_BOTH, *OF_CART, *OF_EITHER)
CART_SOURCES = (*OF_CART, *(f"{name}_cart" for name in OF_EITHER))
SOURCES = (*OF_HISTORY, *(f"{name}_history" for name in OF_EITHER), *OF_BOTH, *CART_SOURCES)


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Hyperparameters of every single model."""

    popularity: Popularity = field(default_factory=Popularity)
    frequency: Frequency = field(default_factory=Frequency)
    tifu_knn: TifuKnn = field(default_factory=TifuKnn)
    user_knn: UserKnn = field(default_factory=UserKnn)
    als: Als = field(default_factory=Als)
    basket_knn: BasketKnn = field(default_factory=BasketKnn)
    item_knn: ItemKnn = field(default_factory=ItemKnn)
    type_knn: TypeKnn = field(default_factory=TypeKnn)
    content: Content = field(default_factory=Content)


@dataclass(frozen=True)
class BaseModels:
    """Fitted single models by name, and the facts of the items that features need."""

    scorers: dict[str, Any]
    stats: ItemStats

    @classmethod
    def fit(
        cls, data: TrainData, options: ModelOptions | None = None, ready: Mapping[str, Scorer] | None = None
    ) -> "BaseModels":
        """Every model fitted on `data`, but for the `ready` ones, which another engine has fitted on the same."""
        options, ready = options or ModelOptions(), ready or {}
        fresh = {name: type(model)(**params(model)) for name in SINGLES for model in [getattr(options, name)]}
        fitted = {name: ready[name] if name in ready else model.fit(data) for name, model in fresh.items()}
        return cls(fitted, ItemStats.fit(data))

    def __getitem__(self, name: str) -> Scorer:
        scorer: Scorer = self.scorers[name]
        return scorer

    def save(self, directory: Path) -> None:
        for name, model in self.scorers.items():
            save(model, directory / name)
        self.stats.save(directory / "stats.npz")

    @classmethod
    def load(cls, directory: Path) -> "BaseModels":
        kinds = {f.name: type(getattr(ModelOptions(), f.name)) for f in fields(ModelOptions)}
        scorers = {name: load(kind, directory / name) for name, kind in kinds.items()}
        return cls(scorers, ItemStats.load(directory / "stats.npz"))


def params(model: Any) -> dict[str, Any]:
    """Hyperparameters only, without what a fit has learned."""
    return {name: getattr(model, name) for name in model.__dataclass_fields__}


def history_scores(models: BaseModels, queries: Histories) -> dict[str, Floats]:
    """What the sources say of the history alone, float32 (n_queries, n_items); NaN = cannot say.

    Carts do not matter here, so queries that differ only in their carts can share the answer.
    """
    bare = queries.without_cart()
    out = {name: models[name].score(bare) for name in OF_ANYBODY}
    out |= _scores_of(bare.has_history, models, OF_HISTORY[len(OF_ANYBODY) :], bare)
    either = _scores_of(bare.has_history, models, OF_EITHER, bare)
    return out | {f"{name}_history": scores for name, scores in either.items()}


def cart_scores(models: BaseModels, queries: Histories) -> dict[str, Floats]:
    """What the sources say of the cart; ALS folds history and cart in together."""
    out = {name: models[name].score(queries) for name in OF_BOTH}
    of_cart = _scores_of(queries.has_cart, models, (*OF_CART, *OF_EITHER), queries)
    return out | {name if name in OF_CART else f"{name}_cart": scores for name, scores in of_cart.items()}


def _scores_of(some: np.ndarray, models: BaseModels, names: tuple[str, ...], queries: Histories) -> dict[str, Floats]:
    """Scores of the queries where `some`, bool (n_queries,); the others, of which nothing is known, are not asked."""
    if some.all():
        return {name: models[name].score(queries) for name in names}
    out = {name: np.full(queries.cart.shape, np.nan, np.float32) for name in names}
    if some.any():
        asked = queries.take(some)
        for name, scores in out.items():
            scores[some] = models[name].score(asked)
    return out


def single_scores(name: str, sources: dict[str, Floats], has_cart: np.ndarray) -> Floats:
    """What the single model `name` would answer by itself: it looks at the cart where there is one."""
    if name in sources:
        return sources[name]
    return np.where(has_cart[:, None], sources[f"{name}_cart"], sources[f"{name}_history"])
