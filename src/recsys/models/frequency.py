"""What this customer buys again and again."""

from dataclasses import dataclass
from typing import Self

from ..data.histories import Floats, Histories, TrainData
from .base import dense
from .popularity import recent_share


@dataclass(kw_only=True)
class Frequency:
    """The customer's own purchases, halved every `half_life` days; popularity (< 1 in sum) fills the rest."""

    half_life: float = 60  # days
    days: float = 84  # popularity looks this far back

    def fit(self, data: TrainData) -> Self:
        self.share_ = recent_share(data, self.days)
        return self

    def score(self, queries: Histories) -> Floats:
        scores = dense(queries.decayed(self.half_life))
        scores += self.share_
        return scores
