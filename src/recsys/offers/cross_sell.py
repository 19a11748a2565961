"""Cross-sell: complements of what is in the cart, with the evidence; never something bought instead of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from ..affinity import Affinity, adjusted_lift, expected_by_size, low_of, take
from ..data.histories import Floats, Ints
from ..errors import InputError
from .rules import Offer
from .shelf import Shelf
from .substitutes import is_substitute

SameType = Literal["keep", "thin_out", "exclude"]


@dataclass(frozen=True, kw_only=True)
class CrossSellOptions:
    """How companions are chosen; substitutes are never among them."""

    shrink: float = 20.0  # orders added to each item's own in the cosine that ranks companions
    same_type: SameType = "keep"  # items of an anchor's type: flavours are bought together
    same_type_slots: int = 1  # of a list whose same type is thinned out
    new_only: bool = True  # nothing that the customer bought before: that would be a reminder (learned ranker only)

    def __post_init__(self) -> None:
        if self.same_type not in get_args(SameType):
            raise InputError(f"cross_sell.same_type is {self.same_type!r}; give one of {', '.join(get_args(SameType))}")
        if self.same_type_slots < 0:
            raise InputError(f"cross_sell.same_type_slots is {self.same_type_slots}; it must be 0 or more")

    @property
    def same_type_limit(self) -> int | None:
        """Slots that items of an anchor's type may take; None = any."""
        return {"keep": None, "thin_out": self.same_type_slots, "exclude": 0}[self.same_type]


def choose(alike: Sequence[bool], k: int, limit: int | None) -> list[int]:
    """Places of the at most k chosen of a list given best first: complements, then items of an anchor's type.

    `alike` says which are of an anchor's type; at most `limit` of these are taken, None = any number.
    """
    others: list[int] = []
    same: list[int] = []
    for place, is_alike in enumerate(alike):
        if len(others) + len(same) == k:
            break
        if not is_alike:
            others.append(place)
        elif limit is None or len(same) < limit:
            same.append(place)
    return others + same


@dataclass(frozen=True)
class Companion:
    """An item to offer beside `anchor_id`, the anchor it goes with best.

    joint         orders with both
    customers     distinct customers behind them
    confidence    share of the anchor's orders that hold the item
    lift, low     size-adjusted lift and its lower bound
    score         Σ over all anchors of joint / √((sold + shrink)(sold + shrink))
    same_type     of the type of an anchor
    """

    item_id: str
    anchor_id: str
    joint: int
    customers: int
    confidence: float
    lift: float
    low: float
    score: float
    same_type: bool


Why = Literal["substitute", "same_type", "unavailable"]


@dataclass(frozen=True)
class LeftOut:
    """An item that could have been offered and is not, and why."""

    item_id: str
    anchor_id: str
    why: Why
    reason: str


@dataclass(frozen=True)
class Companions:
    """At most k companions, complements first; what was left out; anchors of which nothing is known."""

    kept: tuple[Companion, ...]
    left_out: tuple[LeftOut, ...]
    unknown_anchors: tuple[str, ...]

    @property
    def upsell_pool(self) -> tuple[tuple[str, str], ...]:
        """(anchor, item) of the substitutes: no company for the anchor, perhaps an upgrade of it."""
        return upsell_pool(self.left_out)


def upsell_pool(left_out: Sequence[LeftOut]) -> tuple[tuple[str, str], ...]:
    """(anchor, item) of the substitutes among what was left out."""
    return tuple((one.anchor_id, one.item_id) for one in left_out if one.why == "substitute")


def companions(
    rules: Affinity,
    anchors: Sequence[str],
    k: int = 3,
    *,
    shelf: Shelf,
    substitutes: np.ndarray | None = None,
    options: CrossSellOptions | None = None,
) -> Companions:
    """Companions of the anchors out of `rules`, the pairs with evidence (`affinity.only_evident`).

    The k best by score, then item_id, are shown complements first. Left out are items of an anchor's type where
    `substitutes` (bool per type, `substitute_types`) says so, or where `same_type` does not keep them.
    """
    require_k(k)
    options = options or CrossSellOptions()
    asked = rules.items.positions(list(dict.fromkeys(anchors)))
    found, left_out = [], []
    for edges in _edges(rules, asked[asked >= 0], options.shrink):
        one = _companion(edges, shelf, anchors)
        anchor = of_own_type(shelf, one.item_id, [*edges.anchors, *anchors])
        if anchor is not None and is_substitute(shelf, substitutes, one.item_id):
            left_out.append(substitute_of(shelf, one.item_id, anchor))
        elif anchor is not None and options.same_type_limit == 0:
            left_out.append(LeftOut(one.item_id, anchor, "same_type", f"same type as {shelf.name(anchor)}"))
        else:
            found.append(one)
    found.sort(key=lambda c: (-c.score, c.item_id))
    places = choose([c.same_type for c in found], k, options.same_type_limit)
    unknown = tuple(a for a in dict.fromkeys(anchors) if a not in rules.items)
    return Companions(tuple(found[place] for place in places), tuple(left_out), unknown)


def require_k(k: int) -> None:
    if k < 1:
        raise InputError(f"k is {k}; at least one companion must be asked for")


def evidence_of(
    rules: Affinity, anchors: Sequence[str], items: Sequence[str], *, shelf: Shelf, shrink: float
) -> dict[str, Companion]:
    """By item: its pairs with the anchors, for those of `items` that have one with evidence."""
    asked, wanted = (rules.items.positions(list(dict.fromkeys(ids))) for ids in (anchors, items))
    edges = _edges(rules, asked[asked >= 0], shrink, wanted[wanted >= 0])
    return {one.item: _companion(one, shelf, anchors) for one in edges}


def substitute_of(shelf: Shelf, item_id: str, anchor_id: str) -> LeftOut:
    why = f"substitute of {shelf.name(anchor_id)}: customers buy items of this type instead of one another"
    return LeftOut(item_id, anchor_id, "substitute", why)


@dataclass(frozen=True)
class _Edges:
    """Pairs between one item and the anchors, the strongest first."""

    item: str
    anchors: tuple[str, ...]
    anchor_sold: int  # orders with the strongest anchor
    pairs: Affinity
    scores: Floats


def _edges(rules: Affinity, anchors: Ints, shrink: float, only: Ints | None = None) -> list[_Edges]:
    """One entry per item, not itself an anchor, that has a pair with an anchor; sorted by item.

    `only`: positions of the items that are asked about; None = all.
    """
    is_anchor, wanted = np.zeros(len(rules.items), bool), np.full(len(rules.items), only is None)
    is_anchor[anchors] = True
    wanted[[] if only is None else only] = True
    between = (is_anchor[rules.a] & wanted[rules.b] & ~is_anchor[rules.b]) | (
        is_anchor[rules.b] & wanted[rules.a] & ~is_anchor[rules.a]
    )
    pairs = np.flatnonzero(between)
    forth = is_anchor[rules.a[pairs]]
    anchor = np.where(forth, rules.a[pairs], rules.b[pairs])
    item = np.where(forth, rules.b[pairs], rules.a[pairs])
    score = rules.joint[pairs] / np.sqrt((rules.sold[anchor] + shrink) * (rules.sold[item] + shrink))
    order = np.lexsort((anchor, -score, item))
    starts = np.flatnonzero(np.diff(item[order], prepend=-1))
    ids = rules.items.ids
    return [
        _Edges(
            ids[item[part[0]]],
            tuple(ids[a] for a in anchor[part]),
            int(rules.sold[anchor[part[0]]]),
            take(rules, pairs[part]),
            score[part],
        )
        for part in (np.split(order, starts[1:]) if len(order) else [])
    ]


def of_own_type(shelf: Shelf, item_id: str, anchors: Sequence[str]) -> str | None:
    """The first anchor of the item's own type; None where there is none, or the type is unknown."""
    own = int(shelf.types_of([item_id])[0])
    alike = np.flatnonzero(shelf.types_of(list(anchors)) == own)
    return anchors[alike[0]] if own >= 0 and len(alike) else None


def _companion(edges: _Edges, shelf: Shelf, anchors: Sequence[str]) -> Companion:
    best = edges.pairs
    joint = int(best.joint[0])
    return Companion(
        item_id=edges.item,
        anchor_id=edges.anchors[0],
        joint=joint,
        customers=int(best.customers[0]),
        confidence=joint / edges.anchor_sold,
        lift=float(adjusted_lift(best)[0]),
        low=float(low_of(best.joint, expected_by_size(best))[0]),
        score=float(edges.scores.sum()),
        same_type=of_own_type(shelf, edges.item, anchors) is not None,
    )


def cross_sell_offers(
    found: Companions, anchors: Sequence[str], shelf: Shelf, customer_id: str | None = None
) -> list[Offer]:
    """One offer at list price per companion, best first, with the evidence in words."""
    return [
        Offer(
            kind="cross_sell",
            customer_id=customer_id,
            anchor_items=tuple(anchors),
            items=(c.item_id,),
            list_price=shelf.price(c.item_id),
            offer_price=shelf.price(c.item_id),
            reason=said(c, shelf),
        )
        for c in found.kept
    ]


def said(one: Companion, shelf: Shelf) -> str:
    """The evidence in words."""
    return (
        f"in {one.confidence:.0%} of the orders with {shelf.name(one.anchor_id)}, {one.joint} orders of "
        f"{one.customers} customers; {one.lift:.1f} times as many as orders of their size explain"
    )
