"""Rules about a contact: what one customer gets of one channel at one moment. They come last, on what is left."""

from collections import Counter
from collections.abc import Mapping, Sequence

import polars as pl

from recsys.moments.known import Known
from recsys.moments.silence.options import CrossSellFirst, ItemsPerList, OffersPerContact, OnePerCategory
from recsys.offers.rules import Offer, Refusal, Rule, one_per_type


def one_per_category(known: Known, options: OnePerCategory) -> Rule:
    """A contact names each known category (or whatever `level` says) once; an up-sell is of its anchor's anyway."""
    catalog = known.catalog
    level = "item_id" if options.level == "item" else options.level
    names: Mapping[str, str | None] = dict(zip(catalog["item_id"], catalog[level], strict=True))
    return Rule("one_per_category", one_per_type(names, options.kinds).judge)


def items_per_list(options: ItemsPerList) -> Rule:
    """A list holds at most so many items; an offer of several items counts them all, but the first always fits."""

    def judge(offer: Offer, listed: Sequence[Offer]) -> Refusal | None:
        held = sum(len(other.items) for other in listed if other.listing == offer.listing)
        return Refusal() if held and held + len(offer.items) > options.at_most else None

    return Rule("items_per_list", judge)


def offers_per_contact(options: OffersPerContact) -> Rule:
    """A contact holds at most so many lists: of one kind and anchor each."""

    def judge(offer: Offer, listed: Sequence[Offer]) -> Refusal | None:
        lists = {other.listing for other in listed}
        return Refusal() if offer.listing not in lists and len(lists) >= options.at_most else None

    return Rule("offers_per_contact", judge)


def in_order(offers: Sequence[Offer], known: Known, options: CrossSellFirst) -> list[Offer]:
    """Up-sell after all else for new customers and for nobody known, before all else for established ones.

    Within both the order stays. Nothing is refused: where a contact holds one list, the first one is it.
    """
    if not options.enabled:
        return list(offers)
    orders = Counter(dict(known.orders.group_by("customer_id").agg(pl.len()).rows()))

    def place(offer: Offer) -> bool:
        new = orders[offer.customer_id] < options.new_orders
        return (offer.kind == "upsell") == new

    return sorted(offers, key=place)


def contact(offer: Offer) -> object:
    """Offers to one customer stand in one contact."""
    return offer.customer_id
