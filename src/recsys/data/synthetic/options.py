"""Options of the synthetic shop: a small default for tests, `large` for benchmarks."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date

import pydantic
import yaml

from recsys.errors import InputError

SHARES = (
    "guest_share",
    "return_share",
    "dirty_share",
    "promo_share",
    "reorder_share",
    "taste_share",
    "substitute_share",
    "cycle_share",
    "trade_up_share",
)


@dataclass(frozen=True, kw_only=True)
class SyntheticOptions:
    """What the shop looks like. Shares lie in [0, 1); means are of skewed distributions."""

    seed: int = 0
    customers: int = 400
    items: int = 300
    start: date = date(2024, 1, 1)  # first day, UTC
    days: int = 365  # span of the history
    orders_per_customer: float = 19.0  # mean, gamma-skewed, at least one
    basket_size: float = 5.0  # mean lines drawn for an order; items drawn twice fall away (1-8%)
    guest_share: float = 0.05  # of orders; a guest has no customer_id and one order
    return_share: float = 0.02  # of purchase lines
    dirty_share: float = 0.03  # dirty rows per clean row, over all kinds
    promo_share: float = 0.1  # of lines sold at four fifths of the price
    reorder_share: float = 0.27  # of ordinary lines after the first order that copy an earlier line
    zipf: float = 0.8  # exponent of item popularity
    # catalog
    items_per_type: int = 12  # three tiers x flavours x pack sizes
    types_per_category: int = 2
    categories_per_department: int = 4
    tier_prices: tuple[float, float, float] = (1.0, 1.35, 1.9)  # good, better, best
    # tastes
    groups: int = 6  # groups of customers with alike tastes
    taste_categories: int = 3  # preferred categories of a customer
    taste_share: float = 0.7  # of ordinary draws that follow taste, the rest follow popularity
    # planted effects, each on items of its own
    n_pairs: int = 8  # complements of different types
    pair_lines: float = 0.5  # mean lines of an order that come from pairs
    pair_confidence: tuple[float, float] = (0.25, 0.5)  # range of P(b | a)
    n_substitutes: int = 6  # pairs of one type, price and tier
    substitute_share: float = 0.3  # of orders with one of the customer's two substitutes
    cycle_share: float = 0.2  # of customers with a reorder cycle
    cycle_jitter_days: float = 1.0  # a cycle purchase lies this far from its date at most
    trade_up_share: float = 0.1  # of customers that trade up
    trade_up_rate: float = 0.5  # of their orders with the traded item
    # time
    trend: float = 0.2  # growth of orders over the span
    season: float = 0.15  # amplitude of the yearly wave

    def __post_init__(self) -> None:
        """Refuse values from which no shop can be made."""
        for name in SHARES:
            _require(0 <= getattr(self, name) < 1, name, getattr(self, name), "a share in [0, 1)")
        _require(self.customers >= 1, "customers", self.customers, "at least 1")
        _require(self.days >= 28, "days", self.days, "at least 28")
        _require(self.orders_per_customer >= 1, "orders_per_customer", self.orders_per_customer, "at least 1")
        _require(self.items_per_type >= 6, "items_per_type", self.items_per_type, "at least 6")
        _require(self.n_pairs >= 1, "n_pairs", self.n_pairs, "at least 1")
        _require(self.n_substitutes >= 1, "n_substitutes", self.n_substitutes, "at least 1")
        _require(0 < self.pair_lines <= 1, "pair_lines", self.pair_lines, "above 0, at most 1")
        _require(0 <= self.cycle_jitter_days <= 2, "cycle_jitter_days", self.cycle_jitter_days, "0 to 2")
        low, high = self.pair_confidence
        _require(0 < low <= high <= 1, "pair_confidence", self.pair_confidence, "a range in (0, 1]")
        least = self.planted_lines + 1
        _require(self.basket_size >= least, "basket_size", self.basket_size, f"at least {least:.2f}")

    @property
    def planted_lines(self) -> float:
        """Mean lines of an order that the planted effects add, about."""
        cycles = 0.5 * self.cycle_share
        return self.pair_lines + self.substitute_share + cycles + self.trade_up_share * self.trade_up_rate

    @property
    def guests(self) -> int:
        """Guest orders, so that they are `guest_share` of all orders."""
        return round(self.guest_share / (1 - self.guest_share) * self.customers * self.orders_per_customer)


def _require(holds: bool, name: str, value: object, wanted: str) -> None:
    if not holds:
        raise InputError(f"synthetic option {name} is {value}; it must be {wanted}")


def changed(options: SyntheticOptions, settings: Sequence[str]) -> SyntheticOptions:
    """`options` with `key=value` settings, values as YAML; InputError for an unknown key or a wrong value."""
    given = {}
    for setting in settings:
        key, _, value = setting.partition("=")
        given[key.strip()] = yaml.safe_load(value)
    try:
        return pydantic.TypeAdapter(SyntheticOptions).validate_python(asdict(options) | given, extra="forbid")
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        names = ", ".join(f.name for f in fields(options))
        raise InputError(
            f"synthetic option {where} = {first['input']!r}: {first['msg']}; options are {names}"
        ) from None


def large(seed: int = 0) -> SyntheticOptions:
    """Two years of a big shop: 3.4M orders, 32M lines, 206k customers, 50k items, about 60% repeats."""
    return SyntheticOptions(
        seed=seed,
        customers=206_000,
        items=50_000,
        start=date(2023, 1, 1),
        days=731,
        orders_per_customer=16.5,
        basket_size=10.25,  # 9.5 after items drawn twice
        guest_share=0.0,
        reorder_share=0.71,
        items_per_type=24,
        types_per_category=12,
        categories_per_department=8,
        groups=40,
        taste_categories=6,
        n_pairs=500,
        n_substitutes=100,
    )
