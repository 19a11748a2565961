"""Finished stages on disk: content-addressed directories that appear whole or not at all.

A stage's directory is named by a digest of everything that it depends on: the options it reads, the stages it
builds on, the code. A rerun finds it and skips the work; a killed run leaves only a hidden folder that the next
run sweeps away.
"""

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from recsys.errors import InputError
from recsys.processes import alive, made_by_other

DAY = 86_400
LIBRARIES = ("polars", "numpy", "scipy", "scikit-learn", "implicit", "lightgbm", "numba", "sparse-dot-topn")
FINISHED = re.compile(r"[0-9a-f]{20}")  # name of a stage's directory
UNFINISHED = re.compile(r"\.[0-9a-f]{20}\.(\d+)")  # being built or removed by the process of that number


@cache
def code_digest() -> str:
    """Digest of the package's own source and of the libraries that compute: other code, other stages."""
    digest = hashlib.blake2b(digest_size=8)
    digest.update(" ".join(version(name) for name in LIBRARIES).encode())
    root = Path(__file__).parent
    for file in sorted(root.rglob("*.py")):
        digest.update(file.relative_to(root).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def stage(store: Path, name: str, depends: Any, build: Callable[[Path], None]) -> Path:
    """The finished directory of a stage; `build` fills a fresh one if there is none yet.

    `depends` is plain JSON. Two processes may build the same stage at once; the first to finish wins.
    """
    done = stage_directory(store, name, depends)
    if done.is_dir():
        with suppress(OSError):  # a store that may only be read still serves what is finished
            os.utime(done)
        return done
    fresh = _fresh_directory(store / name, done.name)
    started = time.monotonic()
    try:
        build(fresh)
        facts = {"stage": name, "depends": depends, "seconds": round(time.monotonic() - started, 2)}
        (fresh / "stage.json").write_text(json.dumps(facts, indent=1))
        publish(fresh, done)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return done


def stage_directory(store: Path, name: str, depends: Any) -> Path:
    """Where the finished stage lies, or will lie."""
    text = json.dumps([name, depends, code_digest()], sort_keys=True)
    return store / name / hashlib.blake2b(text.encode(), digest_size=10).hexdigest()


def publish(fresh: Path, done: Path) -> None:
    """Rename a finished directory to its name; another process's equal result is kept if it came first."""
    try:
        os.rename(fresh, done)
    except OSError:
        if not done.is_dir():
            raise


def seconds(done: Path) -> float:
    """How long the stage took when it was built."""
    return float(json.loads((done / "stage.json").read_text())["seconds"])


def _fresh_directory(parent: Path, key: str) -> Path:
    fresh = parent / f".{key}.{os.getpid()}"
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"cannot write to run.store {parent}: {error.strerror}; free it or set run.store") from None
    return fresh


def sweep(store: Path, keep_days: float, now: float) -> list[Path]:
    """Remove half-built folders of dead processes and stages unused for `keep_days`; returns what went.

    Only folders named as `stage` names them are touched, whatever else lies in the store.
    """
    gone = []
    for folder in sorted(store.glob("*/*")):
        owner, days = UNFINISHED.fullmatch(folder.name), _days_unused(folder, now)
        if owner and (abandoned(folder, int(owner[1])) or days > max(keep_days, 1)):
            shutil.rmtree(folder, ignore_errors=True)
            gone.append(folder)
        elif FINISHED.fullmatch(folder.name) and days > keep_days:
            remove(folder)
            gone.append(folder)
    return gone


def abandoned(path: Path, owner: int) -> bool:
    """Whether the process that was making `path` is dead; a later process of its number is not taken for it."""
    try:
        return not alive(owner) or made_by_other(owner, path.lstat().st_mtime)
    except FileNotFoundError:  # another process was quicker
        return False


def _days_unused(folder: Path, now: float) -> float:
    try:
        return (now - folder.stat().st_mtime) / DAY
    except FileNotFoundError:  # another process was quicker
        return 0.0


def remove(done: Path) -> None:
    """Take a finished stage out of sight in one step, then delete it: no one finds half of it."""
    doomed = done.with_name(f".{done.name}.{os.getpid()}")
    with suppress(OSError):  # another process was quicker
        os.rename(done, doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def write_json(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content, ensure_ascii=False, allow_nan=False), encoding="utf-8")


def read_json(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))
