"""Where a list is shown decides what of a request is read, how long the list is, and whether owned items may stand in
it. A request that contradicts its placement is refused."""

from dataclasses import dataclass
from enum import Enum

from ..errors import InputError


class Basket(Enum):
    """What a placement takes the basket for."""

    NONE = "none"  # it must be empty
    ANCHOR = "anchor"  # one known item: that of the page
    CART = "cart"  # the open cart, which must hold something
    PLACED = "placed"  # the order just placed; empty = the customer's latest known order


@dataclass(frozen=True)
class Placement:
    """k, owned: defaults of these options; history: the customer's orders rank; basket: what it is taken for."""

    k: int
    owned: str
    history: bool
    basket: Basket


PLACEMENTS = {
    "home": Placement(10, "allow", True, Basket.NONE),
    "product": Placement(4, "allow", False, Basket.ANCHOR),
    "cart": Placement(3, "allow", True, Basket.CART),
    "checkout": Placement(3, "allow", True, Basket.CART),
    "post_purchase": Placement(3, "exclude", True, Basket.PLACED),
    "email": Placement(4, "allow", True, Basket.NONE),
}


def check_basket(placement: str, basket: frozenset[str], known: int, customer_known: bool) -> None:
    """Refuse a basket that the placement cannot be answered with; `known` of its distinct items are known."""
    kind = PLACEMENTS[placement].basket
    if kind is Basket.NONE and basket:
        raise InputError(
            f"placement {placement} reads no basket, this one holds {len(basket)} items; leave it empty, "
            "or ask placement cart, product or post_purchase"
        )
    if kind is Basket.ANCHOR and len(basket) != 1:
        raise InputError(
            f"placement {placement} needs exactly one item in basket, the page's own, this one holds {len(basket)}; "
            "ask placement cart for a whole cart"
        )
    if kind is Basket.ANCHOR and not known:
        raise InputError(
            f"placement {placement}: the model does not know item {short(next(iter(basket)))}; ask placement cart, "
            "which answers with what is popular in the item's category where the catalog knows it"
        )
    if kind is Basket.CART and not basket:
        raise InputError(f"placement {placement} needs a cart, basket is empty; give its items, or ask placement home")
    if kind is Basket.PLACED and not basket and not customer_known:
        raise InputError(
            f"placement {placement} needs the order just placed: basket is empty and the customer has no known order; "
            "give the order's items as basket, or ask placement email"
        )


def short(name: str) -> str:
    """For an error: quoted, what cannot be printed escaped, at most 60 characters."""
    text = repr(name[:60])
    return text if len(name) <= 60 and len(text) <= 62 else text[:57] + "..."
