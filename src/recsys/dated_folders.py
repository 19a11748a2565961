"""Published folders of days: filled under a hidden name, put in place when whole; a day's folder is replaced whole.

out/date=2024-11-24/
    …              whatever is published
    manifest.json  written last: `key` (equal keys, equal content), and each file with its digest
out/latest → the folder of the last date
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from filelock import FileLock

from recsys import folders
from recsys.folders import LATEST, MANIFEST, Fill
from recsys.processes import alive

DATED = re.compile(r"date=(\d{4}-\d{2}-\d{2})")
HIDDEN = re.compile(r"\.(?:(date=\d{4}-\d{2}-\d{2})(\.old)?|latest)\.(\d+)")  # of the process of that number


def folder_of(out: Path, day: date) -> Path:
    """Where a day's folder lies, or will lie."""
    return out / f"date={day}"


def published(out: Path, day: date, key: str) -> Path | None:
    """The day's folder, if it is whole and of this key."""
    folder = folder_of(out, day)
    try:
        same = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["key"] == key
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return folder if same and not folders.damages(folder) else None


def days_in(out: Path) -> Iterator[tuple[date, Path]]:
    """The days that have a folder, in their order."""
    for folder in sorted(out.glob("date=*")):
        named = DATED.fullmatch(folder.name)
        if named and (folder / MANIFEST).is_file():
            yield date.fromisoformat(named[1]), folder


def publish(out: Path, day: date, key: str, fill: Fill) -> Path:
    """The day's folder of this key; one that is there is kept, one of another key or a damaged one gives way."""
    with FileLock(out / ".lock"):
        sweep(out)
        folder = published(out, day, key) or _publish(out, day, fill)
        folders.point(out / LATEST, max(one.name for _, one in days_in(out)))
    return folder


def _publish(out: Path, day: date, fill: Fill) -> Path:
    folder = folder_of(out, day)
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}")
    old = folder.with_name(f".{folder.name}.old.{os.getpid()}")
    try:
        fresh.mkdir(parents=True)
        manifest = fill(fresh)
        (fresh / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False), encoding="utf-8")
        if folder.exists():
            os.rename(folder, old)
        os.rename(fresh, folder)
    finally:
        if old.exists() and not folder.exists():
            os.rename(old, folder)
        for left in (fresh, old):
            shutil.rmtree(left, ignore_errors=True)
    return folder


def sweep(out: Path) -> None:
    """Remove what killed runs left half-written; a folder that was on its way out without a new one comes back."""
    for left in out.glob(".*"):
        named = HIDDEN.fullmatch(left.name)
        if not named or alive(int(named[3])):
            continue
        if named[2] and not (out / named[1]).exists():
            os.rename(left, out / named[1])
        elif left.is_symlink() or left.is_file():
            left.unlink()
        else:
            shutil.rmtree(left, ignore_errors=True)
