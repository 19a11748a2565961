"""A limit of time that holds: first a TimeoutError, then the end of the process."""

import asyncio
import faulthandler
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect.utilities.timeout import timeout

from recsys.errors import InputError

GRACE = 300.0  # seconds between the error and the end of the process
AGAIN = 10.0  # seconds until the error is raised anew where something swallowed it
STDERR = 2


class TimeLimitError(TimeoutError):
    """The time that a run may take is over; Prefect calls the run TimedOut."""


@contextmanager
def time_limit(hours: float, grace: float = GRACE, again: float = AGAIN) -> Iterator[None]:
    """End what happens inside after `hours`.

        start ──────────── hours ────────────▶ TimeLimitError ──── grace ────▶ exit code 1, tracebacks on stderr

    An error that is raised while Python runs the callback of a weak reference or a `__del__` is printed and lost, as
    happened in SQLAlchemy; so it comes again every `again` seconds, in the main thread, where a signal brings it. And
    Python raises only between two of its own instructions. A library's call that never returns (a database, a file
    server that is away) would go on for ever; the second step needs nothing of Python and ends it too.
    """
    if not 0 < hours < 24 * 365:
        raise InputError(f"max_hours = {hours:g}; give the hours that a run may take, e.g. 6")
    faulthandler.dump_traceback_later(hours * 3600 + grace, exit=True, file=STDERR)
    main = threading.current_thread() is threading.main_thread()
    by_alarm = main and signal.getsignal(signal.SIGALRM) == signal.SIG_DFL  # then this timer is Prefect's too
    try:
        with timeout(hours * 3600, TimeLimitError):
            if by_alarm:
                _raise_again(hours * 3600, again)
            yield
    except TimeLimitError as error:
        raise TimeLimitError(f"not done after max_hours = {hours:g}; see where the time went or raise it") from error
    finally:
        faulthandler.cancel_dump_traceback_later()


def _raise_again(seconds: float, again: float) -> None:
    """After `seconds` and every `again` seconds what Prefect's handler raises, but not into the clean-up after it."""
    raised: Any = signal.getsignal(signal.SIGALRM)

    def unless_heard(number: int, frame: Any) -> None:
        error = sys.exc_info()[1]
        while error is not None and not isinstance(error, asyncio.CancelledError):
            error = error.__context__
        if error is None:
            raised(number, frame)

    signal.signal(signal.SIGALRM, unless_heard)
    signal.setitimer(signal.ITIMER_REAL, seconds, again)
