"""The difference between two prices in words, never more than the sizes say."""

import math

from ..data.pack_sizes import PER, PackSize, amount_in, unit_price

CREDIBLE = 4.0  # unit prices further apart than this are taken for an error of the catalog and not said


def price_words(price: float, other: float, size: PackSize | None, larger: PackSize | None) -> str:
    """What `other` costs more than `price`, and per unit where both sizes are known, compare and are written alike."""
    more = f"{other - price:.2f} more ({other / price - 1:.0%})"
    units = _unit_prices(price, other, size, larger)
    if units is None or size is None or larger is None:
        return more
    before, after, unit = units
    per = f"{_money(after)} instead of {_money(before)} per {PER[unit]}"
    if _money(before) == _money(after):
        return f"{more}, the same per {PER[unit]}"
    saved = before / after * other - other
    if saved < 0.005 or (amount_in(larger, size.unit) or 0.0) <= size.amount:
        return f"{more}, {per}"
    return f"{more}, {per}: {saved:.2f} less than as much of it in the smaller pack"


def _unit_prices(
    price: float, other: float, size: PackSize | None, larger: PackSize | None
) -> tuple[float, float, str] | None:
    """Both unit prices in one unit. "12 OZ" beside "12/12 OZ" may leave the packs unsaid, so these are not compared."""
    if size is None or larger is None or (size.packs > 1) != (larger.packs > 1):
        return None
    unit = size.unit if size.unit != "oz" else larger.unit
    amounts = amount_in(size, unit), amount_in(larger, unit)
    if amounts[0] is None or amounts[1] is None:
        return None
    before = unit_price(price, PackSize(amounts[0], unit))
    after = unit_price(other, PackSize(amounts[1], unit))
    return (before, after, unit) if 1 / CREDIBLE <= after / before <= CREDIBLE else None


def _money(value: float) -> str:
    return f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def brand_words(level: float) -> str:
    """`level`: of the brand above the anchor's, see `Makes.levels`."""
    return f"a brand whose prices for the same amount are about {math.expm1(level):.0%} higher"
