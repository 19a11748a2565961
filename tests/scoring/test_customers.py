"""Who is asked: lists as people write them, who is set aside, and in which partition each customer lies."""

import polars as pl
import pytest

from recsys.errors import InputError
from recsys.hashing import hash_id
from recsys.scoring.customers import ID, in_partitions, read_ids, who

KNOWN = ["a", "b", "c", "d"]


@pytest.fixture
def listed(tmp_path):
    """Writes a file and reads the ids in it."""

    def read(name, content):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_ids(tmp_path / name).to_list()

    return read


def test_a_text_file_holds_an_id_a_line(listed):
    assert listed("ids.txt", "00042\r\n\n b \n   \na\u2028b\nü😀") == ["00042", " b ", "a\u2028b", "ü😀"]
    assert listed("ids", b"\xef\xbb\xbf00042\n") == ["00042"], "a byte order mark is no part of an id"


def test_tables_keep_ids_as_they_are_written(listed, tmp_path):
    assert listed("ids.csv", 'name,customer_id\nx,00042\n"y, z","a\nb"\nw,\n') == ["00042", "a\nb", None]
    assert listed("ids.tsv", "customer_id\tn\n007\t1\n") == ["007"]
    for kind in (pl.String, pl.Int64, pl.UInt8, pl.Categorical, pl.Enum(["1", "2"])):
        values = [1, 2, None] if kind in (pl.Int64, pl.UInt8) else ["1", "2", None]
        pl.DataFrame({ID: pl.Series(values, dtype=kind)}).write_parquet(tmp_path / "ids.parquet")
        assert read_ids(tmp_path / "ids.parquet").to_list() == ["1", "2", None], kind


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("ids.txt", "", r"ids\.txt holds no customer id"),
        ("ids.txt", " \n\n", "holds no customer id"),
        ("ids.txt", "a\nü".encode("latin-1"), r"is no UTF-8 text \(byte 2\)"),
        ("ids.csv", "", "holds no customer id"),
        ("ids.csv", "customer_id\n", "holds no customer id"),
        ("ids.csv", "id,name\n1,x\n", "has no column customer_id; it has id, name"),
        ("ids.parquet", "no parquet", r"ids\.parquet cannot be read"),
    ],
)
def test_lists_that_are_none_are_refused_in_one_line(listed, name, content, said):
    with pytest.raises(InputError, match=said) as caught:
        listed(name, content)
    assert "\n" not in str(caught.value)


def test_numbers_with_a_point_are_no_ids(tmp_path):
    pl.DataFrame({ID: [1.0, 2.5]}).write_parquet(tmp_path / "ids.parquet")
    with pytest.raises(InputError, match="customer_id is Float64; write the ids as text"):
        read_ids(tmp_path / "ids.parquet")


def test_everyone_known_is_asked_where_there_is_no_list():
    asked, aside, repeats = who(None, KNOWN, "fallback")
    assert asked.rows() == [(one, True) for one in KNOWN]
    assert (aside.height, repeats) == (0, 0)


def test_each_listed_customer_is_asked_once_or_set_aside_with_a_reason():
    given = pl.Series(ID, ["c", "a", "x", "c", None, "", "  ", "x", "x" * 10_001])
    asked, aside, repeats = who(given, KNOWN, "fallback")
    assert asked.rows() == [("c", True), ("a", True), ("x", False)]
    assert aside["reason"].to_list() == ["no_id"] * 4
    assert repeats == 2
    assert aside[ID].str.len_chars().max() == 100, "what is too long for an id is shortened"
    asked, aside, repeats = who(given, KNOWN, "set_aside")
    assert asked.rows() == [("c", True), ("a", True)]
    assert aside.filter(pl.col("reason") == "unknown")[ID].to_list() == ["x"]
    assert (aside.height, repeats) == (5, 2)


def test_partitions_are_runs_of_the_sorted_ids():
    customers = pl.DataFrame({ID: ["d", "b", "a", "c", "e"], "known": True})
    divided = in_partitions(customers, 2, None)
    assert divided[ID].to_list() == divided["shown_id"].to_list() == list("abcde")
    assert divided["partition"].to_list() == [0, 0, 1, 1, 2]
    shuffled = in_partitions(customers.sample(fraction=1, shuffle=True, seed=3), 2, None)
    assert shuffled.equals(divided), "the order of a list changes nothing"


def test_the_order_of_hashed_ids_does_not_tell_the_order_of_ids():
    customers = pl.DataFrame({ID: [f"{n:03}" for n in range(100)], "known": True})
    divided = in_partitions(customers, 30, lambda one: hash_id(one, b"a key of 16 bytes"))
    assert divided["shown_id"].is_sorted()
    assert not divided[ID].is_sorted()
    assert divided.filter(pl.col(ID) == "007")["shown_id"].item() == hash_id("007", b"a key of 16 bytes")
