import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.data import csv_records
from recsys.data.csv_records import read_csv_bytes
from recsys.errors import InputError

CELLS = st.text(st.sampled_from('ab01 ,;"\nü'), max_size=5)
TABLES = st.integers(2, 4).flatmap(lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n), min_size=1, max_size=8))


def written(rows: list[list[str]], end: str = "\r\n") -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator=end, quoting=csv.QUOTE_MINIMAL).writerows(rows)
    return out.getvalue().encode()


def values(table):
    return [["" if cell is None else cell for cell in row] for row in table.rows()]


@settings(max_examples=80, deadline=None)
@given(rows=TABLES, end=st.sampled_from(["\n", "\r\n"]), chunk=st.integers(1, 40))
def test_what_a_csv_writer_wrote_comes_back_with_its_lines(rows, end, chunk):
    header = [f"c{i}" for i in range(len(rows[0]))]
    before, csv_records.CHUNK = csv_records.CHUNK, chunk
    try:
        table, lines, broken = read_csv_bytes(written([header, *rows], end), "f")
    finally:
        csv_records.CHUNK = before
    assert broken.is_empty()
    assert values(table) == rows
    newlines = [sum(cell.count("\n") for cell in row) for row in rows]
    assert lines.to_list() == [2 + i + sum(newlines[:i]) for i in range(len(rows))]


@settings(max_examples=60, deadline=None)
@given(
    data=st.binary(max_size=60),
    lines=st.lists(st.sampled_from([b"1,2\n", b'"\n', b'a"b,c\n', b'"x"y,1\n']), max_size=6),
)
def test_any_bytes_are_read_and_no_line_is_lost(data, lines):
    body = data.replace(b"\n", b" ") + b"\n" + b"".join(lines)
    table, numbers, broken = read_csv_bytes(b"a,b\n" + body, "f")
    starts = sorted(numbers.to_list() + broken["source_row"].to_list())
    assert len(set(starts)) == len(starts)
    assert starts[0] == 2
    assert table.height == len(numbers)


def test_irregular_lines_are_set_aside_with_their_line_and_rule():
    data = b'a,b\n1,2\n3\n\n4,5,6\n"7","8\n8"\n9,\xff\n,\n10,11'
    table, lines, broken = read_csv_bytes(data, "f")
    assert values(table) == [["1", "2"], ["7", "8\n8"], ["", ""], ["10", "11"]]
    assert lines.to_list() == [2, 6, 9, 10]
    assert broken.rows() == [
        (3, "field_count", "3"),
        (4, "field_count", ""),
        (5, "field_count", "4,5,6"),
        (8, "encoding", "9,\\xff"),
    ]


def test_a_broken_quote_costs_its_own_line_only():
    data = b'a,b\n5" pipe,1\n"open,2\n"x"y,3\n"fine, too",4\n\xff",5\nlast,6\n'
    table, lines, broken = read_csv_bytes(data, "f")
    assert values(table) == [['5" pipe', "1"], ["fine, too", "4"], ["last", "6"]]
    assert lines.to_list() == [2, 5, 7]
    assert broken.select("source_row", "rule").rows() == [(3, "quoting"), (4, "quoting"), (6, "encoding")]


def test_batches_of_the_slow_path_join(monkeypatch):
    monkeypatch.setattr(csv_records, "BATCH", 3)
    data = b"a,b\n" + b"".join(b'%d" x,%d\n' % (i, i) for i in range(10))
    table, lines, _ = read_csv_bytes(data, "f")
    assert table["b"].to_list() == [str(i) for i in range(10)]
    assert lines.to_list() == list(range(2, 12))


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf8"])
def test_encodings(encoding):
    data = "a;b\nMüller;00042\n".encode(encoding)
    assert read_csv_bytes(data, "f", separator=";", encoding=encoding).table.rows() == [("Müller", "00042")]


def test_bytes_that_a_code_page_lacks_are_rejected_as_encoding():
    table, _, broken = read_csv_bytes(b"a,b\n\x81,1\n\x80,2\n", "f", encoding="cp1252")
    assert table.rows() == [("€", "2")]
    assert broken["rule"].to_list() == ["encoding"]


def test_lossy_keeps_the_row():
    assert read_csv_bytes(b"a,b\n\xff,1\n", "f", encoding="utf8-lossy").table.rows() == [("\ufffd", "1")]


def test_byte_order_mark_is_no_part_of_the_first_name():
    assert read_csv_bytes("a,b\n1,2\n".encode("utf-8-sig"), "f").table.columns == ["a", "b"]


def test_a_header_alone_is_an_empty_table():
    assert read_csv_bytes(b"a,b\n", "f").table.shape == (0, 2)


@pytest.mark.parametrize(
    ("data", "kwargs", "says"),
    [
        (b"\n1,2\n", {}, "no header"),
        (b"a,a\n1,2\n", {}, "'a' twice"),
        (b"\xff,a\n1,2\n", {}, "not UTF-8"),
        (b"a,b\n", {"encoding": "klingon"}, "klingon"),
        (b"a,b\nx", {"encoding": "utf-16"}, "utf-16"),
        (b"a,b\n", {"separator": "||"}, "separator"),
    ],
)
def test_unreadable_files_say_why(data, kwargs, says):
    with pytest.raises(InputError, match=says):
        read_csv_bytes(data, "f", **kwargs)
