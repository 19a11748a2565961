"""What is given on top of an offer, in its price."""

from dataclasses import replace

from .money import exact, rounded
from .rules import Incentive, Offer


def with_incentive(offer: Offer, incentive: Incentive | None, digits: int) -> Offer:
    """The offer with the incentive, None = its own; percents off the list price, rounded to the currency."""
    if incentive is None or incentive.kind == "none":
        return offer
    price = offer.list_price
    if incentive.kind == "percent" and price is not None:
        left = 1 - exact(incentive.amount or 0.0) / 100
        price = float(rounded(exact(price) * left, digits))
    return replace(offer, incentive=incentive, offer_price=price)
