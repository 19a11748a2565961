"""Catalog texts of the synthetic shop: names, descriptions, brands, sizes as badly written as real ones."""

import numpy as np
import polars as pl

from recsys.data.synthetic.assortment import ASSORTMENT_STREAM, Assortment, Ints
from recsys.data.synthetic.options import SyntheticOptions

DEPARTMENTS = ("Grocery", "Fresh", "Household", "Deli")
CATEGORIES = (
    "Staples", "Snacks", "Breakfast", "Sauces",  # Grocery
    "Greens", "Roots", "Juices", "Sweets",  # Fresh
    "Cleaners", "Papers", "Soaps", "Treats",  # Household
    "Soups", "Cheeses", "Breads", "Grills",  # Deli
)  # fmt: skip
TYPES = (
    "Noodles", "Rice", "Crackers", "Popcorn", "Oats", "Granola", "Mustard", "Salsa",
    "Spinach", "Kale", "Carrots", "Beets", "Cider", "Nectar", "Toffee", "Fudge",
    "Bleach", "Polish", "Napkins", "Towels", "Shampoo", "Lotion", "Kibble", "Biscuits",
    "Broth", "Chili", "Gouda", "Brie", "Bagels", "Rolls", "Sausages", "Patties",
)  # fmt: skip
FLAVOURS = ("Classic", "Garden", "Smoked", "Honey", "Lemon", "Wild", "Country", "Spiced")
BRANDS = (
    ("Saver", "Basics", "Everyday", "Pantry"),  # good
    ("Northfield", "Homestead", "Orchard Lane", "Millbrook"),  # better
    ("Maison Aurel", "Crown Reserve", "Altamura", "Grand Cru"),  # best
)
TIERS = ("good", "better", "best")
UNITS = ("OZ", "LB", "CT")
TEXT_STREAM = 1  # of the assortment's seed


def item_ids(options: SyntheticOptions) -> pl.Series:
    """Ids (n_items,) "P0001", …: their order is the order of item codes."""
    width = max(4, len(str(options.items)))
    return _numbered("item_id", np.arange(1, options.items + 1), width, "P")


def _numbered(name: str, numbers: Ints, width: int, prefix: str = "") -> pl.Series:
    return (prefix + pl.Series(name, numbers).cast(pl.String).str.zfill(width)).alias(name)


def category_names(shelf: Assortment) -> pl.Series:
    """Names (n_categories,)."""
    return _worded(CATEGORIES, np.arange(len(shelf.category_low)))


def type_names(shelf: Assortment) -> pl.Series:
    """Names (n_types,)."""
    return _worded(TYPES, np.arange(shelf.type_of[-1] + 1))


def catalog_frame(options: SyntheticOptions, shelf: Assortment) -> pl.DataFrame:
    """All items with the columns of `schemas.Catalog`, sorted by item_id."""
    rng = np.random.default_rng([options.seed, ASSORTMENT_STREAM, TEXT_STREAM])
    department = _worded(DEPARTMENTS, shelf.department_of)
    category = category_names(shelf).gather(shelf.category_of)
    kind = type_names(shelf).gather(shelf.type_of)
    brand = _brand(shelf)
    flavour = _worded(FLAVOURS, shelf.flavour)
    size = _written_size(shelf, rng)
    texts = pl.DataFrame({"d": department, "c": category, "t": kind, "b": brand, "f": flavour, "s": size})
    tier = _worded(TIERS, shelf.tier).str.to_lowercase()
    return texts.select(
        item_ids(options),
        name=pl.format("{} {} {} {}", "b", "f", "t", "s"),
        description=pl.format("{} {} by {}, of {} quality, from our {} range", "f", "t", "b", tier, "c"),
        department="d",
        category="c",
        type="t",
        brand="b",
        size="s",
        unit_price=pl.Series(shelf.unit_price),
        unit_cost=pl.Series(np.round(shelf.unit_price * rng.uniform(0.5, 0.8, len(size)), 2)),
        in_stock=pl.Series(rng.random(len(size)) < 0.97),
    )


def _worded(words: tuple[str, ...], code: Ints) -> pl.Series:
    """Word of each code; a number follows where the words have been used up ("Rice 2")."""
    rounds = -(-(int(code.max()) + 1) // len(words))
    names = [word if turn == 0 else f"{word} {turn + 1}" for turn in range(rounds) for word in words]
    return pl.Series(names, dtype=pl.String).gather(code)


def _brand(shelf: Assortment) -> pl.Series:
    """A brand keeps to one tier and changes by category."""
    brands = pl.Series([name for names in BRANDS for name in names])
    return brands.gather(shelf.tier * len(BRANDS[0]) + shelf.category_of % len(BRANDS[0]))


def amount(shelf: Assortment) -> Ints:
    """Units (OZ, LB or CT) in an item (n_items,)."""
    return shelf.base_amount * shelf.multiple


def _written_size(shelf: Assortment, rng: np.random.Generator) -> pl.Series:
    """Packs of ounces "6/12 OZ", else "22 LB", "9 CT"; a tenth lacks the blank, a tenth is lower case."""
    packed = pl.Series((shelf.unit == 0) & (shelf.multiple > 1))
    parts = pl.DataFrame(
        {
            "unit": pl.Series(UNITS).gather(shelf.unit),
            "pack": shelf.multiple,
            "base": shelf.base_amount,
            "amount": amount(shelf),
            "manner": rng.random(len(shelf.unit)),
        }
    )
    number = pl.when(packed).then(pl.format("{}/{}", "pack", "base")).otherwise(pl.col("amount").cast(pl.String))
    blank = pl.when(pl.col("manner") < 0.1).then(pl.lit("")).otherwise(pl.lit(" "))
    unit = pl.when(pl.col("manner") > 0.9).then(pl.col("unit").str.to_lowercase()).otherwise("unit")
    return parts.select(size=pl.concat_str(number, blank, unit)).to_series()
