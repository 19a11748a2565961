"""Cross-sell ranked by the learned ranker: what goes with a page, a cart or an order, for a customer or anybody.

basket ──▶ candidates ──▶ ranker ──▶ substitutes, sold out ▸ same type by policy ──▶ k, complements first
                          │                   │
                          pairs with evidence │ reasons
                                              ▼
                                           left out
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ..affinity import Affinity
from ..data.histories import Histories, IdMap, Ints, carts
from ..errors import InputError
from ..ranking.base_models import BaseModels
from ..ranking.blend import Ranked, rank
from ..ranking.hybrid import Hybrid
from ..ranking.reasons import Explainer
from .cross_sell import (
    Companion,
    CrossSellOptions,
    LeftOut,
    choose,
    evidence_of,
    of_own_type,
    require_k,
    said,
    substitute_of,
    upsell_pool,
)
from .rules import Offer
from .shelf import Shelf


@dataclass(frozen=True)
class Place:
    """Where cross-sell is shown. k: slots; history: the customer's orders rank too; basket: what it is taken for."""

    k: int
    history: bool
    basket: str


PLACES = {
    "product": Place(4, False, "the page's one item"),
    "cart": Place(3, True, "the open cart"),
    "checkout": Place(3, True, "the cart that is about to be paid"),
    "post_purchase": Place(3, True, "the order just placed; empty = the customer's latest known order"),
    "reminder": Place(3, True, "what the customer bought before that the reminder is about"),
}


# how the ranker's reasons speak of the basket where it is no cart, first match first
WORDS = {
    "product": (("orders like your cart", "orders with this item"), (", in your cart", ""),
                ("what is in your cart", "this item"), ("your cart", "this item")),
    "post_purchase": (("your cart", "your latest order"),),
    "reminder": (("what is in your cart", "what you bought before"),
                 ("orders like your cart", "orders with such items"), (", in your cart", ", which you bought"),
                 ("your cart", "what you bought before")),
}  # fmt: skip


NO_COMPANY = "nothing goes with it"


@dataclass(frozen=True)
class Suggestion:
    """An item to offer. `evidence`: its strongest pair with the basket, None where no pair has evidence.

    probability  that an order with this basket holds the item, as the ranker says
    reason       the evidence in words, else what moved the ranker most and is true
    """

    item_id: str
    probability: float
    same_type: bool
    evidence: Companion | None
    reason: str


@dataclass(frozen=True)
class Suggestions:
    """At most k suggestions, complements first; who stood before the last of them and was left out, and why.

    why_none is empty where there are suggestions.
    """

    kept: tuple[Suggestion, ...]
    left_out: tuple[LeftOut, ...]
    anchors: tuple[str, ...]
    unknown_anchors: tuple[str, ...]
    unknown_customer: bool
    why_none: str

    @property
    def upsell_pool(self) -> tuple[tuple[str, str], ...]:
        """(anchor, item) of the substitutes: no company for the anchor, perhaps an upgrade of it."""
        return upsell_pool(self.left_out)


@dataclass(frozen=True)
class Choice:
    """Of one query, rows of the ranked candidates: the chosen ones, and those passed over before the last of them."""

    rows: Ints
    substitutes: Ints
    same_type: Ints
    unavailable: Ints


@dataclass(frozen=True)
class CrossSeller:
    """What baskets are answered with.

    ranker       the hybrid, or better the one trained on carts and new items alone (`training_set.cart_and_new`)
    shelf        of the models' items
    rules        pairs with evidence (`affinity.only_evident`), for the reasons
    substitutes  bool (n_types,), see `substitutes.substitute_types`; empty = no type is known to hold any
    """

    models: BaseModels
    ranker: Hybrid
    shelf: Shelf
    rules: Affinity
    customers: IdMap
    histories: Histories
    substitutes: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    options: CrossSellOptions = field(default_factory=CrossSellOptions)

    def ask(
        self,
        placement: str,
        basket: Sequence[str] = (),
        customer_id: str | None = None,
        *,
        k: int | None = None,
        unavailable: Collection[str] = (),
        barred: np.ndarray | None = None,
        least: float = 0.0,
    ) -> Suggestions:
        """Suggestions for one basket; `k` by default that of the placement; `unavailable`: item ids sold out.

        barred  bool (n_items,): items that are no candidates at all
        least   probability below which nothing is suggested

        Unknown items and customers are named and otherwise ignored. InputError where the placement cannot read
        the basket.
        """
        place = placed_at(placement)
        k = place.k if k is None else k
        require_k(k)
        who = -1 if customer_id is None else int(self.customers.positions([customer_id])[0])
        anchors = tuple(dict.fromkeys(basket))
        if placement == "post_purchase" and not anchors and who >= 0:
            anchors = self.latest_order(who)
        _check(placement, anchors, who >= 0)
        at = self.shelf.items.positions(list(anchors))
        unknown = tuple(a for a, known in zip(anchors, at >= 0, strict=True) if not known)
        known = tuple(a for a in anchors if a not in unknown)
        facts = (known, unknown, customer_id is not None and who < 0)
        if not known:
            return Suggestions((), (), *facts, f"none of the {len(anchors)} items of the basket is known")
        who = who if place.history else -1
        queries = self.histories.take_or_blank(np.array([who])).with_cart(carts([at], len(self.shelf.items)))
        both = None if barred is None else barred[None, :]
        ((kept, left_out),) = self.answer(placement, queries, [known], k, unavailable, both, least)
        why = "" if kept else f"all {len(left_out)} candidates were left out" if left_out else "nothing is a candidate"
        return Suggestions(kept, left_out, *facts, why)

    def suggest(
        self,
        placement: str,
        histories: Histories,
        anchors: Sequence[tuple[str, ...]],
        k: int,
        unavailable: Collection[str] = (),
    ) -> list[Suggestions]:
        """Suggestions for a block: the customers' histories, and a basket of known items, at least one, for each."""
        baskets = carts([self.shelf.items.positions(own) for own in anchors], len(self.shelf.items))
        answers = self.answer(placement, histories.with_cart(baskets), anchors, k, unavailable)
        return [
            Suggestions(kept, left_out, names, (), False, "" if kept else NO_COMPANY)
            for (kept, left_out), names in zip(answers, anchors, strict=True)
        ]

    def answer(
        self,
        placement: str,
        queries: Histories,
        anchors: Sequence[tuple[str, ...]],
        k: int,
        unavailable: Collection[str] = (),
        barred: np.ndarray | None = None,
        least: float = 0.0,
    ) -> list[tuple[tuple[Suggestion, ...], tuple[LeftOut, ...]]]:
        """(kept, left out) of each query of a block, its cart being `anchors`, known items at least one.

        `barred` bool (n, n_items); `least` as of `ask`.
        """
        ranked = self.rank(queries, barred)
        choices = self.choose(ranked, queries, k, unavailable, least)
        kept = self._suggestions(placement, ranked, choices, queries, anchors)
        return [
            (mine, self._left_out(ranked, choice, names))
            for mine, choice, names in zip(kept, choices, anchors, strict=True)
        ]

    def rank(self, queries: Histories, barred: np.ndarray | None = None) -> Ranked:
        """The candidates of a block of queries, their carts being the baskets; not those bought before, by option."""
        if self.options.new_only:
            shape = (len(queries), len(self.shelf.items))
            barred = np.zeros(shape, bool) if barred is None else barred.copy()
            barred[queries.rows, queries.items] = True
        return rank(self.models, self.ranker, queries, barred)

    def choose(
        self, ranked: Ranked, queries: Histories, k: int, unavailable: Collection[str] = (), least: float = 0.0
    ) -> list[Choice]:
        """The choice of each query among its ranked candidates of probability `least` or more."""
        found = ranked.candidates
        own = self.shelf.types[found.item]
        alike = (own >= 0) & basket_types(queries, self.shelf.types)[found.query, own]
        instead = alike & np.append(self.substitutes, np.zeros(len(self.shelf.types) + 1, bool))[own]
        gone = np.isin(found.item, self.shelf.items.positions(list(unavailable)))
        order = np.lexsort((found.item, -ranked.scores, found.query))
        order = order[ranked.probabilities[order] >= least]
        ends = np.cumsum(np.bincount(found.query[order], minlength=len(queries)))
        rows_of = np.split(order, ends[:-1])
        return [_choice(rows, k, self.options.same_type_limit, alike, instead, gone) for rows in rows_of]

    def latest_order(self, who: int) -> tuple[str, ...]:
        """Items of the latest known order of the customer in that row of the histories."""
        lines = slice(self.histories.indptr[who], self.histories.indptr[who + 1])
        latest = np.unique(self.histories.items[lines][self.histories.orders[lines] == 0])
        return tuple(self.shelf.items.ids[i] for i in latest)

    def _suggestions(
        self,
        placement: str,
        ranked: Ranked,
        choices: Sequence[Choice],
        queries: Histories,
        anchors: Sequence[tuple[str, ...]],
    ) -> list[tuple[Suggestion, ...]]:
        """Of each query. What moved the ranker is only worked out where no pair has evidence."""
        ids = [[self.shelf.items.ids[i] for i in ranked.candidates.item[choice.rows]] for choice in choices]
        pairs = [
            evidence_of(self.rules, names, own, shelf=self.shelf, shrink=self.options.shrink)
            for names, own in zip(anchors, ids, strict=True)
        ]
        bare = [r for c, own, found in zip(choices, ids, pairs, strict=True)
                for r, item in zip(c.rows, own, strict=True) if item not in found]  # fmt: skip
        said_of = self._moved_by(placement, ranked, np.array(bare, np.int64), queries)
        return [
            tuple(
                Suggestion(
                    item_id=item,
                    probability=float(ranked.probabilities[row]),
                    same_type=of_own_type(self.shelf, item, names) is not None,
                    evidence=found.get(item),
                    reason=said(found[item], self.shelf) if item in found else said_of[int(row)],
                )
                for item, row in zip(own, choice.rows, strict=True)
            )
            for choice, own, found, names in zip(choices, ids, pairs, anchors, strict=True)
        ]

    def _moved_by(self, placement: str, ranked: Ranked, rows: Ints, queries: Histories) -> dict[int, str]:
        """Row → what moved the ranker most, in words."""
        if not len(rows):
            return {}
        why = self._explainer.reasons(self.ranker, ranked, rows, queries)
        return {int(row): in_words_of(placement, reason.text) for row, reason in zip(rows, why, strict=True)}

    @cached_property
    def _explainer(self) -> Explainer:
        return Explainer.of(self.shelf.items.ids, self.shelf.names, self.models)

    def _left_out(self, ranked: Ranked, choice: Choice, anchors: tuple[str, ...]) -> tuple[LeftOut, ...]:
        out = []
        for row in np.concatenate([choice.substitutes, choice.same_type]):
            item = self.shelf.items.ids[ranked.candidates.item[row]]
            anchor = of_own_type(self.shelf, item, anchors) or anchors[0]
            if row in choice.substitutes:
                out.append(substitute_of(self.shelf, item, anchor))
            else:
                out.append(LeftOut(item, anchor, "same_type", f"same type as {self.shelf.name(anchor)}"))
        gone = (self.shelf.items.ids[i] for i in ranked.candidates.item[choice.unavailable])
        return (*out, *(LeftOut(item, anchors[0], "unavailable", "sold out") for item in gone))


def in_words_of(placement: str, reason: str) -> str:
    """The reason with the basket called what it is there."""
    for cart, own in WORDS.get(placement, ()):
        reason = reason.replace(cart, own)
    return reason


def basket_types(queries: Histories, types: Ints) -> np.ndarray:
    """bool (n, n_types + 1): types that lie in each cart; the last column, of unknown types, is False."""
    out = np.zeros((len(queries), int(types.max(initial=-1)) + 2), bool)
    query = np.repeat(np.arange(len(queries)), np.diff(queries.cart.indptr))
    out[query, types[queries.cart.indices]] = True
    out[:, -1] = False
    return out


def placed_at(placement: str) -> Place:
    """InputError where there is no such place."""
    if placement not in PLACES:
        raise InputError(f"placement is {placement!r}; give one of {', '.join(PLACES)}")
    return PLACES[placement]


def _check(placement: str, anchors: tuple[str, ...], known_customer: bool) -> None:
    if placement == "product" and len(anchors) != 1:
        raise InputError(f"placement product needs one item, that of the page, not {len(anchors)}; ask placement cart")
    if not anchors:
        more = "" if known_customer or placement != "post_purchase" else " and the customer has no known order"
        raise InputError(f"placement {placement} needs a basket: it is empty{more}; give {PLACES[placement].basket}")


def _choice(rows: Ints, k: int, limit: int | None, alike: np.ndarray, instead: np.ndarray, gone: np.ndarray) -> Choice:
    """Of one query's rows, best first."""
    open_to = np.flatnonzero(~(instead | gone)[rows])
    places = open_to[choose(alike[rows[open_to]].tolist(), k, limit)]
    before = rows[: places.max() + 1] if len(places) == k else rows
    passed = before[~np.isin(before, rows[places])]
    out, off = instead[passed], gone[passed]
    return Choice(rows[places], passed[out & ~off], passed[~out & ~off], passed[off])


def suggestion_offers(found: Suggestions, shelf: Shelf, customer_id: str | None = None) -> list[Offer]:
    """One offer at list price per suggestion."""
    return [
        Offer(
            kind="cross_sell",
            customer_id=customer_id,
            anchor_items=found.anchors,
            items=(one.item_id,),
            list_price=shelf.price(one.item_id),
            offer_price=shelf.price(one.item_id),
            reason=one.reason,
            probability=one.probability,
        )
        for one in found.kept
    ]
