"""What killed runs left on disk: half-built stages, half-written reports, fresh stores that were never renamed."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from recsys.config import Config
from recsys.stages import UNFINISHED, abandoned

UNFINISHED_REPORT = re.compile(r"\.(?:latest|\d{8}T\d{6}-[0-9a-f]{6}(?:\.old)?)\.(\d+)")
FRESH_STORE = re.compile(r".+\.fresh-(\d+)")  # an MLflow database being made
REFUSED = re.compile(r"rejected\.(\d+)")  # rejected rows being written


def leftovers(config: Config) -> list[Path]:
    """Files and folders below run.store, run.reports and beside the MLflow database whose process is dead.

    Only names that this package gives are looked at, so nobody else's files are ever listed.
    """
    return sorted({*_of(Path(config.run.store).glob("*/.*"), UNFINISHED),
                   *_of(Path(config.run.store).glob("refused/*"), REFUSED),
                   *_of(Path(config.run.reports).glob(".*"), UNFINISHED_REPORT),
                   *_of(_beside_database(config), FRESH_STORE)})  # fmt: skip


def remove_leftovers(config: Config) -> list[Path]:
    """Remove them; returns what went."""
    found = leftovers(config)
    for path in found:
        if path.is_symlink() or path.is_file():
            path.unlink(missing_ok=True)
        else:
            shutil.rmtree(path, ignore_errors=True)
    return found


def _beside_database(config: Config) -> Iterator[Path]:
    uri = config.registry.tracking_uri
    if uri.startswith("sqlite:///"):
        file = Path(uri.removeprefix("sqlite:///"))
        yield from file.parent.glob(f"{file.name}.fresh-*")


def _of(paths: Iterator[Path], names: re.Pattern[str]) -> Iterator[Path]:
    for path in paths:
        owner = names.fullmatch(path.name)
        if owner and abandoned(path, int(owner[1])):
            yield path
