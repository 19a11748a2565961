"""Bundles of two items of different types that customers put together anyway, below the sum of their prices."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from ..affinity import Affinity, adjusted_lift
from ..data.histories import Floats, Ints
from ..errors import InputError
from .rules import Offer
from .shelf import Shelf

LEAST, MOST = 0.15, 0.25  # discounts that the trade finds to work


@dataclass(frozen=True, kw_only=True)
class BundleOptions:
    """Which pairs become bundles, and at what price."""

    min_adjusted_lift: float = 2.0  # size-adjusted lift of the pair
    min_customers: int = 10  # distinct customers behind the pair
    per_item: int = 2  # bundles that an item can be in
    discount: float = 0.20  # of the sum of the single prices, 0.15 to 0.25
    margin_floor: float = 0.0  # least (price - costs) / price, where both costs are known
    digits: int = 2  # decimals of a price in the shop's currency

    def __post_init__(self) -> None:
        if not LEAST <= self.discount <= MOST:
            raise InputError(f"bundles.discount is {self.discount}; it must lie between {LEAST} and {MOST}")
        if not self.margin_floor < 1:
            raise InputError(f"bundles.margin_floor is {self.margin_floor}; it is a share of the price, below 1")
        if self.per_item < 1:
            raise InputError(f"bundles.per_item is {self.per_item}; it must be at least 1")


@dataclass(frozen=True)
class Bundle:
    """Two items at one price.

    list_price     sum of the single prices; `offer_price` is what the two cost together
    joint          orders with both, of `customers` distinct customers
    adjusted_lift  joint orders by what orders of their size explain
    together       share of the orders with either that hold both already: they pay less from now on
    margin         (offer_price - costs) / offer_price; None where a cost is unknown
    """

    items: tuple[str, str]
    list_price: float
    offer_price: float
    joint: int
    customers: int
    adjusted_lift: float
    together: float
    margin: float | None


@dataclass(frozen=True)
class NoBundle:
    """A pair that is no bundle, and the first rule that it broke."""

    items: tuple[str, str]
    reason: str


def bundles(
    rules: Affinity, *, shelf: Shelf, options: BundleOptions | None = None
) -> tuple[list[Bundle], list[NoBundle]]:
    """(bundles, pairs left out) of `rules`, the pairs with evidence (`affinity.only_evident`); none is lost.

    Strongest size-adjusted lift first, ties by joint orders, then items: a weaker pair cedes where an item is in
    `per_item` bundles already. Rules in order: type unknown, same type, customers, lift, price, margin, per item.
    """
    options = options or BundleOptions()
    pairs = _facts(rules, shelf, options)
    kept: list[Bundle] = []
    left_out: list[NoBundle] = []
    used: Counter[str] = Counter()
    for at in np.lexsort((rules.b, rules.a, -rules.joint, -pairs.lift)):
        items = (rules.items.ids[rules.a[at]], rules.items.ids[rules.b[at]])
        reason = pairs.reason[at] or _used_up(items, used, options.per_item)
        if reason:
            left_out.append(NoBundle(items, reason))
        else:
            used.update(items)
            kept.append(_bundle(rules, items, pairs, int(at)))
    return kept, left_out


@dataclass(frozen=True)
class _Facts:
    """Arrays over the pairs; `reason` is empty where nothing speaks against the pair itself."""

    lift: Floats
    price: Floats
    offer: Floats
    margin: Floats
    reason: list[str]


def _facts(rules: Affinity, shelf: Shelf, options: BundleOptions) -> _Facts:
    at = shelf.items.positions(list(rules.items.ids))
    a, b = at[rules.a], at[rules.b]
    price = _sum_of(shelf.prices, a, b)
    offer = np.round(price * (1 - options.discount), options.digits)
    cost = _sum_of(shelf.costs, a, b)
    margin = np.divide(offer - cost, offer, out=np.full(len(offer), np.nan), where=offer > 0)
    lift = adjusted_lift(rules)
    types = np.append(shelf.types, -1)
    reason = np.select(
        [
            (types[a] < 0) | (types[b] < 0),
            types[a] == types[b],
            rules.customers < options.min_customers,
            lift < options.min_adjusted_lift,
            ~(offer > 0),
            margin < options.margin_floor - 1e-9,
        ],
        [
            "the type of an item is unknown",
            "both items are of one type",
            f"fewer than {options.min_customers} customers bought both",
            f"size-adjusted lift below {options.min_adjusted_lift:g}",
            "the price of an item is unknown",
            f"margin below {options.margin_floor:.0%}",
        ],
        "",
    )
    return _Facts(lift, price, offer, margin, reason.tolist())


def _sum_of(values: Floats, a: Ints, b: Ints) -> Floats:
    """Of both items; NaN where the shelf does not know one."""
    padded = np.append(values, np.nan)
    return np.asarray(padded[a] + padded[b])


def _used_up(items: tuple[str, str], used: Counter[str], per_item: int) -> str:
    full = [item for item in items if used[item] >= per_item]
    return f"{full[0]} is in {per_item} stronger bundles" if full else ""


def _bundle(rules: Affinity, items: tuple[str, str], pairs: _Facts, at: int) -> Bundle:
    joint = int(rules.joint[at])
    either = int(rules.sold[rules.a[at]] + rules.sold[rules.b[at]]) - joint
    return Bundle(
        items=items,
        list_price=round(float(pairs.price[at]), 4),
        offer_price=float(pairs.offer[at]),
        joint=joint,
        customers=int(rules.customers[at]),
        adjusted_lift=float(pairs.lift[at]),
        together=joint / either,
        margin=None if np.isnan(pairs.margin[at]) else float(pairs.margin[at]),
    )


def bundle_offers(found: list[Bundle], shelf: Shelf) -> list[Offer]:
    """One offer to anybody per bundle, with what it saves in words."""
    return [
        Offer(
            kind="bundle",
            customer_id=None,
            anchor_items=(),
            items=b.items,
            list_price=b.list_price,
            offer_price=b.offer_price,
            reason=f"{shelf.name(b.items[0])} and {shelf.name(b.items[1])}, bought together by {b.customers} "
            f"customers: {b.list_price - b.offer_price:.2f} less than {b.list_price:.2f} for the two alone",
        )
        for b in found
    ]
