"""`recsys affinity` from export to page, on small shops whole and lean; CSV safe, the same run found again."""

import json

import polars as pl
import pytest
from click.testing import CliRunner

from recsys.cli import main
from recsys.folders import damages
from tests.pairs.test_flags import PAIRS, year

LEAST = [f"data.sufficiency.{name}=0" for name in ("min_customers", "min_repeat_customers", "min_orders_per_customer",
                                                  "min_span_days")]  # fmt: skip


def export(folder, orders, named=True):
    """A raw export of hand-made orders; one item has a name that a spreadsheet would run."""
    columns = ["order_id", "customer_id", "item_id", "ordered_at", "quantity", "unit_price", "store_id"]
    orders.select(columns).write_parquet(folder / "orders.parquet")
    items = orders.select(pl.col("item_id").unique())
    names = pl.when(pl.col("item_id") == "bread").then(pl.lit("=1+1")).otherwise(pl.col("item_id").str.to_uppercase())
    types = pl.when(pl.col("item_id").str.starts_with("f")).then(pl.lit("filler")).otherwise("item_id")
    catalog = items.with_columns(name=names, type=types) if named else items
    catalog.write_parquet(folder / "catalog.parquet")


def run(folder, *settings):
    words = ["affinity", "--config", str(folder / "shop.yaml"), "--out", str(folder / "out")]
    (folder / "shop.yaml").write_text("title: <b>Shop</b>\n")
    given = [f"data.orders.path={folder}/orders.parquet", f"data.catalog.path={folder}/catalog.parquet",
             f"run.store={folder}/store", *LEAST, *settings]  # fmt: skip
    done = CliRunner().invoke(main, words + [word for one in given for word in ("--set", one)])
    return done, folder / "out" / "latest"


def test_from_export_to_page(tmp_path):
    export(tmp_path, year())
    rules = ['affinity.always=[{"if": "f1", "then": "f0"}]', 'affinity.never=[{"items": ["tea", "honey"]}]']
    done, latest = run(tmp_path, *rules)
    assert done.exit_code == 0, done.output
    folder = latest.resolve()
    assert damages(folder) == []
    manifest = json.loads((folder / "manifest.json").read_text())
    listed = {entry["path"] for entry in manifest["files"]}
    assert listed | {"manifest.json"} == {f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file()}
    assert {"item.parquet", "item.csv", "type.parquet", "plots/network-item.png", "plots/heat-type.png"} <= listed
    table = pl.read_parquet(folder / "item.parquet")
    pairs = set(table.select("a", "b").iter_rows())
    assert {("beer", "pretzel"), ("bread", "butter"), ("f0", "f1")} <= pairs
    assert ("honey", "tea") not in pairs
    assert table.filter(pl.col("b") == "butter")["name_a"].to_list() == ["=1+1"]
    csv = pl.read_csv(folder / "item.csv", infer_schema_length=None)
    assert csv.filter(pl.col("b") == "butter")["name_a"].to_list() == ["'=1+1"]
    assert csv["joint"].to_list() == table["joint"].to_list()
    page = (folder / "report.html").read_text()
    assert "&lt;b&gt;Shop" in page
    assert "<b>Shop" not in page
    assert "store s1: 100% of its joint orders" in page
    assert "The catalog knows no category" in page
    assert "by hand: if the second, then the first" in page
    again, _ = run(tmp_path, *rules)
    assert again.exit_code == 0
    assert latest.resolve() == folder
    changed, _ = run(tmp_path, "affinity.levels=[item]")
    assert changed.exit_code == 0
    assert not (latest / "type.parquet").exists()
    assert folder.is_dir(), "the folder before stays"


@pytest.mark.parametrize(("shop", "settings", "says"), [
    ({"guests": True}, [], "All orders are guests"),
    ({"priced": False}, ["data.orders.columns={order_id: order_id, customer_id: customer_id, item_id: item_id, "
                         "ordered_at: ordered_at, quantity: quantity}"], "No price is known"),
    ({"clock": False}, ["data.orders.columns={order_id: order_id, customer_id: customer_id, item_id: item_id, "
                        "quantity: quantity, store_id: store_id}",
                        "data.orders.constants={ordered_at: \"2023-01-01\"}"],
     "Orders have no times"),
    ({}, ["affinity.evidence.min_joint=100000"], "No item pair is published"),
])  # fmt: skip
def test_lean_shops_get_a_clear_page(shop, settings, says, tmp_path):
    export(tmp_path, year(**shop), named=False)
    done, latest = run(tmp_path, *settings)
    assert done.exit_code == 0, done.output
    assert says in (latest / "report.html").read_text()
    table = pl.read_parquet(latest / "item.parquet")
    if "100000" not in "".join(settings):
        assert len(set(table.select("a", "b").iter_rows()) & set(PAIRS)) >= 2


def test_a_typo_in_a_rule_by_hand_is_an_error_and_publishes_nothing(tmp_path):
    export(tmp_path, year().head(3000))
    done, latest = run(tmp_path, 'affinity.never=[{"items": ["bread", "buter"]}]')
    assert done.exit_code == 1
    assert "no item 'buter' in the catalog or the orders; did you mean 'butter'?" in done.output
    assert not latest.exists()
