"""Lists by value: the probability of an item times what it is worth, so that a shop can trade hits for revenue."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..data.histories import Floats

OF = ("price", "margin")


@dataclass(frozen=True)
class Worth:
    """What one unit of an item is worth to the shop, float (n_items,) each, in its currency; NaN = unknown.

    margin = price - cost; it may be negative.
    """

    price: Floats
    margin: Floats

    @classmethod
    def of(cls, prices: Floats, costs: Floats | None) -> "Worth":
        return cls(prices, np.full(len(prices), np.nan, np.float32) if costs is None else prices - costs)

    def save(self, file: Path) -> None:
        np.savez(file, price=self.price, margin=self.margin)

    @classmethod
    def load(cls, file: Path) -> "Worth":
        with np.load(file, allow_pickle=False) as kept:
            return cls(kept["price"], kept["margin"])

    def known(self, what: str) -> Floats:
        """float64 (n_items,) of `what`, one of OF; an unknown worth counts as the median of the known ones."""
        values = np.asarray(getattr(self, what), np.float64)
        missing = ~np.isfinite(values)
        return np.where(missing, np.median(values[~missing]), values) if not missing.all() else np.ones(len(values))

    def any_known(self, what: str) -> bool:
        return bool(np.isfinite(getattr(self, what)).any())


def value_scores(p: Floats, worth: Floats, weight: float | Floats) -> Floats:
    """Scores float64 (m,) of candidates: log(p · worth^weight); p as of `in_order`, worth in the shop's currency.

    `weight` above 0, one for all or (m,): 1 = expected worth, towards 0 the order of the scores. An item that is worth
    nothing, or less, comes after all others, by its probability.
    """
    likely = np.log(np.maximum(p, 1e-12))
    return np.asarray(np.where(worth > 0, likely + weight * np.log(np.where(worth > 0, worth, 1.0)), likely - 1e3))
