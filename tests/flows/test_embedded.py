"""Servers whose run was killed are ended by the next run of the same folder, and no others."""

import os
import subprocess
import sys

import pytest

from flows.embedded import MARK, end_orphaned_servers, started

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc"), reason="processes are read from /proc")


@pytest.fixture
def sleeper(sleeping):
    """Starts a process that carries a mark."""
    return lambda mark: sleeping(**{MARK: mark})


def test_a_process_is_known_by_number_and_start():
    assert started(os.getpid()) == started(os.getpid()) != ""
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    assert started(int(gone.stdout)) == ""


def test_orphans_of_this_folder_are_ended_and_no_others(sleeper, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    dead, me, birth = gone.stdout.strip(), os.getpid(), started(os.getpid())
    orphan = sleeper(f"{tmp_path}|{dead}|123")
    reused = sleeper(f"{tmp_path}|{me}|123")  # the owner's number is another process by now
    others = [
        sleeper(f"{tmp_path}|{me}|{birth}"),  # its run is alive
        sleeper(f"{tmp_path}/other|{dead}|123"),
        sleeper(str(tmp_path)),
        sleeper(""),
    ]
    assert set(end_orphaned_servers()) == {orphan.pid, reused.pid}
    assert orphan.wait(60) < 0
    assert reused.wait(60) < 0
    assert [process.poll() for process in others] == [None] * 4
    assert end_orphaned_servers() == []
