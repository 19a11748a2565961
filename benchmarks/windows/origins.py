"""Where the test windows of a rolling origin lie, and the config that judges one of them.

cut of the config, two days further back each time (every 2, windows of 2):
─ history ──┤ window 1 ├
─ history ──────────────┤ window 2 ├
─ history ──────────────────────────┤ window 3 = the config's own ├
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import polars as pl

from recsys.config import Config
from recsys.data.splits import held_out_window
from recsys.errors import InputError


@dataclass(frozen=True)
class Window:
    """[cut, end): models see what lies before the cut."""

    cut: datetime
    end: datetime

    @property
    def name(self) -> str:
        return f"{self.cut:%Y-%m-%d}"


def windows(orders: pl.DataFrame, config: Config, n: int, every_days: int) -> list[Window]:
    """n windows as long as the config's own, oldest first, `every_days` apart; the config's own is the last.

    Refuses windows that overlap (an order would be asked twice) and those without history before the first
    training moment.
    """
    if config.split.kind != "window":
        raise InputError(f"split.kind = {config.split.kind!r} has no windows to roll; set split.kind = window")
    if n < 1:
        raise InputError(f"--windows {n}; give at least 1")
    cut, end = held_out_window(orders, config.split)
    if timedelta(days=every_days) < end - cut:
        raise InputError(f"--every-days {every_days} lets windows of {(end - cut).days} days overlap; give as many")
    back = [timedelta(days=every_days * step) for step in range(n - 1, -1, -1)]
    learn = timedelta(days=config.split.every_days * config.split.train_moments)
    first = orders["ordered_at"].min()
    if not isinstance(first, datetime) or cut - back[0] - learn <= first:
        earliest = cut - back[0] - learn
        raise InputError(
            f"--windows {n}: the first training moment of the oldest window, {earliest:%Y-%m-%d}, has no order before "
            f"it (the first is of {first:%Y-%m-%d}); give fewer windows, or less split.train_moments"
        )
    return [Window(cut - b, end - b) for b in back]


def at_window(config: Config, window: Window) -> Config:
    """The same config with another test window; nothing else is re-chosen."""
    return replace(config, split=replace(config.split, cut=window.cut, end=window.end))
