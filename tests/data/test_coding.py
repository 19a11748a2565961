"""Coded ids sort, join and compare as their texts would, in whatever blocks they came."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from recsys.data.coding import IDS, Coder, as_text, coded, coded_as, read_coded, write_coded

NAMES = st.one_of(st.none(), st.text("aB0é㍿ ", max_size=3))
ROWS = st.lists(st.tuples(*[NAMES] * len(IDS)), max_size=20)


def frame(rows):
    return pl.DataFrame(rows, schema=dict.fromkeys(IDS, pl.String), orient="row")


@settings(max_examples=60, deadline=None)
@given(ROWS, st.integers(1, 7))
def test_ids_in_any_blocks_keep_their_text_and_its_order(rows, size):
    lines, coder = frame(rows), Coder()
    blocks = [coder.code(block) for block in lines.iter_slices(size)] or [coder.code(lines)]
    found = coder.in_order(pl.concat(blocks))
    assert_frame_equal(as_text(found), lines)
    for name in IDS:
        assert found.schema[name].categories.to_list() == sorted({row for row in lines[name] if row is not None})
        assert found.sort(name)[name].cast(pl.String).to_list() == lines.sort(name)[name].to_list()


def test_the_disk_changes_nothing(tmp_path):
    lines = coded(frame([("1", None, "b", None), ("1", "ann", "a", None)]).with_columns(quantity=pl.Series([1.0, 2.5])))
    write_coded(lines, tmp_path / "lines")
    back = read_coded(tmp_path / "lines")
    assert_frame_equal(as_text(back), as_text(lines))
    assert back.schema == lines.schema


def test_what_is_coded_stays_as_it_is_and_others_join_it():
    lines = coded(frame([("1", "ann", "a", "s"), ("2", "bob", "b", "s")]))
    assert coded(lines).schema == lines.schema
    asked = pl.DataFrame({"customer_id": ["bob", "eve"], "order_id": ["2", "9"]})
    met = lines.join(coded_as(asked, lines), on=["customer_id", "order_id"], how="semi")
    assert met["item_id"].to_list() == ["b"]
