"""Rules about the items and prices of an offer: not there, refused, sent back, owned, of unknown price, or too dear."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from recsys.moments.known import Known
from recsys.moments.silence.ends import after, ends, silent
from recsys.moments.silence.options import KnownPrice, Level, NotOwned, PriceGuard, RefusedBefore, ReturnedBefore
from recsys.offers.rules import Offer, Refusal, Rule
from recsys.offers.rules import in_stock as stock_rule

LEVELS = ("department", "category", "type")
ROUNDING = 1e-9


def in_stock(known: Known, stock: Mapping[str, bool | None]) -> Rule:
    """Events `stock_out` until their end, or until an order holds the item again; and what `stock` says is sold out.

    `stock`: by item_id, as known at the moment; a catalog's `in_stock` is of its export.
    """
    out = known.of_kind("stock_out").select("item_id", "at", "until", customer_id=pl.lit(None, pl.String))
    without = out.filter(pl.col("until").is_null())
    if without.height:
        sold = (
            known.lines.join(without, on="item_id", how="semi").group_by("item_id").agg(sold=pl.col("ordered_at").max())
        )
        joined = out.join(sold, on="item_id", how="left")
        out = joined.filter(pl.col("until").is_not_null() | ~(pl.col("sold") > pl.col("at")).fill_null(False))
    told = {item: until for (_, item), until in ends(out, known.moment).items() if item is not None}
    gone = {item for item, there in stock.items() if there is False}
    restocked = {item: until for item, until in told.items() if until is not None and item not in gone}
    return stock_rule({**dict.fromkeys(gone, False), **dict.fromkeys(told, False)}, restocked)


@dataclass(frozen=True)
class _No:
    """One refusal of an item: when, of what price and for what reason; None = unknown."""

    at: datetime
    price: float | None
    reason: str | None


def refused_before(known: Known, options: RefusedBefore, reasons: Mapping[str, str] | None = None) -> Rule:
    """`days` of silence about a refused item; `same_days` for the same angle: no other reason, no lower price.

    An offer_refused without an item is of the items that were shown under its key. `reasons`: offer key → reason as
    it was told then; unknown reasons and prices are no other angle.
    """
    other, same = timedelta(days=options.days), timedelta(days=max(options.days, options.same_days))
    told = _refusals(known, same, reasons or {})

    def judge(offer: Offer, _listed: object) -> Refusal | None:
        found = [no for item in offer.items for no in told.get((offer.customer_id, item), ())]
        until = max((no.at + (other if _other(offer, no, options) else same) for no in found), default=known.moment)
        return Refusal(until) if until > known.moment else None

    return Rule("refused_before", judge)


def _refusals(
    known: Known, window: timedelta, reasons: Mapping[str, str]
) -> Mapping[tuple[str | None, str], list[_No]]:
    """By customer and item, of the window before the moment."""
    refused = known.of_kind("offer_refused").filter(pl.col("at") > known.moment - window)
    bare = refused.filter(pl.col("item_id").is_null() & pl.col("key").is_not_null()).drop("item_id")
    if bare.height:
        shown = known.of_kind("offer_shown").select("customer_id", "key", "item_id").unique()
        named = bare.join(shown, on=["customer_id", "key"]).select(refused.columns)
        refused = pl.concat([refused, named])
    out: dict[tuple[str | None, str], list[_No]] = {}
    for customer, item, at, price, key in (
        refused.drop_nulls("item_id").select("customer_id", "item_id", "at", "value", "key").rows()
    ):
        out.setdefault((customer, item), []).append(_No(at, price, reasons.get(key)))
    return out


def _other(offer: Offer, no: _No, options: RefusedBefore) -> bool:
    """Whether the offer comes from another angle than the one refused."""
    if len(offer.items) > 1 or (no.reason is not None and offer.reason != no.reason):
        return True
    if no.price is None or offer.offer_price is None:
        return False
    return offer.offer_price <= no.price * (1 - options.cheaper) + ROUNDING


def returned_before(known: Known, options: ReturnedBefore) -> Rule:
    """Lines of which units came back, and events `return`; for good, or for `days` after it."""
    lines = known.lines.filter(pl.col("returned_at").is_not_null() & pl.col("customer_id").is_not_null())
    told = known.of_kind("return").select("customer_id", "item_id", "at")
    back = pl.concat([lines.select("customer_id", "item_id", at="returned_at"), told])
    return silent("returned_before", ends(back.with_columns(until=after("at", options.days)), known.moment))


def not_owned(known: Known, options: NotOwned) -> Rule:
    """Items of durable goods whose item, type, category or department was bought and not sent back whole."""
    groups = _groups(known.catalog, options.level)
    catalog = known.catalog.filter(pl.any_horizontal(pl.col(LEVELS).is_in(options.durable)))
    lasting = frozenset(catalog["item_id"])
    owned: set[tuple[str, str]] = set()
    if lasting:
        kept = pl.col("returned_quantity").fill_null(0.0) < pl.col("quantity")
        lines = known.lines.filter(pl.col("customer_id").is_not_null(), pl.col("item_id").is_in(list(lasting)), kept)
        owned = {(customer, groups[item]) for customer, item in lines.select("customer_id", "item_id").unique().rows()}

    def judge(offer: Offer, _listed: object) -> Refusal | None:
        wanted = [item for item in offer.items if item in lasting]
        has = any((offer.customer_id, groups[item]) in owned for item in wanted)
        return Refusal() if has else None

    return Rule("not_owned", judge)


def _groups(catalog: pl.DataFrame, level: Level) -> Mapping[str, str]:
    """What stands for each item; an item whose level is unknown stands for itself."""
    if level == "item":
        return dict(zip(catalog["item_id"], catalog["item_id"], strict=True))
    named = catalog.select(
        "item_id", pl.coalesce(pl.lit("level ") + pl.col(level), pl.lit("item ") + pl.col("item_id"))
    )
    return dict(named.rows())


def known_price(options: KnownPrice, channel: str | None) -> Rule:
    """Where prices are shown, an offer has one: all-in, as the shop's prices are. As long as it is unknown."""
    shows = options.channels is None or channel in options.channels

    def judge(offer: Offer, _listed: object) -> Refusal | None:
        return Refusal() if shows and (offer.offer_price is None or offer.list_price is None) else None

    return Rule("known_price", judge)


def price_guard(known: Known, options: PriceGuard) -> Rule:
    """At most `times` the median value of the customer's orders; a customer without a valued order has no limit."""
    valued = known.orders.filter(pl.col("value") > 0).group_by("customer_id").agg(pl.col("value").median())
    usual: dict[str | None, float] = dict(valued.rows())

    def judge(offer: Offer, _listed: object) -> Refusal | None:
        most = options.times * usual.get(offer.customer_id, float("inf"))
        return Refusal() if offer.offer_price is not None and offer.offer_price > most else None

    return Rule("price_guard", judge)


def costs_of(catalog: pl.DataFrame) -> Mapping[str, float | None]:
    """Costs per unit by item_id, as the catalog has them."""
    return dict(catalog.select("item_id", "unit_cost").rows())
