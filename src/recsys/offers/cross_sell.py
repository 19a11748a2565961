"""Cross-sell: complements of what is in the cart, with the evidence; never something bought instead of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from ..affinity import Affinity, adjusted_lift, expected_by_size, low_of, take
from ..data.histories import Csr, Floats, Histories, Ints
from ..errors import InputError
from .rules import Offer
from .shelf import Shelf


@dataclass(frozen=True, kw_only=True)
class CrossSellOptions:
    """How companions are chosen among the pairs with evidence."""

    shrink: float = 20.0  # orders added to each item's own in the cosine that ranks companions
    same_type: bool = True  # keep items of an anchor's type (flavours), after the complements of other types
    substitute_below: float = 0.8  # a type is of substitutes where joint / expected surely lies below this
    confidence: float = 0.95  # of "surely"


# --- which types hold substitutes


@dataclass(frozen=True)
class TypeEvidence:
    """How often customers had two items of a type in one order, and how often chance would have had it.

    joint     int64 (n_types,): pairs of items of the type in one order, over all orders of known customers
    expected  float64 (n_types,): the same with each customer's lines shuffled over the customer's orders
    """

    joint: Ints
    expected: Floats


def type_evidence(histories: Histories, types: Ints) -> TypeEvidence:
    """`types` int (n_items,), -1 = unknown. Customers with a single order say nothing and are left out.

    Shuffling L lines over orders of sizes s puts two given lines into one order with probability
    Σ s (s - 1) / (L (L - 1)): who buys A in some orders and B in others, and never both, lies below it.
    """
    of_type = _indicator(types)
    several = histories.n_orders > 1
    bought = histories.sums(np.ones(len(histories.items)))  # customers × items
    pairs = ((bought @ of_type).power(2) - bought.power(2) @ of_type) / 2
    joint = _in_one_order(histories, of_type, several)
    return TypeEvidence(joint, np.asarray(pairs.T @ (_chance_of_one_order(histories) * several), float))


def _indicator(types: Ints) -> Csr:
    """CSR float64 (n_items, n_types): 1 at the type of each item that has one."""
    known = np.flatnonzero(types >= 0)
    shape = (len(types), int(types.max(initial=-1)) + 1)
    return sp.csr_matrix((np.ones(len(known)), (known, types[known])), shape=shape)


def _order_rows(histories: Histories) -> tuple[Ints, Ints]:
    """Number of each line's order among all customers' orders, and the customer of each order."""
    first = np.cumsum(histories.n_orders) - histories.n_orders
    return first[histories.rows] + histories.orders, np.repeat(np.arange(len(histories)), histories.n_orders)


def _in_one_order(histories: Histories, of_type: Csr, several: np.ndarray) -> Ints:
    """int64 (n_types,): pairs of items of the type in one order, over the customers `several`."""
    row, customer = _order_rows(histories)
    where = (row, histories.items)
    orders = sp.csr_matrix((np.ones(len(row)), where), shape=(len(customer), histories.n_items))
    count = orders[several[customer]] @ of_type
    return np.asarray((count.power(2) - count).sum(axis=0)).ravel().astype(np.int64) // 2


def _chance_of_one_order(histories: Histories) -> Floats:
    """float64 (n,): probability that two lines of the customer fall into one order; 0 where there is one line."""
    row, customer = _order_rows(histories)
    sizes = np.bincount(row, minlength=len(customer)).astype(float)
    slots = np.bincount(customer, sizes * (sizes - 1), minlength=len(histories))
    lines = np.diff(histories.indptr).astype(float)
    return np.asarray(slots / np.maximum(lines * (lines - 1), 1))


def substitute_types(evidence: TypeEvidence, options: CrossSellOptions | None = None) -> np.ndarray:
    """bool (n_types,): the one-sided upper bound of joint / expected (Garwood 1936) lies below the bar.

    False where nothing was to expect: no evidence is not evidence of substitutes.
    """
    from scipy.special import gammaincinv

    options = options or CrossSellOptions()
    upper = np.asarray(gammaincinv(evidence.joint + 1, options.confidence))
    return np.asarray(upper < options.substitute_below * evidence.expected)


# --- companions


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


@dataclass(frozen=True)
class LeftOut:
    """An item with evidence that is not offered, and why."""

    item_id: str
    anchor_id: str
    reason: str


@dataclass(frozen=True)
class Companions:
    """At most k companions, best first; what was left out of the rules; anchors of which nothing is known."""

    kept: tuple[Companion, ...]
    left_out: tuple[LeftOut, ...]
    unknown_anchors: tuple[str, ...]


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

    Complements of other types come first, then items of an anchor's own type; by score, then item_id. Left out are
    items of an anchor's type where `substitutes` (bool per type, `substitute_types`) says so, and anchors themselves.
    """
    if k < 1:
        raise InputError(f"k is {k}; at least one companion must be asked for")
    options = options or CrossSellOptions()
    asked = rules.items.positions(list(dict.fromkeys(anchors)))
    kept, left_out = [], []
    for edges in _edges(rules, asked[asked >= 0], options.shrink):
        refused = _refused(edges, shelf, substitutes, options)
        if refused:
            left_out.append(refused)
        else:
            kept.append(_companion(edges, shelf))
    kept.sort(key=lambda c: (c.same_type, -c.score, c.item_id))
    unknown = tuple(a for a in dict.fromkeys(anchors) if a not in rules.items)
    return Companions(tuple(kept[:k]), tuple(left_out), unknown)


@dataclass(frozen=True)
class _Edges:
    """Pairs between one item and the anchors, the strongest first."""

    item: str
    anchors: tuple[str, ...]
    anchor_sold: int  # orders with the strongest anchor
    pairs: Affinity
    scores: Floats


def _edges(rules: Affinity, anchors: Ints, shrink: float) -> list[_Edges]:
    """One entry per item, not itself an anchor, that has a pair with an anchor; sorted by item."""
    is_anchor = np.zeros(len(rules.items), bool)
    is_anchor[anchors] = True
    pairs = np.flatnonzero(is_anchor[rules.a] ^ is_anchor[rules.b])
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


def _refused(edges: _Edges, shelf: Shelf, substitutes: np.ndarray | None, options: CrossSellOptions) -> LeftOut | None:
    own = int(shelf.types_of([edges.item])[0])
    alike = np.flatnonzero(shelf.types_of(list(edges.anchors)) == own)
    if own < 0 or not len(alike):
        return None
    anchor = edges.anchors[alike[0]]
    if substitutes is not None and own < len(substitutes) and substitutes[own]:
        why = f"substitute of {shelf.name(anchor)}: customers buy items of this type instead of one another"
        return LeftOut(edges.item, anchor, why)
    if not options.same_type:
        return LeftOut(edges.item, anchor, f"same type as {shelf.name(anchor)}")
    return None


def _companion(edges: _Edges, shelf: Shelf) -> Companion:
    best = edges.pairs
    joint = int(best.joint[0])
    own, *others = shelf.types_of([edges.item, *edges.anchors]).tolist()
    return Companion(
        item_id=edges.item,
        anchor_id=edges.anchors[0],
        joint=joint,
        customers=int(best.customers[0]),
        confidence=joint / edges.anchor_sold,
        lift=float(adjusted_lift(best)[0]),
        low=float(low_of(best.joint, expected_by_size(best))[0]),
        score=float(edges.scores.sum()),
        same_type=own >= 0 and own in others,
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
            reason=f"in {c.confidence:.0%} of the orders with {shelf.name(c.anchor_id)}, {c.joint} orders of "
            f"{c.customers} customers; {c.lift:.1f} times as many as orders of their size explain",
        )
        for c in found.kept
    ]
