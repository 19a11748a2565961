"""Threshold fillers: what lifts a cart over a limit such as free delivery, and as little more as can be.

0 ─────────────── from_share · T ───── total ───── T ── allowed over ──▶
                  nothing is offered before it      │   an item, or two that both are needed, ends in here
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations
from typing import Literal

from ..errors import InputError
from .money import exact, require_digits, rounded, total
from .rules import Incentive, Offer
from .shelf import Shelf

CHEAP, DEAR = "cheaper than the gap", "lifts the cart too far above the threshold"


@dataclass(frozen=True, kw_only=True)
class FillerOptions:
    """When and with what a gap is closed."""

    from_share: float = 0.75  # of the threshold that the cart must have reached
    most_over: float = 0.10  # of the threshold: what fillers may lift the cart above it
    pairs: bool = True  # two items together where too few close the gap alone
    pair_items: int = 200  # likeliest items that pairs are made of
    reward: str = "free delivery"  # what the threshold brings, in words
    incentive: Literal["free_shipping", "none"] = "free_shipping"  # the same for programs
    digits: int = 2  # decimals of a price in the shop's currency

    def __post_init__(self) -> None:
        if not 0 <= self.from_share <= 1:
            raise InputError(f"fillers.from_share is {self.from_share}; it is a share of the threshold, 0 to 1")
        if not self.most_over >= 0:
            raise InputError(f"fillers.most_over is {self.most_over}; it is a share of the threshold, 0 or more")
        require_digits(self.digits, "fillers.digits")


@dataclass(frozen=True)
class Filler:
    """One item or two that close the gap.

    price        of them together
    over         cart with them, less the threshold: 0 or more
    probability  that the order holds the item; of two, the product
    """

    items: tuple[str, ...]
    price: float
    over: float
    probability: float


@dataclass(frozen=True)
class NoFiller:
    """An item that does not close the gap by itself, and why."""

    item_id: str
    reason: str


@dataclass(frozen=True)
class Fillers:
    """At most k fillers, likeliest first; every other item asked about has a reason, or is among `beyond`, the items
    that close the gap and come after the k-th. `why_none` says why there is no filler, else it is empty.

    threshold  the lowest above the cart's total; None where the cart has passed all
    gap        threshold - total
    """

    total: float
    threshold: float | None
    gap: float
    kept: tuple[Filler, ...]
    beyond: tuple[str, ...]
    left_out: tuple[NoFiller, ...]
    why_none: str

    @property
    def counts(self) -> dict[str, int]:
        """Reason → items left out."""
        return dict(Counter(one.reason for one in self.left_out))


def cart_total(cart: Sequence[str], shelf: Shelf) -> tuple[float, tuple[str, ...]]:
    """Exact sum of the known prices, one unit each, and the items whose price is unknown."""
    prices = {item: shelf.price(item) for item in cart}
    unknown = tuple(item for item, price in prices.items() if price is None)
    return float(total(price for item in cart if (price := prices[item]) is not None)), unknown


def fillers(
    cart_worth: float,
    thresholds: Sequence[float],
    ranked: Sequence[tuple[str, float]],
    k: int = 3,
    *,
    shelf: Shelf,
    cart: Collection[str] = (),
    sold_out: Collection[str] = (),
    options: FillerOptions | None = None,
) -> Fillers:
    """What closes the gap to the next threshold above `cart_worth`, likeliest first.

    ranked: (item_id, probability) as a recommender answers; the longer the list, the more can close the gap.
    An item closes it where its price is at least the gap and ends at most `most_over` · threshold above it. Two do
    where neither does alone, both are needed, and their sum does; they fill the slots that single items leave.
    Ties go to the lower price, then to the lower item_id. InputError where an amount is no amount.
    """
    options = options or FillerOptions()
    if k < 1:
        raise InputError(f"k is {k}; at least one filler must be asked for")
    worth, limit = _next_threshold(cart_worth, thresholds, options.digits)
    if limit is None:
        return Fillers(float(worth), None, 0.0, (), (), (), "the cart has reached every threshold")
    gap = limit - worth
    facts = (float(worth), float(limit), float(gap))
    if worth < limit * exact(options.from_share):
        return Fillers(*facts, (), (), (), f"the cart is below {options.from_share:.0%} of the threshold")
    most = gap + limit * exact(options.most_over)
    priced, left_out = _priced(ranked, shelf, cart, sold_out, options.digits)
    alone: list[_Found] = sorted((-chance, price, (item,)) for item, price, chance in priced if gap <= price <= most)
    short = [one for one in priced if one[1] < gap]
    found = alone[:k]
    if options.pairs and len(found) < k:
        found += sorted(_pairs(short[: options.pair_items], gap, most))[: k - len(found)]
    used = {item for _, _, items in found for item in items}
    left_out += [NoFiller(item, DEAR) for item, price, _ in priced if price > most]
    left_out += [NoFiller(item, CHEAP) for item, _, _ in short if item not in used]
    return Fillers(
        *facts,
        tuple(Filler(items, float(price), float(worth + price - limit), -low) for low, price, items in found),
        tuple(items[0] for _, _, items in alone[k:]),
        tuple(left_out),
        "" if found else _nothing(left_out, len(ranked)),
    )


def _next_threshold(worth: float, thresholds: Sequence[float], digits: int) -> tuple[Decimal, Decimal | None]:
    """Exact total, and the lowest threshold above it."""
    total_worth, limits = exact(worth), [exact(t) for t in thresholds]
    if total_worth < 0:
        raise InputError(f"the cart is worth {worth}; give its total, 0 or more")
    wrong = [t for t in limits if t <= 0]
    if wrong or not limits:
        raise InputError(f"thresholds are {list(thresholds)}; give at least one amount, all above 0")
    total_worth = rounded(total_worth, digits)
    return total_worth, min((t for t in limits if t > total_worth), default=None)


_Priced = tuple[str, Decimal, float]  # item, price as shown, probability
_Found = tuple[float, Decimal, tuple[str, ...]]  # -probability, price, items


def _priced(
    ranked: Sequence[tuple[str, float]], shelf: Shelf, cart: Collection[str], sold_out: Collection[str], digits: int
) -> tuple[list[_Priced], list[NoFiller]]:
    """The items that may be offered at a known price, likeliest first, and the others."""
    priced, left_out = [], []
    for item, chance in sorted(dict(ranked).items(), key=lambda one: (-one[1], one[0])):
        price = shelf.price(item)
        if item in cart:
            left_out.append(NoFiller(item, "in the cart"))
        elif item in sold_out:
            left_out.append(NoFiller(item, "sold out"))
        elif price is None or price <= 0:
            left_out.append(NoFiller(item, "price unknown"))
        else:
            priced.append((item, rounded(exact(price), digits), chance))
    return priced, left_out


def _pairs(short: Sequence[_Priced], gap: Decimal, most: Decimal) -> list[_Found]:
    """(-probability of both, price, items): neither closes the gap alone, together they do."""
    return [
        (-one * other, price + more, (item, beside))
        for (item, price, one), (beside, more, other) in combinations(short, 2)
        if gap <= price + more <= most
    ]


def _nothing(left_out: Sequence[NoFiller], asked: int) -> str:
    if not asked:
        return "no items were given to choose from"
    counts = Counter(one.reason for one in left_out)
    return "nothing closes the gap: " + ", ".join(f"{n} {reason}" for reason, n in counts.most_common())


def filler_offers(
    found: Fillers,
    cart: Sequence[str],
    shelf: Shelf,
    customer_id: str | None = None,
    options: FillerOptions | None = None,
) -> list[Offer]:
    """One offer at list price per filler, likeliest first, with what it brings in words."""
    options = options or FillerOptions()
    return [
        Offer(
            kind="filler",
            customer_id=customer_id,
            anchor_items=tuple(cart),
            items=one.items,
            list_price=one.price,
            offer_price=one.price,
            reason=f"{found.gap:.{options.digits}f} are missing for {options.reward}; with "
            f"{' and '.join(shelf.name(item) for item in one.items)} for {one.price:.{options.digits}f} it is reached",
            incentive=Incentive(kind=options.incentive, amount=found.threshold),
            probability=one.probability,
        )
        for one in found.kept
    ]
