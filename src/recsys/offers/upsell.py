"""Up-sell: the next better version of an item, within reach of its price."""

from dataclasses import dataclass

import numpy as np

from ..data.histories import Csr, Floats, Ints, TrainData
from ..errors import InputError
from .rules import Offer
from .shelf import Shelf

ROUNDING = 1e-6  # relative; a price of exactly 1.1 times the anchor's counts as reached


@dataclass(frozen=True, kw_only=True)
class UpsellOptions:
    """What a reasonable upgrade is."""

    low: float = 1.1  # least price, in prices of the anchor
    high: float = 2.0  # highest price, in prices of the anchor
    # of closeness of text against recent popularity, 0 to 1. On Complete Journey anything from 0.1 to 0.7 hits alike,
    # 1 loses two fifths of the hits; from 0.7 on the next tier of the synthetic shop is among three upgrades
    text_weight: float = 0.7

    def __post_init__(self) -> None:
        if not 1 < self.low <= self.high:
            raise InputError(
                f"upsell.low {self.low} and high {self.high} are no range above 1; a dearer item costs more"
            )
        if not 0 <= self.text_weight <= 1:
            raise InputError(f"upsell.text_weight is {self.text_weight}; it must lie between 0 and 1")


@dataclass(frozen=True)
class Upgrade:
    """A dearer item of the anchor's type.

    price       per unit
    difference  price above the anchor's
    ratio       price by the anchor's
    sold        recent orders with it
    closeness   cosine of the texts, 0 to 1; 0 where texts are not given
    score       text_weight · closeness + (1 - text_weight) · sold by the most sold candidate's
    """

    item_id: str
    price: float
    difference: float
    ratio: float
    sold: int
    closeness: float
    score: float


@dataclass(frozen=True)
class Upgrades:
    """At most k upgrades of the anchor, best first; `why_none` says why there is none, else it is empty."""

    anchor_id: str
    price: float | None
    kept: tuple[Upgrade, ...]
    why_none: str


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
    options: UpsellOptions | None = None,
) -> Upgrades:
    """Items of the anchor's type at `low` to `high` times its price; by score, then the lower price, then item_id.

    sold (n_items,): recent orders, see `recent_orders`. vectors (n_items, n_terms): rows of unit length, see
    `Content.vectors`; without them popularity alone decides. InputError where the anchor is unknown.
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
    found = _dearer(shelf, anchor, price, options)
    if not len(found):
        why = f"no item of its type costs {options.low:g} to {options.high:g} times as much as {shelf.name(anchor_id)}"
        return Upgrades(anchor_id, price, (), why)
    closeness = _closeness(vectors, anchor, found)
    score = options.text_weight * closeness + (1 - options.text_weight) * sold[found] / max(sold[found].max(), 1)
    order = np.lexsort((found, shelf.prices[found], -score))[:k]
    return Upgrades(
        anchor_id, price, tuple(_upgrade(shelf, price, found, sold, closeness, score, i) for i in order), ""
    )


def _dearer(shelf: Shelf, anchor: int, price: float, options: UpsellOptions) -> Ints:
    """Positions of the candidates; a missing price is within no range."""
    ratio = shelf.prices / price
    within = (ratio >= options.low * (1 - ROUNDING)) & (ratio <= options.high * (1 + ROUNDING))
    return np.flatnonzero(within & (shelf.types == shelf.types[anchor]))


def _closeness(vectors: Csr | None, anchor: int, found: Ints) -> Floats:
    if vectors is None:
        return np.zeros(len(found))
    cosine = (vectors[found] @ vectors[anchor].T).toarray().ravel()
    return np.asarray(np.clip(cosine, 0.0, 1.0), np.float64)


def _upgrade(shelf: Shelf, price: float, found: Ints, sold: Ints, closeness: Floats, score: Floats, at: int) -> Upgrade:
    own = float(shelf.prices[found[at]])
    return Upgrade(
        shelf.items.ids[found[at]],
        own,
        round(own - price, 4),
        own / price,
        int(sold[found[at]]),
        float(closeness[at]),
        float(score[at]),
    )


def upsell_offers(found: Upgrades, shelf: Shelf, customer_id: str | None = None) -> list[Offer]:
    """One offer at list price per upgrade, best first, with the price difference in words."""
    return [
        Offer(
            kind="upsell",
            customer_id=customer_id,
            anchor_items=(found.anchor_id,),
            items=(u.item_id,),
            list_price=u.price,
            offer_price=u.price,
            reason=f"same type as {shelf.name(found.anchor_id)}, {u.difference:.2f} more ({u.ratio - 1:.0%}); "
            f"in {u.sold} recent orders",
        )
        for u in found.kept
    ]
