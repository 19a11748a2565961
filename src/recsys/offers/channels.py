"""Offers of a whole shop, by the channel that shows them; blocks of pages and of customers, bounded in memory.

product_page   each page's item: what goes with it, and the next better one
email          each customer: what goes with the latest order, and a step up from a usual item
cart           bundles, for anybody
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from ..data.histories import Ints
from .cross_seller import Suggestions
from .kit import Offered, OfferKit
from .rules import Dropped, Offer

CHANNELS = ("product_page", "email", "cart")


@dataclass(frozen=True)
class Batch:
    """Offers and refused offers of a channel; of customers also why one got none, by customer_id."""

    channel: str
    offers: tuple[Offer, ...]
    dropped: tuple[Dropped, ...]
    silent: dict[str, str]


def page_items(kit: OfferKit, least: int) -> tuple[str, ...]:
    """Items in at least `least` orders, guests' too."""
    rules = kit.seller.rules
    sold = dict(zip(rules.items.ids, rules.sold.tolist(), strict=True))
    return tuple(item for item in kit.shelf.items.ids if sold.get(item, 0) >= least)


def product_pages(kit: OfferKit, pages: Sequence[str]) -> Batch:
    """A block of pages; `spare` more are asked for than are shown, for those that a rule refuses."""
    rules = kit.rules_of({}, {})
    up = kit.most("upsell", 1) + kit.options.spare
    anchors = [(page,) for page in pages]
    answers = _suggested(kit, "product", np.full(len(pages), -1), anchors)
    found = [kit.of_suggestions(one, None, rules) for one in answers]
    found += [kit.of_upgrades(kit.upgrades(page, k=up), None, rules) for page in pages]
    return _batch("product_page", found, {})


def customers_mail(kit: OfferKit, rows: Ints) -> Batch:
    """A block of customers, given by their rows of the histories."""
    latest = {int(row): kit.seller.latest_order(int(row)) for row in rows}
    silent = {kit.customers.ids[row]: "no known order" for row, order in latest.items() if not order}
    rows = np.array([row for row, order in latest.items() if order], np.int64)
    if not len(rows):
        return _batch("email", [], silent)
    ids, anchors = [kit.customers.ids[row] for row in rows], [latest[int(row)] for row in rows]
    rules = kit.rules_of({}, kit.owned_durables(rows))
    answers = _suggested(kit, "post_purchase", rows, anchors)
    found: list[Offered] = []
    for who, row, beside in zip(ids, rows, answers, strict=True):
        own = [kit.of_suggestions(beside, who, rules)]
        for item in kit.usual(int(row)):
            up = kit.upgrades(item, int(row), kit.most("upsell", 1) + kit.options.spare)
            own.append(kit.of_upgrades(up, who, rules))
            if own[-1].offers:
                break
        if not any(one.offers for one in own):
            silent[who] = f"{own[0].why_none}; no step up from what is usual"
        found += own
    return _batch("email", found, silent)


def cart_bundles(kit: OfferKit) -> Batch:
    """Bundles of the whole shop."""
    return _batch("cart", [kit.bundles()], {})


def _suggested(kit: OfferKit, placement: str, rows: Ints, anchors: Sequence[tuple[str, ...]]) -> list[Suggestions]:
    histories = kit.seller.histories.take_or_blank(rows)
    return kit.seller.suggest(placement, histories, anchors, kit.slots(placement) + kit.options.spare, kit.sold_out)


def _batch(channel: str, found: list[Offered], silent: dict[str, str]) -> Batch:
    offers = chain.from_iterable(one.offers for one in found)
    dropped = chain.from_iterable(one.dropped for one in found)
    return Batch(channel, tuple(offers), tuple(dropped), silent)
