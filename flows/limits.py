"""A limit of time that holds: first a TimeoutError, then the end of the process."""

import faulthandler
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

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
    happened in SQLAlchemy; so it is raised every `again` seconds until it is heard. And Python raises only between two
    of its own instructions. A library's call that never returns (a database, a file server that is away) would go on
    for ever; the second step needs nothing of Python and ends it too.
    """
    if not 0 < hours < 24 * 365:
        raise InputError(f"max_hours = {hours:g}; give the hours that a run may take, e.g. 6")
    faulthandler.dump_traceback_later(hours * 3600 + grace, exit=True, file=STDERR)
    try:
        with timeout(hours * 3600, TimeLimitError):
            if threading.current_thread() is threading.main_thread():  # where Prefect has set this very timer
                signal.setitimer(signal.ITIMER_REAL, hours * 3600, again)
            yield
    except TimeLimitError as error:
        raise TimeLimitError(f"not done after max_hours = {hours:g}; see where the time went or raise it") from error
    finally:
        faulthandler.cancel_dump_traceback_later()
