"""What was planted in a synthetic shop, as tables that a test can hold the pipeline against."""

from dataclasses import dataclass, fields
from datetime import UTC, datetime

import numpy as np
import polars as pl

from recsys.data.synthetic.assortment import Assortment, Ints
from recsys.data.synthetic.baskets import Lines, Trips
from recsys.data.synthetic.catalog import TIERS, UNITS, amount, category_names, item_ids, type_names
from recsys.data.synthetic.households import Households
from recsys.data.synthetic.options import SyntheticOptions


@dataclass(frozen=True)
class ShelfTruth:
    """Planted in the shelf, for all customers.

    `pairs`: item_a, item_b, confidence = P(b | a) = P(a | b), support = P(a and b), lift; per order.
    `substitutes`: item_a, item_b, type; a customer buys either, never both in one order.
    `tiers`: type, item_id, tier (good, better, best), unit_price, amount (in unit), unit (OZ, LB, CT).
    """

    pairs: pl.DataFrame
    substitutes: pl.DataFrame
    tiers: pl.DataFrame


@dataclass(frozen=True)
class HouseholdTruth:
    """Planted in customers.

    `tastes`: customer_id, group, category, share: expected share of the category among the customer's lines
    on items without a planted effect of their own (pairs, substitutes, cycles, trade-ups).
    `cycles`: customer_id, item_id, every_days; each purchase within cycle_jitter_days of its date.
    `trade_ups`: customer_id, from_item, to_item, at (UTC): from_item only before, to_item only from it on,
    and each at least once.
    """

    tastes: pl.DataFrame
    cycles: pl.DataFrame
    trade_ups: pl.DataFrame


def tables(truth: ShelfTruth | HouseholdTruth) -> dict[str, pl.DataFrame]:
    """Name → table."""
    return {field.name: getattr(truth, field.name) for field in fields(truth)}


def shelf_truth(options: SyntheticOptions, shelf: Assortment) -> ShelfTruth:
    """Pairs, substitutes and tiers, sorted by their items."""
    ids = item_ids(options)
    types = type_names(shelf).gather(shelf.type_of)
    pairs = pl.DataFrame(
        {
            "item_a": ids.gather(shelf.pairs[:, 0]),
            "item_b": ids.gather(shelf.pairs[:, 1]),
            "confidence": shelf.pair_confidence,
            "support": shelf.pair_confidence * shelf.pair_probability,
            "lift": shelf.pair_confidence / shelf.pair_probability,
        }
    )
    substitutes = pl.DataFrame(
        {
            "item_a": ids.gather(shelf.substitutes[:, 0]),
            "item_b": ids.gather(shelf.substitutes[:, 1]),
            "type": types.gather(shelf.substitutes[:, 0]),
        }
    )
    tiers = pl.DataFrame(
        {
            "type": types,
            "item_id": ids,
            "tier": pl.Series(TIERS).gather(shelf.tier),
            "unit_price": shelf.unit_price,
            "amount": amount(shelf),
            "unit": pl.Series(UNITS).gather(shelf.unit),
        }
    )
    return ShelfTruth(pairs.sort("item_a"), substitutes.sort("item_a"), tiers)


def household_truth(
    options: SyntheticOptions,
    shelf: Assortment,
    people: Households,
    trips: Trips,
    lines: Lines,
    customer_ids: pl.Series,
) -> HouseholdTruth:
    """Tastes, cycles and trade-ups of a block. `customer_ids` (n_customers,); guests have no truth."""
    ids = item_ids(options)
    cyclic = np.flatnonzero(people.cycle_days > 0)
    cycles = pl.DataFrame(
        {
            "customer_id": customer_ids.gather(cyclic),
            "item_id": ids.gather(people.cycle_item[cyclic]),
            "every_days": people.cycle_days[cyclic],
        }
    )
    traded = _traded(shelf, people, trips, lines)
    ladder = shelf.ladders[people.trade_up[traded]]
    trade_ups = pl.DataFrame(
        {
            "customer_id": customer_ids.gather(traded),
            "from_item": ids.gather(ladder[:, 0]),
            "to_item": ids.gather(ladder[:, 1]),
            "at": moments(options, people.trade_up_at[traded]),
        }
    )
    return HouseholdTruth(_tastes(options, shelf, people, customer_ids), cycles, trade_ups)


def moments(options: SyntheticOptions, seconds: Ints) -> pl.Series:
    """Seconds since the start of the span → Datetime("us", "UTC")."""
    start = int(datetime.combine(options.start, datetime.min.time(), UTC).timestamp())
    return pl.Series((start + seconds) * 1_000_000).cast(pl.Datetime("us", "UTC"))


def _traded(shelf: Assortment, people: Households, trips: Trips, lines: Lines) -> Ints:
    """Households that bought the lower tier before their date and the next one after it."""
    household = trips.household[lines.order]
    own = people.trade_up[household]
    low, high = shelf.ladders[own].T
    before = np.unique(household[(own >= 0) & (lines.item == low)])
    after = np.unique(household[(own >= 0) & (lines.item == high)])
    return np.intersect1d(before, after)


def _tastes(options: SyntheticOptions, shelf: Assortment, people: Households, customer_ids: pl.Series) -> pl.DataFrame:
    n = people.customers
    category = shelf.group_categories[people.group[:n]]
    popular = (shelf.category_high - shelf.category_low)[category]
    share = options.taste_share * people.tastes[:n] + (1 - options.taste_share) * popular
    return pl.DataFrame(
        {
            "customer_id": customer_ids.gather(np.repeat(np.arange(n), options.taste_categories)),
            "group": np.repeat(people.group[:n], options.taste_categories),
            "category": category_names(shelf).gather(category.ravel()),
            "share": share.ravel(),
        }
    ).sort("customer_id", "share", descending=[False, True])
