"""What offers must know of an item: its name, type, price and cost, each possibly unknown."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..data.histories import Floats, IdMap, Ints, ItemFacts
from ..errors import InputError

TYPE = 2  # column of ItemFacts.levels


@dataclass(frozen=True)
class Shelf:
    """Facts of n items.

    items   the n ids
    names   n names for people
    types   int64 (n,): code of the type; -1 = unknown
    prices  float64 (n,): per unit, in the shop's currency; NaN = unknown
    costs   float64 (n,): per unit; NaN = unknown
    """

    items: IdMap
    names: tuple[str, ...]
    types: Ints
    prices: Floats
    costs: Floats

    def position(self, item_id: str) -> int:
        """Place of the item, or InputError."""
        at = int(self.items.positions([item_id])[0])
        if at < 0:
            raise InputError(f"item {item_id!r} is not among the {len(self.items)} known items; name one of those")
        return at

    def name(self, item_id: str) -> str:
        """The item's name, or its id where it is unknown."""
        at = int(self.items.positions([item_id])[0])
        return self.names[at] if at >= 0 else item_id

    def price(self, item_id: str) -> float | None:
        """The item's price; None where it is unknown."""
        at = int(self.items.positions([item_id])[0])
        return None if at < 0 or np.isnan(self.prices[at]) else float(self.prices[at])

    def types_of(self, ids: list[str]) -> Ints:
        """int64 (len(ids),): -1 where item or type is unknown."""
        at = self.items.positions(ids)
        return np.where(at >= 0, np.append(self.types, -1)[at], -1)


def shelf_of(items: IdMap, facts: ItemFacts, costs: Mapping[str, float | None] | None = None) -> Shelf:
    """The shelf of a model's items; `costs` by item_id, where they are known."""
    given = costs or {}
    known = [given.get(item) for item in items.ids]
    return Shelf(
        items,
        facts.names,
        facts.levels[:, TYPE].astype(np.int64),
        np.round(facts.prices.astype(np.float64), 4),  # float32 prices: 2.99 again, not 2.99000001
        np.array([np.nan if cost is None else cost for cost in known], np.float64),
    )
