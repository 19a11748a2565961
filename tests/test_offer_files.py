"""`recsys offers` on the small shop: every file and column, rules applied, lists of customers, nothing half-written."""

import json
import re
from dataclasses import replace

import polars as pl
import pytest
from click.testing import CliRunner

from recsys import offer_files
from recsys.cli import main
from recsys.folders import damages
from recsys.offer_files import OUTCOMES, publish_offers
from recsys.offer_tables import BUNDLES, DROPPED, OFFERS, dropped_table, flat, offer_table
from recsys.offers.rules import Dropped, Incentive, Offer
from tests.conftest import LENIENT, NOW

FILES = {"offers", "bundles", "channels/product_page", "channels/email", "channels/cart"}


@pytest.fixture(scope="module")
def config(small_config, stages, tmp_path_factory):
    home = tmp_path_factory.mktemp("offers")
    changes = {"run.store": str(stages), "offers.out": f"{home}/out", "offers.min_item_orders": 20,
               "offers.rules.margin_floor": 0.3,
               "offers.upsell_incentive": {"kind": "percent", "amount": 5.0}}  # fmt: skip
    return small_config(home, LENIENT | changes)


@pytest.fixture(scope="module")
def folder(config):
    return publish_offers(config, lambda: NOW)


def test_every_file_has_its_columns_and_the_manifest_counts_them(folder):
    assert damages(folder) == []
    manifest = json.loads((folder / "manifest.json").read_text())
    rows = {entry["path"]: entry["rows"] for entry in manifest["files"]}
    assert set(rows) == {f"{name}.{kind}" for name in FILES for kind in ("parquet", "csv", "jsonl")} | {
        "dropped.parquet", "customers.parquet", "playbook.html"}  # fmt: skip
    for name in FILES:
        table = pl.read_parquet(folder / f"{name}.parquet")
        assert table.schema == pl.Schema(BUNDLES if name == "bundles" else OFFERS)
        csv = pl.read_csv(folder / f"{name}.csv", infer_schema=False)
        objects = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
        assert csv.columns == table.columns
        assert table.height == csv.height == len(objects) == rows[f"{name}.parquet"]
        assert [one["items"] for one in objects] == table["items"].to_list()
    assert pl.read_parquet(folder / "dropped.parquet").schema == pl.Schema(DROPPED)
    assert pl.read_parquet(folder / "customers.parquet").schema == pl.Schema(OUTCOMES)
    counts = manifest["counts"]
    assert sum(counts["by_channel"].values()) == counts["offers"] == rows["offers.parquet"]
    assert sum(counts["by_rule"].values()) == counts["dropped"] == rows["dropped.parquet"]
    assert sum(counts["customers"].values()) == rows["customers.parquet"]
    assert {"product_page cross_sell", "email cross_sell"} <= set(counts["by_channel"])


def test_offers_keep_the_rules_and_say_what_they_promise(folder, made_shop, kit):
    offers, catalog = pl.read_parquet(folder / "offers.parquet"), made_shop.catalog
    single = offers.explode("items").join(catalog, left_on="items", right_on="item_id", how="left")
    assert not single.filter(pl.col("in_stock").not_()).height
    costs = single.group_by("channel", "kind", "customer_id", "anchor_items", "rank").agg(
        pl.col("unit_cost").sum(), pl.col("offer_price").first()
    )
    assert costs.filter(pl.col("unit_cost") > 0.7 * pl.col("offer_price") + 1e-6).height == 0
    lists = offers.filter(pl.col("kind") != "bundle").group_by("channel", "kind", "customer_id", "anchor_items").len()
    assert lists["len"].max() <= 3
    assert offers["reason"].str.len_chars().min() > 10
    up = offers.filter(pl.col("kind") == "upsell")
    assert up.height
    assert set(up["incentive"]) == {"percent"}
    assert ((up["offer_price"] / up["list_price"] - 0.95).abs() < 0.01).all()
    refused = pl.read_parquet(folder / "dropped.parquet")
    assert "margin_floor" in set(refused["rule"])
    lines = kit.seller.histories
    had = {
        (kit.customers.ids[who], kit.shelf.items.ids[item]) for who, item in zip(lines.rows, lines.items, strict=True)
    }
    mail = offers.filter(pl.col("channel") == "email").explode("items").select("customer_id", "items")
    assert mail.height
    assert not had & set(mail.rows()), "new to the customer"


def test_the_same_is_found_again_and_a_list_sets_the_unknown_aside(folder, config, tmp_path, monkeypatch):
    assert publish_offers(config, lambda: NOW) == folder
    some = pl.read_parquet(folder / "customers.parquet")["customer_id"][:3].to_list()
    listed = tmp_path / "ids.txt"
    listed.write_text("\n".join([*some, "nobody", some[0]]))
    wanted = replace(config, offers=replace(config.offers, customers=str(listed), out=str(tmp_path / "out")))
    part = publish_offers(wanted, lambda: NOW)
    told = pl.read_parquet(part / "customers.parquet")
    assert told.filter(pl.col("outcome") == "set_aside").rows() == [("nobody", "set_aside", "unknown", 0)]
    assert told.height == 4
    assert json.loads((part / "manifest.json").read_text())["counts"]["repeated_ids"] == 1
    whole, few = (pl.read_parquet(f / "channels" / "email.parquet") for f in (folder, part))
    assert few.sort("customer_id", "kind", "rank").equals(
        whole.filter(pl.col("customer_id").is_in(some)).sort("customer_id", "kind", "rank")
    )

    def broken(*_args):
        raise OSError("no space left")

    monkeypatch.setattr(offer_files, "write_playbook", broken)
    listed.write_text(some[0])
    with pytest.raises(OSError, match="no space"):
        publish_offers(wanted, lambda: NOW)
    assert (tmp_path / "out" / "latest").resolve() == part.resolve()
    assert [f for f in (tmp_path / "out").iterdir() if f.name.startswith(".2")] == []


def test_command_with_nothing_to_offer_and_ids_hashed(small_options, stages, tmp_path, monkeypatch):
    import yaml

    monkeypatch.setenv("RECSYS_ID_KEY", "a secret of sixteen bytes")
    changes = {"run.store": str(stages), "offers.min_item_orders": 1_000_000, "offers.evidence.min_joint": 1_000_000,
               "offers.rules.at_most": {"cross_sell": 0, "upsell": 0}, "offers.spare": 1,
               "offers.hash_ids": True}  # fmt: skip
    file = tmp_path / "shop.yaml"
    file.write_text(yaml.safe_dump(small_options(tmp_path, changes)))
    done = CliRunner().invoke(main, ["offers", "--config", str(file), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    latest = tmp_path / "out" / "latest"
    assert pl.read_parquet(latest / "offers.parquet").height == 0
    assert pl.read_csv(latest / "bundles.csv").columns == list(BUNDLES)
    told = pl.read_parquet(latest / "customers.parquet")
    assert set(told["outcome"]) == {"empty"}
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in told["customer_id"])
    assert set(pl.read_parquet(latest / "dropped.parquet")["rule"]) == {"at_most"}
    page = (latest / "playbook.html").read_text()
    assert "No pair has evidence enough" in page
    again = CliRunner().invoke(main, ["offers", "--config", str(file), "--customers", str(tmp_path / "none.txt")])
    assert again.exit_code == 1
    assert "offers.customers" in again.output


def test_cells_that_a_spreadsheet_runs_are_made_harmless(kit, tmp_path):
    from recsys.offers.options import OffersOptions
    from recsys.scoring.exports import write_csv

    offer = Offer(kind="bundle", customer_id="=1+1", anchor_items=(), items=("+a", "b"), list_price=3.0,
                  offer_price=2.5, reason="@x", incentive=Incentive(kind="percent", amount=16.67))  # fmt: skip
    table = offer_table("cart", [offer, offer], kit.shelf, str)
    assert table["rank"].to_list() == [1, 2]
    write_csv(tmp_path / "x.csv", flat(table), OffersOptions())
    row = pl.read_csv(tmp_path / "x.csv").row(0, named=True)
    assert (row["customer_id"], row["items"], row["reason"]) == ("'=1+1", "'+a | b", "'@x")
    gone = dropped_table("cart", [Dropped(offer, "in_stock", NOW)], kit.shelf, str)
    assert gone["until"].to_list() == [NOW]


def test_the_playbook_names_what_is_known(folder, kit):
    from recsys.registry.playbook_page import bundle_plays, pair_plays, upgrade_plays

    page = (folder / "playbook.html").read_text()
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    pairs = pair_plays(kit, 5)
    assert 0 < len(pairs) <= 5
    assert all(re.search(r"\d+ orders of \d+ customers", play.evidence) for play in pairs)
    assert all("It replaces the other and costs" in play.answer for play in upgrade_plays(kit, 5))
    assert all("less than one by one" in play.answer for play in bundle_plays(kit, 5))
