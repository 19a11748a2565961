"""Which types hold substitutes: items that customers buy instead of one another, seen within their own orders.

Pairs of items seldom have joint orders enough to tell; all pairs of a type together do. Being of one type is not
enough: flavours of a soup are of one type and are bought together.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from ..data.histories import Csr, Floats, Histories, Ints
from .shelf import Shelf


@dataclass(frozen=True, kw_only=True)
class SubstituteOptions:
    """When a type is called one of substitutes."""

    below: float = 0.8  # joint / expected surely lies below this
    confidence: float = 0.95  # of "surely"


@dataclass(frozen=True)
class TypeEvidence:
    """How often customers had two items of a type in one order, and how often chance would have had it.

    joint     int64 (n_types,): pairs of items of the type in one order, over all orders of known customers
    expected  float64 (n_types,): the same with each customer's lines shuffled over the customer's orders
    """

    joint: Ints
    expected: Floats


def type_evidence(histories: Histories, types: Ints) -> TypeEvidence:
    """`types` int (n_items,), -1 = unknown. Customers with a single order say nothing and are left out.

    Shuffling L lines over orders of sizes s puts two given lines into one order with probability
    Σ s (s - 1) / (L (L - 1)): who buys A in some orders and B in others, and never both, lies below it.
    """
    of_type = _indicator(types)
    several = histories.n_orders > 1
    bought = histories.sums(np.ones(len(histories.items)))  # customers × items
    pairs = ((bought @ of_type).power(2) - bought.power(2) @ of_type) / 2
    joint = _in_one_order(histories, of_type, several)
    return TypeEvidence(joint, np.asarray(pairs.T @ (_chance_of_one_order(histories) * several), float))


def _indicator(types: Ints) -> Csr:
    """CSR float64 (n_items, n_types): 1 at the type of each item that has one."""
    known = np.flatnonzero(types >= 0)
    shape = (len(types), int(types.max(initial=-1)) + 1)
    return sp.csr_matrix((np.ones(len(known)), (known, types[known])), shape=shape)


def _order_rows(histories: Histories) -> tuple[Ints, Ints]:
    """Number of each line's order among all customers' orders, and the customer of each order."""
    first = np.cumsum(histories.n_orders) - histories.n_orders
    return first[histories.rows] + histories.orders, np.repeat(np.arange(len(histories)), histories.n_orders)


def _in_one_order(histories: Histories, of_type: Csr, several: np.ndarray) -> Ints:
    """int64 (n_types,): pairs of items of the type in one order, over the customers `several`."""
    row, customer = _order_rows(histories)
    where = (row, histories.items)
    orders = sp.csr_matrix((np.ones(len(row)), where), shape=(len(customer), histories.n_items))
    count = orders[several[customer]] @ of_type
    return np.asarray((count.power(2) - count).sum(axis=0)).ravel().astype(np.int64) // 2


def _chance_of_one_order(histories: Histories) -> Floats:
    """float64 (n,): probability that two lines of the customer fall into one order; 0 where there is one line."""
    row, customer = _order_rows(histories)
    sizes = np.bincount(row, minlength=len(customer)).astype(float)
    slots = np.bincount(customer, sizes * (sizes - 1), minlength=len(histories))
    lines = np.diff(histories.indptr).astype(float)
    return np.asarray(slots / np.maximum(lines * (lines - 1), 1))


def substitute_types(evidence: TypeEvidence, options: SubstituteOptions | None = None) -> np.ndarray:
    """bool (n_types,): the one-sided upper bound of joint / expected (Garwood 1936) lies below the bar.

    False where nothing was to expect: no evidence is not evidence of substitutes.
    """
    from scipy.special import gammaincinv

    options = options or SubstituteOptions()
    upper = np.asarray(gammaincinv(evidence.joint + 1, options.confidence))
    return np.asarray(upper < options.below * evidence.expected)


def is_substitute(shelf: Shelf, substitutes: np.ndarray | None, item_id: str) -> bool:
    """The item is of a type of substitutes; unknown types are not."""
    own = int(shelf.types_of([item_id])[0])
    return substitutes is not None and 0 <= own < len(substitutes) and bool(substitutes[own])
