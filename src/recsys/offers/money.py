"""Sums of money without the errors of binary fractions: 0.1 + 0.2 is 0.3, and half a cent goes up."""

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal

from ..errors import InputError

MOST_DIGITS = 6  # no currency has more decimals in its prices


def exact(amount: float) -> Decimal:
    """The amount as it is written: 0.1 is a tenth. InputError where it is no number."""
    value = Decimal(str(float(amount)))
    if not value.is_finite():
        raise InputError(f"an amount of money is {amount}; give a finite number")
    return value


def total(amounts: Iterable[float]) -> Decimal:
    """Exact sum."""
    return sum(map(exact, amounts), Decimal(0))


def rounded(amount: Decimal, digits: int, how: str = ROUND_HALF_UP) -> Decimal:
    """To `digits` decimals of the currency, halves away from zero; `how` is another rounding of `decimal`."""
    return amount.quantize(Decimal(1).scaleb(-digits), how)


def require_digits(digits: int, option: str) -> None:
    """Decimals of a currency: 2 for most, 0 for the yen, 3 for the dinar."""
    if not 0 <= digits <= MOST_DIGITS:
        raise InputError(f"{option} is {digits}; give the decimals of the currency, 0 to {MOST_DIGITS}")
