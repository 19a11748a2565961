"""Our single models with the settings of the published held-out protocol: the denominators of every ratio in the docs.

They stay as they are when the defaults of the package move on.
"""

from dataclasses import dataclass

from recsys.data.histories import Floats, Histories
from recsys.models.als import Als
from recsys.models.base import Scorer
from recsys.models.frequency import Frequency
from recsys.models.item_knn import ItemKnn
from recsys.models.popularity import Popularity
from recsys.models.user_knn import UserKnn


@dataclass(kw_only=True)
class HistoryAls(Als):
    """The reference's ALS looks at the history alone, also where there is a cart."""

    def score(self, queries: Histories) -> Floats:
        return super().score(queries.without_cart())


RECIPES: dict[str, Scorer] = {
    "popularity": Popularity(days=84),
    "frequency": Frequency(half_life=60, days=84),
    "als": HistoryAls(factors=64, regularization=20, alpha=10, iterations=12, seed=0),
    "user_knn": UserKnn(k=150, half_life=60),
    "item_knn": ItemKnn(shrink=20, half_life=60, min_joint=1),
}
