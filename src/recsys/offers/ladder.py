"""Good, better, best: an item and two steps up from it, as a shop shows them side by side."""

from dataclasses import dataclass
from typing import Literal

from ..errors import InputError
from .shelf import Shelf
from .switches import SAME
from .upsell import Upgrade, Upgrades


@dataclass(frozen=True)
class Rung:
    """A step of the ladder. The offer price is the list price less the incentive, rounded to cents."""

    tier: Literal["good", "better", "best"]
    item_id: str
    name: str
    list_price: float
    offer_price: float
    words: str


def ladder(found: Upgrades, shelf: Shelf, percent_off: float = 0.0) -> tuple[Rung, ...]:
    """Good (the anchor), better, best, by price: the next tiers of the same thing, filled up by the best upgrades.

    Rungs lie apart in price by the factor SAME at least. Two rungs where there is one upgrade, none where there is
    none. `percent_off` is taken off the upgrades.
    """
    if not 0 <= percent_off < 100:
        raise InputError(f"percent_off is {percent_off}; it must be 0 or more and below 100")
    shown: list[Upgrade] = []
    for upgrade in (*found.tiers, *found.kept):
        if len(shown) < 2 and all(_apart(upgrade.price, other.price) for other in shown):
            shown.append(upgrade)
    if not shown or found.price is None:
        return ()
    good = Rung("good", found.anchor_id, shelf.name(found.anchor_id), found.price, found.price, "the item itself")
    tiers: tuple[Literal["better", "best"], ...] = ("better", "best")
    shown.sort(key=lambda u: u.price)
    steps = (
        Rung(tier, u.item_id, shelf.name(u.item_id), u.price, round(u.price * (1 - percent_off / 100), 2), u.words)
        for tier, u in zip(tiers, shown, strict=False)
    )
    return (good, *steps)


def _apart(price: float, other: float) -> bool:
    return max(price, other) >= SAME * min(price, other)
