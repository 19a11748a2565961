"""What `recsys doctor` says: findings, and the few things that several checks look at."""

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from recsys.config import Config

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One line: what was checked, how it is, and what to do where it is not well."""

    check: str
    level: Level
    said: str
    remedy: str = ""


@dataclass(frozen=True)
class Patient:
    config: Config
    now: datetime
    home: Path  # the project's folder, where requirements.lock lies


Check = Callable[[Patient], Iterator[Finding]]


def megabytes(path: Path) -> float:
    if path.is_file():
        return path.stat().st_size / 1e6
    total = 0
    for folder, _, files in os.walk(path):
        for name in files:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except FileNotFoundError:  # another process was quicker
                continue
    return total / 1e6


def answers(host: str, port: int) -> bool:
    """Whether somebody listens there."""
    try:
        with socket.create_connection((host, port), timeout=0.5):
            return True
    except OSError:
        return False
