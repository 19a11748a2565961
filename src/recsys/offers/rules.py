"""Which offers may be shown: small rules in a stated order. Standard library only, so any front door can use it.

        offers, best first ──▶ in_stock ▸ not_in_cart ▸ not_owned ▸ margin_floor ▸ one_per_type ▸ at_most ──▶ kept
                                                  │ the first rule that refuses
                                                  ▼
                                               dropped

Rules that look at the list come last, so a refused offer never takes the place of a good one.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Literal

from ..errors import InputError

Kind = Literal["cross_sell", "upsell", "bundle", "filler"]
IncentiveKind = Literal["none", "percent", "free_shipping", "trial", "points"]
ItemSets = Mapping[str | None, Collection[str]]  # by customer_id; None = the anonymous visitor


@dataclass(frozen=True, kw_only=True)
class Incentive:
    """What is given on top: percent off the list price, free shipping from an amount on, days of trial, points."""

    kind: IncentiveKind = "none"  # what is given
    amount: float | None = None  # percent, amount of the order, days or points; null where there is none

    def __post_init__(self) -> None:
        if self.kind == "percent" and not (self.amount is not None and 0 < self.amount < 100):
            raise InputError(f"an incentive of percent has amount {self.amount}; give percents above 0 and below 100")
        if self.kind in ("trial", "points") and not (self.amount or 0) > 0:
            raise InputError(f"an incentive of {self.kind} has amount {self.amount}; give a number above 0")


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What a customer is shown. `items` go together; `list_price` is the sum of their single prices.

    customer_id None is for anybody; a price of None is unknown; without an incentive both prices are equal.
    probability is that of an order holding the items, where a ranker says it; None elsewhere.
    """

    kind: Kind
    customer_id: str | None
    anchor_items: tuple[str, ...]
    items: tuple[str, ...]
    list_price: float | None
    offer_price: float | None
    reason: str
    incentive: Incentive = field(default_factory=Incentive)
    probability: float | None = None

    @property
    def listing(self) -> tuple[Kind, str | None, tuple[str, ...]]:
        """Offers of one kind, customer and anchors stand in one list."""
        return self.kind, self.customer_id, self.anchor_items


@dataclass(frozen=True)
class Dropped:
    """An offer, the rule that refused it, and until when; None = as long as the fact holds."""

    offer: Offer
    rule: str
    until: datetime | None = None


@dataclass(frozen=True)
class Refusal:
    """A rule's no."""

    until: datetime | None = None


@dataclass(frozen=True)
class Rule:
    """`judge(offer, listed)` refuses or says None; `listed` are the offers kept so far that stand beside this one."""

    name: str
    judge: Callable[[Offer, Sequence[Offer]], Refusal | None]


@dataclass(frozen=True, kw_only=True)
class OfferRuleOptions:
    """Which offers a shop shows."""

    durable: tuple[str, ...] = ()  # categories that nobody buys twice; owned items of these are not offered
    one_per_type: tuple[Kind, ...] = ("cross_sell",)  # kinds whose list holds each type once
    at_most: Mapping[str, int] = field(
        default_factory=lambda: {"cross_sell": 3, "upsell": 1, "filler": 3}
    )  # offers in a list
    margin_floor: float = 0.0  # least (price - cost) / price of an offer whose costs are all known


@dataclass(frozen=True, kw_only=True)
class ShopFacts:
    """What the rules look up; what is missing here is unknown, and no rule refuses for want of knowledge."""

    stock: Mapping[str, bool | None] = field(default_factory=dict)  # by item_id
    restocked: Mapping[str, datetime] = field(default_factory=dict)  # by item_id
    carts: ItemSets = field(default_factory=dict)
    owned: ItemSets = field(default_factory=dict)
    types: Mapping[str, str | None] = field(default_factory=dict)  # by item_id
    categories: Mapping[str, str | None] = field(default_factory=dict)  # by item_id
    costs: Mapping[str, float | None] = field(default_factory=dict)  # by item_id, per unit


def apply_rules(
    offers: Iterable[Offer], rules: Sequence[Rule], together: Callable[[Offer], object] = attrgetter("listing")
) -> tuple[list[Offer], list[Dropped]]:
    """(kept, dropped), each in the order given; every offer is in exactly one of them. Give the best first.

    `together` says which offers rules see side by side: by default those of one list.
    """
    kept: list[Offer] = []
    dropped: list[Dropped] = []
    lists: dict[object, list[Offer]] = {}
    for offer in offers:
        listed = lists.setdefault(together(offer), [])
        refused = _first_refusal(offer, listed, rules)
        if refused is None:
            kept.append(offer)
            listed.append(offer)
        else:
            dropped.append(refused)
    return kept, dropped


def _first_refusal(offer: Offer, listed: Sequence[Offer], rules: Sequence[Rule]) -> Dropped | None:
    for rule in rules:
        refusal = rule.judge(offer, listed)
        if refusal is not None:
            return Dropped(offer, rule.name, refusal.until)
    return None


def standard_rules(facts: ShopFacts, options: OfferRuleOptions | None = None) -> tuple[Rule, ...]:
    """All rules below in the order of the picture above."""
    options = options or OfferRuleOptions()
    return (
        in_stock(facts.stock, facts.restocked),
        not_in_cart(facts.carts),
        not_owned(facts.owned, facts.categories, options.durable),
        margin_floor(facts.costs, options.margin_floor),
        one_per_type(facts.types, options.one_per_type),
        at_most(options.at_most),
    )


def in_stock(stock: Mapping[str, bool | None], restocked: Mapping[str, datetime] | None = None) -> Rule:
    """Every item is in stock, or its stock is unknown; else until the last of the missing ones is back."""

    def judge(offer: Offer, _listed: Sequence[Offer]) -> Refusal | None:
        out = [item for item in offer.items if stock.get(item) is False]
        back = [(restocked or {}).get(item) for item in out]
        known = [at for at in back if at is not None]
        return Refusal(max(known) if len(known) == len(back) else None) if out else None

    return Rule("in_stock", judge)


def not_in_cart(carts: ItemSets) -> Rule:
    """No item lies in the customer's cart."""

    def judge(offer: Offer, _listed: Sequence[Offer]) -> Refusal | None:
        return Refusal() if set(offer.items) & set(carts.get(offer.customer_id, ())) else None

    return Rule("not_in_cart", judge)


def not_owned(owned: ItemSets, categories: Mapping[str, str | None], durable: Collection[str]) -> Rule:
    """No item of a durable category has been bought before; what is used up may be offered again."""

    def judge(offer: Offer, _listed: Sequence[Offer]) -> Refusal | None:
        has = set(offer.items) & set(owned.get(offer.customer_id, ()))
        return Refusal() if any(categories.get(item) in durable for item in has) else None

    return Rule("not_owned", judge)


def margin_floor(costs: Mapping[str, float | None], floor: float) -> Rule:
    """(offer price - costs) / offer price is at least `floor`; passes where the price or a cost is unknown."""
    if not floor < 1:
        raise InputError(f"margin_floor is {floor}; it is a share of the price and must lie below 1")

    def judge(offer: Offer, _listed: Sequence[Offer]) -> Refusal | None:
        known = [cost for item in offer.items if (cost := costs.get(item)) is not None]
        if offer.offer_price is None or len(known) < len(offer.items):
            return None
        return Refusal() if offer.offer_price * (1 - floor) < sum(known) - 1e-9 else None

    return Rule("margin_floor", judge)


def one_per_type(types: Mapping[str, str | None], kinds: Collection[str]) -> Rule:
    """A list of these kinds holds each known type once."""

    def judge(offer: Offer, listed: Sequence[Offer]) -> Refusal | None:
        if offer.kind not in kinds:
            return None
        there = {types.get(item) for other in listed for item in other.items} - {None}
        return Refusal() if there & {types.get(item) for item in offer.items} else None

    return Rule("one_per_type", judge)


def at_most(limits: Mapping[str, int]) -> Rule:
    """A list holds at most limits[kind] offers; no limit for a kind that is not named."""
    for kind, limit in limits.items():
        if limit < 0:
            raise InputError(f"at_most of {kind} is {limit}; it must be 0 or more")

    def judge(offer: Offer, listed: Sequence[Offer]) -> Refusal | None:
        return Refusal() if len(listed) >= limits.get(offer.kind, len(listed) + 1) else None

    return Rule("at_most", judge)
