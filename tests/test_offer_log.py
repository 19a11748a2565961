"""`recsys offers-log` on the small shop: the loop closed, from offers due to events and back to a page."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
import yaml
from click.testing import CliRunner

from recsys.cli import main
from recsys.daily import publish_due
from recsys.daily_shop import prepare
from recsys.data.synthetic.dirty_events import as_texts
from recsys.errors import InputError
from recsys.folders import damages
from recsys.moments.outcomes import as_shown
from recsys.offer_log import log_table, publish_log
from recsys.registry.terminal import console
from recsys.stages import read_json
from tests.conftest import DAILY, NOW

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("offer-log")


@pytest.fixture(scope="module")
def config(small_config, daily_stages, home):
    changes = {"run.store": str(daily_stages), "moments.daily.out": f"{home}/due",
               "moments.daily.log_out": f"{home}/log", "title": "<b>Shop</b>"}  # fmt: skip
    return small_config(home, DAILY | changes)


@pytest.fixture(scope="module")
def days(config):
    last = prepare(config, None, None, NOW).days[0]
    return publish_due(config, last - 3 * DAY, last - 2 * DAY, lambda: NOW)


@pytest.fixture(scope="module")
def offers(days) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(folder / "offers.parquet") for folder in days])


@pytest.fixture(scope="module")
def logged(config, offers, home):
    """Everything is shown at nine; each offer is accepted with four times its probability."""
    shown = as_shown(offers, lambda day: datetime(day.year, day.month, day.day, 9, tzinfo=UTC))
    chance = np.minimum(4 * offers["probability"].fill_null(0.0).to_numpy(), 1)
    taken = shown.filter(pl.Series(np.random.default_rng(0).random(len(chance)) < chance))
    taken = taken.with_columns(pl.col("at") + timedelta(hours=2), kind=pl.lit("offer_accepted"))
    no = shown.tail(3).with_columns(pl.col("at") + timedelta(hours=2), kind=pl.lit("offer_refused"))
    other = taken.head(1).with_columns(key=pl.lit("20230101-0123456789abcdef"))
    as_texts(pl.concat([shown, taken, no, other])).write_csv(home / "log.csv")
    return replace(config, events=replace(config.events, path=f"{home}/log.csv")), taken


@pytest.fixture(scope="module")
def folder(logged):
    return publish_log(logged[0], None, None, lambda: NOW)


def test_the_page_tells_what_came_back(folder, logged, offers, days, capsys) -> None:
    assert damages(folder) == []
    manifest = read_json(folder / "manifest.json")
    counts, lists = manifest["counts"], offers["key"].n_unique()
    assert (counts["offers"], counts["lists"], counts["shown"]) == (offers.height, lists, lists)
    assert counts["accepted"] == logged[1]["key"].n_unique() > 3
    assert (counts["other"], counts["unshown"]) == (1, 0)
    (whole, *triggers) = manifest["conversion"]["trigger"]
    assert whole["value"] == pytest.approx(counts["accepted"] / lists)
    assert whole["low"] < whole["value"] < whole["high"]
    assert {row["measure"] for row in triggers} == set(offers["trigger"])
    assert sum(row["below"] for row in triggers) == lists
    told = pl.read_parquet(folder / "outcomes.parquet")
    assert told["accepted_at"].count() == logged[1].height
    acceptance = manifest["acceptance"]
    assert acceptance["n"] == offers["probability"].count()
    assert acceptance["observed"] > 2 * acceptance["predicted"], "four times what was promised"
    dropped = sum(pl.read_parquet(day / "dropped.parquet").height for day in days)
    assert sum(row["dropped"] for row in manifest["rules"]) == dropped
    got, without = manifest["customers"]
    assert got["offers"] == offers.height <= without["offers"]
    page = (folder / "report.html").read_text()
    assert "&lt;b&gt;Shop" in page
    assert "<b>Shop" not in page
    assert f"Of {lists:,} lists that were due {lists:,} were shown and {counts['accepted']:,} accepted" in page
    assert "what happened, not what an offer caused" in page
    assert "<script" not in page
    assert (folder / "plots" / "acceptance.png").stat().st_size > 5000
    console().print(log_table(folder))
    assert "accepted of shown, all" in capsys.readouterr().out


def test_the_same_log_is_found_again_and_a_range_is_a_part(folder, logged, offers) -> None:
    assert publish_log(logged[0], None, None, lambda: NOW + timedelta(hours=1)) == folder
    day = offers["date"].max()
    part = read_json(publish_log(logged[0], day, None, lambda: NOW) / "manifest.json")
    assert part["counts"]["offers"] == offers.filter(date=day).height
    assert part["counts"]["other"] > 1
    with pytest.raises(InputError, match=r"no day from 2020-01-01 to 2020-01-02 has offers in .*; run recsys due"):
        publish_log(logged[0], day.replace(2020, 1, 1), day.replace(2020, 1, 2), lambda: NOW)


def test_without_a_log_nothing_is_claimed(config, offers) -> None:
    folder = publish_log(config, None, None, lambda: NOW)
    manifest = read_json(folder / "manifest.json")
    assert manifest["counts"] | {"due": 0} == {
        "due": 0, "lists": offers["key"].n_unique(), "offers": offers.height, "shown": 0, "accepted": 0, "refused": 0,
        "unshown": 0, "other": 0}  # fmt: skip
    assert manifest["conversion"]["trigger"][0]["value"] is None
    assert "No offer with a probability was shown" in (folder / "report.html").read_text()
    assert list((folder / "plots").iterdir()) == []


def test_ids_shown_otherwise_are_refused_rather_than_missed(config, days, monkeypatch) -> None:
    monkeypatch.setenv("RECSYS_ID_KEY", "a secret of sixteen bytes")
    daily = replace(config.moments.daily, hash_ids=True)
    hashed = replace(config, moments=replace(config.moments, daily=daily))
    with pytest.raises(InputError, match="shows customers by other ids"):
        publish_log(hashed, None, None, lambda: NOW)
    last = days[-1].name.removeprefix("date=")
    day = datetime.fromisoformat(last).date()
    daily = replace(daily, out=f"{config.moments.daily.out}-hashed")
    hashed = replace(config, moments=replace(config.moments, daily=daily))
    publish_due(hashed, day, day, lambda: NOW)
    assert read_json(publish_log(hashed, None, None, lambda: NOW) / "manifest.json")["counts"]["offers"] > 0


def test_the_command(small_options, tmp_path, monkeypatch) -> None:
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump(small_options(tmp_path)))
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["offers-log", "--config", str(tmp_path / "shop.yaml"), "--from", "2024-01-01"])
    assert done.exit_code == 1
    assert "no day from 2024-01-01 to the last has offers in due" in done.output
