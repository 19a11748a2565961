"""The matrices that models learn from and are asked with: NumPy and SciPy only, since serving imports them.

A query is a *history and a cart*, never a customer number, so a new customer with two purchases, one known
for years and an anonymous cart take the same path in training, evaluation and serving.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Csr = sp.csr_matrix
Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]
FEW = 100_000  # lines that are sorted rather than counted into order
T = TypeVar("T")
LEVELS = ("department", "category", "type")  # of the catalog, from wide to narrow


@dataclass(frozen=True)
class IdMap:
    """Sorted unique ids and their positions; -1 stands for an unknown id."""

    ids: tuple[str, ...]

    @classmethod
    def of(cls, ids: Sequence[str]) -> "IdMap":
        return cls(tuple(sorted(set(ids))))

    @cached_property
    def _position(self) -> dict[str, int]:
        return {name: at for at, name in enumerate(self.ids)}

    def positions(self, ids: Sequence[str]) -> Ints:
        """int64 (len(ids),); -1 where the id is unknown."""
        get = self._position.get
        return np.fromiter((get(name, -1) for name in ids), np.int64, len(ids))

    def __contains__(self, name: str) -> bool:
        return name in self._position

    def __len__(self) -> int:
        return len(self.ids)


class of_lines(Generic[T]):  # noqa: N801  # used as a decorator
    """A property worked out of the lines alone, once for all Histories that differ only in their carts."""

    def __init__(self, work: "Callable[[Histories], T]") -> None:
        self.work, self.name = work, work.__name__
        self.__doc__ = work.__doc__

    def __get__(self, queries: "Histories", owner: type) -> T:
        known = queries._known
        if self.name not in known:
            known[self.name] = self.work(queries)
        found: T = known[self.name]
        return found


@dataclass(frozen=True)
class Histories:
    """What is known of each of n queries at its own moment: order lines, and the open cart if there is one.

    Lines of query q are `indptr[q]:indptr[q + 1]`, one per order and item, oldest order first.

    items      int32 (m,)    item position
    orders     int32 (m,)    order of the query counted back in time: 0 = its latest order
    ages       float32 (m,)  days from the order to the query's moment
    weights    float32 (m,)  damped quantity (1 where quantity does not count)
    cart       CSR float32 (n, n_items), 1 where the item lies in the open cart
    customers  int64 (n,)    row of the same customer in the data that models were fit on, or -1; only used to
                             keep a customer from being the own neighbour
    """

    indptr: Ints
    items: np.ndarray
    orders: np.ndarray
    ages: Floats
    weights: Floats
    cart: Csr
    customers: Ints

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @cached_property
    def _known(self) -> dict[str, Any]:
        """What was worked out `of_lines`."""
        return {}

    @property
    def n_items(self) -> int:
        return int(self.cart.shape[1])

    @of_lines
    def rows(self) -> Ints:
        """int64 (m,): query of each line."""
        return np.repeat(np.arange(len(self)), np.diff(self.indptr))

    @of_lines
    def n_orders(self) -> Ints:
        """int64 (n,): orders of each query."""
        out = np.zeros(len(self), np.int64)
        np.maximum.at(out, self.rows, self.orders.astype(np.int64) + 1)
        return out

    @of_lines
    def _cells(self) -> tuple[Ints, Csr]:
        """Cell of each line in the (query, item) pattern, int32, and that pattern as CSR with sorted columns."""
        order, first = self.by_item
        cell = np.empty(len(order), np.int32)
        cell[order] = np.cumsum(first, dtype=np.int32) - 1
        start = np.flatnonzero(first)
        ends = np.searchsorted(start, self.indptr)
        columns = self.items[order[start]]
        return cell, csr(np.ones(len(start)), columns, ends, (len(self), self.n_items))

    @property
    def by_item(self) -> tuple[Ints, np.ndarray]:
        """int32 (m,): the lines query by query, item by item, oldest first; bool (m,): first of its query and item."""
        if len(self.items) < FEW:
            order: Ints = np.lexsort((self.items, self.rows)).astype(np.int32)
        else:
            order = stable_order(self.items, self.n_items)
            order = order[stable_order(self.rows[order].astype(np.int32), len(self))]
        row, item = self.rows[order], self.items[order]
        first = np.ones(len(order), bool)
        first[1:] = (row[1:] != row[:-1]) | (item[1:] != item[:-1])
        return order, first

    def sums(self, values: np.ndarray) -> Csr:
        """CSR (n, n_items): `values` (m,) of the lines summed per query and item."""
        cell, pattern = self._cells
        return with_data(pattern, np.bincount(cell, values, minlength=pattern.nnz))

    @of_lines
    def times(self) -> Csr:
        """CSR (n, n_items): orders in which the query bought the item."""
        return self.sums(np.ones(len(self.items)))

    @of_lines
    def counts(self) -> Csr:
        """CSR (n, n_items): weight of the orders in which the query bought the item."""
        return self.sums(self.weights)

    def decayed(self, half_life: float) -> Csr:
        """CSR (n, n_items): weights halved every `half_life` days; kept, since most models ask for the same."""
        if half_life not in self._decayed:
            if len(self._decayed) >= 4:  # a search asks for many
                self._decayed.clear()
            faded = self.weights * np.float32(0.5) ** (self.ages / np.float32(half_life))
            self._decayed[half_life] = self.sums(faded)
        return self._decayed[half_life]

    @of_lines
    def _decayed(self) -> dict[float, Csr]:
        return {}

    def cart_or_decayed(self, half_life: float) -> Csr:
        """CSR (n, n_items): the cart, and the decayed history of the queries without one."""
        has_cart = self.has_cart
        if has_cart.all():
            return self.cart
        past = self.decayed(half_life)
        if not has_cart.any():
            return past
        keep = sp.diags_array((~has_cart).astype(np.float32))
        return sp.csr_matrix(self.cart + keep @ past)

    def order_decayed(self, rate: float) -> Csr:
        """CSR (n, n_items): weights times `rate` for each later order of the query."""
        return self.sums(self.weights * np.float32(rate) ** self.orders)

    @of_lines
    def last_age(self) -> Csr:
        """CSR (n, n_items): days since the query last bought the item."""
        return self.extreme(np.minimum, self.ages)

    @of_lines
    def first_age(self) -> Csr:
        """CSR (n, n_items): days since the query first bought the item."""
        return self.extreme(np.maximum, self.ages)

    def extreme(self, ufunc: np.ufunc, values: np.ndarray) -> Csr:
        """CSR (n, n_items): smallest (`np.minimum`) or largest (`np.maximum`) of `values` (m,) of the lines."""
        inverse, pattern = self._cells
        out = np.full(pattern.nnz, np.inf if ufunc is np.minimum else -np.inf, np.float32)
        ufunc.at(out, inverse, values)
        return with_data(pattern, out)

    def take(self, rows: np.ndarray | slice) -> "Histories":
        """The queries at `rows`, in that order."""
        picked = np.arange(len(self))[rows]
        return self._taken(picked, self.cart[picked], self.customers[picked])

    def take_or_blank(self, rows: Ints) -> "Histories":
        """The queries at `rows`, in that order; -1 = one of which nothing is known. `customers` are the rows."""
        return self._taken(rows, no_carts(len(rows), self.n_items), rows)

    def _taken(self, rows: Ints, cart: Csr, customers: Ints) -> "Histories":
        begin = self.indptr[rows]
        sizes = np.where(rows < 0, 0, self.indptr[rows + 1] - begin)
        indptr = np.concatenate([[0], np.cumsum(sizes)])
        lines = np.repeat(begin - indptr[:-1], sizes) + np.arange(indptr[-1])
        columns = (self.items[lines], self.orders[lines], self.ages[lines], self.weights[lines])
        return Histories(indptr, *columns, cart, customers)

    def latest_orders(self, n: int | np.ndarray) -> "Histories":
        """The same queries with the latest n orders of each history only, n one number or one per query; carts stay."""
        kept = self.orders < np.broadcast_to(n, len(self))[self.rows]
        sizes = np.bincount(self.rows[kept], minlength=len(self))
        lines = (self.items[kept], self.orders[kept], self.ages[kept], self.weights[kept])
        return Histories(np.concatenate([[0], np.cumsum(sizes)]), *lines, self.cart, self.customers)

    def latest_queries(self, most: int) -> Ints:
        """int64, sorted: the `most` queries whose latest orders are youngest, the first of equals; all, if no more."""
        if len(self) <= most:
            return np.arange(len(self))
        youngest = np.full(len(self), np.inf, np.float32)
        known = np.diff(self.indptr) > 0
        youngest[known] = self.ages[self.indptr[1:][known] - 1]  # oldest order first
        return np.sort(np.argsort(youngest, kind="stable")[:most])

    def with_cart(self, cart: Csr) -> "Histories":
        """The same histories with another cart, CSR (n, n_items); what is worked out of the lines is known to both."""
        other = replace(self, cart=cart)
        if cart.shape[1] == self.n_items:
            other.__dict__["_known"] = self._known
        return other

    def without_cart(self) -> "Histories":
        return self.with_cart(no_carts(len(self), self.n_items))

    @cached_property
    def has_cart(self) -> np.ndarray:
        """bool (n,): the cart holds at least one known item."""
        return np.asarray(np.diff(self.cart.indptr) > 0)

    @of_lines
    def has_history(self) -> np.ndarray:
        """bool (n,): at least one line of a known item."""
        return np.asarray(np.diff(self.indptr) > 0)


def stable_order(codes: np.ndarray, n: int) -> Ints:
    """What `np.argsort(codes, kind="stable")` gives for int32 codes in [0, n), by counting: a third of its time."""
    m = len(codes)
    rows = sp.csr_matrix((np.arange(m, dtype=np.int32), codes, np.arange(m + 1, dtype=np.int32)), shape=(m, n))
    return np.asarray(rows.tocsc().data)


def csr(data: np.ndarray, indices: Ints, indptr: Ints, shape: tuple[int, int]) -> Csr:
    """CSR float32 of arrays that are in order, taken as they are: SciPy's constructor would check them again."""
    index = np.int32 if max(len(indices), *shape) < 2**31 else np.int64
    places = {"indices": indices.astype(index, copy=False), "indptr": indptr.astype(index, copy=False)}
    return _like(_BLANK, **places, data=data.astype(np.float32, copy=False), _shape=shape)


_BLANK: Csr = sp.csr_matrix(np.zeros((1, 1), np.float32))


def _like(matrix: Csr, **other: Any) -> Csr:
    """A shallow copy with other attributes; `copy` takes three times as long."""
    out = Csr.__new__(Csr)
    vars(out).update(vars(matrix), **other)
    return out


def with_data(matrix: Csr, data: np.ndarray) -> Csr:
    """Other float32 values in the same cells; the pattern is shared, and not checked again."""
    return _like(matrix, data=data.astype(np.float32))


def carts(items: Sequence[np.ndarray], n_items: int) -> Csr:
    """CSR float32 (len(items), n_items): 1 at each item position; unknown (-1) and repeated ones are dropped."""
    kept = [np.unique(row[row >= 0]) for row in items]
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in kept])]).astype(np.int64)
    indices = np.concatenate([*kept, np.zeros(0, np.int64)])
    return csr(np.ones(len(indices)), indices, indptr, (len(items), n_items))


def no_carts(n: int, n_items: int) -> Csr:
    """n empty carts, CSR float32 (n, n_items)."""
    return csr(np.zeros(0), np.zeros(0, np.int32), np.zeros(n + 1, np.int32), (n, n_items))


def empty_histories(n: int, n_items: int) -> Histories:
    """n queries of which nothing is known."""
    none = np.zeros(0, np.float32)
    return Histories(
        np.zeros(n + 1, np.int64),
        np.zeros(0, np.int32),
        np.zeros(0, np.int32),
        none,
        none,
        no_carts(n, n_items),
        np.full(n, -1, np.int64),
    )


@dataclass(frozen=True)
class ItemFacts:
    """What the catalog knows of the n items of a model, in the order of its IdMap.

    texts    n strings: name, category path, brand and size in words
    names    n strings for people
    levels   int32 (n, 3): department, category, type as codes; -1 = unknown
    prices   float32 (n,): latest median price per unit; NaN = unknown
    costs    float32 (n,): cost per unit as the catalog has it; NaN = unknown; None = no cost is known

    level_names   of each level, the name of each code
    others        items of the catalog beside the n that share a name of a level with one of them
    other_levels  int32 (len(others), 3): their codes; -1 = unknown, or a name that none of the n has
    """

    texts: tuple[str, ...]
    names: tuple[str, ...]
    levels: np.ndarray
    prices: Floats
    level_names: tuple[tuple[str, ...], ...] = ((),) * len(LEVELS)
    others: IdMap = field(default_factory=lambda: IdMap(()))
    other_levels: np.ndarray = field(default_factory=lambda: np.zeros((0, len(LEVELS)), np.int32))
    costs: Floats | None = None


@dataclass(frozen=True)
class TrainData:
    """What models learn from, up to one moment.

    histories   one per customer of `customers`, all at the moment, carts empty
    orders      CSR float32 (n_orders, n_items), 1 where the order holds the item; guests' orders too
    order_ages  float32 (n_orders,): days from the order to the moment
    """

    items: IdMap
    customers: IdMap
    histories: Histories
    orders: Csr
    order_ages: Floats
    facts: ItemFacts

    @cached_property
    def together(self) -> tuple[Csr, np.ndarray]:
        """Orders with both items, CSR (n_items, n_items) with an empty diagonal, and orders with each (n_items,)."""
        together = (self.orders.T @ self.orders).tocsr()
        sold = np.asarray(together.diagonal(), np.float32)
        together.setdiag(0)
        together.eliminate_zeros()
        together.sort_indices()
        return together, sold
