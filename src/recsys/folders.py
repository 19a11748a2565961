"""Published folders: filled under a hidden name, renamed when whole, then pointed to by `latest`.

out/20241124T030000-1f2e3d4c5b6a/
    …              whatever is published
    manifest.json  written last: what this is, and each file with its digest
out/latest → the folder published last
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any

from filelock import FileLock

from recsys.errors import InputError
from recsys.processes import alive

FOLDER = re.compile(r"\d{8}T\d{6}-[0-9a-f]{12}")
HIDDEN = re.compile(r"\.(?:latest|\d{8}T\d{6}-[0-9a-f]{12}(?:\.old)?)\.(\d+)")  # of the process of that number
MANIFEST, LATEST = "manifest.json", "latest"
Fill = Callable[[Path], dict[str, Any]]  # writes all files into a folder; returns the manifest


def refuse_unwritable(out: Path, option: str) -> None:
    """InputError that names the option where folders cannot be made in `out`, before hours are spent."""
    probe = out / f".{LATEST}.{os.getpid()}"
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(f"cannot write to {option} {out}: {error.strerror}; free it or set another") from None
    if (out / LATEST).exists() and not (out / LATEST).is_symlink():
        raise InputError(f"{out / LATEST} is no link of this program; move it away or set another {option}")


def published(out: Path, key: str) -> Path | None:
    """The whole folder of this key, if there is one."""
    found = [f for f in sorted(out.glob(f"*-{key}")) if FOLDER.fullmatch(f.name) and not damages(f)]
    return found[-1] if found else None


def publish(out: Path, key: str, keep: int, started: datetime, fill: Fill) -> Path:
    """The finished folder of a key (12 hexadecimal digits; equal keys, equal content), and `latest` points to it.

    One that is there already is kept, one that was damaged is replaced; `keep` folders stay in all.
    """
    with FileLock(out / ".lock"):
        sweep_hidden(out)
        folder = published(out, key) or _publish(out, key, started, fill)
        point(out / LATEST, folder.name)
        forget(out, keep, folder.name)
    return folder


def _publish(out: Path, key: str, started: datetime, fill: Fill) -> Path:
    for damaged in out.glob(f"*-{key}"):
        _remove(damaged)
    folder = out / f"{started:%Y%m%dT%H%M%S}-{key}"
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        fresh.mkdir(parents=True)
        manifest = fill(fresh)
        (fresh / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False), encoding="utf-8")
        os.rename(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def entries(folder: Path, rows: Mapping[str, int | None]) -> list[dict[str, Any]]:
    """What the manifest says of each file, path → rows: path, rows (null where it has none), bytes, sha256."""
    return [
        {"path": name, "rows": n, "bytes": (folder / name).stat().st_size, "sha256": sha256(folder / name)}
        for name, n in rows.items()
    ]


def sha256(file: Path) -> str:
    """Digest of the content of a file."""
    with file.open("rb") as content:
        return file_digest(content, "sha256").hexdigest()


def damages(folder: Path) -> list[str]:
    """What differs from the manifest: files that are missing or hold something else; [] = all as written."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        listed = {entry["path"]: entry["sha256"] for entry in manifest["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return [f"{MANIFEST} is missing or broken"]
    missing = [name for name in listed if not (folder / name).is_file()]
    changed = [name for name in listed if name not in missing and sha256(folder / name) != listed[name]]
    return [f"{name} is missing" for name in missing] + [f"{name} holds other bytes" for name in changed]


def point(link: Path, target: str) -> None:
    """Move the link in one step; whoever reads it finds the folder before or the new one."""
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    os.replace(fresh, link)


def forget(out: Path, keep: int, current: str) -> None:
    """Remove all but the latest folders and the current one; whatever has another name is not ours."""
    ours = sorted(f for f in out.iterdir() if FOLDER.fullmatch(f.name) and f.is_dir() and f.name != current)
    for old in ours[: max(len(ours) - (keep - 1), 0)]:
        _remove(old)


def _remove(folder: Path) -> None:
    """Out of sight in one step, then gone."""
    doomed = folder.with_name(f".{folder.name}.old.{os.getpid()}")
    os.rename(folder, doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def sweep_hidden(out: Path) -> None:
    """Remove what killed runs left half-written."""
    for left in out.glob(".*"):
        owner = HIDDEN.fullmatch(left.name)
        if owner and not alive(int(owner[1])):
            left.unlink() if left.is_symlink() or left.is_file() else shutil.rmtree(left, ignore_errors=True)
