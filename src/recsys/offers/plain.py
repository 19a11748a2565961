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
