"""One process at a time changes the registry of a local store; the others wait and say so."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from recsys.errors import InputError
from recsys.registry.options import RegistryOptions

logger = logging.getLogger(__name__)
SOON, LONG = 2, 1800  # seconds of waiting until it is said, and until it is given up


def lock_file(options: RegistryOptions) -> Path | None:
    """The file beside an SQLite store; None where MLflow runs as a server, which no file of ours can lock."""
    if not options.tracking_uri.startswith("sqlite:///"):
        return None
    return Path(f"{options.tracking_uri.removeprefix('sqlite:///')}.registry.lock")


@contextmanager
def registry_lock(options: RegistryOptions, soon: float = SOON, long: float = LONG) -> Iterator[None]:
    """Held while versions are made and aliases moved; a process that dies lets go of it.

    Where there is no local store nothing is locked; then only the comparison of the champion before and after a
    decision keeps two trainings apart, which leaves a moment of milliseconds.
    """
    file = lock_file(options)
    if file is None:
        yield
        return
    lock = FileLock(file)
    try:
        lock.acquire(timeout=soon)
    except Timeout:
        logger.warning("another process registers a model in %s; waiting for it", options.tracking_uri)
        try:
            lock.acquire(timeout=long)
        except Timeout:
            raise InputError(
                f"{file} is held by another process for more than {long:g} s; "
                "wait for that training, or end it if it hangs, and run this again"
            ) from None
    try:
        yield
    finally:
        lock.release()
