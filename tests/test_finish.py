"""Reports on disk: whole or not there, the latest kept, nobody else's folder touched."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from recsys import finish, training
from recsys.errors import InputError

NOW = datetime(2024, 9, 1, tzinfo=UTC)


@pytest.fixture
def write(monkeypatch, judged, small_config, tmp_path):
    """Writes a report of one file, so many minutes after NOW; what is drawn in reports is tested elsewhere."""

    def fill(fresh, _config, _finished, now, _registered):
        (fresh / "report.html").write_text(now.isoformat())

    def make(minutes=0, **run):
        config = small_config(tmp_path, {f"run.{k}": v for k, v in run.items()})
        return finish.write_report(config, judged, NOW + timedelta(minutes=minutes))

    monkeypatch.setattr(finish, "_fill", fill)
    return make


@pytest.fixture(scope="module")
def judged(trained):
    return training.judge(trained.config, NOW)


def test_latest_points_to_the_last_and_old_ones_go(write, tmp_path):
    (tmp_path / "reports" / "mine").mkdir(parents=True)
    (tmp_path / "reports" / "20240101T000000-notes").mkdir()
    written = [write(minutes, keep_reports=2) for minutes in range(4)]
    assert (tmp_path / "reports" / "latest").resolve() == written[-1].resolve()
    assert os.readlink(tmp_path / "reports" / "latest") == written[-1].name
    held = {p.name for p in (tmp_path / "reports").iterdir()}
    assert held == {"mine", "20240101T000000-notes", "latest", written[-2].name, written[-1].name}


def test_the_same_report_once_more_takes_its_place(write, tmp_path):
    first = write()
    (first / "old").touch()
    assert write() == first
    assert {p.name for p in first.iterdir()} == {"report.html"}
    assert {p.name for p in (tmp_path / "reports").iterdir()} == {"latest", first.name}


def test_what_killed_runs_left_is_swept_and_what_runs_is_not(write, tmp_path):
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    dead, parent = gone.stdout.strip(), os.getppid()
    reports, name = tmp_path / "reports", "20240101T000000-abcdef"
    for left in (f".{name}.{dead}", f".{name}.old.{dead}", f".{name}.{parent}", f".other.{dead}"):
        (reports / left).mkdir(parents=True)
    (reports / f".latest.{dead}").symlink_to("nowhere")
    write()
    assert {p.name for p in reports.glob(".*")} == {f".{name}.{parent}", f".other.{dead}"}


def test_a_failure_leaves_the_last_report_alone(write, tmp_path, monkeypatch):
    first = write()

    def fail(fresh, *_):
        (fresh / "half").touch()
        raise OSError("disk full")

    monkeypatch.setattr(finish, "_fill", fail)
    for minutes in (0, 1):
        with pytest.raises(OSError, match="disk full"):
            write(minutes)
    assert {p.name for p in (tmp_path / "reports").iterdir()} == {"latest", first.name}
    assert (tmp_path / "reports" / "latest" / "report.html").is_file()


def test_a_folder_that_cannot_be_written_is_named(write, tmp_path):
    (tmp_path / "reports").write_text("a file")
    with pytest.raises(InputError, match=r"cannot write to run\.reports .*reports: Not a directory"):
        write()
