"""Exports read back by other readers: nothing is run as a formula, nothing is lost, nothing breaks a line."""

import csv
import io
import json
import unicodedata
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.scoring.asking import CUSTOMERS, ROWS
from recsys.scoring.exports import FILES, count_guarded, guarded, write_exports
from recsys.scoring.options import ScoringOptions

WHEN = datetime(2024, 9, 1, 3, tzinfo=UTC)
NASTY = [
    "=HYPERLINK(\"http://x\")", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\ufeff=1", "\u200b+1",
    "＝1", "'=1", "''@x", "plain", "it's", "'quoted'", 'say "hi", twice', "two\nlines", "a\r\nb", "😀 käse",
    "../../x", "",     "0042", "1e5", "null", "a;b\tc", "\x00x",
]  # fmt: skip


def rows_of(texts, k=2):
    """A customer per text, named by it, with `k` items of that id, name and reason."""
    return pl.DataFrame(
        [(text, rank, f"{text}{rank}", text, 0.1 + rank / 3, 1 / (3 * rank), text, json.dumps({"code": text}),
          "personal", "v1", WHEN) for text in texts for rank in range(1, k + 1)],
        schema=ROWS, orient="row",
    )  # fmt: skip


def customers_of(texts, empty=()):
    listed = [(text, "listed", "", True, "personal", 2, "v1", WHEN) for text in texts]
    none = [(text, "empty", "nothing_allowed", True, "popular", 0, "v1", WHEN) for text in empty]
    failed = [("failed", "error", "why", True, "", 0, "v1", WHEN)]
    return pl.DataFrame(listed + none + failed, schema=CUSTOMERS, orient="row")


@pytest.fixture
def exported(tmp_path):
    """Writes partitions of texts and returns how to read a file back, and the counts."""

    def write(*partitions, **options):
        tables = [(rows_of(texts), customers_of(texts, ["none"] if at == 0 else [])) for at, texts in
                  enumerate(partitions)]  # fmt: skip
        counts = write_exports(tmp_path / "exports", lambda: tables, ScoringOptions(k=2, **options))
        return lambda kind: (tmp_path / "exports" / FILES[kind]).read_bytes(), counts, tables

    return write


def parsed(content, **how):
    return list(csv.reader(io.StringIO(content.decode("utf-8"), newline=""), **how))


def is_formula(text):
    """What spreadsheets could run: blanks and invisible characters, then a sign; or a control character first."""
    at = next(
        (at for at, sign in enumerate(text) if not (sign.isspace() or unicodedata.category(sign)[0] == "C")), None
    )
    return text[:1] in tuple("\t\r\n") or (at is not None and text[at] in "=+-@＝＋－＠")


def without_guard(cell):
    """What docs/scoring.md tells readers to do."""
    return cell[1:] if cell.startswith("'") and is_formula(cell.lstrip("'")) else cell


def test_the_long_file_reads_back_to_the_rows(exported):
    read, counts, tables = exported(NASTY[:13], NASTY[13:])
    header, *lines = parsed(read("csv"))
    assert header == list(ROWS)
    wanted = pl.concat([rows for rows, _ in tables])
    assert counts[FILES["csv"]] == {"rows": len(lines)} == {"rows": wanted.height}
    for line, row in zip(lines, wanted.iter_rows(named=True), strict=True):
        told = dict(zip(header, line, strict=True))
        for column in ("customer_id", "item_id", "name", "reason"):
            assert not is_formula(told[column]), told[column]
            assert without_guard(told[column]) == row[column]
        assert (float(told["score"]), float(told["probability"])) == (row["score"], row["probability"])
        assert (told["rank"], told["scored_at"]) == (str(row["rank"]), "2024-09-01T03:00:00Z")
        assert json.loads(told["reason_code"]) == {"code": row["reason"]}


def test_the_wide_file_has_a_row_per_customer_and_a_place_per_item(exported):
    read, counts, _ = exported(NASTY[:13], NASTY[13:])
    header, *lines = parsed(read("wide"))
    assert header == ["customer_id", "fallback", "item_1", "name_1", "reason_1", "item_2", "name_2", "reason_2",
                      "model_version", "scored_at"]  # fmt: skip
    assert counts[FILES["wide"]]["rows"] == len(lines) == len(NASTY)
    for line, text in zip(lines, NASTY, strict=True):
        told = dict(zip(header, map(without_guard, line), strict=True))
        assert (told["customer_id"], told["item_2"], told["name_1"], told["reason_2"]) == (text, f"{text}2", text, text)


def test_json_lines_are_exact_and_tell_of_empty_lists(exported):
    read, counts, tables = exported(NASTY[:13], NASTY[13:])
    objects = [json.loads(line) for line in read("jsonl").decode("utf-8").split("\n")[:-1]]
    assert counts[FILES["jsonl"]]["rows"] == len(objects) == len(NASTY) + 1, "an error is no answer"
    lists = {found["customer_id"]: found for found in objects}
    assert lists.pop("none") == {
        "customer_id": "none", "fallback": "popular", "model_version": "v1", "scored_at": "2024-09-01T03:00:00Z",
        "empty_because": "nothing_allowed", "items": [],
    }  # fmt: skip
    for row in pl.concat([rows for rows, _ in tables]).iter_rows(named=True):
        item = lists[row["customer_id"]]["items"][row["rank"] - 1]
        assert item == {name: row[name] for name in item}
        assert {*item, "customer_id", "fallback", "model_version", "scored_at"} == set(ROWS)


@settings(max_examples=150, deadline=None)
@given(
    st.text(
        st.sampled_from("'=+-@＝ \t\r\n\x00\u200b\u200e\xa0ab1") | st.characters(exclude_categories=["Cs"]), max_size=8
    )
)
def test_no_text_starts_a_formula_and_every_text_comes_back(text):
    (cell,) = guarded(pl.DataFrame({"x": [text]}))["x"]
    assert not is_formula(cell)
    assert without_guard(cell) == text
    assert (cell == text) or is_formula(text.lstrip("'")), "what is harmless stays as it is"


def test_guarded_ids_are_counted(exported):
    _, _, tables = exported(["=1", "plain", "'=1"], ["-5"])
    assert count_guarded(tables) == {"customer_ids": 3, "item_ids": 6}


def test_only_wanted_files_are_written_as_wanted(exported, tmp_path):
    read, counts, _ = exported(["a;b", "ü"], exports=("csv",), csv_separator="semicolon", csv_bom=True)
    assert [file.name for file in (tmp_path / "exports").iterdir()] == list(counts) == [FILES["csv"]]
    assert read("csv").startswith(b'\xef\xbb\xbf"customer_id";"rank"')
    assert read("csv").count(b"\xef\xbb\xbf") == 1
    assert parsed(read("csv")[3:], delimiter=";")[1][0] == "a;b"
