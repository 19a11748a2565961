"""Runs against the champion: a natural week passes, a broken one stops before anything is fitted or registered."""

import json
import logging
from datetime import timedelta

import mlflow
import polars as pl
import pytest
from click.testing import CliRunner

from recsys import pipeline, training, watch
from recsys.cli import main
from recsys.monitoring.list_checks import compare_lists
from recsys.monitoring.list_profile import profile_lists
from recsys.monitoring.options import MonitoringOptions
from recsys.registry import tracking
from recsys.registry.accepted import FORMAT
from recsys.stages import read_json

NOW = pipeline.datetime.fromisoformat("2024-09-01T00:00:00+00:00")


@pytest.fixture(scope="module")
def next_week(made_shop):
    """The shop a week later: the last week once more, as orders of their own."""
    orders = made_shop.orders
    week = orders.filter(pl.col("ordered_at") > orders["ordered_at"].max() - timedelta(days=7), pl.col("quantity") > 0)
    again = week.with_columns(pl.col("ordered_at") + timedelta(days=7), order_id="N" + pl.col("order_id"))
    return orders, again


@pytest.fixture
def later(trained, next_week, small_config, tmp_path):
    """Makes the config of the run a week later, the new lines changed; same registry as `trained`."""

    def make(change=None, **options):
        old, again = next_week
        pl.concat([old, again if change is None else again.with_columns(change)]).write_parquet(tmp_path / "o.parquet")
        changes = {"data.orders.path": f"{tmp_path}/o.parquet",
                   "registry.tracking_uri": trained.config.registry.tracking_uri}  # fmt: skip
        return small_config(tmp_path, changes | {f"monitoring.{k}": v for k, v in (COPIED | options).items()})

    return make


COPIED = {"repeat_share": [None, None]}  # a week that is copied repeats every purchase
DOUBLED = pl.col("unit_price") * 2


def watched(config, **gate):
    return watch.watch_orders(config, pipeline.ingest_orders(config, NOW), **gate)


def checks_of(done):
    return read_json(done / "drift.json")["checks"]


def test_the_first_run_says_that_there_is_nothing_and_keeps_its_profiles(trained):
    drift = read_json(trained.report / "drift.json")
    assert drift["verdict"] == "ok"
    assert [p["notes"] for p in drift["parts"].values()] == [
        ["the first run: there is no champion to compare with"]
    ] * 2
    client = tracking.connect(trained.config.registry)
    record = mlflow.artifacts.load_dict(f"runs:/{trained.registered['run_id']}/{tracking.MONITORING}")
    assert record["format"] == FORMAT
    why = "the first run: there is no champion to compare with"
    assert record["before"] == {part: {"label": None, "why": why, "profile": None} for part in ("orders", "lists")}
    assert len(record["lists"]["lists"]) == 120
    tags = client.get_run(trained.registered["run_id"]).data.tags
    assert (tags["drift"], tags["drift_accepted"]) == ("ok", "no")
    customers = set(pl.read_parquet(trained.config.data.orders.path)["customer_id"].drop_nulls())
    assert not [who for who in customers if f'"{who}"' in json.dumps(record)], "customers are kept as hashes"


def test_a_natural_week_passes_and_its_result_is_kept(later):
    done = watched(later())
    assert {c["scope"] for c in checks_of(done)} >= {"new", "history"}
    assert {c["verdict"] for c in checks_of(done)} == {"ok"}
    assert read_json(done / "drift.json")["reference"] == "version 1 of recsys"
    before = (done / "drift.json").read_bytes()
    assert watched(later()) == done
    assert (done / "drift.json").read_bytes() == before
    assert watched(later(price_level=[1.05, 1.6])) != done, "other limits, other verdicts"


def test_doubled_prices_stop_the_run_before_anything_is_fitted(later, trained):
    config = later(DOUBLED)
    with pytest.raises(
        watch.DriftError, match=r"price level \(new\).* cost (1\.9|2\.)\d+ times .*currency.*accept=true"
    ):
        training.train(config, NOW)
    assert {p.name for p in pipeline.store(config).iterdir() if p.is_dir()} == {"ingest", "profile", "drift"}
    client = tracking.connect(config.registry)
    assert int(client.get_model_version_by_alias("recsys", "champion").version) == trained.registered["version"]
    assert len(client.search_model_versions("name = 'recsys'")) == 1
    assert watch.latest(config)["parts"].keys() == {"orders"}


def test_a_stop_is_accepted_by_hand_and_told(later, caplog):
    config = later(DOUBLED, accept=True)
    with caplog.at_level(logging.WARNING, "recsys.monitoring"):
        done = {watch.ORDERS: watched(config)}
    assert "beyond the stop limit: price level (new)" in caplog.text
    assert done[watch.ORDERS] == watched(later(DOUBLED), gate=False), "accepting changes no figure"
    record = watch.record(config, done)
    assert tracking.drift_tags(record) == {"drift": "stop", "drift_accepted": "yes"}
    assert record["before"]["orders"]["label"] == "version 1 of recsys"


def test_what_the_champion_was_made_of_cannot_stop(trained, later):
    """Limits that every run breaks: the same orders are settled, others are not."""
    done = watched(trained.config)
    assert checks_of(done) == []
    strict = {"volume": [0.5, 1.0], "alpha": 1.0}
    with pytest.raises(watch.DriftError, match=r"volume \(new\)"):
        watched(later(**strict))


def test_switched_off_or_without_a_store_nothing_is_compared(later, small_config, tmp_path):
    assert checks_of(watched(later(DOUBLED, enabled=False))) == []
    fresh = small_config(tmp_path / "fresh")
    (tmp_path / "fresh").mkdir()
    assert "first run" in read_json(watched(fresh) / "drift.json")["notes"][0]
    assert not list((tmp_path / "fresh").glob("mlflow.db*")), "a question makes no store"


def test_the_command_shows_the_latest_run_and_checks_without_training(later, tmp_path):
    config = later(DOUBLED)
    file = tmp_path / "shop.yaml"
    file.write_text(json.dumps(pipeline.as_dict(config)))
    said = CliRunner().invoke(main, ["drift", "--config", str(file)])
    assert said.exit_code == 1
    assert "no run of 'a small shop' was compared yet" in said.stderr
    said = CliRunner().invoke(main, ["drift", "--check", "--config", str(file)])
    assert said.exit_code == 1
    assert "price level" in said.stdout
    assert "nothing is registered" in said.stderr
    said = CliRunner().invoke(main, ["drift", "--all", "--config", str(file)])
    assert said.exit_code == 0
    assert "missing days" in said.stdout
    assert "Against version 1 of recsys" in said.stdout


@pytest.fixture(scope="module")
def lists(trained, fitted, small_shop):
    """Profiles of two fits of the same shop: the registered one, and one of other options before the test."""
    registered = watch.Recommender.load(next(pipeline.store(trained.config).glob("package/*/recommender")))
    options = MonitoringOptions()
    return [
        profile_lists(model, small_shop.orders, small_shop.catalog, options, "r")
        for model in (registered, registered, fitted.recommender)
    ]


def test_the_same_model_gives_the_same_lists(lists):
    first, again, _ = lists
    assert first == again
    checks, notes = compare_lists(first, again, MonitoringOptions())
    assert notes == []
    assert {c.verdict for c in checks} == {"ok"}
    assert next(c.value for c in checks if c.name == "list_overlap") == 1
    assert len(first["lists"]) == 120
    assert first["short"] == [0, 220]


def test_another_model_of_the_shop_shares_part_of_the_lists(lists):
    first, _, other = lists
    checks, _ = compare_lists(other, first, MonitoringOptions())
    overlap = next(c for c in checks if c.name == "list_overlap")
    assert 0.1 < overlap.value < 0.95
    assert "rank-biased overlap" in overlap.text


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda p: p | {"lists": {who: [f"x{i}" for i in range(10)] for who in p["lists"]}}, "list_overlap"),
        (lambda p: p | {"short": [110, 220]}, "short_lists"),
        (lambda p: p | {"fallback": {"popular": 220}}, "fallback_mix"),
        (lambda p: p | {"repeats": [0, p["repeats"][1]]}, "listed_repeats"),
        (lambda p: p | {"categories": {"elsewhere": 2200}}, "listed_categories"),
        (lambda p: p | {"popularity": {"head": 0, "middle": 0, "tail": 2200}}, "listed_popularity"),
        (lambda p: p | {"probabilities": p["probabilities"] | {
            "values": [9.0] * 2200, "sample": [9.0] * 220}}, "probabilities"),
    ],
)  # fmt: skip
def test_each_break_of_the_lists_is_named(lists, change, name):
    checks, _ = compare_lists(change(lists[0]), lists[0], MonitoringOptions())
    assert {c.name for c in checks if c.verdict == "stop"} == {name}


def test_scores_of_another_recipe_are_not_compared(lists):
    checks, notes = compare_lists(lists[0] | {"recipe": "other"}, lists[0], MonitoringOptions())
    assert "scores" not in {c.name for c in checks}
    assert "the recipe is not that of the accepted run" in notes[0]
