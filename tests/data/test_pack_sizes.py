"""Sizes as shops write them: read as a person would, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.pack_sizes import ALONE, UNITS, PackSize, amount_in, pack_size, unit_price

LB, OZ, FL_OZ = 453.59237, 28.349523125, 29.5735295625


@pytest.mark.parametrize(("text", "amount", "unit", "packs"), [
    ("22 LB", 22 * LB, "g", 1),
    ("22LB", 22 * LB, "g", 1),
    ("22 lb", 22 * LB, "g", 1),
    ("8 LB BAG", 8 * LB, "g", 1),
    ("3-LB BAG", 3 * LB, "g", 1),
    ("1 LB 9 OZ", 25 * OZ, "g", 1),
    ("250 G", 250, "g", 1),
    ("1.5 KG", 1500, "g", 1),
    ("12 OZ", 12, "oz", 1),
    (".9 OZ", 0.9, "oz", 1),
    ("10 3/4 OZ", 10.75, "oz", 1),
    ("16    OZ", 16, "oz", 1),
    ("6/12 OZ", 72, "oz", 6),
    ("10/6.75 OZ", 67.5, "oz", 10),
    ("4/4 OZ", 16, "oz", 4),
    ("6/.5 L", 3000, "ml", 6),
    ("1/2 GAL", 64 * FL_OZ, "ml", 1),
    ("HALF GAL", 64 * FL_OZ, "ml", 1),
    ("1/2 PT", 8 * FL_OZ, "ml", 1),
    ("PT", 16 * FL_OZ, "ml", 1),
    ("1 QT", 32 * FL_OZ, "ml", 1),
    ("13 FL OZ", 13 * FL_OZ, "ml", 1),
    ("750 ML", 750, "ml", 1),
    ("12 PK 12 OZ", 144, "oz", 12),
    ("12 PK/12 OZ", 144, "oz", 12),
    ("16.9 OZ/6 PK", 101.4, "oz", 6),
    ("9 CT/9 OZ", 9, "oz", 9),
    ("30 OZ/12 CT", 30, "oz", 12),
    ("200 CT", 200, "piece", 1),
    ("12 PK", 12, "piece", 1),
    ("1 DZ", 12, "piece", 1),
])  # fmt: skip
def test_reads(text: str, amount: float, unit: str, packs: int) -> None:
    size = pack_size(text)
    assert size is not None
    assert (size.amount, size.unit, size.packs) == (pytest.approx(amount), unit, packs)


@pytest.mark.parametrize("text", [
    None, "", " ", "CTN", "PK", "LARGE", "12", "12/12", "6 IN", "83.5 SQ FT", "32 LOAD", "120 CT/81 MG",
    "118612 8 OZ", "P    18 OZ", "516666 CTN", "(600) 4 LB",  # codes
    "80-88 CT", "31-45 LB", "6-2 OZ", "3-3.5 OZ", "2 - 7.5 OZ",  # ranges, or packs: a dash says both
    "3/4 OZ", "2/3 OZ", "3/4 L",  # three quarters, or three of four
    "30 CT/30 GAL", "2 QT/.25 OZ",  # what a bag holds, what a mix makes
    "1/12 OZ", "10 12/4 OZ", "0 OZ", "0/12 OZ", "2.5 CT", "6/1/2 OZ", "12 OZ 12", "12 PK/", "1 LB 9",
])  # fmt: skip
def test_guesses_nothing(text: str | None) -> None:
    assert pack_size(text) is None


amounts = st.integers(1, 9999) | st.decimals("0.01", "999.99", places=2).map(float)
written = st.tuples(amounts, st.sampled_from(sorted(UNITS))).filter(
    lambda size: UNITS[size[1]][0] != "piece" or float(size[0]).is_integer()
)


@given(written, st.sampled_from(["", " ", "   ", "-"]), st.booleans())
def test_blanks_and_case_do_not_matter(size, blank: str, lower: bool) -> None:
    number, unit = size
    text = f"{number}{blank}{unit}"
    kind, factor = UNITS[unit]
    assert pack_size(text.lower() if lower else text) == PackSize(number * factor, kind)


@given(st.integers(2, 60), st.integers(1, 99), st.sampled_from(["OZ", "ML", "G"]))
def test_packs_multiply_unless_they_may_be_a_fraction(packs: int, each: int, unit: str) -> None:
    size = pack_size(f"{packs}/{each} {unit}")
    if (packs, each) in {(2, 3), (3, 4), (3, 8), (5, 8), (7, 8)}:
        assert size is None
    else:
        assert size == PackSize(float(packs * each), UNITS[unit][0], packs)
        assert pack_size(f"{packs} PK {each} {unit}") == size


@given(st.text(alphabet="0123456789 ./-OZLBCTPKGAMDI()", max_size=14))
def test_any_text_is_read_or_refused(text: str) -> None:
    size = pack_size(text)
    assert size is None or (size.amount > 0 and size.packs >= 1)
    assert size is None or any(c.isdigit() for c in text) or " ".join(text.split()).rstrip(".") in ALONE


@given(st.floats(0.01, 1e4), st.floats(0.01, 1e5), st.integers(1, 50))
def test_unit_price_times_amount_is_the_price(price: float, amount: float, packs: int) -> None:
    assert unit_price(price, PackSize(amount, "oz", packs)) * amount == pytest.approx(price)
    assert unit_price(price, PackSize(amount, "piece", packs)) * amount == pytest.approx(price)
    assert unit_price(price, PackSize(amount, "g", packs)) * amount / 100 == pytest.approx(price)


def test_an_ounce_is_what_it_is_compared_with() -> None:
    ounces = PackSize(12.0, "oz")
    assert amount_in(ounces, "oz") == 12
    assert amount_in(ounces, "g") == pytest.approx(340.194, rel=1e-5)
    assert amount_in(ounces, "ml") == pytest.approx(354.882, rel=1e-5)
    assert amount_in(PackSize(OZ, "g"), "oz") == pytest.approx(1)
    assert amount_in(PackSize(100.0, "g"), "ml") is None
    assert amount_in(ounces, "piece") is None
    assert amount_in(PackSize(4.0, "piece"), "oz") is None
