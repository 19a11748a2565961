"""Everything of one moment that offers need, and one method for each kind of offer. NumPy, SciPy and LightGBM only.

    kit ─┬─ cross_sell(placement, basket) ─┐
         ├─ upsell(anchor)                 ├─ incentive ─ rules ─▶ Offered: offers, dropped, left out, why none
         ├─ bundles(anchor)                │
         └─ fillers(cart, thresholds)  ────┘

An item without an order in the last days is in no bundle; whatever is sold out is offered nowhere.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..affinity import Affinity
from ..data.histories import Csr, IdMap, Ints, carts
from ..data.manifest import verify_manifest, write_manifest
from ..data.store import load_histories, load_ids, save_histories, save_ids
from ..errors import InputError
from ..ranking.base_models import BaseModels
from ..ranking.hybrid import Hybrid
from .bundle_prices import CompanionDiscount
from .bundles import Bundle, NoBundle, bundle_offers
from .cross_seller import CrossSeller, Suggestions, suggestion_offers
from .fillers import cart_total, filler_offers, fillers
from .incentives import with_incentive
from .makes import Makes
from .options import KitOptions, options_from
from .rules import Dropped, Incentive, Offer, ShopFacts, apply_rules, standard_rules
from .shelf import Shelf
from .upsell import REASONS, Upgrades, upgrades, upsell_offers
from .upsell_model import UpsellModel

SHELF_ARRAYS = ("types", "prices", "costs")


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
        self, placement: str, basket: Sequence[str] = (), customer_id: str | None = None, k: int | None = None
    ) -> Offered:
        """What goes with a page's item, a cart, an order about to be paid or just placed; see `CrossSeller.ask`."""
        found = self.seller.ask(placement, basket, customer_id, k=k, unavailable=self.sold_out)
        return self.of_suggestions(found, customer_id, self.rules_for(customer_id))

    def of_suggestions(self, found: Suggestions, customer_id: str | None, rules: Callable[..., Any]) -> Offered:
        made = suggestion_offers(found, self.shelf, customer_id)
        left_out = tuple(NotOffered((one.item_id,), one.reason) for one in found.left_out)
        unknown = (*found.unknown_anchors, *([customer_id] if found.unknown_customer and customer_id else []))
        return self._judged(made, self.options.cross_sell_incentive, rules, left_out, found.why_none, unknown)

    def upsell(self, anchor: str, customer_id: str | None = None, k: int | None = None) -> Offered:
        """The next better items than `anchor`; of a customer, within the price habit and not had before."""
        at, unknown = self._customer(customer_id)
        found = self.upgrades(anchor, at, k or self.options.rules.at_most.get("upsell", 1))
        return self.of_upgrades(found, customer_id, self.rules_for(customer_id), unknown)

    def upgrades(self, anchor: str, customer: int = -1, k: int = 3) -> Upgrades:
        """Upgrades of the anchor for the customer in that row of the histories, -1 = anybody; nothing sold out."""
        found = upgrades(
            anchor,
            k + len(self.sold_out),
            shelf=self.shelf,
            sold=self.recent,
            vectors=self._vectors,
            makes=self.makes,
            model=self.upsell_model,
            history=self.seller.histories.take(np.array([customer])) if customer >= 0 else None,
            options=self.options.upsell,
        )
        there = tuple(u for u in found.kept if u.item_id not in self._gone)
        why = found.why_none if there or found.why_none else "every upgrade is sold out"
        tiers = tuple(u for u in found.tiers if u.item_id not in self._gone)
        return replace(found, kept=there[:k], tiers=tiers, why_none=why)

    def of_upgrades(
        self, found: Upgrades, customer_id: str | None, rules: Callable[..., Any], unknown: tuple[str, ...] = ()
    ) -> Offered:
        made = upsell_offers(found, self.shelf, customer_id)
        left_out = tuple(NotOffered((item,), REASONS[reason]) for item, reason in found.refused)
        return self._judged(made, self.options.upsell_incentive, rules, left_out, found.why_none, unknown)

    def bundles(self, anchor: str | None = None) -> Offered:
        """Bundles of the whole shop, or those with the item `anchor`, for anybody."""
        if anchor is not None:
            self.shelf.position(anchor)
        made = [b for b in self.found if anchor is None or anchor in b.items]
        left_out = tuple(NotOffered(b.items, b.reason) for b in self.no_bundle if anchor is None or anchor in b.items)
        why = "" if made else f"none of {len(left_out)} pairs with evidence is a bundle" if left_out else "no pair"
        offers = bundle_offers(made, self.shelf, self.options.bundles.digits)
        return self._judged(offers, Incentive(), self.rules_for(None), left_out, why)

    def fillers(
        self,
        cart: Sequence[str],
        thresholds: Sequence[float],
        *,
        total: float | None = None,
        customer_id: str | None = None,
        k: int = 3,
    ) -> Offered:
        """What lifts the cart over the next threshold, likeliest first; `total` by default the cart's known prices."""
        at, unknown = self._customer(customer_id)
        worth, unpriced = cart_total(cart, self.shelf)
        if total is None and unpriced:
            raise InputError(
                f"the price of {len(unpriced)} of {len(cart)} items of the cart is unknown, e.g. {unpriced[0]!r}; give "
                "the cart's total"
            )
        found = fillers(
            worth if total is None else total, thresholds, self.chances(cart, at), k, shelf=self.shelf, cart=cart,
            sold_out=self.sold_out, options=self.options.fillers,
        )  # fmt: skip
        made = filler_offers(found, cart, self.shelf, customer_id, self.options.fillers)
        left_out = tuple(NotOffered((one.item_id,), one.reason) for one in found.left_out)
        rules = self.rules_for(customer_id, cart)
        return self._judged(made, None, rules, left_out, found.why_none, unknown)

    def chances(self, cart: Sequence[str], customer: int = -1) -> list[tuple[str, float]]:
        """(item_id, probability) of every candidate for the cart, also of items bought before."""
        seller = replace(self.seller, options=replace(self.seller.options, new_only=False))
        at = self.shelf.items.positions(list(dict.fromkeys(cart)))
        query = self.seller.histories.take_or_blank(np.array([customer])).with_cart(carts([at], len(self.shelf.items)))
        ranked = seller.rank(query)
        ids = self.shelf.items.ids
        return [(ids[i], float(p)) for i, p in zip(ranked.candidates.item, ranked.probabilities, strict=True)]

    # --- rules

    def rules_for(
        self, customer_id: str | None, cart: Collection[str] = ()
    ) -> Callable[[Iterable[Offer]], tuple[list[Offer], list[Dropped]]]:
        """The standard rules, with what this customer owns and has in the cart."""
        at = -1 if customer_id is None else int(self.customers.positions([customer_id])[0])
        return self.rules_of({customer_id: cart}, {customer_id: self._durables(at)})

    def rules_of(
        self, in_carts: Mapping[str | None, Collection[str]], owned: Mapping[str | None, Collection[str]]
    ) -> Callable[[Iterable[Offer]], tuple[list[Offer], list[Dropped]]]:
        rules = standard_rules(replace(self._facts, carts=in_carts, owned=owned), self.options.rules)
        return lambda offers: apply_rules(offers, rules)

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
    def _gone(self) -> frozenset[str]:
        return frozenset(self.sold_out)

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

    # --- on disk

    def save(self, directory: Path) -> None:
        """npz, npy, JSON and LightGBM text with a manifest of digests: nothing pickled."""
        seller, shelf = self.seller, self.shelf
        directory.mkdir(parents=True, exist_ok=True)
        seller.models.save(directory / "models")
        seller.ranker.save(directory / "ranker")
        save_ids(shelf.items, directory / "items.json")
        save_ids(seller.customers, directory / "customers.json")
        save_ids(seller.rules.items, directory / "pair_items.json")
        save_histories(seller.histories, directory / "histories.npz")
        np.savez(directory / "shelf.npz", **{name: getattr(shelf, name) for name in SHELF_ARRAYS})
        np.savez(directory / "pairs.npz", **_arrays(seller.rules, "items"))
        np.savez(directory / "makes.npz", **_arrays(self.makes))
        np.savez(directory / "facts.npz", recent=self.recent, substitutes=seller.substitutes)
        if self.upsell_model is not None:
            self.upsell_model.save(directory / "upsell")
        facts = {
            "names": shelf.names, "per_source": seller.per_source, "categories": self.categories,
            "sold_out": self.sold_out, "options": asdict(self.options),
            "bundles": [asdict(b) for b in self.found], "no_bundle": [asdict(b) for b in self.no_bundle],
        }  # fmt: skip
        (directory / "kit.json").write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")
        write_manifest(directory)

    @classmethod
    def load(cls, directory: Path) -> "OfferKit":
        """InputError where a file is not what was saved."""
        verify_manifest(directory)
        facts = json.loads((directory / "kit.json").read_text(encoding="utf-8"))
        options = options_from(KitOptions, facts["options"])
        kept = _loaded(directory / "facts.npz")
        shelf = Shelf(load_ids(directory / "items.json"), tuple(facts["names"]), **_loaded(directory / "shelf.npz"))
        seller = CrossSeller(
            BaseModels.load(directory / "models"),
            Hybrid.load(directory / "ranker"),
            facts["per_source"],
            shelf,
            _affinity(load_ids(directory / "pair_items.json"), _loaded(directory / "pairs.npz")),
            load_ids(directory / "customers.json"),
            load_histories(directory / "histories.npz"),
            kept["substitutes"],
            options.cross_sell,
        )
        model = directory / "upsell"
        return cls(
            seller,
            Makes(**_loaded(directory / "makes.npz")),
            UpsellModel.load(model) if model.is_dir() else None,
            kept["recent"],
            tuple(_bundle(**b) for b in facts["bundles"]),
            tuple(NoBundle(tuple(b["items"]), b["reason"]) for b in facts["no_bundle"]),
            tuple(facts["categories"]),
            tuple(facts["sold_out"]),
            options,
        )


def _bundle(items: list[str], companion: dict[str, Any] | None, **facts: Any) -> Bundle:
    return Bundle(items=tuple(items), companion=CompanionDiscount(**companion) if companion else None, **facts)


def _arrays(facts: Any, *but: str) -> dict[str, Any]:
    return {f.name: getattr(facts, f.name) for f in fields(facts) if f.name not in but}


def _affinity(items: IdMap, arrays: dict[str, Any]) -> Affinity:
    return Affinity(items=items, **arrays | {name: int(arrays[name]) for name in ("n_orders", "min_joint")})


def _loaded(file: Path) -> dict[str, Any]:
    with np.load(file, allow_pickle=False) as kept:
        return {name: kept[name] for name in kept.files}
