"""Files kept one by one give what reading everything at once gives, however the lines are cut into files."""

import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from recsys.data.catalog import CatalogOptions
from recsys.data.ingest import Checked, DataOptions, ingest
from recsys.data.lines import OrdersOptions
from recsys.data.validation import ValidationOptions
from recsys.stages import stage

NOW = datetime(2024, 1, 20, tzinfo=UTC)
HEADER = "order_id,item_id,customer_id,ordered_at,quantity,unit_price,name"
# few of each, so that lines of an order, repeats, returns and their purchases, and strangers in an order meet
LINE = st.tuples(
    st.sampled_from(["o1", "o2", "o3", "o4", ""]),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["c1", "c1", "c2", ""]),
    st.integers(1, 22),  # after day 20 lies the future
    st.sampled_from(["1", "2", "2", "-1", "-2", "0", "x"]),
    st.sampled_from(["1.5", "1.5", "2", "9000", "?"]),
    st.sampled_from(["thing", "other thing", ""]),
)


def text(line) -> str:
    order, item, customer, day, quantity, price, name = line
    return f"{order},{item},{customer},2024-01-{day:02d} 10:00,{quantity},{price},{name}"


def options(path, **orders) -> DataOptions:
    catalog = CatalogOptions(from_orders=True, columns={"item_id": "item_id", "name": "name"})
    checks = ValidationOptions(duplicates=orders.pop("duplicates", "merge"))
    return DataOptions(orders=OrdersOptions(path=str(path), **orders), catalog=catalog, validation=checks)


def write(folder: Path, files: dict[str, list[str]]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, lines in files.items():
        (folder / name).write_text("\n".join([HEADER, *lines]) + "\n")
    return folder


def same(one: Checked, two: Checked) -> None:
    for table in ("orders", "catalog", "rejected", "counts"):
        assert_frame_equal(getattr(one, table), getattr(two, table), check_exact=True)
    assert one.read == two.read
    assert one.digests == two.digests


def refused(checked: Checked) -> list[tuple]:
    """Rule and raw row of each refused row, whatever file it was in. Of equal lines any may be the repeated one."""
    rows = checked.rejected.select("rule", "raw").rows()
    return sorted((rule, tuple(json.loads(raw).items())[:2] if rule == "repeated_line" else raw) for rule, raw in rows)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.tuples(LINE, st.integers(0, 3)), min_size=2, max_size=25),
    order=st.permutations(range(4)),
    duplicates=st.sampled_from(["merge", "reject"]),
)
def test_any_partition_in_any_order_of_arrival(lines, order, duplicates, tmp_path_factory):
    home = tmp_path_factory.mktemp("days")
    keep = partial(stage, home / "store")
    files = {f"{at}.csv": [text(line) for line, of in lines if of == at] for at in range(4)}
    everything = [line for lines in files.values() for line in lines]
    whole = ingest(options(write(home / "whole", {"all.csv": everything}), duplicates=duplicates), NOW)
    for at in order:  # one file after the other arrives; what is kept of the earlier ones must not matter
        folder = write(home / "parts", {f"{at}.csv": files[f"{at}.csv"]})
        if any(files[name] for name in files if (folder / name).exists()):
            kept = ingest(options(folder, duplicates=duplicates), NOW, keep)
            same(kept, ingest(options(folder, duplicates=duplicates), NOW))
    assert kept.files["all"] == 4
    assert_frame_equal(kept.orders, whole.orders, check_exact=True)
    assert_frame_equal(kept.catalog, whole.catalog, check_exact=True)
    assert refused(kept) == refused(whole)


DAYS = {
    "01.csv": ["o1,a,c1,2024-01-01,2,1.5,thing", "o1,b,c1,2024-01-01,1,2,other"],
    "02.csv": ["o2,a,c2,2024-01-02,1,1.5,thing", "o2,a", "o1,a,c1,2024-01-02,-1,1.5,thing"],
    "03.csv": ["o3,b,,2024-01-03,1,x,other", "o1,a,c9,2024-01-03,1,1.5,thing"],
}


@pytest.fixture
def shop(tmp_path):
    """(folder of three days, ingest that keeps, ingest that does not)."""
    folder, keep = write(tmp_path / "days", DAYS), partial(stage, tmp_path / "store")

    def kept(**orders) -> Checked:
        checked = ingest(options(folder, **orders), NOW, keep)
        same(checked, ingest(options(folder, **orders), NOW))
        return checked

    return folder, kept


def test_one_more_day_is_one_file_read(shop):
    folder, kept = shop
    assert kept().files == {"all": 3, "read": 3}
    assert kept().files == {"all": 3, "read": 0}
    write(folder, {"04.csv": ["o4,a,c2,2024-01-04,1,1.5,thing"]})
    assert kept().files == {"all": 4, "read": 1}


def test_a_return_finds_its_purchase_in_an_earlier_file(shop):
    checked = shop[1]()
    assert checked.count("kept", "returns_matched") == 1
    assert checked.orders.filter(pl.col("order_id") == "o1")["returned_quantity"].to_list() == [1.0, None]
    assert checked.count("rejected", "order_of_two_customers") == 1


def test_a_changed_a_deleted_and_a_renamed_file_are_noticed(shop):
    folder, kept = shop
    before = kept()
    write(folder, {"02.csv": ["o2,a,c2,2024-01-02,5,1.5,thing"]})
    changed = kept()
    assert changed.files == {"all": 3, "read": 1}
    assert changed.orders.filter(pl.col("order_id") == "o2")["quantity"].to_list() == [5.0]
    (folder / "03.csv").rename(folder / "00.csv")
    assert kept().files == {"all": 3, "read": 0}, "the content counts, not the name"
    (folder / "00.csv").unlink()
    gone = kept()
    assert gone.files == {"all": 2, "read": 0}
    assert gone.read == before.read - 4
    write(folder, {"02.csv": DAYS["02.csv"], "03.csv": DAYS["03.csv"]})
    same(kept(), before)


def test_other_options_map_the_files_anew(shop):
    folder, kept = shop
    assert kept().count("rejected") == 3
    assert kept(exclude={"name": ["other"]}).count("rejected", "excluded_row") == 2
    assert kept(nulls=("c2",)).orders["customer_id"].null_count() == 1
    assert kept(time_zone="Asia/Tokyo").orders["ordered_at"].min().day == 31
    for file in folder.iterdir():
        file.write_text(file.read_text().replace(",", ";"))
    assert kept(separator=";").count("kept") == 4


def test_a_column_typed_differently_in_a_new_file_becomes_text_in_all(tmp_path):
    folder, keep = tmp_path / "days", partial(stage, tmp_path / "store")
    folder.mkdir()
    frame = pl.DataFrame({"order_id": [1, 2], "item_id": [7, 8], "customer_id": [1, 1], "quantity": [1.0, 2.5],
                          "ordered_at": ["2024-01-02"] * 2, "unit_price": [1.0, 2.0]})  # fmt: skip
    tables = {
        "1.parquet": frame,
        "2.parquet": frame.with_columns(pl.col("order_id") + 2),
        "3.parquet": frame.with_columns(order_id=pl.lit("05"), quantity=pl.lit("1,5"), extra=pl.lit(b"\xff")),
        "4.parquet": frame.drop("customer_id").with_columns(order_id=pl.Series([8, None])),
    }
    for number, (name, table) in enumerate(tables.items(), 1):
        table.write_parquet(folder / name)
        given = DataOptions(
            orders=OrdersOptions(path=str(folder), decimal=","), catalog=CatalogOptions(from_orders=True)
        )
        kept = ingest(given, NOW, keep)
        same(kept, ingest(given, NOW))
        assert kept.files["all"] == number
    assert "05" in kept.orders["order_id"].to_list()


def test_order_numbers_count_over_all_files(tmp_path):
    folder, keep = tmp_path / "days", partial(stage, tmp_path / "store")
    folder.mkdir()
    for number in (1, 2, 3):
        rows = f"order_id,item_id,customer_id,order_number,quantity\no{number},a,c,{number},1\n"
        (folder / f"{number}.csv").write_text(rows)
    given = DataOptions(orders=OrdersOptions(path=str(folder)), catalog=CatalogOptions(from_orders=True))
    kept = ingest(given, NOW, keep)
    same(kept, ingest(given, NOW))
    assert kept.orders["ordered_at"].dt.day().to_list() == [30, 31, 1]


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch):
    from recsys.data import order_files
    from recsys.errors import InputError

    folder = write(tmp_path / "days", DAYS)
    read = order_files.read_file

    def growing(file, *rest):
        part = read(file, *rest)
        with Path(file.at).open("a") as export:
            export.write("o9,a,c1,2024-01-03,1,1,thing\n")
        return part

    monkeypatch.setattr(order_files, "read_file", growing)
    with pytest.raises(InputError, match=r"01\.csv changed while it was read"):
        ingest(options(folder), NOW, partial(stage, tmp_path / "store"))
    assert not list((tmp_path / "store").glob("*/[0-9a-f]*")), "nothing of it is kept"
