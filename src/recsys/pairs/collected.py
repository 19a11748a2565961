"""The order lines that pairs are counted in: those of the look-back, returns taken off, each with its groups.

first order          since                         last order
├── forgotten ───────┼── months of the look-back ──┤
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from recsys.data.histories import LEVELS
from recsys.data.interactions import lines_before
from recsys.data.item_facts import shown_name
from recsys.errors import InputError
from recsys.pairs.options import KEYS, Level


@dataclass(frozen=True)
class Collected:
    """`lines`: order_id, customer_id, item_id, department, category, type, ordered_at, unit_price, store_id.

    `names`: item_id → how people call it. `catalog`: item_id and the levels, of all items. `first`, `last`: of the
    lines, null where there are none. `timed`: the clock is the shop's own, not counted in orders. `levels`: those
    asked for that the catalog knows; `without`: the others. `forgotten`: lines before the look-back.
    """

    lines: pl.DataFrame
    catalog: pl.DataFrame
    names: dict[str, str]
    first: datetime | None
    last: datetime | None
    timed: bool
    levels: tuple[Level, ...]
    without: tuple[Level, ...]
    forgotten: int

    @property
    def days(self) -> int:
        """From the first to the last order of the look-back."""
        return (self.last - self.first).days if self.first and self.last else 0


def collect(
    orders: pl.DataFrame,
    catalog: pl.DataFrame,
    months: int | None = 24,
    levels: tuple[Level, ...] = ("item", "type", "category", "department"),
    timed: bool = True,
) -> Collected:
    """`orders`: schemas.Orders; `catalog`: schemas.Catalog. Without times (`timed` false) nothing is forgotten.

    InputError where there are no orders.
    """
    end = orders["ordered_at"].max()
    if not isinstance(end, datetime):
        raise InputError("there are no orders to count pairs in; run recsys ingest and see what was refused")
    kept = recent = lines_before(orders, end + timedelta(microseconds=1))
    if months is not None and timed:
        recent = kept.filter(pl.col("ordered_at") > pl.lit(end).dt.offset_by(f"-{months}mo"))
    lines = recent.join(catalog.select("item_id", *LEVELS), on="item_id", how="left", maintain_order="left")
    known = [level for level in levels if lines[KEYS[level]].drop_nulls().n_unique() > 1 or level == "item"]
    first, last = lines["ordered_at"].min(), lines["ordered_at"].max()
    return Collected(
        lines=lines.select("order_id", "customer_id", "item_id", *LEVELS, "ordered_at", "unit_price", "store_id"),
        catalog=catalog.select("item_id", *LEVELS),
        names=dict(catalog.select("item_id", shown_name().alias("name")).iter_rows()),
        first=first if isinstance(first, datetime) else None,
        last=last if isinstance(last, datetime) else None,
        timed=timed,
        levels=tuple(known),
        without=tuple(level for level in levels if level not in known),
        forgotten=kept.height - recent.height,
    )
