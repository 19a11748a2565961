"""A shop's orders a week ago and now, the week spoiled in one way or another."""

from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest

from recsys.data.synthetic import SyntheticOptions, synthetic_shop
from recsys.monitoring.checks import Check
from recsys.monitoring.options import MonitoringOptions
from recsys.monitoring.order_checks import compare_orders
from recsys.monitoring.order_profile import profile_orders

INTAKE: dict[str, Any] = {"read": 10_000, "rejected": 100, "rules": [{"rule": "zero_price", "rows": 100}]}
KEY = ["ordered_at", "order_id", "item_id"]


class Weeks:
    """Orders of a synthetic shop, `old` up to a week before the end."""

    def __init__(self, seed: int = 0, **options: Any) -> None:
        made = synthetic_shop(SyntheticOptions(seed=seed, **options))
        self.orders = made.orders.filter(pl.col("quantity") > 0).with_columns(
            pl.col("ordered_at").dt.replace_time_zone("UTC")
        )
        self.catalog = made.catalog
        last = self.orders["ordered_at"].max()
        assert isinstance(last, datetime)
        self.cut = (last + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=7)
        self.old = self.orders.filter(pl.col("ordered_at") < self.cut)

    def week(self, change: pl.Expr) -> pl.DataFrame:
        """All orders, a column of the last week's lines replaced."""
        name = change.meta.output_name()
        new = pl.col("ordered_at") >= self.cut
        return self.orders.with_columns(pl.when(new).then(change).otherwise(name).alias(name)).sort(KEY)

    def compare(
        self, orders: pl.DataFrame, catalog: pl.DataFrame | None = None, intake: dict[str, Any] = INTAKE,
        old: pl.DataFrame | None = None, **options: Any,
    ) -> tuple[list[Check], list[str]]:  # fmt: skip
        limits = MonitoringOptions(**options)
        accepted = profile_orders(self.old if old is None else old, self.catalog, INTAKE, limits, False)
        catalog = self.catalog if catalog is None else catalog
        mine = profile_orders(orders, catalog, intake, limits, False)
        checks, notes, _ = compare_orders(orders, catalog, mine, accepted, limits)
        return checks, notes


@pytest.fixture(scope="package")
def weeks() -> Weeks:
    return Weeks()


@pytest.fixture(scope="session")
def made_weeks() -> type[Weeks]:
    return Weeks
