"""A run is lost when its process is gone, whether the server knows the number or not, and not while it works."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelling, Pending, Running

from flows.lost import has_process, is_lost

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc"), reason="processes are read from /proc")
NOW = datetime(2026, 3, 1, 3, tzinfo=UTC)


def a_run(state, minutes, pid="") -> FlowRun:
    """A run that is in that state for so long."""
    state = state.model_copy(update={"timestamp": NOW - timedelta(minutes=minutes)})
    return FlowRun(flow_id=uuid4(), name="r", state=state, infrastructure_pid=str(pid) or None)


@pytest.fixture
def engine(sleeping):
    """Starts a process that looks as those that `make schedule` starts for a run."""
    return lambda run, *words: sleeping(*words, PREFECT__FLOW_RUN_ID=str(run.id))


def test_a_run_of_make_schedule_is_lost_when_no_process_works_on_it(engine):
    run = a_run(Running(), minutes=200)
    process = engine(run, "prefect.engine")
    assert has_process(str(run.id))
    assert not is_lost(run, NOW), "however long it takes"
    process.kill()
    process.wait(30)
    assert is_lost(run, NOW)


def test_what_a_run_started_does_not_keep_it_alive(engine):
    run = a_run(Running(), minutes=0)
    engine(run, "recsys.scoring.workers")
    engine(a_run(Running(), minutes=0), "prefect.engine")
    assert is_lost(run, NOW), "at once: whoever runs had a process"
    assert is_lost(a_run(Cancelling(), minutes=0), NOW)


def test_a_run_that_has_no_process_yet_may_be_starting():
    assert not is_lost(a_run(Pending(), minutes=9), NOW)
    assert is_lost(a_run(Pending(), minutes=11), NOW)
    assert is_lost(a_run(Pending(), minutes=1), NOW, starting=timedelta(0))


def test_a_workers_run_is_known_by_its_number():
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    assert is_lost(a_run(Running(), minutes=0, pid=int(gone.stdout)), NOW)
    assert not is_lost(a_run(Running(), minutes=200, pid=os.getpid()), NOW)


def test_where_processes_cannot_be_seen_time_decides(monkeypatch):
    monkeypatch.setattr(Path, "is_dir", lambda _: False)
    assert has_process(str(uuid4())) is None
    assert not is_lost(a_run(Running(), minutes=9), NOW)
    assert is_lost(a_run(Running(), minutes=11), NOW)
