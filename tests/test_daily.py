"""`recsys due` on the small shop: files of a day, reruns, backfills, kits, events of every fault, hashed ids."""

import json
import os
import re
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import yaml
from click.testing import CliRunner

from recsys import daily, dated_folders
from recsys.cli import main
from recsys.daily import of_day, publish_due
from recsys.daily_shop import open_shop, prepare
from recsys.data.synthetic.dirty_events import as_texts, dirty_events
from recsys.data.synthetic.moments_shop import EVENT
from recsys.errors import InputError
from recsys.folders import damages
from recsys.hashing import hash_id
from recsys.moments.day_tables import CUSTOMERS, DROPPED, OFFERS, WHAT_WAS_DUE
from recsys.moments.outcomes import as_shown
from recsys.stages import read_json
from tests.conftest import DAILY, NOW

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
KEY = "a secret of sixteen bytes"
TABLES = {"offers": OFFERS, "dropped": DROPPED, "due": WHAT_WAS_DUE, "customers": CUSTOMERS}


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("daily")


@pytest.fixture(scope="module")
def config(small_config, daily_stages, home):
    changes = {"run.store": str(daily_stages), "moments.daily.out": f"{home}/due",
               "moments.daily.log_out": f"{home}/log"}  # fmt: skip
    return small_config(home, DAILY | changes)


@pytest.fixture(scope="module")
def last(config) -> date:
    """The day after the last order, which the kit of everything serves."""
    return prepare(config, None, None, NOW).days[0]


@pytest.fixture(scope="module")
def events(small_shop, last) -> pl.DataFrame:
    """Raw events of some customers in the last weeks: cases, carts, prices, refusals."""
    who = sorted(small_shop.orders["customer_id"].drop_nulls().unique())
    item = small_shop.catalog["item_id"].to_list()
    noon = datetime(last.year, last.month, last.day, 12, tzinfo=UTC)
    rows = [
        {"customer_id": who[n], "kind": "cart_open", "at": noon - (n % 5 + 1) * DAY, "item_id": item[n]}
        for n in range(40)
    ]
    rows += [{"customer_id": who[n], "kind": "support_open", "at": noon - 9 * DAY, "key": "c"} for n in range(6)]
    rows += [
        {"customer_id": who[n], "kind": "offer_shown", "at": noon - 9 * DAY, "key": f"k{n}", "item_id": item[n],
         "source": "email", "value": 3.0}
        for n in range(20)
    ]  # fmt: skip
    rows += [{"customer_id": None, "kind": "stock_out", "at": noon - 20 * DAY, "item_id": one} for one in item[50:80]]
    old = noon - 100 * DAY
    rows += [{"customer_id": who[n % 40], "kind": "browse", "at": old, "item_id": item[n]} for n in range(120)]
    return pl.DataFrame(rows, schema=EVENT)


@pytest.fixture(scope="module")
def told(config, events, home):
    """The configuration with those events."""
    return with_events(config, as_texts(events), home / "events.csv")


def with_events(config, raw: pl.DataFrame, file: Path, out: Path | None = None):
    raw.write_csv(file)
    changed = replace(config, events=replace(config.events, path=str(file)))
    return changed if out is None else of_day(changed, out=out)


def publish(config, first: date, end: date | None = None) -> list[Path]:
    return publish_due(config, first, end or first, lambda: NOW)


def contents(folder: Path) -> dict[str, bytes]:
    return {f.relative_to(folder).as_posix(): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def table(folder: Path, name: str = "offers") -> pl.DataFrame:
    return pl.read_parquet(folder / f"{name}.parquet")


@pytest.fixture(scope="module")
def folder(told, last) -> Path:
    return publish(told, last)[0]


def test_every_file_has_its_columns_and_the_manifest_counts_them(folder, last) -> None:
    assert damages(folder) == []
    assert folder.name == f"date={last}"
    assert (folder.parent / "latest").resolve() == folder.resolve()
    manifest = read_json(folder / "manifest.json")
    assert {entry["path"] for entry in manifest["files"]} | {"manifest.json"} == set(contents(folder))
    for name, columns in TABLES.items():
        assert table(folder, name).schema == pl.Schema(columns), name
    counts, offers, due = manifest["counts"], table(folder), table(folder, "due")
    assert counts["offers"] == offers.height > 30
    assert counts["due"] == due.height == sum(counts["by_outcome"].values()) == sum(counts["by_trigger"].values())
    assert counts["dropped"] == table(folder, "dropped").height == sum(counts["by_rule"].values())
    assert {"open_case", "shop_at_most"} <= set(counts["by_rule"])
    assert manifest["kit"] | {"until": ""} == {"name": "now", "until": "", "ahead": False, "no_reorder": ""}
    assert manifest["events"]["set_aside"] == {}
    assert manifest["events"]["known"] == manifest["events"]["read"]
    assert "started" not in manifest, "nothing of the clock"


def test_a_customer_gets_one_list_of_three_a_channel_and_channels_have_their_files(folder) -> None:
    offers = table(folder)
    assert set(offers["channel"]) == {"cart", "email"}
    lists = offers.group_by("customer_id", "channel").agg(pl.col("key").n_unique(), pl.len())
    assert lists["key"].max() == 1
    assert lists["len"].max() == 3
    for channel in ("cart", "email"):
        own = offers.filter(pl.col("channel") == channel)
        assert table(folder, f"channels/{channel}").equals(own)
        assert pl.read_csv(folder / "channels" / f"{channel}.csv").height == own.height
        lines = (folder / "channels" / f"{channel}.jsonl").read_text().splitlines()
        assert [json.loads(line)["key"] for line in lines] == own["key"].to_list()
    silent = table(folder, "due").filter(pl.col("reason") == "open_case")
    assert silent["outcome"].unique().to_list() == ["refused"]
    assert not set(silent["customer_id"]) & set(offers["customer_id"])


def test_the_same_is_found_again_and_made_again_byte_for_byte(folder, told, last, tmp_path, monkeypatch) -> None:
    again = publish(of_day(told, out=tmp_path / "due"), last)[0]
    assert contents(again) == contents(folder)

    def never(*_args):
        raise AssertionError("the folder is there")

    monkeypatch.setattr(daily, "_fill", never)
    before = (folder / "manifest.json").stat().st_mtime_ns
    assert publish_due(told, last, last, lambda: NOW + 3 * HOUR) == [folder]
    assert (folder / "manifest.json").stat().st_mtime_ns == before


def test_other_content_and_damage_are_replaced_whole(told, last, tmp_path) -> None:
    out = tmp_path / "due"
    mine = of_day(told, out=out)
    folder = publish(mine, last)[0]
    whole = contents(folder)
    (folder / "offers.parquet").write_bytes(b"half")
    (folder / "stranger").touch()
    assert contents(publish(mine, last)[0]) == whole
    silence = replace(mine.moments.silence, open_case=replace(mine.moments.silence.open_case, enabled=False))
    loud = replace(mine, moments=replace(mine.moments, silence=silence))
    assert publish(loud, last) == [folder]
    assert "open_case" not in read_json(folder / "manifest.json")["counts"]["by_rule"]
    assert sorted(f.name for f in out.iterdir()) == [".lock", folder.name, "latest"]


def test_a_killed_run_leaves_no_half_folder(told, last, tmp_path, monkeypatch) -> None:
    """At each of its steps: the folder before stays whole, and the next run clears what is left."""
    out, dead = tmp_path / "due", 2**22 + 7
    mine = of_day(told, out=out)
    folder = publish(mine, last)[0]
    whole = contents(folder)
    other = replace(mine, title="another shop")
    with monkeypatch.context() as patched:
        patched.setattr(daily, "counts_of", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            publish(other, last)
    assert contents(folder) == whole
    with monkeypatch.context() as patched:
        rename = os.rename
        patched.setattr(
            os, "rename", lambda a, b: 1 / 0 if Path(b) == folder and ".old" not in str(a) else rename(a, b)
        )
        with pytest.raises(ZeroDivisionError):
            publish(other, last)
    assert contents(folder) == whole
    assert sorted(f.name for f in out.iterdir()) == [".lock", folder.name, "latest"]
    os.rename(folder, out / f".{folder.name}.old.{dead}")  # killed between the two renames
    (out / f".{folder.name}.{dead}").mkdir()
    (out / f".latest.{dead}").symlink_to("nowhere")
    dated_folders.sweep(out)
    assert contents(folder) == whole
    assert sorted(f.name for f in out.iterdir()) == [".lock", folder.name, "latest"]
    assert contents(publish(mine, last)[0]) == whole


def test_days_of_a_backfill_equal_their_single_runs(told, last, folder, tmp_path) -> None:
    """Over the change from the kit before the test to that of everything; each day knows nothing of later ones."""
    first = last - 2 * DAY
    many = publish(of_day(told, out=tmp_path / "many"), first, last)
    assert [f.name for f in many] == [f"date={first + n * DAY}" for n in range(3)]
    assert [read_json(f / "manifest.json")["kit"]["name"] for f in many] == ["test", "test", "now"]
    assert contents(many[2]) == contents(folder)
    alone = publish(of_day(told, out=tmp_path / "alone"), first)[0]
    assert contents(alone) == contents(many[0])
    facts = read_json(alone / "manifest.json")["events"]
    assert facts["not_yet"] > 0
    assert facts["known"] + facts["not_yet"] == facts["read"]
    assert (tmp_path / "many" / "latest").resolve().name == f"date={last}"


def test_only_what_was_logged_counts_against_a_customer(config, told, events, last, folder, tmp_path) -> None:
    """What a run would have shown changes nothing the next day; its log does."""
    day = last - DAY
    before = publish(of_day(told, out=tmp_path / "a"), day)[0]
    shown = as_shown(table(before), lambda one: datetime(one.year, one.month, one.day, 9, tzinfo=UTC))
    assert set(shown["kind"]) == {"offer_shown"}
    twice = pl.concat([shown, shown.with_columns(pl.col("at") + HOUR, key=pl.col("key") + "b")])
    log = pl.concat([events, twice], how="diagonal_relaxed").select(list(EVENT))
    logged = with_events(config, as_texts(log), tmp_path / "log.csv", tmp_path / "b")
    after = publish(logged, last)[0]
    capped = table(after, "due").filter(pl.col("reason") == "weekly_cap")
    had = set(table(before)["customer_id"])
    assert capped.height > 5
    assert set(capped["customer_id"]) <= had
    assert not had & set(table(after)["customer_id"])
    assert had & set(table(folder)["customer_id"]), "without the log they are offered something"


def test_events_of_every_fault_are_set_aside_and_the_offers_are_the_same(
    config, events, last, folder, tmp_path, monkeypatch
) -> None:
    morning = datetime(last.year, last.month, last.day, tzinfo=UTC)
    raw, planted = dirty_events(events, morning)
    dirty = with_events(config, raw, tmp_path / "dirty.csv", tmp_path / "due")
    soiled = publish(dirty, last)[0]
    for name in ("offers", "dropped", "due", "customers"):
        assert contents(soiled)[f"{name}.parquet"] == contents(folder)[f"{name}.parquet"], name
    facts = read_json(soiled / "manifest.json")["events"]
    rules = dict(planted.group_by("rule").len().rows())
    assert facts["not_yet"] == rules.pop("future_time") == 2
    assert facts["set_aside"] == rules
    rejected = table(soiled, "rejected_events")
    assert dict(rejected.group_by("rule").len().rows()) == rules
    assert facts["read"] == raw.height
    assert facts["known"] == events.height
    monkeypatch.setenv("RECSYS_ID_KEY", KEY)
    hidden = replace(dirty, run=replace(dirty.run, hash_customers=True))
    secret = table(publish(hidden, last)[0], "rejected_events")
    ids = {json.loads(row)["customer_id"] for row in rejected["raw"]} - {None, " "}
    assert ids
    assert not any(f'"{one}"' in row for one in ids for row in secret["raw"])
    assert all(hash_id(one, KEY.encode()) in "".join(secret["raw"]) for one in ids)
    assert secret["rule"].to_list() == rejected["rule"].to_list()


def test_hashed_ids_go_out_and_come_back(config, told, events, last, folder, tmp_path, monkeypatch) -> None:
    """Events that name customers by the hash that offers bore are theirs."""
    monkeypatch.setenv("RECSYS_ID_KEY", KEY)
    mine = replace(told, moments=replace(told.moments, daily=replace(told.moments.daily, hash_ids=True)))
    plain, hashed = folder, publish(of_day(mine, out=tmp_path / "a"), last)[0]
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in table(hashed)["customer_id"])
    own = {hash_id(one, KEY.encode()) for one in table(plain)["customer_id"]}
    assert set(table(hashed)["customer_id"]) == own
    assert not set(table(hashed)["key"]) & set(table(plain)["key"]), "a key made of the id would tell it"
    assert set(table(hashed, "customers")["customer_id"]) >= own
    known = events["customer_id"].drop_nulls().unique()
    back = events.with_columns(pl.col("customer_id").replace({one: hash_id(one, KEY.encode()) for one in known}))
    other = with_events(mine, as_texts(back), tmp_path / "back.csv", tmp_path / "b")
    assert contents(publish(other, last)[0])["offers.parquet"] == contents(hashed)["offers.parquet"]
    lost = with_events(config, as_texts(back), tmp_path / "back.csv", tmp_path / "c")
    facts = read_json(publish(lost, last)[0] / "manifest.json")["events"]
    assert facts["set_aside"]["unknown_customer"] == events["customer_id"].count()


def test_a_date_before_the_kits_needs_one_asked_for_by_name(config, last, tmp_path) -> None:
    early = of_day(config, "now", tmp_path / "due")
    folder = publish(early, last - 60 * DAY)[0]
    assert read_json(folder / "manifest.json")["kit"]["ahead"]
    with pytest.raises(InputError, match="no kit of offers may serve"):
        publish(of_day(config, out=tmp_path / "other"), last - 60 * DAY)
    assert not list((tmp_path / "other").glob("date=*"))


def test_what_the_catalog_says_is_sold_out_is_so_at_the_end_of_the_orders(config, last) -> None:
    shop = open_shop(config, prepare(config, last - 2 * DAY, last, NOW))
    shop = replace(shop, kits={name: replace(kit, sold_out=("x",)) for name, kit in shop.kits.items()})
    assert [shop.kit_on(last - n * DAY).sold_out for n in range(3)] == [("x",), ("x",), ()]


def test_days_of_which_nothing_is_known_are_refused(config, last) -> None:
    with pytest.raises(InputError, match=f"give days up to {last}"):
        prepare(config, last, last + DAY, NOW)
    with pytest.raises(InputError, match="turn them round"):
        prepare(config, last, last - DAY, NOW)
    with pytest.raises(InputError, match="no order lies before 2020-01-01"):
        prepare(config, date(2020, 1, 1), date(2020, 1, 1), NOW)


def test_who_is_held_to_be_at_risk_is_left_alone_and_offers_need_not_be_made(told, last, folder, tmp_path) -> None:
    who = table(folder)["customer_id"].unique().sort()[:3].to_list()
    (tmp_path / "ids.txt").write_text("\n".join(who))
    given = replace(told.moments.daily, at_risk=str(tmp_path / "ids.txt"), costs=False, out=str(tmp_path / "due"))
    lean = publish(replace(told, moments=replace(told.moments, daily=given)), last)[0]
    rows = table(lean, "due").filter(pl.col("customer_id").is_in(who))
    assert set(rows["reason"]) == {"at_risk"}
    others = ~pl.col("customer_id").is_in(who)
    assert table(lean).filter(others).equals(table(folder).filter(others))
    assert "open_case" not in set(table(lean, "dropped")["rule"])
    assert read_json(lean / "manifest.json")["counts"]["refused"]["open_case"] > 0
    assert table(lean, "customers").filter(~others)["without_silence"].to_list() == [None] * 3


def test_the_command_says_what_it_did(small_options, daily_stages, told, last, tmp_path) -> None:
    changes = DAILY | {"run.store": str(daily_stages), "events.path": told.events.path}
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump(small_options(tmp_path, changes)))
    words = ["due", "--config", str(tmp_path / "shop.yaml"), "--out", str(tmp_path / "due")]
    done = CliRunner().invoke(main, [*words, "--from", str(last - DAY)])
    assert done.exit_code == 0, done.output
    assert sorted(f.name for f in (tmp_path / "due").iterdir() if f.is_dir() and not f.is_symlink()) == [
        f"date={last - DAY}", f"date={last}"]  # fmt: skip
    one = CliRunner().invoke(main, [*words, "--date", str(last)])
    assert "refused by open case" in one.output
    assert "kit now, learned from orders before" in " ".join(one.output.split())
    both = CliRunner().invoke(main, [*words, "--date", str(last), "--to", str(last)])
    assert both.exit_code == 2
    assert "give --date, or --from and --to" in both.output


def test_events_are_never_purchases(config, told, last) -> None:
    """Accepted offers stay out of orders, histories, training and what falls due."""
    without, having = prepare(config, last, last, NOW), prepare(told, last, last, NOW)
    assert without == having, "every stage of learning is the same with and without events"
    shop = open_shop(told, having)
    assert set(shop.known.events["kind"]) >= {"offer_shown", "cart_open"}
    bare = open_shop(config, without)
    assert shop.known.lines.equals(bare.known.lines)
    assert shop.known.orders.equals(bare.known.orders)


@pytest.fixture(scope="module", autouse=True)
def swept(home):
    yield
    shutil.rmtree(home, ignore_errors=True)
