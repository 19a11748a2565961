"""Every planted case for silence is found from its first moment to its last, and nothing else."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from recsys.data.synthetic.moments_shop import DURABLE
from recsys.moments.known import Known
from recsys.moments.silence.options import AtRisk, NotOwned, SilenceOptions
from recsys.moments.silence.rules import Told, silence_rules
from recsys.offers.rules import Offer

OPTIONS = SilenceOptions(not_owned=NotOwned(durable=(DURABLE,)))
ANOTHER_ANGLE = Told(reasons={"o2": "what was said then"})
TICK = timedelta(microseconds=1)
RULES = ("open_case", "price_rise", "at_risk", "weekly_cap", "in_stock", "refused_before", "returned_before",
         "not_owned", "margin_floor")  # fmt: skip
Case = tuple[str, str, str]  # rule, customer, item


def refusals(known: Known, moment: datetime, customers: list[str]) -> dict[Case, datetime | None]:
    """Rule, customer and item of every refusal of an offer of each item to each customer, with its end."""
    prices = dict(known.catalog.select("item_id", "unit_price").rows())
    rules = [rule for rule in silence_rules(known.at(moment), OPTIONS, ANOTHER_ANGLE) if rule.name in RULES]
    out = {}
    for customer in customers:
        for item, price in prices.items():
            one = Offer(kind="cross_sell", customer_id=customer, anchor_items=(), items=(item,), list_price=price,
                        offer_price=price, reason="what is said now")  # fmt: skip
            for rule in rules:
                if (refusal := rule.judge(one, [])) is not None:
                    out[rule.name, customer, item] = refusal.until
    return out


def planted_at(planted, moment: datetime, customers: list[str]) -> dict[Case, datetime | None]:
    """The same out of the truth: a fact is known from the tick after it on."""
    rows = planted.truth.silent.filter(
        pl.col("since") < moment, pl.col("until").is_null() | (pl.col("until") > moment)
    ).rows(named=True)
    items = planted.catalog["item_id"].to_list()
    return {
        (row["rule"], customer, item): row["until"]
        for row in rows
        for customer in customers
        if row["customer_id"] in (None, customer)
        for item in items
        if row["item_id"] in (None, item)
    }


def without(cases: dict[Case, datetime | None], *rules: str) -> dict[Case, datetime | None]:
    """All others; nobody knows beforehand when an open case will be solved."""
    return {case: None if case[0] == "open_case" else end for case, end in cases.items() if case[0] not in rules}


@pytest.fixture(scope="module")
def customers(planted) -> list[str]:
    return planted.orders["customer_id"].unique().sort().to_list()


def test_all_cases_are_planted(planted) -> None:
    assert set(planted.truth.silent["rule"]) == set(RULES)


@pytest.mark.parametrize("month", range(1, 13))
def test_what_is_refused_is_what_was_planted(planted, everything, customers, month) -> None:
    """All customers and items on a day of each month; who is at risk is held against its definition below."""
    moment = datetime(2024, month, 15, tzinfo=UTC)
    found, truth = refusals(everything, moment, customers), planted_at(planted, moment, customers)
    assert without(found, "at_risk") == without(truth, "at_risk")
    assert {case for case in truth if case[0] == "at_risk"} <= set(found)


def test_from_the_first_moment_to_the_last(planted, everything) -> None:
    """At the fact nothing is known of it yet; a tick later the rule refuses, to the last tick before its end.

    That a case was solved is known a tick after it was.
    """
    for row in planted.truth.silent.filter(pl.col("customer_id").is_not_null()).rows(named=True):
        who, open_case = [row["customer_id"]], row["rule"] == "open_case"
        moments = [row["since"], row["since"] + TICK]
        if row["until"]:
            moments += [row["until"] - TICK, row["until"] + (TICK if open_case else 0 * TICK)]
        for moment in moments:
            truth = without(planted_at(planted, moment, who), "at_risk")
            assert without(refusals(everything, moment, who), "at_risk") == truth
        assert row["rule"] == "at_risk" or row["rule"] in {case[0] for case in planted_at(planted, moments[1], who)}


def at_risk_by_hand(times: list[datetime], moment: datetime, options: AtRisk) -> bool:
    """One customer's orders counted one by one."""
    recent = moment - timedelta(days=options.recent_days)
    start = max(recent - timedelta(days=options.usual_days), min(times))
    usual = [at for at in times if start <= at < recent]
    expected = len(usual) * options.recent_days / max((recent - start) / timedelta(days=1), 1e-9)
    return len(usual) >= options.min_orders and sum(at >= recent for at in times) < options.below * expected


@pytest.mark.parametrize("month", [3, 6, 9, 12])
def test_who_is_at_risk_by_a_slow_count(everything, customers, month) -> None:
    """Those that were planted and others who order less, by the definition of docs/silence.md."""
    moment = datetime(2024, month, 28, tzinfo=UTC)
    orders = everything.at(moment).orders
    slow = {
        who
        for who in customers
        if (times := orders.filter(customer_id=who)["ordered_at"].to_list())
        and at_risk_by_hand(times, moment, OPTIONS.at_risk)
    }
    found = {who for rule, who, _ in refusals(everything, moment, customers) if rule == "at_risk"}
    assert found == slow
    if month >= 9:
        assert slow


def test_going_away_is_at_risk_only_after_the_change(planted, everything) -> None:
    for row in planted.truth.silent.filter(rule="at_risk").rows(named=True):
        rule = ("at_risk", row["customer_id"], "P01")
        before = row["since"] - timedelta(days=50)  # still every week
        assert rule not in refusals(everything, before, [row["customer_id"]])
        assert rule in refusals(everything, row["since"] + TICK, [row["customer_id"]])


def test_a_switched_off_rule_refuses_nothing(everything) -> None:
    moment = datetime(2024, 6, 15, tzinfo=UTC)
    for name in RULES:
        off = replace(OPTIONS, **{name: replace(getattr(OPTIONS, name), enabled=False)})
        assert name not in [rule.name for rule in silence_rules(everything.at(moment), off)]
