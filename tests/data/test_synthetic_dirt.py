"""Dirty rows break the rule they are planted for and no other; bad CSV lines stand where they are said to."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.data.synthetic import SyntheticOptions, as_text, dirty, synthetic_shop, write_csv
from recsys.errors import InputError

OPTIONS = SyntheticOptions(customers=60, orders_per_customer=10, dirty_share=0.1)
SHOP = synthetic_shop(OPTIONS)
RAW, PLANTED = dirty(SHOP.orders, OPTIONS)
CLEAN = as_text(SHOP.orders)
ITEMS = set(SHOP.catalog["item_id"])
CODES = {"POST", "BANK CHARGES"}
Row = dict[str, str | None]


def number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None


def parsed_time(text: str | None) -> object:
    return pl.Series([text]).str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False)[0]


def below(text: str | None, limit: float) -> bool:
    value = number(text)
    return value is not None and value < limit


BOUGHT = {
    (row["customer_id"], row["item_id"])
    for row in RAW.filter(~pl.col("order_id").str.starts_with("D")).iter_rows(named=True)
    if not below(row["quantity"], 1)
}
# a plain reading of each rule; every row is held against all of them
BREAKS: dict[str, Callable[[Row], bool]] = {
    "blank_order_id": lambda row: not (row["order_id"] or "").strip(),
    "blank_item_id": lambda row: not (row["item_id"] or "").strip(),
    "unparsable_quantity": lambda row: number(row["quantity"]) is None,
    "zero_quantity": lambda row: number(row["quantity"]) == 0,
    "unmatched_return": lambda row: below(row["quantity"], 0) and (row["customer_id"], row["item_id"]) not in BOUGHT,
    "unparsable_price": lambda row: number(row["unit_price"]) is None,
    "negative_price": lambda row: below(row["unit_price"], 0),
    "zero_price": lambda row: number(row["unit_price"]) == 0,
    "absurd_price": lambda row: (number(row["unit_price"]) or 0) > 1e6,
    "absurd_quantity": lambda row: (number(row["quantity"]) or 0) > 1e6,
    "unparsable_time": lambda row: parsed_time(row["ordered_at"]) is None,
    "future_time": lambda row: parsed_time(row["ordered_at"]) is not None and str(row["ordered_at"]) > "2040",
    "excluded_item": lambda row: row["item_id"] in CODES,
    "not_in_catalog": lambda row: bool((row["item_id"] or "").strip()) and row["item_id"] not in ITEMS | CODES,
}


def test_each_planted_row_breaks_its_rule_and_no_other() -> None:
    rows = RAW.rows(named=True)
    for row, kind, rule, column, value in PLANTED.iter_rows():
        broken = [name for name, breaks in BREAKS.items() if breaks(rows[row])]
        assert broken == ([rule] if rule in BREAKS else []), (kind, rows[row])
        assert rows[row][column] == value
    assert set(BREAKS) | {"repeated_line"} == set(PLANTED["rule"].drop_nulls())


def test_clean_rows_stay_as_they_were() -> None:
    rest = RAW.with_row_index("row").filter(~pl.col("row").is_in(PLANTED["row"].to_list())).drop("row")
    assert rest.equals(CLEAN)
    assert set(RAW.dtypes) == {pl.String}
    assert RAW.height == CLEAN.height + PLANTED.height
    assert PLANTED.height == pytest.approx(OPTIONS.dirty_share * CLEAN.height, rel=0.1)
    assert not any(breaks(row) for row in CLEAN.rows(named=True)[:500] for breaks in BREAKS.values())


def test_dirt_is_spread_and_its_orders_are_its_own() -> None:
    planted = RAW.with_row_index("row").join(
        PLANTED.select(pl.col("row").cast(pl.UInt32), "kind"), on="row", maintain_order="left"
    )
    assert planted["row"].to_list() == PLANTED["row"].to_list()
    assert planted["row"].median() == pytest.approx(RAW.height / 2, rel=0.3)
    doubles = planted.filter(pl.col("kind") == "duplicate")
    assert doubles.select(RAW.columns).join(CLEAN, on=["order_id", "item_id"]).height == doubles.height
    own = planted.filter(pl.col("kind") != "duplicate")
    assert not set(own["order_id"].drop_nulls()) & set(CLEAN["order_id"])


def test_cancellations_take_back_a_purchase_and_zeros_lead() -> None:
    kinds = {kind: RAW.gather(part["row"]) for (kind,), part in PLANTED.group_by("kind")}
    bought = kinds["cancelled_purchase"].with_columns(order_id="C" + pl.col("order_id"))
    both = kinds["cancellation"].join(bought, on=["order_id", "customer_id", "item_id"], validate="1:1")
    assert both.height == bought.height >= 2
    assert both.select(("-" + pl.col("quantity_right") == pl.col("quantity")).all()).item()
    assert both.select((pl.col("ordered_at_right") < pl.col("ordered_at")).all()).item()
    assert kinds["leading_zeros"]["order_id"].str.contains(r"^00\d+$").all()
    assert kinds["guest"]["customer_id"].null_count() == kinds["guest"].height


def test_dirt_follows_the_seed() -> None:
    raw, planted = dirty(SHOP.orders, OPTIONS)
    assert raw.equals(RAW)
    assert planted.equals(PLANTED)
    assert not dirty(SHOP.orders, SyntheticOptions(seed=5, dirty_share=0.1))[0].equals(RAW)
    with pytest.raises(InputError, match="orders hold 0"):
        dirty(SHOP.orders.clear(), OPTIONS)


@pytest.mark.parametrize(
    ("encoding", "bom", "code"),
    [
        ("mixed", True, "utf-8"),
        ("utf-8", False, "utf-8"),
        ("utf-8", True, "utf-8"),
        ("latin-1", False, "latin-1"),
    ],
)
def test_bad_lines_stand_where_they_are_said_to(tmp_path: Path, encoding: str, bom: bool, code: str) -> None:
    path = tmp_path / "orders.csv"
    spoiled = write_csv(RAW, path, ragged=0.01, bom=bom, encoding=encoding, rng=np.random.default_rng(3))
    content = path.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf") == bom
    header, *lines = content.removeprefix(b"\xef\xbb\xbf").removesuffix(b"\n").split(b"\n")
    assert header == ",".join([*RAW.columns, "name"]).encode()
    kinds = dict(spoiled.select("line", "kind").iter_rows())
    good = []
    for at, line in enumerate(lines, start=2):
        kind = fault_of(line, code)
        assert kinds.get(at) == kind
        if kind is None:
            good.append(next(csv.reader([line.decode(code)])))
    assert [[cell or None for cell in row[:-1]] for row in good] == [list(row) for row in RAW.iter_rows()]
    assert "Crème brûlée" in {row[-1] for row in good}
    expected = {"too_few": "field_count", "too_many": "field_count", "blank": "field_count"}
    assert dict(spoiled.select("kind", "rule").unique().iter_rows()) == (
        expected | {"latin1": "encoding"} if encoding == "mixed" else expected
    )
    assert [item.name for item in tmp_path.iterdir()] == ["orders.csv"]


def fault_of(line: bytes, code: str) -> str | None:
    """What is wrong with a line of RAW's columns and a name."""
    try:
        text = line.decode(code)
    except UnicodeDecodeError:
        return "latin1"
    if not text:
        return "blank"
    more = len(next(csv.reader([text]))) - len(RAW.columns) - 1
    return {-1: "too_few", 0: None, 1: "too_many"}[more]


def test_csv_without_bad_lines_and_what_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    spoiled = write_csv(CLEAN, tmp_path / "a.csv", ragged=0, bom=False, encoding="utf-8", rng=rng)
    assert spoiled.is_empty()
    read = pl.read_csv(tmp_path / "a.csv", infer_schema=False)
    assert read.drop("name").equals(CLEAN)
    with pytest.raises(InputError, match="byte order mark"):
        write_csv(CLEAN, tmp_path / "b.csv", bom=True, encoding="latin-1", rng=rng)
    broken = CLEAN.with_columns(name=pl.lit("two\nlines"))
    with pytest.raises(InputError, match="line breaks"):
        write_csv(broken, tmp_path / "b.csv", rng=rng)
    assert not (tmp_path / "b.csv").exists()
