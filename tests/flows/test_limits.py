"""A limit of time holds, also where Python gets no say."""

import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import pytest

from flows.limits import TimeLimitError, time_limit
from recsys.errors import InputError

ROOT = Path(__file__).parents[2]
STUCK = """
import sqlite3
from flows.limits import time_limit
with time_limit(0.3 / 3600, grace=0.7):
    sqlite3.connect(":memory:").execute(
        "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
    ).fetchall()
"""


def test_what_takes_too_long_is_interrupted_and_what_does_not_is_left_alone():
    with pytest.raises(TimeLimitError, match=r"max_hours = 2\.7\d*e-05"), time_limit(0.1 / 3600):
        time.sleep(30)
    with time_limit(0.2 / 3600, grace=0.1):
        pass
    time.sleep(0.5)  # neither the error nor the end comes late


def test_an_error_that_got_lost_is_raised_again(monkeypatch):
    """What a callback of a weak reference raises is printed, and the program goes on as if nothing was."""

    class Held:
        pass

    def slow(_: object) -> None:
        went.append("callback")
        time.sleep(30)

    def work() -> None:
        held = Held()
        watched = weakref.ref(held, slow)
        del held
        went.append("on")
        assert watched() is None
        time.sleep(30)

    went: list[str] = []
    lost: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: lost.append(told.object))
    with pytest.raises(TimeLimitError), time_limit(0.5 / 3600, again=0.3):
        work()
    assert went == ["callback", "on"]
    assert lost == [slow]


def test_a_clean_up_may_take_longer():
    done = []

    def work() -> None:
        try:
            time.sleep(30)
        finally:
            try:
                time.sleep(0.4)
                done.append("one")
                raise ValueError("of the clean-up")
            finally:
                time.sleep(0.4)
                done.append("two")

    with pytest.raises(ValueError, match="of the clean-up"), time_limit(0.1 / 3600, again=0.1):
        work()
    assert done == ["one", "two"]
    with pytest.raises(TimeLimitError), time_limit(0.1 / 3600, again=0.1):
        time.sleep(30)


def test_an_alarm_of_another_is_left_alone():
    """Prefect watches from a thread then; `time_limit` must not touch a timer that it did not set."""
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 60)
    try:
        with time_limit(1):
            pass
        left, interval = signal.getitimer(signal.ITIMER_REAL)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert left > 50
    assert interval == 0


def test_its_own_errors_pass_through():
    with pytest.raises(TimeoutError, match="of the network"), time_limit(1):
        raise TimeoutError("of the network")


@pytest.mark.parametrize("hours", [0, -1, float("nan"), float("inf")])
def test_a_limit_is_a_positive_number(hours):
    with pytest.raises(InputError, match="max_hours"), time_limit(hours):
        pass


def test_a_library_that_never_returns_is_ended_with_a_traceback():
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=120, check=False, cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"},
    )  # fmt: skip
    assert done.returncode == 1
    assert "Timeout (0:00:01" in done.stderr
    assert 'File "<string>", line 5' in done.stderr
    assert time.monotonic() - began < 100
