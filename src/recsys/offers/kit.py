"""Everything of one moment that offers need, and one method for each kind of offer. NumPy, SciPy and LightGBM only.

    kit ─┬─ cross_sell(placement, basket) ─┐
         ├─ upsell(anchor)                 ├─ incentive ─ rules ─▶ Offered: offers, dropped, left out, why none
         ├─ bundles(anchor)                │
         └─ fillers(cart, thresholds)  ────┘

An item without an order in the last days is in no bundle; whatever is sold out is offered nowhere.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..data.histories import Csr, IdMap, Ints, carts
from ..errors import InputError
from .bundles import Bundle, NoBundle, bundle_offers
from .cross_seller import CrossSeller, Suggestions, placed_at, suggestion_offers
from .fillers import cart_total, filler_offers, fillers
from .incentives import with_incentive
from .makes import Makes
from .options import KitOptions
from .rules import Dropped, Incentive, Offer, Rule, ShopFacts, apply_rules, standard_rules
from .shelf import Shelf
from .switches import usual_items
from .upsell import REASONS, Upgrades, upgrades, upsell_offers
from .upsell_model import UpsellModel

NO_PAIR = "no pair of items has evidence"
BEYOND = "comes after the last that was asked for"


@dataclass(frozen=True)
class NotOffered:
    """Items that could have been offered and are not, and why."""

    items: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Offered:
    """Offers best first; those that a rule refused; what was left out before; `why_none` is empty where there are any.

    unknown  items or customers that the kit does not know, and otherwise ignored
    """

    offers: tuple[Offer, ...]
    dropped: tuple[Dropped, ...] = ()
    left_out: tuple[NotOffered, ...] = ()
    why_none: str = ""
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class OfferKit:
    """What one moment knows.

    seller           ranker, base models, histories, shelf, evident pairs and substitutes
    upsell_model     None where no customer ever took a step up: then closeness of text and popularity order
    recent           int64 (n,): orders with each item in the last `recent_days`
    found, no_bundle bundles of the shop, and each pair that is none with its reason
    categories       of each item, None = unknown; `rules.durable` names some of them
    sold_out         item ids
    """

    seller: CrossSeller
    makes: Makes
    upsell_model: UpsellModel | None
    recent: Ints
    found: tuple[Bundle, ...]
    no_bundle: tuple[NoBundle, ...]
    categories: tuple[str | None, ...]
    sold_out: tuple[str, ...]
    options: KitOptions = field(default_factory=KitOptions)

    @property
    def shelf(self) -> Shelf:
        return self.seller.shelf

    @property
    def customers(self) -> IdMap:
        return self.seller.customers

    # --- kinds

    def cross_sell(
        self,
        placement: str,
        basket: Sequence[str] = (),
        customer_id: str | None = None,
        k: int | None = None,
        *,
        barred: np.ndarray | None = None,
        least: float = 0.0,
    ) -> Offered:
        """What goes with a page's item, a cart, an order about to be paid or just placed; see `CrossSeller.ask`."""
        k = self.slots(placement) if k is None else k
        found = self.seller.ask(
            placement, basket, customer_id, k=k + self.options.spare, unavailable=self.sold_out, barred=barred,
            least=least,
        )  # fmt: skip
        return first(self.of_suggestions(found, customer_id, self.rules_for(customer_id)), k)

    def of_suggestions(self, found: Suggestions, customer_id: str | None, rules: Callable[..., Any]) -> Offered:
        made = suggestion_offers(found, self.shelf, customer_id)
        left_out = tuple(NotOffered((one.item_id,), one.reason) for one in found.left_out)
        unknown = (*found.unknown_anchors, *([customer_id] if found.unknown_customer and customer_id else []))
        return self._judged(made, self.options.cross_sell_incentive, rules, left_out, found.why_none, unknown)

    def upsell(
        self,
        anchor: str,
        customer_id: str | None = None,
        k: int | None = None,
        *,
        barred: np.ndarray | None = None,
    ) -> Offered:
        """The next better items than `anchor`; of a customer, within the price habit and not had before."""
        k = self.most("upsell", 1) if k is None else k
        at, unknown = self._customer(customer_id)
        found = self.upgrades(anchor, at, k + self.options.spare, barred)
        return first(self.of_upgrades(found, customer_id, self.rules_for(customer_id), unknown), k)

    def usual(self, customer: int) -> tuple[str, ...]:
        """The customer's usual item of each type, most often bought first, at most `usual_items`."""
        if customer < 0:
            return ()
        history = self.seller.histories.take(np.array([customer]))
        found = usual_items(history, self.shelf.types, self.shelf.prices)
        best = np.lexsort((found.items, -found.times))[: self.options.usual_items]
        return tuple(self.shelf.items.ids[at] for at in found.items[best])

    def upgrades(self, anchor: str, customer: int = -1, k: int = 3, barred: np.ndarray | None = None) -> Upgrades:
        """Upgrades of the anchor for the customer in that row of the histories, -1 = anybody; nothing sold out."""
        return upgrades(
            anchor,
            k,
            shelf=self.shelf,
            sold=self.recent,
            vectors=self._vectors,
            makes=self.makes,
            model=self.upsell_model,
            history=self.seller.histories.take(np.array([customer])) if customer >= 0 else None,
            unavailable=self._gone if barred is None else self._gone | barred,
            options=self.options.upsell,
        )

    def of_upgrades(
        self, found: Upgrades, customer_id: str | None, rules: Callable[..., Any], unknown: tuple[str, ...] = ()
    ) -> Offered:
        made = upsell_offers(found, self.shelf, customer_id)
        left_out = tuple(NotOffered((item,), REASONS[reason]) for item, reason in found.refused)
        return self._judged(made, self.options.upsell_incentive, rules, left_out, found.why_none, unknown)

    def bundles(
        self, *anchors: str, k: int | None = None, barred: np.ndarray | None = None, had: Collection[str] = ()
    ) -> Offered:
        """Bundles of the whole shop, or those with one of `anchors`, for anybody; not those of which all are `had`."""
        asked, has = set(anchors), set(had)
        made = [b for b in self.found if (not asked or asked & set(b.items)) and not has >= set(b.items)]
        if barred is not None:
            made = [b for b in made if not barred[self.shelf.items.positions(b.items)].any()]
        left_out = tuple(NotOffered(b.items, b.reason) for b in self.no_bundle if not asked or asked & set(b.items))
        why = "" if made else f"none of {len(left_out)} pairs with evidence is a bundle" if left_out else NO_PAIR
        offers = bundle_offers(made, self.shelf, self.options.bundles.digits)
        found = self._judged(offers, Incentive(), self.rules_for(None), left_out, why)
        return found if k is None else first(found, k)

    def fillers(
        self,
        cart: Sequence[str],
        thresholds: Sequence[float],
        *,
        total: float | None = None,
        customer_id: str | None = None,
        k: int | None = None,
        barred: np.ndarray | None = None,
        least: float = 0.0,
    ) -> Offered:
        """What lifts the cart over the next threshold, likeliest first; `total` by default the cart's known prices."""
        k = self.most("filler", 3) if k is None else k
        at, unknown = self._customer(customer_id)
        worth, unpriced = cart_total(cart, self.shelf)
        if total is None and unpriced:
            raise InputError(
                f"the price of {len(unpriced)} of {len(cart)} items of the cart is unknown, e.g. {unpriced[0]!r}; give "
                "the cart's total"
            )
        found = fillers(
            worth if total is None else total, thresholds, self.chances(cart, at, barred, least),
            k + self.options.spare, shelf=self.shelf, cart=cart, sold_out=self.sold_out, options=self.options.fillers,
        )  # fmt: skip
        made = filler_offers(found, cart, self.shelf, customer_id, self.options.fillers)
        left_out = tuple(NotOffered((one.item_id,), one.reason) for one in found.left_out)
        rules = self.rules_for(customer_id, cart)
        return first(self._judged(made, None, rules, left_out, found.why_none, unknown), k)

    def chances(
        self, cart: Sequence[str], customer: int = -1, barred: np.ndarray | None = None, least: float = 0.0
    ) -> list[tuple[str, float]]:
        """(item_id, probability) of every candidate for the cart, also of items bought before."""
        seller = replace(self.seller, options=replace(self.seller.options, new_only=False))
        at = self.shelf.items.positions(list(dict.fromkeys(cart)))
        query = self.seller.histories.take_or_blank(np.array([customer])).with_cart(carts([at], len(self.shelf.items)))
        ranked = seller.rank(query, None if barred is None else barred[None, :])
        ids, chance = self.shelf.items.ids, ranked.probabilities
        return [(ids[i], float(p)) for i, p in zip(ranked.candidates.item, chance, strict=True) if p >= least]

    # --- rules

    def slots(self, placement: str) -> int:
        """Cross-sell offers that the placement shows."""
        return min(placed_at(placement).k, self.most("cross_sell", placed_at(placement).k))

    def most(self, kind: str, default: int) -> int:
        """Offers that a list of the kind shows by the shop's rules; `default` where they do not say."""
        return self.options.rules.at_most.get(kind, default)

    def rules_for(
        self, customer_id: str | None, cart: Collection[str] = ()
    ) -> Callable[[Iterable[Offer]], tuple[list[Offer], list[Dropped]]]:
        """The standard rules, with what this customer owns and has in the cart."""
        at = -1 if customer_id is None else int(self.customers.positions([customer_id])[0])
        return self.rules_of({customer_id: cart}, {customer_id: self._durables(at)})

    def rules_of(
        self, in_carts: Mapping[str | None, Collection[str]], owned: Mapping[str | None, Collection[str]]
    ) -> Callable[[Iterable[Offer]], tuple[list[Offer], list[Dropped]]]:
        rules = self.shop_rules(in_carts, owned)
        return lambda offers: apply_rules(offers, rules)

    def shop_rules(
        self, in_carts: Mapping[str | None, Collection[str]], owned: Mapping[str | None, Collection[str]]
    ) -> tuple[Rule, ...]:
        """The standard rules themselves."""
        return standard_rules(replace(self._facts, carts=in_carts, owned=owned), self.options.rules)

    def owned_durables(self, customers: Ints) -> dict[str | None, Collection[str]]:
        """What each customer, by row of the histories, has of the durable categories."""
        return {self.customers.ids[at]: self._durables(int(at)) for at in customers}

    def _durables(self, at: int) -> frozenset[str]:
        if at < 0 or not self.options.rules.durable:
            return frozenset()
        histories = self.seller.histories
        bought = np.unique(histories.items[slice(*histories.indptr[at : at + 2])])
        durable = self.options.rules.durable
        return frozenset(self.shelf.items.ids[i] for i in bought if self.categories[i] in durable)

    def _judged(
        self,
        made: list[Offer],
        incentive: Incentive | None,
        rules: Callable[[Iterable[Offer]], tuple[list[Offer], list[Dropped]]],
        left_out: tuple[NotOffered, ...],
        why_none: str,
        unknown: tuple[str, ...] = (),
    ) -> Offered:
        digits = self.options.bundles.digits
        kept, dropped = rules(with_incentive(offer, incentive, digits) for offer in made)
        why = why_none or ("" if kept else f"the rules refused all {len(dropped)} offers")
        return Offered(tuple(kept), tuple(dropped), left_out, why, unknown)

    def _customer(self, customer_id: str | None) -> tuple[int, tuple[str, ...]]:
        """Row of the histories, -1 where nobody known is asked for, and the id where it is unknown."""
        at = -1 if customer_id is None else int(self.customers.positions([customer_id])[0])
        return at, () if at >= 0 or customer_id is None else (customer_id,)

    @cached_property
    def _gone(self) -> np.ndarray:
        """bool (n_items,)"""
        return np.isin(np.arange(len(self.shelf.items)), self.shelf.items.positions(list(self.sold_out)))

    @cached_property
    def _vectors(self) -> Csr:
        content: Any = self.seller.models["content"]
        vectors: Csr = content.vectors()
        return vectors

    @cached_property
    def _facts(self) -> ShopFacts:
        shelf = self.shelf
        ids = shelf.items.ids
        return ShopFacts(
            stock=dict.fromkeys(self.sold_out, False),
            types={item: str(kind) if kind >= 0 else None for item, kind in zip(ids, shelf.types, strict=True)},
            categories=dict(zip(ids, self.categories, strict=True)),
            costs={item: None if np.isnan(cost) else float(cost) for item, cost in zip(ids, shelf.costs, strict=True)},
        )


def first(found: Offered, k: int) -> Offered:
    """The k best; the others are left out."""
    more = tuple(NotOffered(one.items, BEYOND) for one in found.offers[k:])
    return replace(found, offers=found.offers[:k], left_out=(*found.left_out, *more))
