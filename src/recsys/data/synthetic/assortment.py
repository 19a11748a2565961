"""The shelf: types, tiers, prices and popularity, and which items carry which planted effect.

Item code i belongs to type i // items_per_type; types make categories, categories departments, so codes
are sorted by category. Within a type, slot = code % items_per_type: tier = slot % 3, flavour and pack
size follow from slot // 3. Each planted effect has items of its own, which ordinary draws never touch.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recsys.data.synthetic.options import SyntheticOptions
from recsys.errors import InputError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MULTIPLES = np.array([1, 6, 2, 12, 4, 24, 3, 8])  # pack sizes, in base packs
BASE_AMOUNTS = np.array([[8, 12, 16, 32], [2, 5, 11, 22], [6, 9, 12, 24]])  # per unit: OZ, LB, CT
ASSORTMENT_STREAM = 0  # of the seed; chunks of customers take stream 1


@dataclass(frozen=True)
class Assortment:
    """Arrays over items (n_items,) unless said otherwise; items are codes in order of item_id."""

    type_of: Ints
    category_of: Ints
    department_of: Ints
    tier: Ints  # 0 good, 1 better, 2 best
    flavour: Ints
    unit: Ints  # 0 OZ, 1 LB, 2 CT
    base_amount: Ints  # of one pack
    multiple: Ints  # packs
    unit_price: Floats
    cumulative: Floats  # popularity of ordinary items, summed up; planted items add nothing
    category_low: Floats  # (n_categories,) where a category's stretch of `cumulative` begins
    category_high: Floats  # (n_categories,) and ends
    group_categories: Ints  # (groups, taste_categories)
    pairs: Ints  # (n_pairs, 2) complements of different types
    pair_confidence: Floats  # (n_pairs,) P(b | a) = P(a | b)
    pair_probability: float  # P(a) = P(b), per order
    substitutes: Ints  # (n_substitutes, 2) of one type, tier and size
    ladders: Ints  # (n_ladders, 2) item and its next tier
    cycle_items: Ints


@dataclass(frozen=True)
class _Roles:
    pairs: Ints
    substitutes: Ints
    ladders: Ints
    cycle_items: Ints

    @property
    def items(self) -> Ints:
        parts = (self.pairs, self.substitutes, self.ladders, self.cycle_items)
        return np.concatenate([part.ravel() for part in parts])


def make_assortment(options: SyntheticOptions) -> Assortment:
    """Build the shelf from the seed alone; InputError when it is too small for its planted effects."""
    rng = np.random.default_rng([options.seed, ASSORTMENT_STREAM])
    code = np.arange(options.items)
    type_of, slot = np.divmod(code, options.items_per_type)
    category_of = type_of // options.types_per_category
    tier, variant = slot % 3, slot // 3
    multiple = MULTIPLES[variant // 2 % len(MULTIPLES)]
    unit_of_type = rng.integers(0, 3, type_of[-1] + 1)
    amount_of_type = BASE_AMOUNTS[unit_of_type, rng.integers(0, 4, len(unit_of_type))]
    roles = _plant(options, rng)
    weights = _popularity(options, roles.items, rng)
    bounds = np.concatenate([[0.0], np.cumsum(np.bincount(category_of, weights))])
    return Assortment(
        type_of=type_of,
        category_of=category_of,
        department_of=category_of // options.categories_per_department,
        tier=tier,
        flavour=variant,
        unit=unit_of_type[type_of],
        base_amount=amount_of_type[type_of],
        multiple=multiple,
        unit_price=_prices(options, type_of, tier, multiple, rng),
        cumulative=np.cumsum(weights),
        category_low=bounds[:-1],
        category_high=bounds[1:],
        group_categories=_group_categories(options, np.diff(bounds), rng),
        pairs=roles.pairs,
        pair_confidence=rng.uniform(*options.pair_confidence, options.n_pairs),
        pair_probability=options.pair_lines / (2 * options.n_pairs),
        substitutes=roles.substitutes,
        ladders=roles.ladders,
        cycle_items=roles.cycle_items,
    )


def _plant(options: SyntheticOptions, rng: np.random.Generator) -> _Roles:
    """Whole types go to ladders and substitutes; pairs and cycles take the last slots of other types."""
    width = options.items_per_type
    types = rng.permutation(options.items // width) * width  # first code of every full type
    per_type = width // 6 * 3
    n_ladder = max(1, round(0.04 * len(types)))
    n_substitute = -(-options.n_substitutes // per_type)
    free = types[n_ladder + n_substitute :]
    if len(free) < max(2 * options.n_pairs, 2):
        raise InputError(
            f"{options.items} items make {len(types)} types of {width}; {options.n_pairs} pairs and "
            f"{options.n_substitutes} substitutes need {n_ladder + n_substitute + 2 * options.n_pairs}: "
            "raise items, or lower n_pairs, n_substitutes or items_per_type"
        )
    steps = np.array([[0, 1], [1, 2]])
    twins = (np.arange(per_type) // 3 * 6 + np.arange(per_type) % 3)[:, None] + np.array([0, 3])
    substitute_types = types[n_ladder : n_ladder + n_substitute]
    return _Roles(
        ladders=(types[:n_ladder, None, None] + steps).reshape(-1, 2),
        substitutes=(substitute_types[:, None, None] + twins).reshape(-1, 2)[: options.n_substitutes],
        pairs=np.sort((free[: 2 * options.n_pairs] + width - 1).reshape(-1, 2), axis=1),
        cycle_items=free[: max(2, len(free) // 2)] + width - 2,
    )


def _popularity(options: SyntheticOptions, planted: Ints, rng: np.random.Generator) -> Floats:
    """Zipf weights over ordinary items, summing to one; zero for planted items."""
    weights = np.asarray((rng.permutation(options.items) + 1.0) ** -options.zipf, dtype=np.float64)
    weights[planted] = 0.0
    return np.asarray(weights / weights.sum())


def _prices(options: SyntheticOptions, type_of: Ints, tier: Ints, multiple: Ints, rng: np.random.Generator) -> Floats:
    """Type's base price x tier x pack (a little below proportional), ending in 9 cents."""
    base = np.clip(rng.lognormal(1.3, 0.6, type_of[-1] + 1), 1.5, 60.0)
    price = base[type_of] * np.array(options.tier_prices)[tier] * multiple**0.85
    return np.asarray(np.round(np.round(price, 1) - 0.01, 2))


def _group_categories(options: SyntheticOptions, weights: Floats, rng: np.random.Generator) -> Ints:
    """Preferred categories (groups, taste_categories): distinct within a group, popular ones oftener."""
    usable = np.count_nonzero(weights)
    if usable < options.taste_categories:
        raise InputError(
            f"only {usable} categories hold ordinary items, fewer than taste_categories = "
            f"{options.taste_categories}: raise items or lower taste_categories"
        )
    # the k earliest of exponential races are a weighted draw without replacement (Efraimidis, Spirakis)
    race = rng.exponential(size=(options.groups, len(weights))) / np.maximum(np.sqrt(weights), 1e-300)
    return np.argsort(race, axis=1)[:, : options.taste_categories]
