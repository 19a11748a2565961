"""Offers for what is due: the kit of offers asked with what the customer had bought when the day began.

due row ─┬─ cross_sell: what goes with the anchors, or with the latest order ─┐
         └─ upsell: a step up from the anchors, or from what is usual ────────┴─▶ Contact: offers best first, unjudged
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import polars as pl

from recsys.data.histories import IdMap, Ints
from recsys.data.interactions import InteractionOptions, histories_of, lines_before
from recsys.moments.known import Known
from recsys.moments.options import TriggersOptions
from recsys.moments.triggers.base import Trigger
from recsys.offers.cross_seller import Suggestions, suggestion_offers
from recsys.offers.incentives import with_incentive
from recsys.offers.kit import OfferKit
from recsys.offers.rules import Offer
from recsys.offers.upsell import upsell_offers
from recsys.ranking.blend import by_block

NO_ANCHOR = "the offers know none of the items it starts from, and no order of the customer"
NO_STEP = "no step up from what is usual"


Silent = tuple[str, datetime | None]  # a rule that refuses whatever is offered, and when it ends


@dataclass(frozen=True)
class Contact:
    """What is due for a customer, and the offers made for it, best first.

    why_none  empty where there are any
    silent    why none was asked for
    """

    customer_id: str
    trigger: str
    channel: str
    kind: str  # cross_sell | upsell
    priority: int
    offers: tuple[Offer, ...]
    why_none: str = ""
    silent: Silent | None = None

    @property
    def worth(self) -> float | None:
        """Expected revenue, Σ probability · price of the offers; None where none has both."""
        known = [
            o.probability * o.offer_price
            for o in self.offers
            if o.probability is not None and o.offer_price is not None
        ]
        return sum(known) if known else None


def ask(
    kit: OfferKit,
    due: pl.DataFrame,
    triggers: TriggersOptions | None = None,
    silent: Sequence[Silent | None] | None = None,
) -> list[Contact]:
    """A contact for each row of `due` (moments.due.DUE), in their order. `kit`: of `kit_at`, with their customers.

    `silent`: of each row, why nothing need be asked for it; by default everything is.
    """
    triggers = triggers or TriggersOptions()
    rows = due.to_dicts()
    quiet = silent if silent is not None else [None] * len(rows)
    found = {at: replace(_contact(rows[at], triggers), silent=why) for at, why in enumerate(quiet) if why}
    for how, places in _asked_alike(rows, triggers, found).items():
        blocks = by_block(len(places), partial(_answer, kit, triggers, how, [rows[at] for at in places]))
        found |= dict(zip(places, chain.from_iterable(blocks), strict=True))
    return [found[at] for at in range(len(rows))]


def kit_at(
    kit: OfferKit, known: Known, customers: Iterable[str], interactions: InteractionOptions | None = None
) -> OfferKit:
    """The kit with the histories of these customers at the moment; models, prices and bundles stay those of the kit."""
    interactions, ids = interactions or InteractionOptions(), IdMap.of(list(customers))
    own = known.lines.filter(pl.col("customer_id").is_in(list(ids.ids)))
    lines = lines_before(own, known.moment, interactions.max_age_days)
    histories = histories_of(lines, ids, kit.shelf.items, interactions)
    histories = replace(histories, customers=kit.customers.positions(ids.ids))
    return replace(kit, seller=replace(kit.seller, customers=ids, histories=histories))


How = tuple[str, str]  # kind of offer, placement


def _asked_alike(
    rows: Sequence[dict[str, Any]], triggers: TriggersOptions, done: Collection[int]
) -> dict[How, list[int]]:
    """Places of the rows that are asked in one way."""
    alike: dict[How, list[int]] = {}
    for at, row in enumerate(rows):
        if at not in done:
            placement = getattr(triggers, row["trigger"]).placement if row["offer"] == "cross_sell" else ""
            alike.setdefault((row["offer"], placement), []).append(at)
    return alike


def _answer(
    kit: OfferKit, triggers: TriggersOptions, how: How, rows: Sequence[dict[str, Any]], block: Ints
) -> list[Contact]:
    some = [rows[at] for at in block]
    asked, anchors = [_contact(row, triggers) for row in some], [row["anchors"] for row in some]
    kind, placement = how
    return _upsell(kit, asked, anchors) if kind == "upsell" else _cross_sell(kit, placement, asked, anchors)


def _contact(row: dict[str, Any], triggers: TriggersOptions) -> Contact:
    trigger: Trigger = getattr(triggers, row["trigger"])
    return Contact(row["customer_id"], row["trigger"], trigger.channel, row["offer"], row["priority"], ())


def _cross_sell(kit: OfferKit, placement: str, asked: list[Contact], anchors: Sequence[Sequence[str]]) -> list[Contact]:
    rows = kit.customers.positions([one.customer_id for one in asked])
    starts = [_known(kit, own) or kit.seller.latest_order(int(row)) for own, row in zip(anchors, rows, strict=True)]
    open_to = np.flatnonzero([len(start) > 0 for start in starts])
    answers = _suggested(kit, placement, rows[open_to], [starts[at] for at in open_to])
    made = dict(zip(open_to.tolist(), answers, strict=True))
    return [_with(kit, one, made.get(at)) for at, one in enumerate(asked)]


def _with(kit: OfferKit, asked: Contact, found: Suggestions | None) -> Contact:
    if found is None:
        return replace(asked, why_none=NO_ANCHOR)
    offers = suggestion_offers(found, kit.shelf, asked.customer_id)
    digits, incentive = kit.options.bundles.digits, kit.options.cross_sell_incentive
    offers = [with_incentive(offer, incentive, digits) for offer in offers]
    return replace(asked, offers=tuple(offers), why_none=found.why_none)


def _suggested(kit: OfferKit, placement: str, rows: Ints, anchors: Sequence[tuple[str, ...]]) -> list[Suggestions]:
    if not len(rows):
        return []
    histories = kit.seller.histories.take(rows)  # keeps whose they are in the fit, which no place here tells
    return kit.seller.suggest(placement, histories, anchors, kit.slots(placement) + kit.options.spare, kit.sold_out)


def _upsell(kit: OfferKit, asked: list[Contact], anchors: Sequence[Sequence[str]]) -> list[Contact]:
    digits, incentive = kit.options.bundles.digits, kit.options.upsell_incentive
    k = kit.most("upsell", 1) + kit.options.spare
    out = []
    for one, own in zip(asked, anchors, strict=True):
        row = int(kit.customers.positions([one.customer_id])[0])
        steps = (kit.upgrades(item, row, k) for item in _known(kit, own) or kit.usual(row))
        first = next((found for found in steps if found.kept), None)
        offers = upsell_offers(first, kit.shelf, one.customer_id) if first else []
        made = tuple(with_incentive(offer, incentive, digits) for offer in offers)
        out.append(replace(one, offers=made, why_none="" if made else NO_STEP))
    return out


def _known(kit: OfferKit, items: Sequence[str]) -> tuple[str, ...]:
    """Those that the kit knows, each once."""
    return tuple(item for item in dict.fromkeys(items) if item in kit.shelf.items)
