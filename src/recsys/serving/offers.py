"""Offers of one request: which part of the kit is asked, and with what; see docs/serving.md.

kind         what it starts from, the first that is given
cross_sell   anchor = the page's item ▸ basket ▸ the customer's latest order
upsell       anchor ▸ each item of the basket ▸ each usual item of the customer
bundle       anchor ▸ any item of the basket ▸ the whole shop
filler       basket and its total
"""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..errors import InputError
from ..offers.kit import Offered, OfferKit, first
from ..offers.plain import plain_offer
from .requests import Request

MOST_ANCHORS = 20  # items of a basket that upgrades are looked for
AFTER = ("home", "email")  # placements where cross-sell follows the latest order


def offered(kit: OfferKit, request: Request, barred: np.ndarray) -> Offered:
    """The offers of a request that names a kind; `barred` bool (n_items,): what the request forbids.

    InputError where the kind lacks what it starts from.
    """
    if request.options.anchor is not None:
        kit.shelf.position(request.options.anchor)
    return KINDS[request.options.kind or ""](kit, request, barred)


def _cross_sell(kit: OfferKit, request: Request, barred: np.ndarray) -> Offered:
    asked = request.options
    place = asked.placement
    if asked.anchor is not None and place not in (None, "product"):
        raise InputError(f"options.anchor with kind cross_sell is the item of a page; leave placement {place} out")
    basket: Sequence[str] = request.basket if asked.anchor is None else (asked.anchor,)
    if place is None or place in AFTER:
        place = "product" if asked.anchor is not None else "cart" if basket else "post_purchase"
    return kit.cross_sell(
        place, basket, _who(kit, request), request.k, barred=_with_cart(barred, request), least=asked.min_probability
    )


def _upsell(kit: OfferKit, request: Request, barred: np.ndarray) -> Offered:
    known = [kit.shelf.items.ids[at] for at in dict.fromkeys(request.cart.tolist()) if at >= 0]
    anchors = [request.options.anchor] if request.options.anchor is not None else known[:MOST_ANCHORS]
    who, barred = _who(kit, request), _with_cart(barred, request)
    anchors = anchors or list(kit.usual(request.owner))
    if not anchors and request.owner >= 0:
        return Offered((), why_none="the customer has no usual item whose type and price are known")
    if not anchors:
        raise InputError(
            "kind upsell needs an item to go up from: options.anchor is not given, the basket holds no known item and "
            "the customer is not known; give an anchor"
        )
    k = kit.most("upsell", 1) if request.k is None else request.k
    found = Offered((), why_none="")
    for anchor in anchors:
        one = kit.upsell(anchor, who, k if len(anchors) == 1 else None, barred=barred)
        dropped, left_out = (*found.dropped, *one.dropped), (*found.left_out, *one.left_out)
        found = Offered((*found.offers, *one.offers), dropped, left_out, one.why_none)
        barred[kit.shelf.items.positions([item for offer in one.offers for item in offer.items])] = True
        if len(found.offers) >= k:
            break
    silent = found.why_none if len(anchors) == 1 else f"none of {len(anchors)} items has a step up"
    return first(replace(found, why_none="" if found.offers else silent), k)


def _bundle(kit: OfferKit, request: Request, barred: np.ndarray) -> Offered:
    anchor, k = request.options.anchor, request.k if request.k is not None else 10
    if anchor is None and request.basket and not (request.cart >= 0).any():
        return Offered((), why_none=f"none of the {len(set(request.basket))} items of the basket is known")
    anchors = (anchor,) if anchor is not None else request.basket
    return kit.bundles(*anchors, k=k, barred=barred, had=request.basket)


def _filler(kit: OfferKit, request: Request, barred: np.ndarray) -> Offered:
    asked = request.options
    if not request.basket:
        raise InputError("kind filler needs a cart: basket is empty; give its items")
    if not asked.thresholds:
        raise InputError('kind filler needs options.thresholds, e.g. {"thresholds": [50, 100]}')
    return kit.fillers(
        request.basket, asked.thresholds, total=asked.total, customer_id=_who(kit, request), k=request.k,
        barred=barred, least=asked.min_probability,
    )  # fmt: skip


KINDS = {"cross_sell": _cross_sell, "upsell": _upsell, "bundle": _bundle, "filler": _filler}


def _who(kit: OfferKit, request: Request) -> str | None:
    return kit.customers.ids[request.owner] if request.owner >= 0 else None


def _with_cart(barred: np.ndarray, request: Request) -> np.ndarray:
    """The same, and what lies in the basket."""
    barred = barred.copy()
    barred[request.cart[request.cart >= 0]] = True
    return barred


def rests_on(request: Request) -> str:
    """`fallback` of the answer."""
    if request.owner >= 0 and request.options.kind != "bundle" and request.options.placement != "product":
        return "personal"
    return "cart" if request.options.anchor is not None or (request.cart >= 0).any() else "popular"


def as_json(kit: OfferKit, found: Offered) -> list[str]:
    """A JSON object per offer."""
    return [
        json.dumps(
            {**plain_offer(one, kit.shelf), "anchor_item": one.anchor_items[0] if len(one.anchor_items) == 1 else None},
            ensure_ascii=False,
        )
        for one in found.offers
    ]
