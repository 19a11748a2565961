"""Rules about the customer: in a support crisis, after a price rise, at risk, or after enough offers, say nothing."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

import polars as pl

from recsys.moments.known import Known
from recsys.moments.silence.ends import after, ends, last, silent
from recsys.moments.silence.options import AtRisk, OpenCase, PriceRise, WeeklyCap
from recsys.offers.rules import Offer, Refusal, Rule
from recsys.schemas import UTC


def open_case(known: Known, options: OpenCase) -> Rule:
    """A case is open from `support_open` until it is solved: by the same key, or by any later one without a key.

    Until the end that the case was given, or `days` after its beginning; None where it has neither.
    """
    solved = known.of_kind("support_solved").select("customer_id", "key", solved="at")
    opened = known.of_kind("support_open").select("customer_id", "key", "at", "until")
    by_key = solved.drop_nulls("key").group_by("customer_id", "key").agg(solved=pl.col("solved").max())
    of_any = solved.filter(pl.col("key").is_null()).group_by("customer_id").agg(any=pl.col("solved").max())
    cases = opened.join(by_key, on=["customer_id", "key"], how="left").join(of_any, on="customer_id", how="left")
    done = (pl.col("solved") >= pl.col("at")) | (pl.col("any") >= pl.col("at"))
    left = cases.filter(~done.fill_null(False)).with_columns(
        until=pl.coalesce("until", after("at", options.days)), item_id=pl.lit(None, pl.String)
    )
    return silent("open_case", ends(left, known.moment))


def price_rise(known: Known, options: PriceRise) -> Rule:
    """Of the customer, of the item, of both, or of everybody and everything, as the event has it."""
    rises = known.of_kind("price_rise").filter(pl.col("value") > options.least)
    return silent("price_rise", ends(rises.with_columns(until=after("at", options.days)), known.moment))


def at_risk(known: Known, options: AtRisk, given: Collection[str] = ()) -> Rule:
    """Orders of the recent days against what is usual of the customer, and whoever is `given`, as long as it is so.

    │◀──────── usual_days ────────▶│◀─ recent_days ─▶│ moment
       usual = orders · recent_days / usual_days        recent < below · usual: at risk
    A customer who came later than the usual days began is measured from the first order on.
    """
    orders, moment = known.orders.select("customer_id", "ordered_at"), pl.lit(known.moment, UTC)
    recent = moment - timedelta(days=options.recent_days)
    start = recent - timedelta(days=options.usual_days)
    counted = orders.group_by("customer_id").agg(
        recent=(pl.col("ordered_at") >= recent).sum(),
        usual=pl.col("ordered_at").is_between(start, recent, closed="left").sum(),
        first=pl.col("ordered_at").min(),
    )
    days = (recent - pl.max_horizontal("first", start)).dt.total_microseconds() / 86_400_000_000
    expected = pl.col("usual") * options.recent_days / days
    fell = counted.filter(pl.col("usual") >= options.min_orders, days > 0, pl.col("recent") < options.below * expected)
    return silent("at_risk", dict.fromkeys((one, None) for one in {*fell["customer_id"], *given}))


def weekly_cap(known: Known, options: WeeklyCap, channel: str | None) -> Rule:
    """Offers shown in the last days, and those that this contact holds already; until one of them is old enough.

    Offers shown under one key are one offer. Of a channel with a limit of its own only its own offers count for it.
    """
    window = timedelta(days=options.days)
    shown = known.of_kind("offer_shown").filter(pl.col("at") > pl.lit(known.moment - window, UTC))
    limits = [(_times(shown), options.at_most)]
    if channel is not None and channel in options.channels:
        limits.append((_times(shown.filter(pl.col("source") == channel)), options.channels[channel]))

    def judge(offer: Offer, listed: Sequence[Offer]) -> Refusal | None:
        if offer.customer_id is None or offer.listing in {other.listing for other in listed}:
            return None
        here = [known.moment] * len({other.listing for other in listed})
        full = [
            [*times.get(offer.customer_id, ()), *here][-most] + window if most else None
            for times, most in limits
            if len(times.get(offer.customer_id, ())) + len(here) >= most
        ]
        return Refusal(last(full)) if full else None

    return Rule("weekly_cap", judge)


def _times(shown: pl.DataFrame) -> Mapping[str, list[datetime]]:
    """When each customer was shown an offer, oldest first."""
    keyed = pl.when(pl.col("key").is_null()).then(pl.int_range(pl.len()).cast(pl.String)).otherwise("key")
    single = shown.with_columns(one=keyed, bare=pl.col("key").is_null()).group_by("customer_id", "one", "bare")
    times = single.agg(pl.col("at").min()).sort("customer_id", "at").group_by("customer_id", maintain_order=True)
    return dict(times.agg("at").rows())
