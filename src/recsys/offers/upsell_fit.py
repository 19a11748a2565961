"""Learning which upgrade customers choose, from moments before the present one."""

from dataclasses import dataclass

import numpy as np

from ..data.histories import Csr, Floats, Ints, TrainData
from ..data.rewind import rewind
from ..errors import InputError
from .makes import Makes
from .shelf import Shelf
from .switches import owned
from .upsell_model import FEATURES, UpsellModel, features, stand_of
from .upsell_queries import Asked, asked_upgrades


@dataclass(frozen=True, kw_only=True)
class UpsellFitOptions:
    """What the score of upgrades is learned from."""

    moments: int = 4  # moments before the present one, each as long before the next as its window
    window_days: int = 28  # of first purchases after a moment
    low: float = 1.1  # least price of a candidate, in prices of the anchor
    high: float = 2.0  # highest price of a candidate, in prices of the anchor
    ridge: float = 10.0  # pull of each weight towards 0, of standardised features, in queries

    def __post_init__(self) -> None:
        if self.moments < 1 or self.window_days < 1:
            raise InputError(
                f"upsell.moments {self.moments} and window_days {self.window_days} must be 1 or more to learn from"
            )


def fit_upsell(
    data: TrainData, shelf: Shelf, makes: Makes, vectors: Csr | None = None, options: UpsellFitOptions | None = None
) -> UpsellModel:
    """The model at the moment of `data`. InputError where no customer ever took a step up.

        ──┬────────────┬────────────┬────────────┬────────────┐ now
          4 · 28 days  3 · 28       2 · 28       28           │
          └ stand and histories before each; answers: first purchases up to the next

    Nothing that lies after a moment reaches its features, apart from prices and texts, which are the shelf's.
    """
    options = options or UpsellFitOptions()
    parts = [moment_rows(data, shelf, makes, vectors, options, at) for at in range(1, options.moments + 1)]
    asked = [(x, y, sizes) for x, y, sizes in parts if len(sizes)]
    if not asked:
        raise InputError(
            f"no customer bought a new item at {options.low:g} to {options.high:g} times the price of the usual one in "
            f"the last {options.moments} · {options.window_days} days; give a longer history, catalog types or prices"
        )
    x, y, sizes = (np.concatenate(part) for part in zip(*asked, strict=True))
    return UpsellModel(choice_weights(x, y, sizes, options.ridge), stand_of(data, shelf, makes), makes, vectors)


def moment_rows(
    data: TrainData, shelf: Shelf, makes: Makes, vectors: Csr | None, options: UpsellFitOptions, at: int
) -> tuple[Floats, np.ndarray, Ints]:
    """Features (m, len(FEATURES)), bought (m,) and candidates per query (n,) of the moment `at` windows ago."""
    before, asked = past_queries(data, shelf, options, at)
    stand = stand_of(before, shelf, makes)
    rows = (asked.customers[asked.query], asked.anchors[asked.query], asked.items)
    return features(stand, makes, vectors, before.histories, *rows), asked.bought, asked.sizes


def past_queries(data: TrainData, shelf: Shelf, options: UpsellFitOptions, at: int) -> tuple[TrainData, Asked]:
    """What was known at the moment `at` windows ago, and what customers chose in the window after it."""
    end, start = (at - 1) * options.window_days, at * options.window_days
    before, cells = rewind(data, start), owned(data.histories)
    new = (cells.first <= start) & (cells.first > end)
    chosen = (cells.customers[new], cells.items[new])
    return before, asked_upgrades(
        before.histories, chosen, shelf.types, shelf.prices, low=options.low, high=options.high
    )


def choice_weights(x: Floats, bought: np.ndarray, sizes: Ints, ridge: float) -> Floats:
    """float64 (n_features,): maximum of Σ log P(bought) - ridge / 2 · |w|², a query of several purchases counted once.

    Weights are of the features as they are; the penalty is of weights of standardised ones.
    """
    from scipy.optimize import minimize  # options are read without it

    scale = np.maximum(x.std(axis=0), 1e-9)
    z = (x - x.mean(axis=0)) / scale
    query = np.repeat(np.arange(len(sizes)), sizes)
    start = np.cumsum(sizes) - sizes
    target = bought / np.bincount(query, bought)[query]

    def loss(w: Floats) -> tuple[float, Floats]:
        score = z @ w
        score -= np.maximum.reduceat(score, start)[query]
        log_p = score - np.log(np.add.reduceat(np.exp(score), start))[query]
        value = -(target * log_p).sum() + ridge / 2 * (w @ w)
        return float(value) / len(sizes), (z.T @ (np.exp(log_p) - target) + ridge * w) / len(sizes)

    found = minimize(loss, np.zeros(len(FEATURES)), jac=True, method="L-BFGS-B")
    return np.asarray(found.x / scale)
