"""Steps of docs/runbook.md that cost little: the commands as they stand there, in a folder with a store."""

import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_docs import ROOT, commands

RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
SHORT = [words for words in commands(RUNBOOK) if words[:2] == ["python3", "-c"]]
WHOLE, BACKUP = SHORT


@pytest.fixture
def home(mlflow_store, tmp_path) -> Path:
    return mlflow_store(tmp_path)


def step(words: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, *words[1:]]
    return subprocess.run(words, cwd=home, capture_output=True, text=True, timeout=60, check=False)


def test_sqlite_says_ok_of_a_whole_store_and_nothing_like_it_of_a_damaged_one(home):
    assert step(WHOLE, home).stdout == "ok\n"
    with (home / "mlflow.db").open("r+b") as file:
        file.write(b"\0" * 3000)
    assert "ok" not in step(WHOLE, home).stdout


def test_a_backup_is_whole_while_the_store_is_in_use(home):
    held = sqlite3.connect(home / "mlflow.db")
    held.execute("begin")
    held.execute("select count(*) from experiments").fetchone()
    assert step(BACKUP, home).returncode == 0
    held.close()
    backup = sqlite3.connect(home / "backup.db")
    assert backup.execute("pragma integrity_check").fetchone() == ("ok",)
    assert backup.execute("select count(*) from experiments").fetchone()[0] >= 1
    backup.close()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are read from /proc")
def test_who_has_the_store_open_is_found_without_further_programs(home):
    (found,) = {shlex.join(words) for words in commands(RUNBOOK) if words[:2] == ["ls", "-l"] and "mlflow.db" in words}
    line = next(line for line in RUNBOOK.splitlines() if line.startswith("ls -l /proc"))
    assert shlex.join(shlex.split(line)) == found
    held = sqlite3.connect(home / "mlflow.db")
    held.execute("select count(*) from experiments").fetchone()
    said = subprocess.run(["sh", "-c", line], cwd=home, capture_output=True, text=True, timeout=60, check=True).stdout
    held.close()
    assert f"{home}/mlflow.db" in said
