from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from recsys.data.catalog import CatalogOptions, catalog_from_orders, complete_catalog, read_catalog
from recsys.data.sources import SourceOptions, read_source
from recsys.errors import InputError

DIRTY = """item_id,name,department,unit_price,in_stock,colour
00042,Lamp,HOME,"1,5",yes,red
1,Fuel,FUEL,2,no,red
00042,Lamp,HOME,,yes,red
2, ,HOME,-3,perhaps,blue
NA,Ghost,HOME,1,yes,red
3,Sock,COUPON,x,0,
"""


@pytest.fixture
def source(tmp_path):
    def make(text=DIRTY):
        (tmp_path / "items.csv").write_text(text)
        return read_source(SourceOptions(path=str(tmp_path / "items.csv")), "data.catalog")

    return make


def test_items_are_read_and_each_refused_row_has_its_rule(source):
    read = read_catalog(source(), CatalogOptions(decimal=",", exclude={"department": ["FUEL", "COUPON"]}))
    assert read.items.select("item_id", "name", "unit_price", "in_stock").rows() == [
        ("00042", "Lamp", 1.5, True),
        ("2", None, None, None),
    ]
    assert read.excluded.to_list() == ["1", "3"]
    assert read.refused.rows() == [
        (1, "excluded_item"),
        (2, "duplicate_item"),
        (4, "blank_item_id"),
        (5, "excluded_item"),
    ]
    assert read.notes == {"unreadable_unit_price": 1, "unreadable_in_stock": 1, "negative_unit_price": 1}


def test_row_order_does_not_choose_the_row_that_is_kept(source):
    header, *rows = DIRTY.splitlines()
    backwards = "\n".join([header, *rows[::-1]])
    options = CatalogOptions(exclude={"colour": ["blue"]})
    assert read_catalog(source(), options).items.equals(read_catalog(source(backwards), options).items)


def test_exclude_takes_fields_first_and_else_source_columns(source):
    assert read_catalog(source(), CatalogOptions(exclude={"colour": ["blue"]})).excluded.to_list() == ["2"]
    options = CatalogOptions(columns={"item_id": "item_id", "brand": "colour"}, exclude={"brand": ["blue"]})
    assert read_catalog(source(), options).excluded.to_list() == ["2"]
    with pytest.raises(InputError, match="no column 'shape'"):
        read_catalog(source(), CatalogOptions(exclude={"shape": ["x"]}))


def test_wrong_mappings_say_so(source):
    with pytest.raises(InputError, match="no field 'price'"):
        read_catalog(source(), CatalogOptions(columns={"price": "unit_price"}))
    with pytest.raises(InputError, match="lacks 'item_id'"):
        read_catalog(source(), CatalogOptions(columns={"name": "name"}))


def test_names_from_orders_are_the_most_frequent():
    table = pl.DataFrame({"text": ["Lamp", "lamp", "lamp ", None, "b", "a", "unsold"]})
    purchases = pl.DataFrame({"row": [0, 1, 2, 3, 4, 5], "item_id": ["L", "L", "L", "N", "T", "T"]})
    options = CatalogOptions(from_orders=True, columns={"name": "text"})
    items = catalog_from_orders(purchases, table, options)
    assert items.select("item_id", "name").rows() == [("L", "lamp"), ("N", None), ("T", "a")]
    with pytest.raises(InputError, match=r"use data\.orders\.exclude"):
        catalog_from_orders(purchases, table, CatalogOptions(from_orders=True, exclude={"name": ["a"]}))
    with pytest.raises(InputError, match="unit_cost cannot come from_orders"):
        catalog_from_orders(purchases, table, CatalogOptions(from_orders=True, columns={"unit_cost": "text"}))


def test_unknown_prices_are_what_the_item_sold_at_lately():
    last = datetime(2024, 6, 1, tzinfo=UTC)
    sales = [
        ("x", 0, 4.0),
        ("x", 10, 2.0),
        ("x", 89, 3.0),
        ("x", 90, 99.0),
        ("y", 50, 7.0),
        ("z", 0, None),
        ("w", 0, 5.0),
    ]
    orders = pl.DataFrame(
        [(item, last - timedelta(days=ago), price) for item, ago, price in sales],
        schema={"item_id": pl.String, "ordered_at": pl.Datetime("us", "UTC"), "unit_price": pl.Float64},
        orient="row",
    )
    options = CatalogOptions(from_orders=True)
    items = catalog_from_orders(pl.DataFrame({"row": [0, 1], "item_id": ["w", "x"]}), orders, options)
    items = items.with_columns(unit_price=pl.when(pl.col("item_id") == "w").then(1.0))
    catalog = complete_catalog(items, orders)
    assert catalog.select("item_id", "unit_price").rows() == [("w", 1.0), ("x", 3.0), ("y", 7.0), ("z", None)]
