"""What a search for better hyperparameters may change, and how long it may take."""

from dataclasses import dataclass, field
from typing import Any

Space = dict[str, dict[str, Any]]


def default_space() -> Space:
    """The ranker, and of the models what the ranker cannot make good by itself."""
    return {
        "ranker.trees": {"low": 50, "high": 400, "log": True},
        "ranker.leaves": {"low": 7, "high": 127, "log": True},
        "ranker.learning_rate": {"low": 0.02, "high": 0.3, "log": True},
        "ranker.min_leaf": {"low": 20, "high": 500, "log": True},
        "ranker.negatives": {"low": 0.01, "high": 0.1, "log": True},
        "ranker.per_cart_source": {"low": 40, "high": 150},
        "ranker.per_history_source": {"low": 20, "high": 100},
        "models.frequency.half_life": {"low": 15, "high": 240, "log": True},
        "models.item_knn.shrink": {"low": 1, "high": 200, "log": True},
        "models.user_knn.k": {"low": 20, "high": 300, "log": True},
        "models.user_knn.half_life": {"low": 15, "high": 240, "log": True},
        "models.als.factors": {"choices": [32, 64, 128]},
        "models.als.regularization": {"low": 2, "high": 200, "log": True},
        "models.als.alpha": {"low": 1, "high": 50, "log": True},
    }


@dataclass(frozen=True, kw_only=True)
class TuneOptions:
    """The search of `recsys tune`, on moments before the test."""

    minutes: float = 20  # of one call; no trial starts that would probably end later, but the first always runs
    trials: int = 200  # of the whole study, those of earlier calls included
    validation_moments: int = 2  # windows before the test that trials are judged on
    models_every: int = 5  # one trial in so many learns the models anew; the others keep the best trial's models
    seed: int = 0  # of the sampler
    space: Space = field(default_factory=default_space)  # option: low, high and maybe log, or choices
