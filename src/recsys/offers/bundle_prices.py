"""What a bundle costs: the discount in money that can be paid, or the same saving on one of its items."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from .money import exact, rounded

LEAST, MOST = 0.15, 0.25  # discounts that the trade finds to work


@dataclass(frozen=True)
class CompanionDiscount:
    """The same saving in another guise: one item costs `price`, a share `off` less, the others their full price."""

    item_id: str
    price: float
    off: float


def discounted(list_price: Decimal, discount: float, digits: int) -> Decimal | None:
    """The rounded price nearest to the discount that stays within LEAST and MOST; None where there is none."""
    low = rounded(list_price * (1 - exact(MOST)), digits, ROUND_CEILING)
    high = rounded(list_price * (1 - exact(LEAST)), digits, ROUND_FLOOR)
    wanted = rounded(list_price * (1 - exact(discount)), digits)
    return min(max(wanted, low), high) if low <= high else None


def companion_discount(
    items: tuple[str, ...], prices: list[Decimal], saving: Decimal, most: float
) -> CompanionDiscount | None:
    """The cheapest item that can carry the whole saving."""
    able = [(price, item) for item, price in zip(items, prices, strict=True) if saving <= price * exact(most)]
    if not able:
        return None
    price, item = min(able)
    return CompanionDiscount(item, float(price - saving), float(saving / price))
