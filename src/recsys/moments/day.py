"""The offers of a day: contacts in one order over all triggers, then the rules of the shop and of silence.

contacts ─ ranked ─▶ per channel: in_order ─ customer ▸ item ▸ price ▸ the shop's ▸ contact ─┬─▶ offers due
 priority, worth                                                                             └─▶ dropped: rule, until

Only what was logged counts against a customer, never what an earlier run would have shown: an offer that is due is not
shown yet, and so a day of a backfill equals the run of that day alone.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import polars as pl

from recsys.moments.contacts import Contact, Silent
from recsys.moments.known import Known
from recsys.moments.options import TriggersOptions
from recsys.moments.silence.costs import CUSTOMER_COSTS, RULE_COSTS, rule_costs
from recsys.moments.silence.lists import contact as of_customer
from recsys.moments.silence.lists import in_order
from recsys.moments.silence.options import SilenceOptions
from recsys.moments.silence.rules import Told, silence_rules
from recsys.offers.rules import Dropped, Offer, Refusal, Rule, apply_rules

CUSTOMER_RULES = ("open_case", "price_rise", "at_risk", "weekly_cap")  # of silence; they may refuse whatever is offered
LIST_RULES = ("one_per_category", "items_per_list", "offers_per_contact")  # of silence; they come last
SHOP_RULES = ("not_owned", "margin_floor", "one_per_type", "at_most")  # of offers.rules; the others cannot refuse here
SHOP = "shop_"  # their names begin so here, to tell them from those of silence


@dataclass(frozen=True)
class Judged:
    """What became of a contact.

    outcome  offered | refused (by rules) | empty (there was nothing to offer) | repeated (the list of another trigger)
    reason   of the last three: the rule that refused the best offer, why there was none, the other trigger
    until    when that rule ends; None = as long as its fact holds, or no rule
    """

    contact: Contact
    kept: tuple[Offer, ...]
    dropped: tuple[Dropped, ...]
    outcome: str
    reason: str = ""
    until: datetime | None = None


@dataclass(frozen=True)
class Verdict:
    """What becomes of the contacts of a day, sorted by customer and then as ranked.

    rule_costs      columns RULE_COSTS, a row per rule, over all channels
    customer_costs  columns CUSTOMER_COSTS, where a rule alone changes a customer's number of offers
    without         customer → offers without any rule of silence, but with one list of the usual length per contact
    """

    judged: tuple[Judged, ...]
    rule_costs: pl.DataFrame
    customer_costs: pl.DataFrame
    without: Mapping[str, int]


def judge(
    known: Known,
    contacts: Sequence[Contact],
    shop: Sequence[Rule] = (),
    silence: SilenceOptions | None = None,
    told: Told | None = None,
) -> Verdict:
    """A contact holds what one customer gets by one channel on the day. `shop`: of offers.rules.standard_rules."""
    silence, ordered = silence or SilenceOptions(), ranked(contacts)
    firsts = _first_of_each_list(ordered)
    judged: dict[int, Judged] = {}
    without: Counter[str] = Counter()
    rules_told, customers_told = [], [pl.DataFrame(schema=CUSTOMER_COSTS)]
    for channel in sorted({one.channel for one in ordered}):
        here = [one for one in ordered if one.channel == channel and firsts[id(one)] is one]
        rules = rules_of_day(known, shop, silence, replace(told or Told(), channel=channel))
        offers = in_order([offer for one in here for offer in one.offers], known, silence.cross_sell_first)
        judged |= _judged(here, offers, rules)
        costs = rule_costs(offers, rules)
        rules_told.append(costs.rules)
        customers_told.append(costs.customers)
        without.update(_without_silence(offers, rules))
    return Verdict(
        tuple(judged.get(id(one)) or _repeated(one, firsts[id(one)]) for one in ordered),
        summed(rules_told),
        _of_customers(pl.concat(customers_told)),
        without,
    )


def ranked(contacts: Iterable[Contact]) -> list[Contact]:
    """By customer; a customer's by priority, then expected worth, an unknown one last, then trigger."""

    def place(one: Contact) -> tuple[str, int, bool, float, str]:
        worth = one.worth
        return one.customer_id, one.priority, worth is None, -(worth or 0.0), one.trigger

    return sorted(contacts, key=place)


def rules_of_day(known: Known, shop: Sequence[Rule], silence: SilenceOptions, told: Told) -> tuple[Rule, ...]:
    """Rules of silence about customers, items and prices, those of the shop, and last those about lists."""
    rules = silence_rules(known, silence, told)
    own = (within_list(rule) for rule in shop if rule.name in SHOP_RULES)
    last = (rule for rule in rules if rule.name in LIST_RULES)
    return (*(rule for rule in rules if rule.name not in LIST_RULES), *own, *last)


def within_list(rule: Rule) -> Rule:
    """A rule of the shop, seeing of a contact only the offer's own list."""

    def judge(offer: Offer, listed: Sequence[Offer]) -> Refusal | None:
        return rule.judge(offer, [other for other in listed if other.listing == offer.listing])

    return Rule(SHOP + rule.name, judge)


def silent_before(
    known: Known, due: pl.DataFrame, triggers: TriggersOptions, silence: SilenceOptions, told: Told | None = None
) -> list[Silent | None]:
    """Of each row of `due` the rule that refuses whatever is offered, with its end; None where none does.

    So the offers need not be made; what they would have been worth is then not known.
    """
    asked = [(row["customer_id"], getattr(triggers, row["trigger"]).channel) for row in due.iter_rows(named=True)]
    rules = {
        channel: [
            rule
            for rule in silence_rules(known, silence, replace(told or Told(), channel=channel))
            if rule.name in CUSTOMER_RULES
        ]
        for channel in sorted({channel for _, channel in asked})
    }
    return [_silent(customer, rules[channel]) for customer, channel in asked]


def _silent(customer: str, rules: Sequence[Rule]) -> Silent | None:
    anything = Offer(
        kind="cross_sell", customer_id=customer, anchor_items=(), items=(), list_price=None, offer_price=None, reason=""
    )
    refusals = ((rule.name, rule.judge(anything, ())) for rule in rules)
    return next(((name, refusal.until) for name, refusal in refusals if refusal is not None), None)


def _first_of_each_list(ordered: Sequence[Contact]) -> dict[int, Contact]:
    """id of a contact → the first of the same channel with the same list; itself where it has no offer."""
    lists: dict[object, Contact] = {}
    return {
        id(one): lists.setdefault((one.channel, one.offers[0].listing), one) if one.offers else one for one in ordered
    }


def _judged(contacts: Sequence[Contact], offers: Sequence[Offer], rules: Sequence[Rule]) -> dict[int, Judged]:
    kept, dropped = apply_rules(offers, rules, of_customer)
    good, bad = {id(offer) for offer in kept}, {id(one.offer): one for one in dropped}
    out = {}
    for one in contacts:
        mine = tuple(offer for offer in one.offers if id(offer) in good)
        refused = tuple(bad[id(offer)] for offer in one.offers if id(offer) in bad)
        out[id(one)] = _outcome(one, mine, refused)
    return out


def _outcome(contact: Contact, kept: tuple[Offer, ...], dropped: tuple[Dropped, ...]) -> Judged:
    if kept:
        return Judged(contact, kept, dropped, "offered")
    if dropped:
        return Judged(contact, (), dropped, "refused", dropped[0].rule, dropped[0].until)
    if contact.silent:
        return Judged(contact, (), (), "refused", *contact.silent)
    return Judged(contact, (), (), "empty", contact.why_none)


def _repeated(contact: Contact, first: Contact) -> Judged:
    return Judged(contact, (), (), "repeated", first.trigger)


def _without_silence(offers: Sequence[Offer], rules: Sequence[Rule]) -> Counter[str]:
    own = [rule for rule in rules if rule.name in LIST_RULES or rule.name.startswith(SHOP)]
    kept, _ = apply_rules(offers, own, of_customer)
    return Counter(offer.customer_id for offer in kept if offer.customer_id is not None)


def summed(costs: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Tables of RULE_COSTS of channels or days added up, rules in the order in which they come first.

    One after the other, as the last digits of a float sum depend on its order.
    """
    rules = list(dict.fromkeys(rule for table in costs for rule in table["rule"]))
    total: dict[str, list[Any]] = {rule: [0] * (len(RULE_COSTS) - 1) for rule in rules}
    for table in costs:
        for rule, *numbers in table.rows():
            total[rule] = [have + more for have, more in zip(total[rule], numbers, strict=True)]
    return pl.DataFrame([(rule, *total[rule]) for rule in rules], schema=RULE_COSTS, orient="row")


def _of_customers(table: pl.DataFrame) -> pl.DataFrame:
    """Rows of all channels added up, where the rule changes the number."""
    found = table.group_by("customer_id", "rule", maintain_order=True).sum()
    return found.filter(pl.col("kept") != pl.col("kept_without"))
