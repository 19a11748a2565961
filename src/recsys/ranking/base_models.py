"""The single models of one moment, fitted together, asked together, kept together."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..data.histories import Floats, Histories, TrainData
from ..models.als import Als
from ..models.base import Scorer, load, save
from ..models.content import Content
from ..models.frequency import Frequency
from ..models.item_knn import ItemKnn
from ..models.popularity import Popularity
from ..models.user_knn import UserKnn
from .item_stats import ItemStats

SINGLES = ("popularity", "frequency", "als", "content", "item_knn", "user_knn")


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Hyperparameters of every single model."""

    popularity: Popularity = field(default_factory=Popularity)
    frequency: Frequency = field(default_factory=Frequency)
    als: Als = field(default_factory=Als)
    content: Content = field(default_factory=Content)
    item_knn: ItemKnn = field(default_factory=ItemKnn)
    user_knn: UserKnn = field(default_factory=UserKnn)


@dataclass(frozen=True)
class BaseModels:
    """Fitted single models by name, and the facts of the items that features need."""

    scorers: dict[str, Any]
    stats: ItemStats

    @classmethod
    def fit(cls, data: TrainData, options: ModelOptions | None = None) -> "BaseModels":
        options = options or ModelOptions()
        fresh = {name: type(model)(**params(model)) for name in SINGLES for model in [getattr(options, name)]}
        return cls({name: model.fit(data) for name, model in fresh.items()}, ItemStats.fit(data))

    def __getitem__(self, name: str) -> Scorer:
        scorer: Scorer = self.scorers[name]
        return scorer

    def save(self, directory: Path) -> None:
        for name, model in self.scorers.items():
            save(model, directory / name)
        self.stats.save(directory / "stats.npz")

    @classmethod
    def load(cls, directory: Path) -> "BaseModels":
        kinds = {name: type(getattr(ModelOptions(), name)) for name in SINGLES}
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
    return {
        "popularity": models["popularity"].score(bare),
        "frequency": models["frequency"].score(bare),
        "user_knn": models["user_knn"].score(bare),
        "item_knn_history": models["item_knn"].score(bare),
        "content_history": models["content"].score(bare),
    }


def cart_scores(models: BaseModels, queries: Histories) -> dict[str, Floats]:
    """What the sources say of the cart; ALS folds history and cart in together."""
    out = {"als": models["als"].score(queries)}
    rows = np.flatnonzero(queries.has_cart)
    for name in ("item_knn", "content"):
        scores = np.full(queries.cart.shape, np.nan, np.float32)
        if len(rows):
            scores[rows] = models[name].score(queries.take(rows))
        out[f"{name}_cart"] = scores
    return out


def single_scores(name: str, sources: dict[str, Floats], has_cart: np.ndarray) -> Floats:
    """What the single model `name` would answer by itself: it looks at the cart where there is one."""
    if name in sources:
        return sources[name]
    return np.where(has_cart[:, None], sources[f"{name}_cart"], sources[f"{name}_history"])
