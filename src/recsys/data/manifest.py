"""The digest of every file of a served artifact: written when it is packaged, checked before anything of it is read.

A file that is changed, missing or additional is named. Standard library only; part of what is served. It protects
from damage and from one-file tampering, not from somebody who can write the manifest too: see docs/security.md.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..errors import InputError

MANIFEST = "manifest.json"
ALGORITHM = "sha256"
CHUNK = 1 << 20  # bytes read at once
SHOWN = 5  # names in one message


def write_manifest(directory: Path) -> None:
    """manifest.json of all files below `directory`; another name first, then renamed."""
    content = {"algorithm": ALGORITHM, "files": digests(directory)}
    fresh = directory / f".{MANIFEST}.{os.getpid()}"
    fresh.write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")
    os.replace(fresh, directory / MANIFEST)


def verify_manifest(directory: Path) -> None:
    """InputError that names what is changed, missing or additional; also where there is no manifest."""
    promised, found = _promised(directory), digests(directory)
    wrong = {
        "changed": sorted(n for n in promised.keys() & found.keys() if promised[n] != found[n]),
        "missing": sorted(promised.keys() - found.keys()),
        "additional": sorted(found.keys() - promised.keys()),
    }
    said = [f"{what}: {_shown(names)}" for what, names in wrong.items() if names]
    if said:
        raise InputError(
            f"the model in {directory} is not what was packaged ({'; '.join(said)}); "
            "fetch it again from the registry, or train again"
        )


def digests(directory: Path) -> dict[str, str]:
    """Relative name → SHA-256 of each file but the manifest; a link is an error, as it may lead out of the folder."""
    names = sorted(_names(directory))
    with ThreadPoolExecutor(4) as pool:  # hashing and reading release the interpreter's lock
        return dict(zip(names, pool.map(lambda name: _digest(directory / name), names), strict=True))


def _names(directory: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(directory):
        for name in (*folders, *files):
            if (Path(folder) / name).is_symlink():
                raise InputError(f"{Path(folder) / name} is a link; a model holds plain files only: package it again")
        for name in files:
            relative = (Path(folder) / name).relative_to(directory).as_posix()
            if relative != MANIFEST:
                yield relative


def _digest(file: Path) -> str:
    digest = hashlib.new(ALGORITHM)
    with file.open("rb") as content:
        while part := content.read(CHUNK):
            digest.update(part)
    return digest.hexdigest()


def _promised(directory: Path) -> dict[str, str]:
    try:
        content = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        algorithm, files = content["algorithm"], content["files"]
        whole = algorithm == ALGORITHM and all(isinstance(k, str) and isinstance(v, str) for k, v in files.items())
    except FileNotFoundError:
        raise InputError(f"the model in {directory} has no {MANIFEST}; package it again (recsys train)") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{directory / MANIFEST} cannot be read: {error}; fetch the model again") from None
    if not whole:
        raise InputError(f"{directory / MANIFEST} is no manifest of {ALGORITHM} digests; fetch the model again")
    return dict(files)


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
