"""What is due on a day: every trigger asked about everything known when the day began.

yesterday ─── known ───┤ day begins: due(known) ├─── today, not known yet
"""

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from datetime import date, timedelta
from typing import Any

import polars as pl

from recsys.errors import InputError
from recsys.moments.known import Known
from recsys.moments.options import MomentsOptions, TriggersOptions
from recsys.moments.triggers.base import FOUND, Trigger

# customer_id, item_id, expected_at, probability of the items that fall due, out of what is known at a moment
Expected = Callable[[Known], pl.DataFrame]
DUE: dict[str, Any] = {
    "customer_id": FOUND["customer_id"],
    "trigger": pl.String,
    "date": pl.Date,  # the day of the run
    "offer": pl.String,  # cross_sell | upsell
    **{name: FOUND[name] for name in ("anchors", "since", "value", "fact")},
    "why": pl.String,  # why an offer works then
    "priority": pl.Int64,  # of a customer's triggers of a day the lowest comes first
}
NOTHING_DUE = pl.DataFrame(schema=DUE)


def due(known: Known, triggers: TriggersOptions | None = None, expected: Expected | None = None) -> pl.DataFrame:
    """Columns DUE, sorted by customer, priority and trigger; at most one row per customer and trigger.

    `known`: of `Known.on(day)`. `expected` says which items fall due; it is asked only where reorder_due is enabled.
    """
    triggers = triggers or TriggersOptions()
    if expected is not None and triggers.reorder_due.enabled:
        known = replace(known, expected=expected(known))
    tables = [NOTHING_DUE, *(_due(known, name, one) for name, one in named(triggers) if one.enabled)]
    return pl.concat(tables).sort("customer_id", "priority", "trigger")


def due_between(
    known: Known,
    first: date,
    last: date,
    options: MomentsOptions | None = None,
    expected: Expected | None = None,
) -> Iterator[pl.DataFrame]:
    """`due` of each day from `first` to `last`, both included; `known`: all that is known at the end."""
    if last < first:
        raise InputError(f"the last day {last} lies before the first {first}; turn them round")
    options = options or MomentsOptions()
    for ahead in range((last - first).days + 1):
        yield due(known.on(first + timedelta(days=ahead), options.time_zone), options.triggers, expected)


def named(triggers: TriggersOptions) -> list[tuple[str, Trigger]]:
    """The triggers with their names, in the order of the config."""
    return [(f.name, getattr(triggers, f.name)) for f in fields(triggers)]


def _due(known: Known, name: str, trigger: Trigger) -> pl.DataFrame:
    rows = trigger.find(known)
    if rows.is_empty():
        return NOTHING_DUE
    rows = rows.with_columns(
        trigger=pl.lit(name),
        date=pl.lit(known.day, pl.Date),
        offer=pl.lit(trigger.offer),
        why=pl.lit(trigger.why),
        priority=pl.lit(trigger.priority, pl.Int64),
    )
    return rows.select(list(DUE))
