"""Customers of one block: how often they come, what they like, and the habits planted in them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recsys.data.synthetic.assortment import Assortment, Floats, Ints
from recsys.data.synthetic.options import SyntheticOptions

DAY = 86_400  # seconds
GROUP_SHARES = 0.6 ** np.arange(32)  # a group's preferences fall by this before customers vary them
CYCLE_ORDERS = 0.6  # share of a cyclic customer's orders that the cycle makes


@dataclass(frozen=True)
class Block:
    """Customers `first` to `first + customers - 1` and some guests, generated together from one seed."""

    chunk: int
    first: int
    customers: int
    guests: int


@dataclass(frozen=True)
class Households:
    """Arrays (n,), customers first, then guests. -1 where a household has no such habit."""

    customers: int  # how many of the n are customers
    rate: Floats  # expected orders
    group: Ints
    tastes: Floats  # (n, taste_categories) shares summing to one, of the group's categories
    substitute: Ints  # row of assortment.substitutes
    cycle_item: Ints  # item code
    cycle_days: Ints
    cycle_phase: Floats  # days from the start to the first cycle purchase, jitter aside
    trade_up: Ints  # row of assortment.ladders
    trade_up_at: Ints  # seconds from the start


def make_households(options: SyntheticOptions, shelf: Assortment, block: Block, rng: np.random.Generator) -> Households:
    """Draw the households of a block. Guests come once and have no habits over time."""
    n = block.customers + block.guests
    known = np.arange(n) < block.customers
    rate = np.where(known, 1 + (options.orders_per_customer - 1) * rng.gamma(1.5, 1 / 1.5, n), 1.0)
    group = rng.integers(0, options.groups, n)
    cyclic = known & (rate >= 6) & (rng.random(n) < options.cycle_share)
    trading = known & (rate >= 6) & (rng.random(n) < options.trade_up_share)
    cycle_days = _cycle_days(options, rate)
    return Households(
        customers=block.customers,
        rate=rate,
        group=group,
        tastes=_tastes(options, n, rng),
        substitute=rng.integers(0, len(shelf.substitutes), n),
        cycle_item=_some(cyclic, shelf.cycle_items[rng.integers(0, len(shelf.cycle_items), n)]),
        cycle_days=_some(cyclic, cycle_days),
        cycle_phase=rng.random(n) * cycle_days,
        trade_up=_some(trading, rng.integers(0, len(shelf.ladders), n)),
        trade_up_at=_some(trading, (rng.uniform(0.35, 0.65, n) * options.days * DAY).astype(np.int64)),
    )


def _some(mask: npt.NDArray[np.bool_], values: Ints) -> Ints:
    return np.where(mask, values, -1)


def _cycle_days(options: SyntheticOptions, rate: Floats) -> Ints:
    """Interval with which cycle purchases make about CYCLE_ORDERS of a customer's orders; at least 5 days."""
    days = np.round(options.days / (CYCLE_ORDERS * rate))
    return np.clip(days, 5, options.days // 4).astype(np.int64)


def _tastes(options: SyntheticOptions, n: int, rng: np.random.Generator) -> Floats:
    """Dirichlet shares around the falling shares of a group (n, taste_categories)."""
    falling = GROUP_SHARES[: options.taste_categories]
    draws = rng.gamma(12 * falling / falling.sum(), size=(n, options.taste_categories))
    return np.asarray(draws / draws.sum(axis=1, keepdims=True))


def cycle_events(options: SyntheticOptions, people: Households) -> Ints:
    """Number of cycle purchases (n,) within the span; 0 where there is no cycle."""
    usable = options.days - 2 * options.cycle_jitter_days
    events = np.ceil((usable - people.cycle_phase) / np.maximum(people.cycle_days, 1))
    return np.where(people.cycle_days > 0, np.maximum(events, 0), 0).astype(np.int64)
