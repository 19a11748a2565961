"""Orders of a block of customers and the lines in them; every step is one array operation over all lines.

An ordinary line either copies a line of one of the customer's earlier orders (habit, rich get richer) or
is drawn afresh, by taste within a preferred category or by popularity. Planted lines are added on items of
their own. An order holds an item once.
"""

from dataclasses import dataclass

import numpy as np

from recsys.data.synthetic.assortment import Assortment, Floats, Ints
from recsys.data.synthetic.households import DAY, Households, cycle_events
from recsys.data.synthetic.options import SyntheticOptions

WEEK = np.array([0.9, 0.9, 0.95, 1.0, 1.2, 1.35, 1.1])  # Monday to Sunday
HOURS = np.array([0, 0, 0, 0, 0, 0, 1, 2, 4, 6, 7, 7, 6, 6, 6, 7, 8, 9, 8, 6, 4, 2, 1, 0], dtype=float)
QUANTITIES = np.repeat([1, 2, 3, 4, 6, 12], [184, 44, 12, 8, 6, 2])  # a byte's worth of quantities


@dataclass(frozen=True)
class Trips:
    """Orders sorted by household, then time; arrays (n_orders,)."""

    household: Ints
    seconds: Ints  # since the start of the span
    cyclic: Ints  # 1 where the order is a cycle purchase


@dataclass(frozen=True)
class Lines:
    """Order lines sorted by order, then item; arrays (n_lines,)."""

    order: Ints  # row of Trips
    item: Ints  # item code
    quantity: Ints
    unit_price: Floats


@dataclass(frozen=True)
class Past:
    """Ordinary lines of each order's household in earlier orders, which lie in a row; arrays (n_orders,)."""

    first: Ints
    count: Ints


def make_trips(options: SyntheticOptions, people: Households, rng: np.random.Generator) -> Trips:
    """Draw when each household orders: free trips by week, season and trend, cycle trips by their cycle."""
    events = cycle_events(options, people)
    free = 1 + rng.poisson(np.maximum(people.rate - 1 - events, 0))
    free_household = np.repeat(np.arange(len(free)), free)
    free_seconds = _free_seconds(options, len(free_household), rng)
    cyclic_household = np.repeat(np.arange(len(events)), events)
    cyclic_seconds = _cycle_seconds(options, people, events, rng)
    # household, time and kind in one integer, so that one plain sort orders the trips
    span = options.days * DAY
    free_keys = (free_household * span + free_seconds) * 2
    cyclic_keys = (cyclic_household * span + cyclic_seconds) * 2 + 1
    keys, cyclic = np.divmod(np.sort(np.concatenate([free_keys, cyclic_keys])), 2)
    household, seconds = np.divmod(keys, span)
    return Trips(household, seconds, cyclic)


def _free_seconds(options: SyntheticOptions, n: int, rng: np.random.Generator) -> Ints:
    day = np.arange(options.days)
    weight = WEEK[(options.start.weekday() + day) % 7] * (1 + options.trend * day / options.days)
    weight = weight * (1 + options.season * np.sin(2 * np.pi * day / 365.25))
    cumulative = np.concatenate([[0.0], np.cumsum(np.outer(weight, HOURS))])
    draws = rng.random(n) * cumulative[-1]
    hours = np.interp(draws, cumulative, np.arange(len(cumulative)))
    return np.asarray(np.minimum((hours * 3600).astype(np.int64), options.days * DAY - 1))


def _cycle_seconds(options: SyntheticOptions, people: Households, events: Ints, rng: np.random.Generator) -> Ints:
    """Phase + k x interval + jitter, so that errors never add up."""
    jitter = options.cycle_jitter_days
    k = np.arange(events.sum()) - np.repeat(np.cumsum(events) - events, events)
    due = np.repeat(people.cycle_phase, events) + k * np.repeat(people.cycle_days, events)
    days = jitter + due + jitter * rng.uniform(-1, 1, len(k))
    return np.asarray(np.clip((days * DAY).astype(np.int64), 0, options.days * DAY - 1))


def make_lines(
    options: SyntheticOptions,
    shelf: Assortment,
    people: Households,
    trips: Trips,
    rng: np.random.Generator,
) -> Lines:
    """Fill the baskets of all trips. Keys (order x n_items + item) are sorted, never rows."""
    n_items = len(shelf.unit_price)
    sizes = _ordinary_sizes(options, len(trips.household), rng)
    order = np.repeat(np.arange(len(sizes)), sizes)
    past = _past(trips, sizes)
    item = _ordinary_items(options, shelf, people, trips, sizes, past, rng)
    keys = _distinct(order * n_items + item)
    # items drawn twice for an order: one more draw each, so that baskets keep about their size
    missing = sizes - np.bincount(keys // n_items, minlength=len(sizes))
    short = np.repeat(np.arange(len(sizes)), missing)
    refill = short * n_items + _draw_again(options, shelf, item, past, short, rng)
    planted = [orders * n_items + items for orders, items in _planted(options, shelf, people, trips, rng)]
    order, item = np.divmod(_distinct(np.concatenate([keys, refill, *planted])), n_items)
    promo = rng.random(len(item), dtype=np.float32) < options.promo_share
    return Lines(
        order=order,
        item=item,
        quantity=QUANTITIES[rng.integers(0, 256, len(item), dtype=np.uint8)],
        unit_price=np.where(promo, np.round(shelf.unit_price * 0.8, 2)[item], shelf.unit_price[item]),
    )


def _distinct(keys: Ints) -> Ints:
    keys = np.sort(keys)
    return np.asarray(keys[np.concatenate([[True], keys[1:] != keys[:-1]])], dtype=np.int64)


def _ordinary_sizes(options: SyntheticOptions, n: int, rng: np.random.Generator) -> Ints:
    """1 + negative binomial, skewed; capped at a quarter of the shelf."""
    more = options.basket_size - options.planted_lines - 1
    drawn: Ints = rng.poisson(more * rng.gamma(1.5, 1 / 1.5, n)).astype(np.int64)
    return np.asarray(np.minimum(1 + drawn, max(1, options.items // 4)))


def _ordinary_items(
    options: SyntheticOptions,
    shelf: Assortment,
    people: Households,
    trips: Trips,
    sizes: Ints,
    past: Past,
    rng: np.random.Generator,
) -> Ints:
    source = _sources(options, sizes, past, rng)
    fresh = np.flatnonzero(source == np.arange(len(source)))
    household = np.repeat(trips.household, sizes)[fresh]
    item = np.empty(len(source), dtype=np.int64)
    item[fresh] = _draw_by_taste(options, shelf, people, household, rng)
    return item[source]


def _past(trips: Trips, sizes: Ints) -> Past:
    start = np.cumsum(sizes) - sizes  # first line of each order
    first_trip = np.searchsorted(trips.household, trips.household)  # first order of the household
    return Past(first=start[first_trip], count=start - start[first_trip])


def _sources(options: SyntheticOptions, sizes: Ints, past: Past, rng: np.random.Generator) -> Ints:
    """Line (n_lines,) whose item each line repeats, in the end a fresh line (possibly itself).

    A copy points to a random line of the customer's earlier orders, which may be a copy in turn: pointers
    are doubled until they rest.
    """
    first, before = np.repeat(past.first, sizes), np.repeat(past.count, sizes)
    source = np.arange(len(first))
    copy = np.flatnonzero((rng.random(len(source)) < options.reorder_share) & (before > 0))
    source[copy] = first[copy] + (rng.random(len(copy)) * before[copy]).astype(np.int64)
    while True:
        further = source[source]
        if np.array_equal(further, source):
            return source
        source = further


def _draw_again(
    options: SyntheticOptions,
    shelf: Assortment,
    item: Ints,
    past: Past,
    order: Ints,
    rng: np.random.Generator,
) -> Ints:
    """Item codes (n,) for some orders: from the household's past as often as else, or by popularity."""
    before = past.count[order]
    habit = (rng.random(len(order)) < options.reorder_share) & (before > 0)
    earlier = item[np.where(habit, past.first[order] + (rng.random(len(order)) * before).astype(np.int64), 0)]
    return np.where(habit, earlier, _pick(shelf, rng.random(len(order)) * shelf.cumulative[-1]))


def _draw_by_taste(
    options: SyntheticOptions,
    shelf: Assortment,
    people: Households,
    household: Ints,
    rng: np.random.Generator,
) -> Ints:
    """Item codes: `taste_share` of them within a preferred category, the rest by popularity alone."""
    draw = rng.random(len(household)) / options.taste_share if options.taste_share else np.ones(len(household))
    by_taste = draw < 1
    chosen = np.zeros(len(household), dtype=np.int64)
    upto = np.cumsum(people.tastes, axis=1)
    for rank in range(options.taste_categories - 1):
        chosen += draw > upto[household, rank]
    category = shelf.group_categories[people.group[household], chosen]
    low = np.where(by_taste, shelf.category_low[category], 0.0)
    high = np.where(by_taste, shelf.category_high[category], shelf.cumulative[-1])
    return _pick(shelf, low + rng.random(len(household)) * (high - low))


def _pick(shelf: Assortment, at: Floats) -> Ints:
    found = np.searchsorted(shelf.cumulative, at, side="right")  # right: never an item of no weight
    last = np.searchsorted(shelf.cumulative, shelf.cumulative[-1])
    return np.asarray(np.minimum(found, last))


def _planted(
    options: SyntheticOptions, shelf: Assortment, people: Households, trips: Trips, rng: np.random.Generator
) -> list[tuple[Ints, Ints]]:
    """(orders, items) of each planted effect."""
    return [
        *_pair_lines(shelf, len(trips.household), rng),
        _substitute_lines(options, shelf, people, trips, rng),
        _trade_up_lines(options, shelf, people, trips, rng),
        _cycle_lines(people, trips),
    ]


def _pair_lines(shelf: Assortment, n: int, rng: np.random.Generator) -> list[tuple[Ints, Ints]]:
    """At most one pair event per order, independent of all else: lift is exactly confidence / probability.

    Events of a pair: both (confidence x p), only a and only b ((1 - confidence) x p each).
    """
    p, confidence = shelf.pair_probability, shelf.pair_confidence
    events = np.stack([confidence * p, (1 - confidence) * p, (1 - confidence) * p], axis=1)
    drawn = np.searchsorted(np.cumsum(events.ravel()), rng.random(n), side="right")
    order = np.flatnonzero(drawn < events.size)
    pair, event = np.divmod(drawn[order], 3)
    has_a, has_b = event != 2, event != 1
    return [(order[has_a], shelf.pairs[pair[has_a], 0]), (order[has_b], shelf.pairs[pair[has_b], 1])]


def _substitute_lines(
    options: SyntheticOptions, shelf: Assortment, people: Households, trips: Trips, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """One or the other of the household's two substitutes, never both in one order."""
    order = np.flatnonzero(rng.random(len(trips.household)) < options.substitute_share)
    pair = people.substitute[trips.household[order]]
    return order, shelf.substitutes[pair, rng.integers(0, 2, len(order))]


def _trade_up_lines(
    options: SyntheticOptions, shelf: Assortment, people: Households, trips: Trips, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """The lower tier before the household's date, the next one from it on."""
    trading = people.trade_up[trips.household] >= 0
    order = np.flatnonzero(trading & (rng.random(len(trading)) < options.trade_up_rate))
    household = trips.household[order]
    after = trips.seconds[order] >= people.trade_up_at[household]
    return order, shelf.ladders[people.trade_up[household], after.astype(np.int64)]


def _cycle_lines(people: Households, trips: Trips) -> tuple[Ints, Ints]:
    order = np.flatnonzero(trips.cyclic)
    return order, people.cycle_item[trips.household[order]]
