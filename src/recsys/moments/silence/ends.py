"""Until when a fact keeps silent: ends by customer and item, of the facts that have not ended yet."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

import polars as pl

from recsys.offers.rules import Offer, Refusal, Rule
from recsys.schemas import UTC

Scope = tuple[str | None, str | None]  # customer_id, item_id; None = all of them
Ends = Mapping[Scope, datetime | None]  # None = as long as the fact holds


def ends(facts: pl.DataFrame, moment: datetime) -> Ends:
    """The latest end by scope, of the facts that go on beyond `moment`; one without an end outlasts all.

    `facts`: customer_id, item_id, until.
    """
    live = facts.filter(pl.col("until").is_null() | (pl.col("until") > pl.lit(moment, UTC)))
    found = live.group_by("customer_id", "item_id").agg(
        until=pl.when(pl.col("until").is_null().any()).then(None).otherwise(pl.col("until").max())
    )
    return {(customer, item): until for customer, item, until in found.rows()}


def after(column: str, days: float | None) -> pl.Expr:
    """A time `days` later; null without days."""
    if days is None:
        return pl.lit(None, UTC)
    return (pl.col(column) + timedelta(days=days)).cast(UTC)


def silent(name: str, found: Ends) -> Rule:
    """Refuses offers to these customers, or of these items, until the last of the facts has ended."""

    def judge(offer: Offer, _listed: object) -> Refusal | None:
        told = [found[scope] for scope in scopes(offer) if scope in found]
        return Refusal(last(told)) if told else None

    return Rule(name, judge)


def scopes(offer: Offer) -> Iterator[Scope]:
    """All scopes that an offer falls under."""
    for customer in {offer.customer_id, None}:
        yield customer, None
        yield from ((customer, item) for item in offer.items)


def last(until: Iterable[datetime | None]) -> datetime | None:
    """The latest; None where one has no end. Not for no end at all."""
    known = list(until)
    return None if None in known else max(end for end in known if end is not None)
