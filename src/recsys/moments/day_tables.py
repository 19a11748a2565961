"""What became of a day as tables: offers due, dropped offers, what was due, customers."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl

from recsys.moments.day import Judged
from recsys.moments.due import DUE
from recsys.offers.plain import with_anchors
from recsys.offers.rules import Dropped, Offer
from recsys.offers.shelf import Shelf
from recsys.schemas import OFFERED, UTC

MADE: dict[str, Any] = {  # of every offer that was made
    "date": pl.Date,
    "customer_id": pl.String,
    "channel": pl.String,
    "trigger": pl.String,
    **OFFERED,
}
OFFERS: dict[str, Any] = {
    "key": pl.String,  # of the list; whatever becomes of it comes back as events with this key
    "rank": pl.Int32,  # 1 = best of its list
    **MADE,
    "fact": pl.String,  # what the trigger rests on
    "why": pl.String,  # why an offer works then
}
DROPPED: dict[str, Any] = {
    **MADE,
    "rule": pl.String,  # that refused
    "until": UTC,  # null = as long as the fact holds
}
WHAT_WAS_DUE: dict[str, Any] = {
    **DUE,
    "channel": pl.String,
    "outcome": pl.String,  # offered | refused | empty | repeated
    "reason": pl.String,  # rule, why there is none, or the other trigger; "" where something is offered
    "until": UTC,  # when the rule ends
    "key": pl.String,  # of the list; null where nothing is offered
    "offers": pl.Int32,
}
CUSTOMERS: dict[str, Any] = {
    "customer_id": pl.String,
    "outcome": pl.String,  # the best of what became of the triggers: offered, refused, empty
    "reason": pl.String,  # of the first of them; "" where something is offered
    "until": UTC,
    "triggers": pl.Int32,  # that are due
    "offers": pl.Int32,
    "without_silence": pl.Int32,  # offers if no rule of silence were asked; null where none were made
}
KEY_BYTES = 8
BEST = ("offered", "refused", "empty")
Shown = Callable[[str], str]  # customer id → what files show of it


def offer_key(day: date, customer: str, trigger: str, items: Sequence[str]) -> str:
    """20240501-0123456789abcdef: the date, and a digest of date, customer as shown, trigger and items of the list."""
    text = json.dumps([day.isoformat(), customer, trigger, list(items)], ensure_ascii=False)
    return f"{day:%Y%m%d}-{hashlib.blake2b(text.encode(), digest_size=KEY_BYTES).hexdigest()}"


def offers_table(judged: Sequence[Judged], due: pl.DataFrame, shelf: Shelf, shown: Shown) -> pl.DataFrame:
    """OFFERS, a row per offer due; `due`: DUE of the day, for the facts."""
    told = {(row["customer_id"], row["trigger"]): row for row in due.iter_rows(named=True)}
    rows = []
    for one in judged:
        row = told[one.contact.customer_id, one.contact.trigger]
        facts = {"key": key_of(one, row["date"], shown), "fact": row["fact"], "why": row["why"]}
        rows += [
            _made(one, offer, row["date"], shelf, shown) | facts | {"rank": rank}
            for rank, offer in enumerate(one.kept, 1)
        ]
    return pl.DataFrame(rows, schema=OFFERS)


def dropped_table(judged: Sequence[Judged], day: date, shelf: Shelf, shown: Shown) -> pl.DataFrame:
    """DROPPED, a row per offer that a rule refused."""

    def row(one: Judged, refused: Dropped) -> dict[str, Any]:
        return _made(one, refused.offer, day, shelf, shown) | {"rule": refused.rule, "until": refused.until}

    return pl.DataFrame([row(one, refused) for one in judged for refused in one.dropped], schema=DROPPED)


def key_of(one: Judged, day: date, shown: Shown) -> str | None:
    """The key of a contact's list; None where nothing is offered."""
    if not one.kept:
        return None
    items = [item for offer in one.kept for item in offer.items]
    return offer_key(day, shown(one.contact.customer_id), one.contact.trigger, items)


def _made(one: Judged, offer: Offer, day: date, shelf: Shelf, shown: Shown) -> dict[str, Any]:
    return {
        **with_anchors(offer, shelf),
        "date": day,
        "customer_id": shown(one.contact.customer_id),
        "channel": one.contact.channel,
        "trigger": one.contact.trigger,
    }


def due_table(judged: Sequence[Judged], due: pl.DataFrame, shown: Shown) -> pl.DataFrame:
    """WHAT_WAS_DUE, a row per row of `due`."""
    told = {(row["customer_id"], row["trigger"]): row for row in due.iter_rows(named=True)}
    rows = []
    for one in judged:
        row = told[one.contact.customer_id, one.contact.trigger]
        rows.append(
            row
            | {
                "customer_id": shown(row["customer_id"]), "channel": one.contact.channel, "outcome": one.outcome,
                "reason": one.reason, "until": one.until, "key": key_of(one, row["date"], shown),
                "offers": len(one.kept),
            }
        )  # fmt: skip
    return pl.DataFrame(rows, schema=WHAT_WAS_DUE)


def customers_table(judged: Sequence[Judged], without: Mapping[str, int], shown: Shown) -> pl.DataFrame:
    """CUSTOMERS, a row for each to whom something is due."""
    of: dict[str, list[Judged]] = {}
    for one in judged:
        of.setdefault(one.contact.customer_id, []).append(one)
    return pl.DataFrame([_customer(who, own, without, shown) for who, own in of.items()], schema=CUSTOMERS)


def _customer(who: str, own: Sequence[Judged], without: Mapping[str, int], shown: Shown) -> dict[str, Any]:
    outcomes = [outcome for outcome in BEST if any(one.outcome == outcome for one in own)]
    first = next(one for one in own if one.outcome == outcomes[0])
    return {
        "customer_id": shown(who),
        "outcome": first.outcome,
        "reason": first.reason,
        "until": first.until,
        "triggers": len(own),
        "offers": sum(len(one.kept) for one in own),
        "without_silence": None if any(one.contact.silent for one in own) else without.get(who, 0),
    }
