"""A stage's directory appears whole or not at all, is built once, and is kept while somebody uses it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recsys import stages
from recsys.errors import InputError
from recsys.stages import DAY, seconds, stage, sweep

KEY = "0123456789abcdef0123"


def visible(store: Path) -> list[str]:
    return sorted(p.relative_to(store).as_posix() for p in store.glob("*/*") if not p.name.startswith("."))


def hidden(store: Path) -> list[str]:
    return sorted(p.name for p in store.glob("*/.*"))


def test_a_finished_stage_is_not_built_again(tmp_path):
    built = []

    def build(out):
        assert not visible(tmp_path), "nobody may see it yet"
        built.append(out)
        (out / "a.txt").write_text("x")

    first = stage(tmp_path, "fit", {"a": 1}, build)
    os.utime(first, (0, 0))
    assert stage(tmp_path, "fit", {"a": 1}, build) == first
    assert len(built) == 1
    assert (first / "a.txt").read_text() == "x"
    assert json.loads((first / "stage.json").read_text())["depends"] == {"a": 1}
    assert 0 <= seconds(first) < 5
    assert first.stat().st_mtime > time.time() - 60, "using it makes it young"
    assert hidden(tmp_path) == []


def test_other_options_names_or_code_make_another_stage(tmp_path, monkeypatch):
    def build(out):
        (out / "x").touch()

    made = {stage(tmp_path, *key, build) for key in (("fit", {"a": 1}), ("fit", {"a": 2}), ("blend", {"a": 1}))}
    monkeypatch.setattr(stages, "code_digest", lambda: "other code")
    made.add(stage(tmp_path, "fit", {"a": 1}, build))
    assert len(made) == 4
    assert len(visible(tmp_path)) == 4


def test_the_code_digest_reads_every_file_of_the_package_and_the_libraries(tmp_path, monkeypatch):
    package = tmp_path / "package"
    (package / "models").mkdir(parents=True)
    (package / "stages.py").write_text("")
    (package / "models" / "als.py").write_text("a = 1")
    monkeypatch.setattr(stages, "__file__", str(package / "stages.py"))
    fresh = stages.code_digest.__wrapped__
    before = fresh()
    assert fresh() == before
    (package / "models" / "als.py").write_text("a = 2")
    changed = fresh()
    assert changed != before
    monkeypatch.setattr(stages, "version", lambda name: "99" if name == "lightgbm" else "1")
    assert fresh() != changed


def test_a_failure_leaves_nothing(tmp_path):
    def build(out):
        (out / "half").write_text("half")
        raise ValueError("broken on the way")

    with pytest.raises(ValueError, match="broken on the way"):
        stage(tmp_path, "fit", {}, build)
    assert visible(tmp_path) == hidden(tmp_path) == []
    done = stage(tmp_path, "fit", {}, lambda out: (out / "whole").touch())
    assert (done / "whole").exists()
    assert not (done / "half").exists()


def test_two_processes_may_build_the_same_stage_at_once(tmp_path):
    """Both wait inside `build` until both are there; both get the one directory, whole."""
    code = """
import sys, time
from pathlib import Path
from recsys.stages import stage
store, me = Path(sys.argv[1]), sys.argv[2]
def build(out):
    (store / f"{me}.here").touch()
    (out / "me").write_text(me)
    until = time.monotonic() + 30
    while len(list(store.glob("*.here"))) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    assert len(list(store.glob("*.here"))) == 2
    (out / "too").write_text(me)
print(stage(store, "fit", {"a": 1}, build))
"""
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), me], stdout=subprocess.PIPE, text=True)
        for me in ("one", "two")
    ]
    said = {process.communicate(timeout=60)[0].strip() for process in running}
    assert [process.returncode for process in running] == [0, 0]
    assert len(said) == len(visible(tmp_path)) == 1
    done = Path(said.pop())
    assert (done / "me").read_text() == (done / "too").read_text()
    assert hidden(tmp_path) == []


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_sweep_takes_what_dead_processes_and_time_left(tmp_path):
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    now = time.time()  # the age of a process is real too
    ages = {
        f"fit/.{KEY}.{dead.stdout.strip()}": 0.0,  # of a dead process
        f"fit/.{KEY}.{os.getpid()}": 0.0,  # being built
        f"fit/.{KEY[::-1]}.{os.getpid()}": 30.0,  # that number is another process by now
        f"blend/.{KEY}.{os.getpid()}": 2.0,  # so it is here: the process of that number started later
        f"fit/{KEY}": 6.9,
        f"blend/{KEY}": 7.1,
    }
    for name, days in ages.items():
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").touch()
        os.utime(tmp_path / name, (now - days * DAY,) * 2)
    gone = sweep(tmp_path, 7, now)
    assert {p.relative_to(tmp_path).as_posix() for p in gone} == {n for i, n in enumerate(ages) if i in (0, 2, 3, 5)}
    assert visible(tmp_path) == [f"fit/{KEY}"]
    assert hidden(tmp_path) == [f".{KEY}.{os.getpid()}"]
    assert sweep(tmp_path / "nothing there", 7, now) == []


def test_sweep_leaves_alone_what_is_not_a_stage(tmp_path):
    """run.store: . must not cost anybody a folder."""
    others = ["src/recsys", "src/.git", ".git/objects", "photos/2001", f"photos/{KEY}.jpg", "a/.venv.12"]
    for name in others:
        (tmp_path / name).mkdir(parents=True)
        os.utime(tmp_path / name, (0, 0))
    (tmp_path / "a" / "file").write_text("mine")
    assert sweep(tmp_path, 0, time.time()) == []
    assert all((tmp_path / name).is_dir() for name in others)
    assert (tmp_path / "a" / "file").read_text() == "mine"


def test_a_store_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(InputError, match=r"cannot write to run\.store .*file.*: Not a directory; free it or set"):
        stage(tmp_path / "file", "fit", {}, lambda out: out.touch())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_store_serves_what_is_finished(tmp_path):
    done = stage(tmp_path, "fit", {}, lambda out: (out / "x").touch())
    (tmp_path / "fit").chmod(0o500)
    try:
        assert stage(tmp_path, "fit", {}, lambda out: (out / "y").touch()) == done
        with pytest.raises(InputError, match="Permission denied"):
            stage(tmp_path, "fit", {"a": 1}, lambda out: (out / "x").touch())
    finally:
        (tmp_path / "fit").chmod(0o700)
