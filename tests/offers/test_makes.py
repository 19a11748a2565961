"""What items are made of: amounts that compare or not, tiers of brands, versions, types out of texts."""

import numpy as np
import pytest
import scipy.sparse as sp

from recsys.data.histories import IdMap
from recsys.data.pack_sizes import PackSize
from recsys.offers.makes import brand_levels, makes_of, medians, no_makes, with_alike_types
from recsys.offers.shelf import Shelf

NAN = float("nan")


def shelf(prices: list[float], types: list[int], names: list[str] | None = None) -> Shelf:
    n = len(prices)
    ids = IdMap(tuple(f"i{k}" for k in range(n)))
    return Shelf(ids, tuple(names or ["x"] * n), np.array(types), np.array(prices, float), np.full(n, NAN))


def test_amounts_compare_where_units_do() -> None:
    sizes = ["12 OZ", "1 LB", "500 ML", "6 CT", None, "24 OZ", "12 CT", "nonsense"]
    made = makes_of(shelf([1.0] * 8, [0] * 8), [None] * 8, sizes)
    pairs = {(0, 5): 2.0, (0, 1): 16 / 12, (1, 0): 12 / 16, (3, 6): 2.0, (0, 2): 500 / (12 * 29.5735295625)}
    for (a, b), ratio in pairs.items():
        assert made.larger(np.array([a]), np.array([b]))[0] == pytest.approx(ratio)
    for a, b in [(1, 2), (0, 3), (0, 4), (4, 0), (0, 7)]:
        assert np.isnan(made.larger(np.array([a]), np.array([b]))[0])
    assert made.size(5) == PackSize(24.0, "oz")
    assert made.size(4) is None


def test_a_brands_level_is_its_price_per_unit_within_types() -> None:
    # "fine" costs twice the median per ounce in both types, whatever the pack
    prices = [1.0, 1.0, 2.0, 4.0, 4.0, 16.0]
    brands, sizes = ["plain", "plain", "fine"] * 2, ["10 OZ", "10 OZ", "10 OZ", "20 OZ", "20 OZ", "40 OZ"]
    made = makes_of(shelf(prices, [0, 0, 0, 1, 1, 1]), brands, sizes)
    fine = made.brands[2]
    assert made.levels[fine] == pytest.approx(2 * np.log(2) / (2 + 5))  # shrunk by five items
    assert made.levels[made.brands[0]] == 0
    assert made.dearer_brand(np.array([0, 2]), np.array([2, 0])) == pytest.approx(
        [made.levels[fine], -made.levels[fine]]
    )
    lone = brand_levels(shelf([NAN, 3.0], [0, -1]), np.array([0, 1]), 2, np.full(2, NAN), np.full(2, -1))
    assert lone.tolist() == [0, 0]


def test_unknown_brands_and_sizes_say_nothing() -> None:
    none = no_makes(3)
    a, b = np.array([0]), np.array([2])
    assert np.isnan(none.larger(a, b)[0])
    assert np.isnan(none.dearer_brand(a, b)[0])
    part = makes_of(shelf([1.0, 2.0], [0, 0]), ["A", None], [None, None])
    assert np.isnan(part.dearer_brand(np.array([0]), np.array([1]))[0])


def test_versions_are_names_without_brand_and_size() -> None:
    names = ["Saver Classic Rice 12 OZ", "Crown Reserve Classic Rice 12OZ", "Saver Smoked Rice 12 OZ", "Saver 12 OZ"]
    made = makes_of(shelf([1.0] * 4, [0] * 4, names), ["Saver", "Crown Reserve", "Saver", "Saver"],
                    ["12 OZ", "12OZ", "12 OZ", "12 OZ"])  # fmt: skip
    assert made.versions[0] == made.versions[1] != made.versions[2]
    assert made.versions[3] == -1


def test_medians_agree_with_numpy() -> None:
    rng = np.random.default_rng(0)
    groups, values = rng.integers(0, 7, 50), rng.random(50)
    assert medians(groups, values) == pytest.approx([np.median(values[groups == g]) for g in groups])


def test_types_out_of_texts() -> None:
    rows = np.array([[1, 0], [0.8, 0.6], [0, 1], [0.6, 0.8], [0, 0], [1, 0]], float)
    stand = shelf([1.0] * 6, [-1, -1, -1, -1, -1, 4])
    sold = np.array([9, 5, 8, 1, 7, 0])
    typed = with_alike_types(stand, sp.csr_matrix(rows), sold, 0.7)
    # 0 and 2 lead; 1 is nearer to 0, 3 to 2; 4 has no text, 5 its own type
    assert typed.types.tolist() == [5, 5, 6, 6, -1, 4]
    assert with_alike_types(stand, sp.csr_matrix(rows), sold, 0.99).types.tolist() == [5, 7, 6, 8, -1, 4]
    assert stand.types.tolist() == [-1, -1, -1, -1, -1, 4]
    joined = with_alike_types(stand, sp.csr_matrix(rows), sold, 0.5).types  # 3 lies between both leaders, nearer to 2
    assert joined[3] == joined[2] != joined[0]
