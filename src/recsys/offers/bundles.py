"""Bundles of two to four items of different types that customers put together anyway, below the sum of their prices."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations

import numpy as np

from ..affinity import Affinity, adjusted_lift, expected_by_size, low_of
from ..data.histories import Floats, Ints
from ..errors import InputError
from .bundle_prices import LEAST, MOST, CompanionDiscount, companion_discount, discounted
from .money import exact, require_digits, rounded, total
from .rules import Incentive, Offer
from .shelf import Shelf

FEWEST_ITEMS, MOST_ITEMS = 2, 4


@dataclass(frozen=True, kw_only=True)
class BundleOptions:
    """Which pairs become bundles, and at what price."""

    min_adjusted_lift: float = 2.0  # size-adjusted lift of every pair inside
    min_customers: int = 10  # distinct customers behind every pair inside
    per_item: int = 2  # bundles that an item can be in
    largest: int = 2  # items of a bundle at most, 2 to 4
    discount: float = 0.20  # of the sum of the single prices, 0.15 to 0.25
    companion_off: float = 0.5  # most that the companion discount takes off one item
    margin_floor: float = 0.0  # least (price - costs) / price, where all costs are known
    digits: int = 2  # decimals of a price in the shop's currency
    slow_movers: bool = False  # pairs of a slow mover and a strong seller first
    slow_share: float = 0.33  # of the shelf: the least sold are slow movers, the most sold strong sellers

    def __post_init__(self) -> None:
        if not LEAST <= self.discount <= MOST:
            raise InputError(f"bundles.discount is {self.discount}; it must lie between {LEAST} and {MOST}")
        if not self.margin_floor < 1:
            raise InputError(f"bundles.margin_floor is {self.margin_floor}; it is a share of the price, below 1")
        if self.per_item < 1:
            raise InputError(f"bundles.per_item is {self.per_item}; it must be at least 1")
        if not FEWEST_ITEMS <= self.largest <= MOST_ITEMS:
            raise InputError(f"bundles.largest is {self.largest}; it must lie between {FEWEST_ITEMS} and {MOST_ITEMS}")
        if not 2 * self.discount <= self.companion_off < 1:
            raise InputError(
                f"bundles.companion_off is {self.companion_off}; the dearer of two items would need up to twice the "
                f"discount, {2 * self.discount:g}: give that or more, below 1"
            )
        if not 0 < self.slow_share <= 0.5:
            raise InputError(f"bundles.slow_share is {self.slow_share}; it must lie above 0 and at 0.5 or below")
        require_digits(self.digits, "bundles.digits")


@dataclass(frozen=True)
class Bundle:
    """Items at one price.

    list_price     sum of the single prices as shown; `offer_price` is what they cost together
    companion      None where no item can carry the saving within `companion_off`; a pair always has one
    joint          orders with the pair that has least, of `customers` distinct customers
    adjusted_lift  least of a pair inside: joint orders by what orders of their size explain
    together       share of the orders with any of the items that hold all of them already, and pay less from now on:
                   exact for two items; for more the largest share that the pairs allow
    margin         (offer_price - costs) / offer_price; None where a cost is unknown
    slow_mover     the slow mover that a strong seller carries; None where that was not asked for
    """

    items: tuple[str, ...]
    list_price: float
    offer_price: float
    companion: CompanionDiscount | None
    joint: int
    customers: int
    adjusted_lift: float
    together: float
    margin: float | None
    slow_mover: str | None = None


@dataclass(frozen=True)
class NoBundle:
    """A pair, or a group of pairs, that is no bundle, and the first rule that it broke."""

    items: tuple[str, ...]
    reason: str


@dataclass(frozen=True, kw_only=True)
class ShelfNow:
    """What is known of the shelf today; nobody is refused for what is not known.

    substitutes  bool (n_types,), see `substitutes.substitute_types`
    recent       int (n,): recent orders with each item of the shelf, see `upsell.recent_orders`
    sold_out     item ids
    """

    substitutes: np.ndarray | None = None
    recent: Ints | None = None
    sold_out: Collection[str] = ()


def bundles(
    rules: Affinity, *, shelf: Shelf, now: ShelfNow | None = None, options: BundleOptions | None = None
) -> tuple[list[Bundle], list[NoBundle]]:
    """(bundles, left out) of `rules`, the pairs with evidence (`affinity.only_evident`); no pair is lost.

    Groups of `largest` items come first, each pair of which passes every rule, then smaller ones; among groups of a
    size the one whose weakest pair is surest (lower bound of the size-adjusted lift), then joint orders, then items.
    What comes later cedes where an item is in `per_item` bundles, or where it is part of a bundle already.
    """
    options, now = options or BundleOptions(), now or ShelfNow()
    pairs = _pairs(rules, shelf, now, options)
    kept: list[Bundle] = []
    left_out = [NoBundle(p.items, p.reason) for p in pairs if p.reason]
    used: Counter[str] = Counter()
    inside: dict[tuple[str, ...], tuple[str, ...]] = {}  # pair → the bundle that holds it
    good = {p.items: p for p in pairs if not p.reason}
    slow = _slow_pairs(good, shelf, now, options)
    for items in _groups(good, slow, options.largest):
        priced = _bundle(items, good, shelf, slow.get(items), options)
        if isinstance(priced, NoBundle):
            left_out.append(priced)
            continue
        reason = _refused(items, used, inside, options.per_item)
        if not reason:
            used.update(items)
            inside |= dict.fromkeys(combinations(items, 2), items)
            kept.append(priced)
        elif len(items) == FEWEST_ITEMS:  # a larger group that cedes leaves its pairs
            left_out.append(NoBundle(items, reason))
    return kept, left_out


# --- pairs


@dataclass(frozen=True)
class _Pair:
    """`reason` is empty where nothing speaks against the pair; either = orders with at least one of the two."""

    items: tuple[str, str]
    joint: int
    customers: int
    sold: tuple[int, int]
    lift: float
    low: float
    reason: str


def _pairs(rules: Affinity, shelf: Shelf, now: ShelfNow, options: BundleOptions) -> list[_Pair]:
    lift, low = adjusted_lift(rules), low_of(rules.joint, expected_by_size(rules))
    ids, reasons = rules.items.ids, _reasons(rules, lift, shelf, now, options)
    rows = zip(
        rules.a, rules.b, rules.joint, rules.customers, rules.sold[rules.a], rules.sold[rules.b], lift, low, reasons,
        strict=True,
    )  # fmt: skip
    return [
        _Pair((ids[a], ids[b]), int(joint), int(who), (int(m), int(n)), float(times), float(sure), reason)
        for a, b, joint, who, m, n, times, sure, reason in rows
    ]


def _reasons(rules: Affinity, lift: Floats, shelf: Shelf, now: ShelfNow, options: BundleOptions) -> list[str]:
    """First rule that each pair breaks, "" where it breaks none."""
    at = shelf.items.positions(list(rules.items.ids))
    a, b = at[rules.a], at[rules.b]
    types, prices = np.append(shelf.types, -1), np.append(shelf.prices, np.nan)
    gone = np.append(np.isin(np.arange(len(shelf.items)), shelf.items.positions(list(now.sold_out))), False)
    asleep = np.zeros(len(shelf.items) + 1, bool) if now.recent is None else np.append(now.recent == 0, False)
    of_substitutes = np.zeros(len(types) + 1, bool)
    of_substitutes[: len(now.substitutes) if now.substitutes is not None else 0] = now.substitutes
    return [
        str(reason)
        for reason in np.select(
            [
                (types[a] < 0) | (types[b] < 0),
                (types[a] == types[b]) & of_substitutes[types[a]],
                types[a] == types[b],
                rules.customers < options.min_customers,
                lift < options.min_adjusted_lift,
                ~(prices[a] > 0) | ~(prices[b] > 0),
                gone[a] | gone[b],
                asleep[a] | asleep[b],
            ],
            [
                "the type of an item is unknown",
                "the items are substitutes of one another",
                "both items are of one type",
                f"fewer than {options.min_customers} customers bought both",
                f"size-adjusted lift below {options.min_adjusted_lift:g}",
                "the price of an item is unknown",
                "an item is sold out",
                "an item was not sold lately",
            ],
            "",
        )
    ]


def _slow_pairs(
    good: dict[tuple[str, str], _Pair], shelf: Shelf, now: ShelfNow, options: BundleOptions
) -> dict[tuple[str, ...], str]:
    """Pair → its slow mover, where the other one is a strong seller; empty unless asked for."""
    if not options.slow_movers:
        return {}
    if now.recent is None:
        raise InputError("bundles.slow_movers needs to know what sells: give ShelfNow(recent=recent_orders(data))")
    place = np.argsort(np.argsort(now.recent, kind="stable"), kind="stable") / max(len(now.recent), 1)
    at = {pair: shelf.items.positions(list(pair)) for pair in good}
    found = {pair: (place[a], place[b]) for pair, (a, b) in at.items()}
    strong = 1 - options.slow_share
    return {
        pair: pair[int(second < first)]
        for pair, (first, second) in found.items()
        if min(first, second) < options.slow_share and max(first, second) >= strong
    }


# --- groups


def _groups(
    good: dict[tuple[str, str], _Pair], slow: Collection[tuple[str, ...]], largest: int
) -> Iterator[tuple[str, ...]]:
    """Groups of items all of whose pairs are good: the largest first; slow movers' pairs before all."""
    weakest = {items: (pair.low, pair.joint) for items, pair in good.items()}
    by_size: list[dict[tuple[str, ...], tuple[float, int]]] = [{tuple(i): w for i, w in weakest.items()}]
    later: dict[str, list[str]] = {}
    for a, b in good:
        later.setdefault(a, []).append(b)
    for _ in range(FEWEST_ITEMS, largest):
        grown = {}
        for items, weak in by_size[-1].items():
            for more in later.get(items[-1], ()):
                ties = [weakest.get((item, more)) for item in items]
                if all(tie is not None for tie in ties):
                    grown[(*items, more)] = min([weak, *(tie for tie in ties if tie is not None)])
        by_size.append(grown)

    def best(groups: Iterable[tuple[str, ...]], of: dict[tuple[str, ...], tuple[float, int]]) -> list[tuple[str, ...]]:
        return sorted(groups, key=lambda items: (-of[items][0], -of[items][1], items))

    yield from best(slow, by_size[0])
    for groups in reversed(by_size):
        yield from best((items for items in groups if items not in slow), groups)


def _refused(
    items: tuple[str, ...], used: Counter[str], inside: dict[tuple[str, ...], tuple[str, ...]], per_item: int
) -> str:
    there = next((inside[pair] for pair in combinations(items, 2) if pair in inside), None)
    if there is not None:
        return f"part of the bundle of {', '.join(there)}"
    full = [item for item in items if used[item] >= per_item]
    return f"{full[0]} is in {per_item} stronger bundles" if full else ""


# --- prices


def _bundle(
    items: tuple[str, ...],
    good: dict[tuple[str, str], _Pair],
    shelf: Shelf,
    slow_mover: str | None,
    options: BundleOptions,
) -> Bundle | NoBundle:
    """The priced bundle, or why there is none."""
    at = shelf.items.positions(list(items))
    prices = [rounded(exact(p), options.digits) for p in shelf.prices[at]]
    list_price, costs = sum(prices, Decimal(0)), shelf.costs[at]
    if not min(prices):
        return NoBundle(items, f"with {options.digits} decimals the price of an item is 0")
    offer = discounted(list_price, options.discount, options.digits)
    if offer is None:
        return NoBundle(items, f"no price of {options.digits} decimals is {LEAST:.0%} to {MOST:.0%} below the sum")
    margin = None if np.isnan(costs).any() else (offer - total(costs)) / offer
    if margin is not None and margin < exact(options.margin_floor):
        return NoBundle(items, f"margin below {options.margin_floor:.0%}")
    pairs = [good[a, b] for a, b in combinations(items, 2)]
    joint = min(p.joint for p in pairs)
    return Bundle(
        items=items,
        list_price=float(list_price),
        offer_price=float(offer),
        companion=companion_discount(items, prices, list_price - offer, options.companion_off),
        joint=joint,
        customers=min(p.customers for p in pairs),
        adjusted_lift=min(p.lift for p in pairs),
        together=_together(pairs, joint),
        margin=None if margin is None else float(margin),
        slow_mover=slow_mover,
    )


def _together(pairs: list[_Pair], joint: int) -> float:
    """Exact for a pair; of more items all lie in `joint` orders at most, and any of them in those of the most sold."""
    most = max(n for p in pairs for n in p.sold)
    return joint / (sum(pairs[0].sold) - joint if len(pairs) == 1 else most)


def bundle_offers(found: list[Bundle], shelf: Shelf, digits: int = 2) -> list[Offer]:
    """One offer to anybody per bundle, with what it saves in words; `digits` decimals of the currency."""
    return [
        Offer(
            kind="bundle",
            customer_id=None,
            anchor_items=(),
            items=b.items,
            list_price=b.list_price,
            offer_price=b.offer_price,
            reason=f"{_said(b, shelf)}: {b.list_price - b.offer_price:.{digits}f} less than "
            f"{b.list_price:.{digits}f} for {'the two' if len(b.items) == FEWEST_ITEMS else 'all of them'} alone",
            incentive=Incentive(kind="percent", amount=round(100 * (1 - b.offer_price / b.list_price), 2)),
        )
        for b in found
    ]


def _said(bundle: Bundle, shelf: Shelf) -> str:
    *first, last = (shelf.name(item) for item in bundle.items)
    names = f"{', '.join(first)} and {last}"
    if len(bundle.items) == FEWEST_ITEMS:
        return f"{names}, bought together by {bundle.customers} customers"
    return f"{names}, any two of them bought together by {bundle.customers} customers or more"
