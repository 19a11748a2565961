"""The season of a category begins, for customers who bought of it before."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import ClassVar

import polars as pl

from recsys.data.histories import LEVELS
from recsys.errors import InputError
from recsys.moments.known import Known
from recsys.moments.triggers.base import FOUND, OfferKind, Trigger, days, found


@dataclass(frozen=True, kw_only=True)
class Season(Trigger):
    """A season begins, for those who bought of its category within a year or so."""

    priority: int = 70  # of a customer's triggers of a day the lowest comes first
    starts: Mapping[str, str] = field(default_factory=dict)  # department, category or type: month-day, e.g. "05-15"
    bought_days: float = 400.0  # back from today within which a customer must have bought of it

    offer: ClassVar[OfferKind] = "cross_sell"
    moment: ClassVar[str] = "the season of a category begins"
    why: ClassVar[str] = "the season makes the demand; the offer only has to be there in time"

    def __post_init__(self) -> None:
        for name, start in self.starts.items():
            try:
                date.fromisoformat(f"2023-{start}")
            except ValueError:
                raise InputError(
                    f"moments.triggers.season.starts: {name!r} starts {start!r}; write e.g. '05-15'"
                ) from None

    def find(self, known: Known) -> pl.DataFrame:
        begun = [name for name, start in self.starts.items() if start == f"{known.day:%m-%d}"]
        if not begun:
            return pl.DataFrame(schema=FOUND)
        named = known.catalog.unpivot(LEVELS, index="item_id", value_name="group").filter(pl.col("group").is_in(begun))
        items = named.sort("item_id", "group").unique("item_id", keep="first", maintain_order=True)
        lines = known.lines_of(known.orders_between(known.moment - days(self.bought_days), known.moment))
        bought = lines.join(items, on="item_id")
        rows = (
            bought.sort("ordered_at", "item_id")
            .group_by("customer_id", maintain_order=True)
            .agg(
                anchors=pl.col("item_id").reverse().unique(maintain_order=True),
                since=pl.col("ordered_at").max(),
                value=pl.len().cast(pl.Float64),
                names=pl.col("group").unique().sort().str.join(", "),
            )
        )
        fact = pl.format("bought {} times of {}, whose season begins", pl.col("value").cast(pl.Int64), "names")
        return found(rows.with_columns(fact=fact))
