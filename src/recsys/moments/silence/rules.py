"""All rules of silence in their order, and what is left of the offers of a contact.

offers, best first ─ in_order ─▶ customer ▸ item ▸ price ▸ contact ─▶ kept
                                    │ the first rule that refuses
                                    ▼
                                 dropped: rule, until
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from recsys.moments.known import Known
from recsys.moments.silence.customers import at_risk, open_case, price_rise, weekly_cap
from recsys.moments.silence.items import (
    costs_of,
    in_stock,
    known_price,
    not_owned,
    price_guard,
    refused_before,
    returned_before,
)
from recsys.moments.silence.lists import contact, in_order, items_per_list, offers_per_contact, one_per_category
from recsys.moments.silence.options import SilenceOptions
from recsys.offers.rules import Dropped, Offer, Rule, apply_rules, margin_floor


@dataclass(frozen=True, kw_only=True)
class Told:
    """What is known at the moment beside orders and events.

    channel  that the offers are for; None = no channel's own limits
    stock    by item_id: False = sold out
    at_risk  customers whom the shop itself holds to be at risk
    reasons  offer key → reason, of offers shown before
    """

    channel: str | None = None
    stock: Mapping[str, bool | None] = field(default_factory=dict)
    at_risk: Collection[str] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)


def silence_rules(known: Known, options: SilenceOptions | None = None, told: Told | None = None) -> tuple[Rule, ...]:
    """The rules that are enabled, in the order of SilenceOptions, with all that was known at `known.moment`."""
    options, told = options or SilenceOptions(), told or Told()
    makers: dict[str, Callable[[], Rule]] = {
        "open_case": lambda: open_case(known, options.open_case),
        "price_rise": lambda: price_rise(known, options.price_rise),
        "at_risk": lambda: at_risk(known, options.at_risk, told.at_risk),
        "weekly_cap": lambda: weekly_cap(known, options.weekly_cap, told.channel),
        "in_stock": lambda: in_stock(known, told.stock),
        "refused_before": lambda: refused_before(known, options.refused_before, told.reasons),
        "returned_before": lambda: returned_before(known, options.returned_before),
        "not_owned": lambda: not_owned(known, options.not_owned),
        "known_price": lambda: known_price(options.known_price, told.channel),
        "margin_floor": lambda: margin_floor(costs_of(known.catalog), options.margin_floor.floor),
        "price_guard": lambda: price_guard(known, options.price_guard),
        "one_per_category": lambda: one_per_category(known, options.one_per_category),
        "items_per_list": lambda: items_per_list(options.items_per_list),
        "offers_per_contact": lambda: offers_per_contact(options.offers_per_contact),
    }
    return tuple(make() for name, make in makers.items() if getattr(options, name).enabled)


def apply_silence(
    offers: Sequence[Offer], known: Known, options: SilenceOptions | None = None, told: Told | None = None
) -> tuple[list[Offer], list[Dropped]]:
    """(kept, dropped) of the offers of one channel, best first; every offer is in exactly one of them."""
    options = options or SilenceOptions()
    ordered = in_order(offers, known, options.cross_sell_first)
    return apply_rules(ordered, silence_rules(known, options, told), contact)
