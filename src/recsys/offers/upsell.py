"""Up-sell: the next better version of an item, within reach of its price and of the customer's habit."""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..data.histories import Csr, Floats, Histories, Ints, TrainData, empty_histories
from ..errors import InputError
from .makes import Makes, no_makes
from .price_words import brand_words, price_words
from .rules import Offer
from .shelf import Shelf
from .switches import owned
from .upsell_model import UpsellModel, alike, price_ranks
from .upsell_queries import ROUNDING

STEP = 0.05  # a pack this share larger is larger, a brand this share dearer per unit is of a better tier
HABIT_LINES = 10  # fewer lines than these say nothing of a customer's price habit
REASONS = {  # why an item of the anchor's type is no upgrade, in the order in which it is asked
    "unavailable": "it is sold out, or may not be offered",
    "no_price": "its price is unknown",
    "no_unit_price": "its size does not compare with the anchor's",
    "too_near": "it costs too little more, or less",
    "too_dear": "it costs too much more",
    "owned": "the customer has had it before",
    "worse_margin": "it earns less than the anchor",
    "beyond_habit": "it is dearer than what the customer buys elsewhere",
    "no_better": "it is no larger and of no better brand",
}


@dataclass(frozen=True, kw_only=True)
class UpsellOptions:
    """What a reasonable upgrade is."""

    low: float = 1.1  # least price, in prices of the anchor
    high: float = 2.0  # highest price, in prices of the anchor
    by: Literal["price", "unit_price"] = "price"  # which price that is
    owned: bool = False  # offer what the customer has had before
    habit: float | None = 0.95  # share of a customer's lines whose rank of price within the type bounds it; null = none
    # false where brands are only told apart as the shop's own and others
    improve: bool = True  # leave out what is known to be no larger and of no better brand
    # On Complete Journey anything from 0.1 to 0.7 hits alike, 1 loses two fifths of the hits; from 0.7 on the next tier
    # of the synthetic shop is among three upgrades
    text_weight: float = 0.7  # of closeness of text against recent popularity, 0 to 1, where no model is given

    def __post_init__(self) -> None:
        if not 1 < self.low <= self.high:
            raise InputError(
                f"upsell.low {self.low} and high {self.high} are no range above 1; a dearer item costs more"
            )
        if not 0 <= self.text_weight <= 1:
            raise InputError(f"upsell.text_weight is {self.text_weight}; it must lie between 0 and 1")
        if self.habit is not None and not 0 < self.habit <= 1:
            raise InputError(f"upsell.habit is {self.habit}; it is a share above 0, at most 1, or null")


Kind = Literal["larger", "better_brand", "both", "dearer"]


@dataclass(frozen=True)
class Upgrade:
    """A dearer item of the anchor's type.

    price       per unit
    difference  price above the anchor's
    ratio       price by the anchor's
    sold        recent orders with it
    closeness   cosine of the texts, 0 to 1; 0 where texts are not given
    score       of the model; without one text_weight · closeness + (1 - text_weight) · sold by the most sold one's
    kind        what is better about it as far as is known; dearer = nothing is known
    words       the difference in words
    """

    item_id: str
    price: float
    difference: float
    ratio: float
    sold: int
    closeness: float
    score: float
    kind: Kind
    words: str


@dataclass(frozen=True)
class Upgrades:
    """At most k upgrades of the anchor, best first; `why_none` says why there is none, else it is empty.

    tiers    upgrades that differ from the anchor in the brand's tier alone: same name besides, same amount; by price
    refused  item_id and key of REASONS of every other item of the type that is no upgrade, by item_id
    """

    anchor_id: str
    price: float | None
    kept: tuple[Upgrade, ...]
    why_none: str
    refused: tuple[tuple[str, str], ...] = ()
    tiers: tuple[Upgrade, ...] = ()

    def reasons(self) -> dict[str, int]:
        """How many items each reason refused, in the order of REASONS."""
        count = Counter(reason for _, reason in self.refused)
        return {reason: count[reason] for reason in REASONS if count[reason]}


def recent_orders(data: TrainData, days: float = 90.0) -> Ints:
    """int64 (n_items,): orders with the item in the last `days` before the moment, guests' orders too."""
    recent = data.orders[data.order_ages <= days]
    return np.asarray(recent.sum(axis=0)).ravel().astype(np.int64)


def upgrades(
    anchor_id: str,
    k: int = 3,
    *,
    shelf: Shelf,
    sold: Ints,
    vectors: Csr | None = None,
    makes: Makes | None = None,
    model: UpsellModel | None = None,
    history: Histories | None = None,
    unavailable: np.ndarray | None = None,
    options: UpsellOptions | None = None,
) -> Upgrades:
    """Items of the anchor's type at `low` to `high` times its price; by score, then the lower price, then item_id.

    sold (n_items,): recent orders, see `recent_orders`. vectors (n_items, n_terms): rows of unit length, see
    `Content.vectors`; without them and without a model popularity alone decides. history: of the one customer who is
    asked for, None for anybody. unavailable: bool (n_items,), what may not be offered. The margin is price - cost, per
    unit. InputError where the anchor is unknown.
    """
    if k < 1:
        raise InputError(f"k is {k}; at least one upgrade must be asked for")
    options = options or UpsellOptions()
    anchor = shelf.position(anchor_id)
    price = shelf.price(anchor_id)
    if price is None or price <= 0:
        return Upgrades(anchor_id, price, (), f"{shelf.name(anchor_id)} has no price to go up from")
    if shelf.types[anchor] < 0:
        return Upgrades(anchor_id, price, (), f"the type of {shelf.name(anchor_id)} is unknown")
    if model is not None:
        makes, vectors = makes or model.makes, model.vectors if vectors is None else vectors
    makes = makes or no_makes(len(shelf.items))
    mates = np.flatnonzero((shelf.types == shelf.types[anchor]) & (np.arange(len(shelf.items)) != anchor))
    ranks = price_ranks(shelf.types, shelf.prices) if model is None else model.stand.ranks
    refused = _refused(shelf, makes, ranks, anchor, mates, history, unavailable, options)
    found = mates[refused == ""]
    ids = shelf.items.ids
    why = tuple((ids[i], str(reason)) for i, reason in zip(mates, refused, strict=True) if reason)
    if not len(found):
        return Upgrades(anchor_id, price, (), _why_none(shelf.name(anchor_id), len(mates), why, options), why)
    closeness = alike(vectors, np.full(len(found), anchor), found)
    score = _score(model, history, anchor, found, sold, closeness, options)
    best = np.lexsort((found, shelf.prices[found], -score))[:k]
    tiers = np.lexsort((found, shelf.prices[found]))
    tiers = tiers[next_tiers(makes, np.full(len(found), anchor), found)[tiers]]
    kept, steps = (
        tuple(_upgrade(shelf, makes, anchor, int(found[i]), sold, closeness[i], score[i]) for i in places)
        for places in (best, tiers)
    )
    return Upgrades(anchor_id, price, kept, "", why, steps)


def _score(
    model: UpsellModel | None,
    history: Histories | None,
    anchor: int,
    found: Ints,
    sold: Ints,
    closeness: Floats,
    options: UpsellOptions,
) -> Floats:
    if model is None:
        popular = sold[found] / max(sold[found].max(), 1)
        return np.asarray(options.text_weight * closeness + (1 - options.text_weight) * popular)
    asked = history if history is not None else empty_histories(1, len(sold))
    same = np.zeros(len(found), np.int64)
    return model.score(asked, same, np.full(len(found), anchor), found)


# --- refusals


def _refused(
    shelf: Shelf,
    makes: Makes,
    ranks: Floats,
    anchor: int,
    mates: Ints,
    history: Histories | None,
    unavailable: np.ndarray | None,
    options: UpsellOptions,
) -> np.ndarray:
    """Key of REASONS of each mate, the first that holds; "" where none does."""
    same = np.full(len(mates), anchor)
    price = shelf.prices[mates] / shelf.prices[anchor]
    ratio = price if options.by == "price" else price / makes.larger(same, mates)
    worse = {
        "unavailable": np.zeros(len(mates), bool) if unavailable is None else unavailable[mates],
        "no_price": np.isnan(price) | (price <= 0),
        "no_unit_price": np.isnan(ratio),
        "too_near": ratio < options.low * (1 - ROUNDING),
        "too_dear": ratio > options.high * (1 + ROUNDING),
        "owned": np.zeros(len(mates), bool),
        "worse_margin": _margin(shelf, mates) < _margin(shelf, same) - 1e-9,
        "beyond_habit": np.zeros(len(mates), bool),
        "no_better": options.improve & is_no_better(makes, same, mates),
    }
    if history is not None:
        worse["owned"] = np.isin(mates, [] if options.owned else owned(history).items)
        worse["beyond_habit"] = beyond_habit(ranks, history, anchor, mates, options.habit)
    return np.asarray(np.select([worse[reason] for reason in REASONS], list(REASONS), ""))


def is_no_better(makes: Makes, anchors: Ints, items: Ints) -> np.ndarray:
    """bool (m,): known to be no larger and known to be of no better brand."""
    larger, brand = makes.larger(anchors, items), makes.dearer_brand(anchors, items)
    return np.asarray((larger < 1 + STEP) & (np.exp(brand) < 1 + STEP))


def _margin(shelf: Shelf, at: Ints) -> Floats:
    return np.asarray(shelf.prices[at] - shelf.costs[at])


def beyond_habit(ranks: Floats, history: Histories, anchor: int, items: Ints, share: float | None) -> np.ndarray:
    """bool (m,): dearer within its type than `share` of the customer's lines are within theirs, and than the anchor.

    `ranks` (n_items,): see `upsell_model.Stand`. Nobody's habit is known under HABIT_LINES lines.
    """
    bought = ranks[history.items]
    bought = bought[~np.isnan(bought)]
    if share is None or len(bought) < HABIT_LINES:
        return np.zeros(len(items), bool)
    reach = max(float(np.quantile(bought, share, method="higher")), float(np.nan_to_num(ranks[anchor])))
    return np.asarray(ranks[items] > reach + 1e-9)


def _why_none(name: str, mates: int, refused: tuple[tuple[str, str], ...], options: UpsellOptions) -> str:
    unit = " per unit" if options.by == "unit_price" else ""
    what = f"no item of its type costs {options.low:g} to {options.high:g} times as much{unit} as {name}"
    count = Counter(reason for _, reason in refused)
    if not mates:
        return f"{name} is the only item of its type"
    if set(count) <= {"too_near", "too_dear"}:
        return what
    return f"{what} and " + "; ".join(f"{count[r]} refused: {REASONS[r]}" for r in REASONS if count[r])


# --- what is shown


def next_tiers(makes: Makes, anchors: Ints, items: Ints) -> np.ndarray:
    """bool (m,): the item is the anchor but for a brand of a better tier: the same name besides, the same amount."""
    amount, brand = makes.larger(anchors, items), makes.dearer_brand(anchors, items)
    version = makes.versions[anchors]
    same = (version >= 0) & (version == makes.versions[items]) & (np.abs(amount - 1) < STEP)
    return np.asarray(same & (np.exp(brand) >= 1 + STEP))


def _upgrade(shelf: Shelf, makes: Makes, anchor: int, at: int, sold: Ints, closeness: float, score: float) -> Upgrade:
    price, own = float(shelf.prices[anchor]), float(shelf.prices[at])
    a, b = np.array([anchor]), np.array([at])
    larger = makes.larger(a, b)[0] >= 1 + STEP
    brand = float(makes.dearer_brand(a, b)[0])
    better = np.exp(brand) >= 1 + STEP
    kind: Kind = "both" if larger and better else "larger" if larger else "better_brand" if better else "dearer"
    words = price_words(price, own, makes.size(anchor), makes.size(at))
    return Upgrade(
        shelf.items.ids[at],
        own,
        round(own - price, 4),
        own / price,
        int(sold[at]),
        float(closeness),
        float(score),
        kind,
        f"{words}; {brand_words(brand)}" if better else words,
    )


def upsell_offers(found: Upgrades, shelf: Shelf, customer_id: str | None = None) -> list[Offer]:
    """One offer at list price per upgrade, best first, with the difference in words."""
    return [
        Offer(
            kind="upsell",
            customer_id=customer_id,
            anchor_items=(found.anchor_id,),
            items=(u.item_id,),
            list_price=u.price,
            offer_price=u.price,
            reason=f"the same kind of goods as {shelf.name(found.anchor_id)}; {u.words}{_recently(u.sold)}",
        )
        for u in found.kept
    ]


def _recently(sold: int) -> str:
    """Nothing is said of an item that sold nothing lately: it may be new."""
    return f"; in {sold} recent order{'s' if sold > 1 else ''}" if sold else ""
