"""Orders a day: the new days against the same weekdays before, the old days against what they were.

accepted   ─ ─ Mo Tu We Th Fr Sa Su │ whole_until
this run   ─ ─ Mo Tu We Th Fr Sa Su │ Mo Tu │ whole_until
               └─ the same weekday of four weeks ─┘
"""

from datetime import date, timedelta
from typing import Any

import polars as pl
from scipy import stats

from recsys.monitoring import measures as m
from recsys.monitoring.checks import Check, judged, with_chance
from recsys.monitoring.options import MonitoringOptions
from recsys.monitoring.order_profile import daily, days

WEEKS = 4  # before, whose same weekday a day is compared with
TENTH = 0.1  # of the orders expected: a day below is missing
NAMED = 5  # days named in a sentence
Profile = dict[str, Any]
Counts = dict[date, int]


def volumes(
    orders: pl.DataFrame, mine: Profile, accepted: Profile, options: MonitoringOptions
) -> tuple[list[Check], list[str]]:
    """(checks, what could not be compared): of the new days and of the accepted run's."""
    end, start = (date.fromisoformat(p["whole_until"]) for p in (mine, accepted))
    then = {date.fromisoformat(day): n for day, n in accepted["daily"].items() if date.fromisoformat(day) < start}
    since = min([*then, start]) - timedelta(days=7 * WEEKS)
    now = {date.fromisoformat(day): n for day, n in daily(orders, since).items()}
    checks = []
    held = {day: n for day, n in then.items() if day in now}
    if held:
        checks += [
            rewritten_days(now, held, options),
            missing_days("history", now, {d: float(n) for d, n in held.items()}, options),
        ]
    weekdays = {day: same_weekdays(now, day, start) for day in days(start, end)}
    expected = {day: sum(now[d] for d in before) / len(before) for day, before in weekdays.items() if before}
    if not expected:
        return checks, [f"no whole day since {start} that has the same weekday before: its volume is not compared"]
    used = {d for before in weekdays.values() for d in before}
    return [new_volume(now, expected, used, options), missing_days("new", now, expected, options), *checks], []


def same_weekdays(now: Counts, day: date, start: date) -> list[date]:
    """The same weekday of the last four weeks before `start` that the orders have."""
    back = (day - timedelta(days=7 * week) for week in range(1, 60))
    return [d for d in back if d < start and d in now][:WEEKS]


def new_volume(now: Counts, expected: dict[date, float], used: set[date], options: MonitoringOptions) -> Check:
    """Orders of the new days against those of the same weekdays; exact binomial test against the days `used`."""
    total, hoped, before = sum(now.get(day, 0) for day in expected), sum(expected.values()), sum(now[d] for d in used)
    chance = m.volume_p(total, before, hoped / (hoped + before)) if hoped else 1.0
    ratio = f"{total / hoped:.2f} times" if hoped else "against none on"
    text = f"{total:,} orders on {len(expected)} new whole days, {ratio} the same weekdays before"
    return judged(options, "volume", "new", fold(total, hoped), with_chance(text, chance), chance)


def missing_days(scope: str, now: Counts, expected: dict[date, float], options: MonitoringOptions) -> Check:
    """Days with less than a tenth of the orders expected, where chance (Poisson) would have brought more."""
    low = (day for day, hoped in expected.items() if now.get(day, 0) < TENTH * hoped)
    missing = [day for day in low if stats.poisson.cdf(now.get(day, 0), expected[day]) < options.alpha]
    named = ", ".join(f"{day} ({now.get(day, 0)} orders, {expected[day]:.0f} expected)" for day in missing[:NAMED])
    text = f"{len(missing)} of {len(expected)} days are missing" + (f": {named}" if missing else "")
    return judged(options, "missing_days", scope, len(missing), text)


def rewritten_days(now: Counts, then: Counts, options: MonitoringOptions) -> Check:
    """Orders that came or went on the days that the accepted run had, as a share of its orders."""
    total, moved = sum(then.values()), sum(abs(now[day] - n) for day, n in then.items())
    text = f"{sum(now[day] for day in then):,} orders on the {len(then)} days that the accepted run had, {total:,} then"
    return judged(options, "rewritten_days", "history", moved / total if total else 0.0, text)


def fold(new: float, reference: float) -> float:
    """How many times more or fewer, at least 1; half an order is added to both, so that none is finite."""
    ratio = (new + 0.5) / (reference + 0.5)
    return max(ratio, 1 / ratio)
