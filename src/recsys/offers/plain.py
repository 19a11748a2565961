"""An offer in plain values: what files and served answers show of it."""

from typing import Any

from .rules import Offer
from .shelf import Shelf


def plain_offer(offer: Offer, shelf: Shelf) -> dict[str, Any]:
    """Kind, items with names, prices, incentive, reason and probability; the anchors are left to the caller."""
    return {
        "kind": offer.kind,
        "items": list(offer.items),
        "item_names": [shelf.name(item) for item in offer.items],
        "list_price": offer.list_price,
        "offer_price": offer.offer_price,
        "incentive": offer.incentive.kind,
        "incentive_amount": offer.incentive.amount,
        "reason": offer.reason,
        "probability": offer.probability,
    }


def with_anchors(offer: Offer, shelf: Shelf) -> dict[str, Any]:
    """The same, and what the offer starts from."""
    names = [shelf.name(item) for item in offer.anchor_items]
    return {**plain_offer(offer, shelf), "anchor_items": list(offer.anchor_items), "anchor_names": names}
