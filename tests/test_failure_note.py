"""Every failure gets a page that says what to do, and none of them tells a secret."""

import errno
import json
import re
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recsys.errors import InputError
from recsys.failure_note import (
    KEEP,
    REMEDIES,
    Failure,
    as_markdown,
    described,
    kind_of,
    secrets_of,
    stage_in,
    write_note,
)

RUNBOOK = Path(__file__).parents[1] / "docs" / "runbook.md"
FAILED = Failure(flow="train", run="r", run_id="0123456789ab", state="failed", at=datetime(2026, 3, 1, 3, tzinfo=UTC))


def caused(outer: BaseException, inner: BaseException) -> BaseException:
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("error", "state", "message", "stage", "kind"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "Failed", "", "", "disk full"),
        (caused(RuntimeError("x"), OSError(errno.ENOSPC, "full")), "Failed", "", "", "disk full"),
        (InputError("cannot write to run.store s: No space left on device; free it"), "Failed", "", "", "disk full"),
        (MemoryError(), "Failed", "", "", "out of memory"),
        (None, "Crashed", "Process exited due to a SIGKILL signal.", "", "out of memory"),
        (InputError("row 7"), "Failed", "", "ingest_orders", "bad orders"),
        (InputError("ranker.trees = 0"), "Failed", "", "blend", "wrong configuration"),
        (InputError("'x' has no champion: train"), "Failed", "", "plan", "champion missing or bad"),
        (sqlite3.OperationalError("database is locked"), "Failed", "", "register", "store locked or corrupt"),
        (RuntimeError("(sqlite3.DatabaseError) file is not a database"), "Failed", "", "", "store locked or corrupt"),
        (TimeoutError("over"), "TimedOut", "", "learn", "timed out"),
        (None, "Crashed", "Execution was aborted", "learn", "run crashed"),
        (None, "Cancelling", "", "learn", "run cancelled"),
        (ValueError("a bug"), "Failed", "", "learn", "anything else"),
    ],
    ids=str,
)
def test_every_failure_has_a_kind(error, state, message, stage, kind):
    assert kind_of(error, state, message, stage) == kind


def test_every_kind_is_a_section_of_the_runbook():
    sections = re.findall(r"^## (.+)$", RUNBOOK.read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^a-z -]", "", title.lower()).replace(" ", "-") for title in sections}
    for kind in REMEDIES:
        assert replace(FAILED, kind=kind).runbook.partition("#")[2] in anchors, kind


def outer_task(fail):
    try:
        fail()
    except KeyError as error:
        raise RuntimeError("outer") from error


def inner_task():
    raise KeyError("inner")


def test_the_stage_is_the_innermost_task_of_the_traceback():
    with pytest.raises(RuntimeError) as raised:
        outer_task(inner_task)
    assert stage_in(raised.value, {"outer_task", "inner_task"}) == "outer_task"
    assert stage_in(raised.value, {"inner_task"}) == "inner_task"
    assert stage_in(raised.value, {"another"}) == stage_in(None, {"another"}) == ""


def test_no_secret_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("SHOP_PASSWORD", "hunter2")
    monkeypatch.setenv("HOOK", "https://chat.example/T0/abc")
    (tmp_path / "c.yaml").write_text("data: {orders: {path: 'postgresql://u:${SHOP_PASSWORD}@h/d'}}")
    secrets = secrets_of(str(tmp_path / "c.yaml"), (), ("HOOK", "NOT_SET"))
    assert secrets == ["https://chat.example/T0/abc", "hunter2"]
    error = RuntimeError("hunter2 refused; postgresql://me:other@h/d?password=third; https://chat.example/T0/abc gone")
    told = described(error, "", secrets)
    assert not re.search("hunter2|other|third|abc", told)
    assert told.startswith("RuntimeError: *** refused; postgresql://me:***@h/d")
    assert "secret-of-setting" not in as_markdown(
        replace(FAILED, settings=("data.orders.path=postgresql://u:secret-of-setting@h/d",))
    )
    assert len(described(None, "long " * 10_000, [])) <= 2000


def test_a_note_is_a_page_and_its_figures(tmp_path):
    failure = replace(FAILED, stage="learn", error="OSError: disk", kind="disk full", config="shop.yaml")
    page = write_note(tmp_path / "failures", failure)
    assert page.name == "20260301T030000-train-01234567.md"
    text = page.read_text()
    for said in (
        "# train failed: disk full",
        "stage: learn",
        "OSError: disk",
        "docs/runbook.md#disk-full",
        "shop.yaml",
    ):
        assert said in text
    read = json.loads(page.with_suffix(".json").read_text())
    assert read["text"] == "train failed at stage learn (disk full): see docs/runbook.md#disk-full"
    assert read["at"] == "2026-03-01T03:00:00+00:00"
    assert {file.suffix for file in page.parent.iterdir()} == {".md", ".json"}


def test_old_notes_go_and_what_is_no_note_stays(tmp_path):
    (tmp_path / "mine.md").touch()
    for at in range(KEEP + 2):
        write_note(tmp_path, replace(FAILED, at=FAILED.at + timedelta(hours=at)))
    names = sorted(file.name for file in tmp_path.iterdir())
    assert len(names) == 2 * KEEP + 1
    assert "mine.md" in names
    assert names[0].startswith("20260301T05")
