"""The shop of planted moments, read as any export is."""

from datetime import UTC, datetime

import polars as pl
import pytest

from recsys.data.event_rows import map_events
from recsys.data.events import check_events
from recsys.data.lines import OrdersOptions, map_columns, map_lines
from recsys.data.sources import Source
from recsys.data.synthetic.moments_shop import MomentsShop, moments_shop
from recsys.data.validation import ValidationOptions, validate_lines
from recsys.moments.known import Known

END = datetime(2025, 1, 1, tzinfo=UTC)


def source(raw: pl.DataFrame) -> Source:
    """A table in memory as a source of one file."""
    rows = pl.select(source=pl.lit("events.csv"), source_row=pl.int_range(1, raw.height + 1, dtype=pl.Int64))
    broken = {"source": pl.String, "source_row": pl.Int64, "rule": pl.String, "value": pl.String}
    return Source(raw, rows, pl.DataFrame(schema=broken), {"events.csv": ""})


def accepted(orders: pl.DataFrame) -> pl.DataFrame:
    """The order lines of a raw export; none is refused."""
    options = OrdersOptions()
    checked = validate_lines(map_lines(orders, map_columns(orders.columns, options), options), ValidationOptions(), END)
    assert checked.refused.is_empty()
    return checked.orders


def known_of(orders: pl.DataFrame, events: pl.DataFrame, catalog: pl.DataFrame, now: datetime = END) -> Known:
    """All that is known at `now` of raw orders and raw events; later rows are set aside as those of the future."""
    lines = accepted(orders.filter(pl.col("ordered_at") < now.replace(tzinfo=None)))
    customers, items = lines["customer_id"].unique(), catalog["item_id"]
    checked = check_events([map_events(source(events))], now=now, customers=customers, items=items)
    return Known.of(lines, checked.events, catalog, now)


@pytest.fixture(scope="session")
def planted() -> MomentsShop:
    return moments_shop()


@pytest.fixture(scope="session")
def everything(planted) -> Known:
    return known_of(planted.orders, planted.events, planted.catalog)
