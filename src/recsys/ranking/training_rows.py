"""What the ranker learns from: a sample of the candidates, with features and answers."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from ..data.histories import Floats, Ints
from .features import FEATURES

OWN_COUNT = FEATURES.index("own_count")


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

    def only(self, kept: np.ndarray) -> "TrainingRows":
        """The rows that are `kept`, bool (m,), with the queries of any; `relevant` counts their bought rows."""
        query = np.repeat(np.arange(len(self.sizes)), self.sizes)
        sizes, bought = (np.bincount(query[some], minlength=len(self.sizes)) for some in (kept, kept & self.y))
        asked = sizes > 0
        of_query = (sizes[asked], bought[asked], self.with_cart[asked], self.held[asked])
        return TrainingRows(self.x[kept], self.y[kept], *of_query)

    def save(self, file: Path) -> None:
        np.savez(file, **{f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def load(cls, file: Path) -> "TrainingRows":
        with np.load(file, allow_pickle=False) as kept:
            return cls(**{f.name: kept[f.name] for f in fields(cls)})


def is_new(x: Floats) -> np.ndarray:
    """bool (m,): the customer never bought the row's item."""
    return np.asarray(x[:, OWN_COUNT] == 0)
