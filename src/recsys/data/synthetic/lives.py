"""Customers whose days are written by hand, and what their orders alone make due.

A trigger is due on the day after its moment, which is when a daily run knows of it.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np

START = datetime(2023, 1, 1, 9, tzinfo=UTC)  # the shop's first order
YEAR = 2024  # in which things are planted; leap
KNOWN = timedelta(days=28)  # of orders before anybody is called new
DAY = timedelta(days=1)
# parameters of the triggers as the config has them by default
AFTER, WELCOME, ACTIVE = 7 * DAY, 1 * DAY, 90 * DAY
LAPSE_TIMES, LAPSE_DAYS, RHYTHM = 2, 21, 4

Moment = tuple[str, date]  # trigger, day of the run


@dataclass
class Life:
    """One customer: what happened, and what must be found. All times are UTC."""

    customer: str
    rng: np.random.Generator
    orders: list[tuple[datetime, tuple[str, ...]]] = field(default_factory=list)
    returns: list[tuple[datetime, str]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    due: set[Moment] = field(default_factory=set)
    silent: list[dict[str, Any]] = field(default_factory=list)
    expected: list[dict[str, Any]] = field(default_factory=list)

    def day(self, low: int, high: int) -> datetime:
        """Noon, give or take, of a day of the year, counted from 0."""
        noon = datetime(YEAR, 1, 1, 9, tzinfo=UTC) + int(self.rng.integers(low, high)) * DAY
        return noon + timedelta(minutes=int(self.rng.integers(0, 360)))

    def settle(self, *items: str) -> None:
        """A first order in the shop's first days, when nobody can be called new."""
        at = START + timedelta(days=int(self.rng.integers(1, 20)), minutes=int(self.rng.integers(1, 600)))
        self.buy(at, *(items or ("P01",)))

    def buy(self, at: datetime, *items: str) -> None:
        self.orders.append((at, items))

    def send_back(self, at: datetime, item: str) -> None:
        """A return among the orders: all of the item's latest line."""
        self.returns.append((at, item))

    def tell(self, kind: str, at: datetime, **cells: Any) -> None:
        self.events.append({"customer_id": self.customer, "kind": kind, "at": at, **cells})

    def expect(self, trigger: str, moment: datetime) -> None:
        """The trigger is due on the run after the moment."""
        self.due.add((trigger, moment.date() + DAY))

    def silence(self, rule: str, since: datetime, until: datetime | None = None, item: str | None = None) -> None:
        """The rule refuses offers (of the item, None = all) from `since` to `until`, None = as long as it is so."""
        cells = {"item_id": item, "rule": rule, "since": since, "until": until}
        self.silent.append({"customer_id": self.customer, **cells})


def of_orders(life: Life) -> set[Moment]:
    """What the orders alone make due."""
    seen = Life(life.customer, life.rng)
    orders = sorted(life.orders)
    for at, items in orders:
        seen.expect("order_confirmation", at)
        back = {item for when, item in life.returns if at < when < _run_after(at + AFTER)}
        if set(items) - back:
            seen.expect("after_purchase", at + AFTER)
    first = orders[0][0]
    if first >= START + KNOWN:
        seen.expect("welcome", first + WELCOME)
        _anniversaries(seen, orders)
    _lapses(seen, [at for at, _ in orders])
    return seen.due


def _anniversaries(seen: Life, orders: list[tuple[datetime, tuple[str, ...]]]) -> None:
    first = orders[0][0]
    for year in range(first.year + 1, YEAR + 1):
        then = first.replace(year=year)
        run = _run_after(then)
        if any(run - ACTIVE <= at < run for at, _ in orders):
            seen.expect("purchase_anniversary", then)


def _lapses(seen: Life, times: list[datetime]) -> None:
    for n, at in enumerate(times):
        days = sorted({one.date() for one in times[: n + 1]})
        if len(days) < RHYTHM:
            continue
        gaps = [(later - earlier).days for earlier, later in pairwise(days)]
        moment = at + timedelta(days=max(LAPSE_DAYS, LAPSE_TIMES * median(gaps)))
        if all(other <= at or other >= _run_after(moment) for other in times):
            seen.expect("lapse", moment)


def _run_after(moment: datetime) -> datetime:
    """The midnight after it."""
    return datetime.combine(moment.date() + DAY, datetime.min.time(), UTC)
