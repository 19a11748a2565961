"""A whole training on a small shop: what it leaves, what it reuses, and what must not change its numbers."""

import json
import os
import re
from collections import Counter

import numpy as np
import polars as pl
import pytest

from recsys import pipeline, training
from recsys.data.synthetic import SyntheticOptions, dirty, write_csv
from recsys.evaluation.cold_start import QUERIES
from recsys.finish import register_model
from recsys.ranking.base_models import SINGLES
from recsys.recipes import Judged, compare_recipe
from recsys.registry import tracking
from recsys.registry.findings import verdict
from recsys.serving.recommender import Recommender
from recsys.stages import read_json, seconds

pytestmark = pytest.mark.long
NOW = pipeline.datetime.fromisoformat("2024-09-01T00:00:00+00:00")
FIELDS = {"contender", "kind", "task", "segment", "metric", "k", "value", "low", "high", "n"}
RANKING = {"recall", "precision", "ndcg", "hit_rate", "mrr", "map"}


def metrics_of(finished) -> dict:
    return read_json(finished.evaluated / "metrics.json")


def lists_of(finished) -> list:
    """Top 10 of every customer, alone and with a cart, and of a cart alone, with their scores."""
    model = Recommender.load(finished.packaged / "recommender")
    who, cart = list(model.customers.ids), list(model.items.ids[:2])
    n = len(who)
    answers = model.recommend([*who, *who, None], [[]] * n + [cart] * (n + 1), [None] * (2 * n + 1))
    assert all(len(a.item_ids) == 10 for a in answers)
    return [(a.item_ids, a.scores) for a in answers]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Store of its own, so that nothing of the session's training is reused."""
    return tmp_path_factory.mktemp("judged")


@pytest.fixture(scope="module")
def judged(small_config, home):
    """The small shop without report and registry."""
    return training.judge(small_config(home), NOW)


def test_the_report_holds_all_that_people_and_programs_read(trained):
    held = {p.name for p in trained.report.iterdir()}
    assert held == {
        "report.html", "metrics.json", "coverage.json", "importances.json", "examples.json", "ingest.json",
        "run.json", "per_query.parquet", "figures", "segments.json", "calibration.json", "cold_start.json",
        "commerce.json", "drift.json", "shop.json",
    }  # fmt: skip
    latest = trained.report.parent / "latest"
    assert latest.resolve() == trained.report.resolve()
    assert not os.path.isabs(os.readlink(latest)), "the folder may be moved"
    page = (latest / "report.html").read_text(encoding="utf-8")
    assert "a small shop" in page
    assert not re.findall(r"""src="|url\((?!#)|rel="stylesheet|@import""", page), "one file, nothing fetched"
    assert len(list((latest / "figures").glob("*.png"))) >= 6
    run = read_json(latest / "run.json")
    assert run["queries"]["cart"] == run["queries"]["next_basket"] > 20
    assert run["seconds"].keys() >= {
        "ingest",
        "matrices",
        "learn 1",
        "learn 2",
        "blend",
        "evaluate",
        "offers",
        "package",
    }


def test_metrics_are_records_of_every_contender_task_segment_metric_and_k(trained):
    found = read_json(trained.report / "metrics.json")
    records = found["records"]
    assert all(set(r) == FIELDS for r in records)
    assert {(r["contender"], r["kind"]) for r in records} == {(n, "single") for n in SINGLES} | {("hybrid", "hybrid")}
    cells = Counter((r["task"], r["segment"], r["metric"], r["k"]) for r in records)
    assert set(cells.values()) == {len(SINGLES) + 1}
    ranking = {c for c in cells if c[2] in RANKING}
    assert len(ranking) == 2 * 3 * len(RANKING) * 4
    assert {c[2] for c in cells} == RANKING | {"coverage", "novelty", "diversity"}
    assert {(c[0], c[1], c[3]) for c in ranking} == {
        (t, s, k) for t in ("next_basket", "cart") for s in ("all", "repeat", "new") for k in (3, 5, 10, 20)
    }
    for r in records:
        if r["metric"] in RANKING:
            assert 0 <= r["low"] <= r["value"] <= r["high"] <= 1, r
            assert r["n"] > 0
    assert found["best"] in {r["contender"] for r in records}


def test_records_are_the_means_of_the_kept_queries(trained):
    """metrics.json and per_query.parquet tell one story."""
    table = pl.read_parquet(trained.report / "per_query.parquet")
    assert table["order_id"].n_unique() == table.height
    for r in read_json(trained.report / "metrics.json")["records"]:
        if r["metric"] in RANKING:
            column = "|".join(map(str, (r[f] for f in ("contender", "task", "segment", "metric", "k"))))
            values = table[column].to_numpy()
            assert r["n"] == np.isfinite(values).sum()
            assert r["value"] == pytest.approx(np.nanmean(values), abs=1e-12)


def test_groups_and_cold_start_are_told_with_their_numbers(trained):
    """Groups in metrics.json are those of segments.json; the whole history is the sample's own recall."""
    groups = read_json(trained.report / "metrics.json")["groups"]
    assert groups
    assert all(row in read_json(trained.report / "segments.json") for row in groups)
    cold = read_json(trained.report / "cold_start.json")
    table = pl.read_parquet(trained.report / "per_query.parquet")
    assert table.height < QUERIES, "all queries are in the sample"
    for row in cold:
        if row["bucket"] == "whole history":
            column = f"{row['contender']}|{row['task']}|all|recall|10"
            assert row["value"] == pytest.approx(np.nanmean(table[column].to_numpy()), abs=1e-12)
    assert {row["bucket"] for row in cold} == {
        "whole history", "as if no order were known", "as if one order were known", "one order in fact",
        "first order ever", "items never sold",
    }  # fmt: skip


def test_a_second_run_builds_nothing_and_registers_nothing_new(trained):
    store = pipeline.store(trained.config)
    before = {p: p.read_bytes() for p in store.glob("*/*/stage.json")}
    finished = training.judge(trained.config, NOW + pipeline.timedelta(minutes=1))
    registered = register_model(trained.config, finished, NOW)
    assert {p: p.read_bytes() for p in store.glob("*/*/stage.json")} == before
    assert {p.parent.parent.name for p in before} == {
        "ingest", "matrices", "learn", "blend", "fit", "evaluate", "package", "profile", "drift", "blend_cross_sell",
        "package_offers",
    }  # fmt: skip
    assert registered == trained.registered
    client = tracking.connect(trained.config.registry)
    assert len(client.search_model_versions("name = 'recsys'")) == 1


def test_a_fresh_store_gives_the_same_numbers_and_lists(trained, judged):
    again = training.judge(trained.config, NOW)
    assert again.evaluated.parents[1] != judged.evaluated.parents[1]
    assert (again.evaluated / "metrics.json").read_bytes() == (judged.evaluated / "metrics.json").read_bytes()
    assert (again.evaluated / "coverage.json").read_bytes() == (judged.evaluated / "coverage.json").read_bytes()
    assert lists_of(again) == lists_of(judged)
    assert all(seconds(path) >= 0 for path in again.stages().values())


def test_row_order_and_files_do_not_matter(judged, made_shop, small_config, tmp_path):
    rows = made_shop.orders.sample(fraction=1.0, shuffle=True, seed=3)
    parts = tmp_path / "orders"
    parts.mkdir()
    rows[:1000].write_parquet(parts / "b.parquet")
    rows[1000:].write_parquet(parts / "a.parquet")
    made_shop.catalog.reverse().write_parquet(tmp_path / "catalog.parquet")
    changes = {"data.orders.path": str(parts), "data.catalog.path": f"{tmp_path}/catalog.parquet"}
    other = training.judge(small_config(tmp_path, changes), NOW)
    assert other.ingested.name != judged.ingested.name, "other files, other stage"
    assert (other.evaluated / "metrics.json").read_bytes() == (judged.evaluated / "metrics.json").read_bytes()
    assert lists_of(other) == lists_of(judged)


def test_the_thread_count_does_not_matter(judged, small_config, home):
    other = training.judge(small_config(home, {"ranker.threads": 2}), NOW)
    assert other.blended != judged.blended
    assert (other.evaluated / "metrics.json").read_bytes() == (judged.evaluated / "metrics.json").read_bytes()
    assert lists_of(other) == lists_of(judged)


def test_a_dirty_csv_trains_and_every_planted_row_is_refused_by_its_rule(made_shop, small_config, tmp_path):
    options = SyntheticOptions(dirty_share=0.05)
    raw, planted = dirty(made_shop.orders, options)
    spoiled = write_csv(raw, tmp_path / "orders.csv", rng=np.random.default_rng(0))
    made_shop.catalog.write_csv(tmp_path / "catalog.csv")
    changes = {
        "data.orders.path": f"{tmp_path}/orders.csv",
        "data.orders.exclude_item_pattern": "^(POST|BANK CHARGES)$",
        "data.orders.cancellation_pattern": "^C",
        "data.catalog.path": f"{tmp_path}/catalog.csv",
        "data.catalog.missing": "reject",
        "data.validation.duplicates": "reject",
    }
    finished = training.judge(small_config(tmp_path, changes), NOW)
    rejected = pl.read_parquet(finished.ingested / "checked" / "rejected.parquet")

    bad = set(spoiled["line"])
    good = [line for line in range(2, raw.height + len(bad) + 2) if line not in bad]
    rules = planted.filter(pl.col("rule").is_not_null())
    twice = rules.filter(pl.col("rule") == "repeated_line")  # either of the two lines may be the one that is kept
    expected = [(good[row], rule) for row, rule in rules.join(twice, on="row", how="anti")["row", "rule"].iter_rows()]
    expected += spoiled["line", "rule"].rows()
    lines = rejected["source_row", "rule"].rows()
    assert sorted(line for line in lines if line[1] != "repeated_line") == sorted(expected)
    repeated = rejected.filter(pl.col("rule") == "repeated_line")["raw"].str.json_decode(dtype=pl.Struct(raw.schema))
    repeated_rows = repeated.struct.unnest().sort("order_id", "item_id")
    assert repeated_rows.equals(raw[twice["row"]].sort("order_id", "item_id"))
    assert set(rejected["source"]) == {f"{tmp_path}/orders.csv"}

    said = read_json(finished.ingested / "ingest.json")
    assert said["read"] == raw.height + spoiled.height
    assert {r["rule"]: r["rows"] for r in said["rules"]} == dict(Counter(rule for _, rule in lines))
    assert said["kept"] + said["merged_lines"] + said["returns_matched"] + said["rejected"] == said["read"]
    assert metrics_of(finished)["best"] == "hybrid"


def test_the_last_basket_can_be_the_test(small_config, made_shop, home):
    finished = training.judge(small_config(home, {"split.kind": "last_basket"}), NOW)
    asked = pl.read_parquet(finished.matrices / pipeline.TEST / "asked.parquet")
    bought = made_shop.orders.filter(pl.col("customer_id").is_not_null(), pl.col("quantity") > 0)
    last = bought.sort("ordered_at", "order_id").group_by("customer_id", maintain_order=True).last()
    wanted = dict(last.select("customer_id", "order_id").iter_rows())
    assert asked.height > 60
    assert all(wanted[customer] == order for customer, order in asked.select("customer_id", "order_id").iter_rows())
    plan = read_json(finished.matrices / "moments.json")
    assert plan["train"] == ["train-0", "train-1"]
    record = next(r for r in metrics_of(finished)["records"] if (r["task"], r["segment"]) == ("next_basket", "all"))
    assert record["n"] == asked.height


def test_a_single_model_is_registered_where_it_is_best(trained, small_config, tmp_path):
    """A ranker that sees one candidate of each source cannot fill a list of new items; the others are crippled."""
    changes = {
        "registry.tracking_uri": trained.config.registry.tracking_uri,
        "registry.model_name": "single",
        "evaluation.primary_segment": "new",
        "ranker.per_cart_source": 1,
        "ranker.per_history_source": 1,
        "models.als": {"factors": 1, "iterations": 1, "alpha": 0.0, "regularization": 1e9},
        "models.frequency": {"half_life": 1e-3, "days": 1e-3},
        "models.item_knn": {"half_life": 1e-3, "min_joint": 100},
        "models.user_knn": {"half_life": 1e-3, "k": 1},
        "models.content": {"half_life": 1e-3, "neighbours": 1},
        "models.tifu_knn": {"k": 1, "alpha": 1.0},
        "models.basket_knn": {"k": 1},
        "models.type_knn": {"level": "department", "half_life": 1e-3},
    }
    config = small_config(tmp_path, changes)
    finished = training.judge(config, NOW)
    registered = register_model(config, finished, NOW)
    found = metrics_of(finished)
    assert found["best"] == "popularity"
    assert set(found["baseline_best_single"].values()) == {"popularity"}
    assert verdict(found).endswith("and no hybrid is better."), "what the report says above all"
    assert registered["alias"] == "champion"
    model = tracking.mlflow.pyfunc.load_model(registered["uri"])
    answers = model.predict(model.input_example)
    assert set(answers["error"]) == {""}
    lists = answers["item_ids"].tolist()
    assert [len(items) for items in lists] == [5, 5, 5]
    assert lists[1] == lists[2], "popularity asks nobody; what lies in the cart is left out"


def test_the_same_recipe_is_as_good_as_itself_and_a_poor_one_is_worse(judged, small_config, home):
    config, new = small_config(home), Judged(judged.matrices, judged.evaluated)
    same = pipeline.recipe(config)
    equal = compare_recipe(config, judged.ingested, new, same)
    assert (equal.ratio, equal.low, equal.high, equal.left_out) == (1.0, 1.0, 1.0, 0)
    assert equal.n == pl.read_parquet(judged.evaluated / "per_query.parquet").height
    assert all(rail.passed for rail in equal.guardrails)
    poor = json.loads(json.dumps(same))
    poor["ranker"] |= {"trees": 1, "leaves": 2}
    found = compare_recipe(config, judged.ingested, new, poor)
    assert found.low <= found.ratio <= found.high
    assert found.ratio > 1
    fewer = json.loads(json.dumps(poor))
    fewer["interactions"]["min_item_orders"] = 60  # knows fewer items, so it is asked for less of many orders
    found = compare_recipe(config, judged.ingested, new, fewer)
    assert found.left_out > 0
    assert found.n + found.left_out == equal.n
