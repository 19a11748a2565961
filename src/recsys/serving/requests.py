"""One row of a request table, understood or refused: who asks, what lies in the cart, what may be listed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..data.histories import Histories, IdMap, Ints
from ..errors import InputError
from .categories import Categories, Codes
from .options import RequestOptions, parse_options
from .placements import PLACEMENTS, Basket, check_basket

MAX_BASKET = 10_000  # items of one cart
NOTHING = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Request:
    """Items are positions in the model's IdMap, customers rows of its histories.

    customer  whose orders rank, -1 = nobody's
    owner     who asks, -1 = nobody known; differs from `customer` where the placement leaves the history out
    cart      the open cart; unknown items are -1
    placed    known items of an order that was just placed and is no part of the history yet
    hidden    items of the latest order, which a list after the purchase does not repeat
    inside    categories that the list must come from; None = all
    outside   categories that it must not come from
    basket    ids as given
    """

    row: int
    customer: int
    owner: int
    cart: Ints
    placed: Ints
    hidden: Ints
    inside: Codes | None
    outside: Codes
    options: RequestOptions
    basket: tuple[str, ...] = ()

    @property
    def k(self) -> int | None:
        """Length that the request names."""
        return self.options.k if "k" in self.options.given else None


@dataclass(frozen=True)
class Reader:
    """What rows are understood with."""

    items: IdMap
    customers: IdMap
    histories: Histories
    categories: Categories

    def understand(self, row: int, customer_id: Any, basket: Any, options: Any) -> Request:
        """The request of one row; raises InputError where it cannot be answered as it stands."""
        owner = self._customer(customer_id)
        names = basket_ids(basket)
        asked = parse_options(options)
        places = self.items.positions(names)
        inside = None if asked.categories_in is None else self.categories.codes("categories_in", asked.categories_in)
        outside = self.categories.codes("categories_out", asked.categories_out)
        found = Request(row, owner, owner, places, NOTHING, NOTHING, inside, outside, asked, tuple(names))
        if asked.placement is not None:
            page = asked.anchor is not None and asked.placement == "product"
            shown = frozenset([asked.anchor] if page and asked.anchor else names)
            check_basket(asked.placement, shown, int((places >= 0).sum()) or page, owner >= 0)
        if asked.kind is not None:
            return found
        if asked.placement is not None:
            found = self._placed(found, bool(names))
        if inside is None and found.customer < 0 and not (places >= 0).any():
            found = replace(found, inside=self.categories.beside(names) or None)
        return found

    def _customer(self, customer_id: Any) -> int:
        if customer_id is None:
            return -1
        if not isinstance(customer_id, str):
            raise InputError(f"customer_id is {type(customer_id).__name__}; give a string or null")
        return int(self.customers.positions([customer_id])[0])

    def _placed(self, request: Request, given: bool) -> Request:
        """The request as its placement reads it; `given` = the basket is not empty."""
        placement = PLACEMENTS[request.options.placement or ""]
        if not placement.history:
            request = replace(request, customer=-1)
        if placement.basket is not Basket.PLACED:
            return request
        latest = self._latest_order(request.customer)
        order = np.unique(request.cart[request.cart >= 0])
        if not given or np.array_equal(order, latest):  # the history ends with this very order
            return replace(request, cart=NOTHING, hidden=latest)
        return replace(request, cart=NOTHING, placed=order, hidden=order)

    def _latest_order(self, customer: int) -> Ints:
        if customer < 0:
            return NOTHING
        lines = slice(self.histories.indptr[customer], self.histories.indptr[customer + 1])
        return np.unique(self.histories.items[lines][self.histories.orders[lines] == 0]).astype(np.int64)


def basket_ids(basket: Any) -> list[str]:
    """The basket's ids as given; raises InputError where it is no list of strings, or too long."""
    if basket is None:
        return []
    if not isinstance(basket, list | tuple | np.ndarray) or (isinstance(basket, np.ndarray) and basket.ndim != 1):
        raise InputError(
            f'basket is no list of item ids but {type(basket).__name__}; give strings, e.g. ["1082185"], or null'
        )
    if len(basket) > MAX_BASKET:
        raise InputError(f"basket holds {len(basket)} items; at most {MAX_BASKET} are read")
    for at, item in enumerate(basket):
        if not isinstance(item, str):
            raise InputError(
                f"basket is no list of item ids: its place {at} holds {type(item).__name__}; give strings, e.g. "
                '["1082185"]'
            )
    return list(basket)


def with_placed(histories: Histories, placed: Sequence[Ints]) -> Histories:
    """The histories with one more order of this moment each, age 0; an empty one adds nothing.

    ```
    before   order 2 ── order 1 ── order 0 ───────── now
    after    order 3 ── order 2 ── order 1 ───────── order 0
    ```
    """
    sizes = np.array([len(items) for items in placed], np.int64)
    added = np.repeat(np.arange(len(placed)), sizes)
    rows = np.concatenate([histories.rows, added])
    order = np.argsort(rows, kind="stable")  # an added order is its query's last

    def lines(old: np.ndarray, new: np.ndarray) -> np.ndarray:
        return np.concatenate([old, new.astype(old.dtype)])[order]

    none = np.zeros(len(added))
    return replace(
        histories,
        indptr=histories.indptr + np.concatenate([[0], np.cumsum(sizes)]),
        items=lines(histories.items, np.concatenate([NOTHING, *placed])),
        orders=lines(histories.orders + (sizes > 0)[histories.rows], none),
        ages=lines(histories.ages, none),
        weights=lines(histories.weights, none + 1),
    )
