"""Finished stages on disk: content-addressed directories that appear whole or not at all.

A stage's directory is named by a digest of everything that it depends on: the options it reads, the stages it
builds on, the code. A rerun finds it and skips the work; a killed run leaves only a hidden folder that the next
run sweeps away.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from recsys.errors import InputError

DAY = 86_400


@cache
def code_digest() -> str:
    """Digest of the package's own source: other code, other stages."""
    digest = hashlib.blake2b(digest_size=8)
    root = Path(__file__).parent
    for file in sorted(root.rglob("*.py")):
        digest.update(file.relative_to(root).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def stage(store: Path, name: str, depends: Any, build: Callable[[Path], None]) -> Path:
    """The finished directory of a stage; `build` fills a fresh one if there is none yet.

    `depends` is plain JSON. Two processes may build the same stage at once; the first to finish wins.
    """
    text = json.dumps([name, depends, code_digest()], sort_keys=True)
    key = hashlib.blake2b(text.encode(), digest_size=10).hexdigest()
    done = store / name / key
    if done.is_dir():
        os.utime(done)
        return done
    fresh = _fresh_directory(store / name, key)
    started = time.monotonic()
    try:
        build(fresh)
        facts = {"stage": name, "depends": depends, "seconds": round(time.monotonic() - started, 2)}
        (fresh / "stage.json").write_text(json.dumps(facts, indent=1))
        publish(fresh, done)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return done


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
    """Remove half-built folders of dead processes and stages unused for `keep_days`; returns what went."""
    gone = []
    for folder in store.glob("*/*") if store.is_dir() else ():
        if folder.name.startswith("."):
            stale = not _alive(folder.name.rsplit(".", 1)[-1])
        else:
            stale = now - folder.stat().st_mtime > keep_days * DAY
        if stale:
            shutil.rmtree(folder, ignore_errors=True)
            gone.append(folder)
    return gone


def _alive(pid: str) -> bool:
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
