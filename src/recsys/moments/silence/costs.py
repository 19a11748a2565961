"""What each rule costs: the offers it dropped, and what customers would get if this rule alone were not asked."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from recsys.moments.known import Known
from recsys.moments.silence.lists import contact, in_order
from recsys.moments.silence.options import SilenceOptions
from recsys.moments.silence.rules import Told, silence_rules
from recsys.offers.rules import Offer, Rule, apply_rules

RULE_COSTS: dict[str, Any] = {
    "rule": pl.String,
    "dropped": pl.Int64,  # offers that the rule refused first
    "expected_hits": pl.Float64,  # Σ probability of them
    "expected_revenue": pl.Float64,  # Σ probability · offer price of them
    "unvalued": pl.Int64,  # of them without a probability or a price, which are missing above
    "kept": pl.Int64,  # offers by all rules
    "kept_without": pl.Int64,  # offers without this rule alone
    "more_hits": pl.Float64,  # Σ probability of the offers without it - that of the offers by all rules
    "more_revenue": pl.Float64,  # the same of probability · offer price
}
CUSTOMER_COSTS: dict[str, Any] = {
    "customer_id": pl.String,  # null = anybody
    "rule": pl.String,
    "kept": pl.Int64,
    "kept_without": pl.Int64,
}


@dataclass(frozen=True)
class Costs:
    """`rules`: columns RULE_COSTS, a row per rule in their order; `customers`: CUSTOMER_COSTS, of every customer."""

    rules: pl.DataFrame
    customers: pl.DataFrame


def rule_costs(offers: Sequence[Offer], rules: Sequence[Rule], together: Callable[[Offer], object] = contact) -> Costs:
    """Of `offers` in the order in which they are given to `apply_rules`.

    Expected is what the ranker foretells of an order without any offer: it says what was left unsaid, not what silence
    lost. A rule whose absence lets another refuse the same offers costs nothing alone, so the rows do not add up.
    """
    kept, dropped = apply_rules(offers, rules, together)
    by_rule: dict[str, list[Offer]] = {rule.name: [] for rule in rules}
    for one in dropped:
        by_rule[one.rule].append(one.offer)
    customers = sorted({offer.customer_id for offer in offers}, key=lambda one: (one is not None, one or ""))
    of_customer = Counter(offer.customer_id for offer in kept)
    rows, told = [], []
    for rule in rules:
        own, without = by_rule[rule.name], kept
        if own:
            without, _ = apply_rules(offers, [other for other in rules if other is not rule], together)
        without_of = Counter(offer.customer_id for offer in without)
        rows.append(
            (rule.name, len(own), _hits(own), _revenue(own), sum(not _valued(offer) for offer in own), len(kept),
             len(without), _hits(without) - _hits(kept), _revenue(without) - _revenue(kept))
        )  # fmt: skip
        told += [(one, rule.name, of_customer[one], without_of[one]) for one in customers]
    return Costs(
        pl.DataFrame(rows, schema=RULE_COSTS, orient="row"), pl.DataFrame(told, schema=CUSTOMER_COSTS, orient="row")
    )


def _valued(offer: Offer) -> bool:
    return offer.probability is not None and offer.offer_price is not None


def _hits(offers: Iterable[Offer]) -> float:
    return sum((offer.probability for offer in offers if offer.probability is not None), 0.0)


def _revenue(offers: Iterable[Offer]) -> float:
    return sum((offer.probability or 0.0) * (offer.offer_price or 0.0) for offer in offers)


def silence_costs(
    offers: Sequence[Offer], known: Known, options: SilenceOptions | None = None, told: Told | None = None
) -> Costs:
    """`rule_costs` of what `apply_silence` is given."""
    options = options or SilenceOptions()
    return rule_costs(in_order(offers, known, options.cross_sell_first), silence_rules(known, options, told))
