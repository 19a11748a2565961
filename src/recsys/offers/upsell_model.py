"""A learned score of upgrades: a log-linear choice between the candidates of a query. NumPy and SciPy only.

P(b | query) = exp(w · x(b)) / Σ exp(w · x(c)) over the candidates c (McFadden 1974, conditional logit).
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from ..data.histories import Csr, Floats, Histories, Ints, TrainData
from .makes import Makes
from .shelf import Shelf
from .switches import joint_customers, owned

FEATURES = (
    "recent",  # log1p of orders with the candidate in the last 90 days
    "latest",  # the same of the last 14 days
    "tried",  # log1p of customers who bought it for the first time in the last 90 days
    "with_anchor",  # log of customers who have had both it and the anchor, above what chance would have
    "with_own",  # the same beside each item of the type that the customer has had, Σ / √ their number
    "step",  # log of its price by the anchor's
    "habit",  # step · how dear, within their types, what the customer buys is, -.5 to .5
    "brand_share",  # share of its brand in the customer's lines of the type
    "brand_taste",  # log of the brand's share in all the customer's lines by that in everybody's
    "alike",  # cosine of the texts
    "larger",  # log of its amount by the anchor's; 0 where either is unknown
)
RECENT, LATEST = 90.0, 14.0  # days
SHRINK = 2.0  # customers added to those who had both items, and to those whom chance would have
HABIT_LINES, TASTE_LINES = 10.0, 20.0  # lines added to a customer's own, at the middle and at everybody's share


@dataclass(frozen=True)
class Stand:
    """What everybody's orders say of n items at one moment.

    types, prices   (n,): of the shelf
    ranks           float64 (n,): place of the price among those of the type, 0 to 1; .5 where it stands alone
    recent, latest, tried  float32 (n,): orders, orders, customers; see FEATURES
    buyers          float32 (n,): customers who have had the item
    customers       how many there are
    joint           CSR float32 (n, n): customers who have had both items of a type
    brands          int64 (n,): -1 = unknown
    brand_share     float64 (n_brands,): of all lines
    """

    types: Ints
    prices: Floats
    ranks: Floats
    recent: Floats
    latest: Floats
    tried: Floats
    buyers: Floats
    customers: int
    joint: Csr
    brands: Ints
    brand_share: Floats


def stand_of(data: TrainData, shelf: Shelf, makes: Makes) -> Stand:
    """The stand at the moment of `data`, whose items are the shelf's."""
    cells = owned(data.histories)
    n = len(data.items)
    lines = np.bincount(data.orders.indices, minlength=n)
    known = makes.brands >= 0
    of_brand = np.bincount(makes.brands[known], lines[known], minlength=len(makes.levels))
    return Stand(
        shelf.types,
        shelf.prices,
        price_ranks(shelf.types, shelf.prices),
        _sold(data, RECENT),
        _sold(data, LATEST),
        np.bincount(cells.items[cells.first <= RECENT], minlength=n).astype(np.float32),
        np.bincount(cells.items, minlength=n).astype(np.float32),
        len(data.customers),
        joint_customers(data.histories, shelf.types),
        makes.brands,
        (of_brand + 1) / (of_brand + 1).sum(),
    )


def _sold(data: TrainData, days: float) -> Floats:
    held = data.orders[data.order_ages <= days]
    return np.bincount(held.indices, minlength=len(data.items)).astype(np.float32)


def price_ranks(types: Ints, prices: Floats) -> Floats:
    """float64 (n,): see `Stand`; NaN where type or price is unknown."""
    known = np.flatnonzero((types >= 0) & (prices > 0))
    order = known[np.lexsort((prices[known], types[known]))]
    _, sizes = np.unique(types[order], return_counts=True)
    width = np.repeat(sizes, sizes)
    place = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    out = np.full(len(types), np.nan)
    out[order] = np.where(width > 1, place / np.maximum(width - 1, 1), 0.5)
    return out


# --- features


def features(
    stand: Stand, makes: Makes, vectors: Csr | None, histories: Histories, customers: Ints, anchors: Ints, items: Ints
) -> Floats:
    """float64 (m, len(FEATURES)) of m rows: row of the histories, anchor and candidate, each int64 (m,)."""
    step = np.log(stand.prices[items] / stand.prices[anchors])
    share, taste = _brands(stand, histories, customers, items)
    columns = {
        "recent": np.log1p(stand.recent[items]),
        "latest": np.log1p(stand.latest[items]),
        "tried": np.log1p(stand.tried[items]),
        "with_anchor": _above_chance(stand, anchors, items),
        "with_own": _beside_own(stand, histories, customers, anchors, items),
        "step": step,
        "habit": (price_habits(stand, histories)[customers] - 0.5) * step,
        "brand_share": share,
        "brand_taste": taste,
        "alike": alike(vectors, anchors, items),
        "larger": np.nan_to_num(np.log(makes.larger(anchors, items))),
    }
    return np.stack([columns[name] for name in FEATURES], axis=1)


def _above_chance(stand: Stand, a: Ints, b: Ints) -> Floats:
    chance = stand.buyers[a].astype(float) * stand.buyers[b] / max(stand.customers, 1)
    return np.asarray(np.log((cells_of(stand.joint, a, b) + SHRINK) / (chance + SHRINK)))


def cells_of(matrix: Csr, rows: Ints, columns: Ints) -> Floats:
    """float64 (m,): matrix[rows, columns], 0 where nothing is stored."""
    return np.asarray(matrix[rows, columns], float).ravel() if len(rows) else np.zeros(0)


def _beside_own(stand: Stand, histories: Histories, customers: Ints, anchors: Ints, items: Ints) -> Floats:
    """The anchor counts as had, so a visitor without a history has one item."""
    cells = owned(histories)
    n_types = int(stand.types.max(initial=0)) + 1
    kept = np.flatnonzero(stand.types[cells.items] >= 0)
    key = cells.customers[kept] * n_types + stand.types[cells.items[kept]]
    order = np.argsort(key, kind="stable")
    wanted = customers * n_types + stand.types[anchors]
    first, last = (np.searchsorted(key[order], wanted, side) for side in ("left", "right"))
    sizes = last - first
    row = np.repeat(np.arange(len(items)), sizes)
    own = cells.items[kept[order[np.repeat(first - (np.cumsum(sizes) - sizes), sizes) + np.arange(len(row))]]]
    other = (own != anchors[row]) & (own != items[row])
    row, own = row[other], own[other]
    total = np.bincount(row, _above_chance(stand, own, items[row]), minlength=len(items))
    count = np.bincount(row, minlength=len(items)) + 1
    return np.asarray((total + _above_chance(stand, anchors, items)) / np.sqrt(count))


def price_habits(stand: Stand, histories: Histories) -> Floats:
    """float64 (n_queries,): mean rank of what was bought, 0 to 1; .5 where nothing is known."""
    rank = stand.ranks[histories.items]
    known = ~np.isnan(rank)
    row = histories.rows[known]
    total = np.bincount(row, rank[known], minlength=len(histories))
    lines = np.bincount(row, minlength=len(histories))
    return np.asarray((total + 0.5 * HABIT_LINES) / (lines + HABIT_LINES))


def _brands(stand: Stand, histories: Histories, customers: Ints, items: Ints) -> tuple[Floats, Floats]:
    """Share in the type, and log of taste, of each row's brand; both 0 where the brand is unknown."""
    brand = stand.brands[items]
    if not len(stand.brand_share):
        return np.zeros(len(items)), np.zeros(len(items))
    n, n_brands, n_types = len(histories), len(stand.brand_share), int(stand.types.max(initial=0)) + 1
    lines = histories.items[stand.brands[histories.items] >= 0]
    row = histories.rows[stand.brands[histories.items] >= 0]
    bought = sp.csr_matrix((np.ones(len(row)), (row, stand.brands[lines])), shape=(n, n_brands))
    share = stand.brand_share[brand]
    of_all = np.asarray(bought.sum(axis=1)).ravel()[customers]
    mine = (cells_of(bought, customers, np.maximum(brand, 0)) + TASTE_LINES * share) / (of_all + TASTE_LINES)
    typed = stand.types[lines] >= 0
    row, lines = row[typed], lines[typed]
    width = n_types * n_brands
    kind = stand.types[lines] * n_brands + stand.brands[lines]
    within = sp.csr_matrix((np.ones(len(row)), (row, kind)), shape=(n, width))
    in_type = sp.csr_matrix((np.ones(len(row)), (row, stand.types[lines])), shape=(n, n_types))
    own = np.maximum(stand.types[items], 0)
    part = cells_of(within, customers, own * n_brands + np.maximum(brand, 0))
    whole = np.maximum(cells_of(in_type, customers, own), 1)
    return np.where(brand >= 0, part / whole, 0.0), np.where(brand >= 0, np.log(mine / share), 0.0)


def alike(vectors: Csr | None, a: Ints, b: Ints, block: int = 20_000) -> Floats:
    """float64 (m,): cosine of the texts of a and b, 0 to 1; 0 where texts are not given."""
    out = np.zeros(len(a))
    if vectors is None:
        return out
    for start in range(0, len(a), block):
        part = slice(start, start + block)
        out[part] = np.asarray(vectors[a[part]].multiply(vectors[b[part]]).sum(axis=1)).ravel()
    return np.clip(out, 0.0, 1.0)


# --- the model


@dataclass(frozen=True)
class UpsellModel:
    """Weights of FEATURES, the stand they are asked with, and what the items are made of."""

    weights: Floats  # float64 (len(FEATURES),)
    stand: Stand
    makes: Makes
    vectors: Csr | None = None

    def score(self, histories: Histories, customers: Ints, anchors: Ints, items: Ints) -> Floats:
        """float64 (m,), higher is better; comparable within a customer and anchor. Arguments as of `features`."""
        x = features(self.stand, self.makes, self.vectors, histories, customers, anchors, items)
        return np.asarray(x @ self.weights)

    def save(self, directory: Path) -> None:
        """Arrays and matrices as npz: nothing pickled."""
        directory.mkdir(parents=True)
        np.savez(directory / "weights.npz", weights=self.weights, features=np.array(FEATURES))
        np.savez(directory / "makes.npz", **_arrays(self.makes))
        np.savez(directory / "stand.npz", **_arrays(self.stand))
        sp.save_npz(directory / "joint.npz", self.stand.joint, compressed=False)
        if self.vectors is not None:
            sp.save_npz(directory / "vectors.npz", self.vectors, compressed=False)

    @classmethod
    def load(cls, directory: Path) -> "UpsellModel":
        texts = directory / "vectors.npz"
        stand = _loaded(directory / "stand.npz")
        stand |= {"customers": int(stand["customers"]), "joint": sp.csr_matrix(sp.load_npz(directory / "joint.npz"))}
        return cls(
            _loaded(directory / "weights.npz")["weights"],
            Stand(**stand),
            Makes(**_loaded(directory / "makes.npz")),
            sp.csr_matrix(sp.load_npz(texts)) if texts.exists() else None,
        )


def _arrays(facts: Any) -> dict[str, Any]:
    return {f.name: v for f in fields(facts) if not sp.issparse(v := getattr(facts, f.name))}


def _loaded(file: Path) -> dict[str, Any]:
    with np.load(file, allow_pickle=False) as kept:
        return {name: kept[name] for name in kept.files}
