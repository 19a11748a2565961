"""A failing flow leaves a note, tells it, and fails for its own reason, whatever happens to the note."""

import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelling, Crashed

from flows.hooks import TOLD, failure_of, tell_failure, unfinished_task
from flows.limits import time_limit
from recsys.errors import InputError

pytestmark = pytest.mark.usefixtures("server")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A working directory with a config; the environment names a command that keeps what it is told."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.yaml").write_text("run: {reports: out}")
    monkeypatch.setenv("RECSYS_NOTIFY_COMMAND", f"tee {tmp_path}/told")
    monkeypatch.delenv("RECSYS_NOTIFY_URL", raising=False)
    return tmp_path


@task(cache_policy=NO_CACHE)
def ingest_orders(raised):
    raise raised


@task(cache_policy=NO_CACHE)
def learn():
    import time

    time.sleep(60)


@flow(name="try", **TOLD)
def attempt(config: str = "shop.yaml", settings: list[str] | None = None, max_hours: float = 1.0):
    with time_limit(max_hours):
        return learn() if max_hours < 1 else ingest_orders(InputError(f"row 7 of {config} {settings}"))


def the_note(home: Path, folder: str = "out") -> dict:
    (file,) = (home / folder / "failures").glob("*.json")
    assert file.with_suffix(".md").is_file()
    return json.loads(file.read_text())


def test_a_failed_run_leaves_a_note_and_tells_it(home):
    state = attempt(settings=[], return_state=True)
    assert state.is_failed()
    note = the_note(home)
    assert (note["flow"], note["state"], note["stage"], note["kind"]) == (
        "try",
        "failed",
        "ingest_orders",
        "bad orders",
    )
    assert note["error"] == "InputError: row 7 of shop.yaml []"
    assert note["run_id"] == str(state.state_details.flow_run_id)
    assert json.loads((home / "told").read_text()) == note


def test_time_that_is_over_ends_the_run_and_is_told(home):
    state = attempt(max_hours=1.5 / 3600, return_state=True)
    assert (state.is_failed(), state.name) == (True, "TimedOut")
    note = the_note(home)
    assert (note["state"], note["kind"], note["stage"]) == ("timed out", "timed out", "learn")


def test_the_run_fails_for_its_own_reason_where_nothing_can_be_written(home, monkeypatch):
    (home / "out").write_text("a file where the folder should be")
    monkeypatch.setenv("RECSYS_NOTIFY_COMMAND", "no-such-program")
    state = attempt(return_state=True)
    assert state.is_failed()
    with pytest.raises(InputError, match="row 7"):
        state.result()
    assert (home / "out").is_file()


def test_a_config_that_cannot_be_read_is_noted_in_the_default_folder(home):
    assert attempt(config="none.yaml", return_state=True).is_failed()
    assert the_note(home, "reports")["config"] == "none.yaml"


def gone(**changes):
    """A run of which no process is left."""
    return FlowRun(**{"flow_id": uuid4(), "name": "r", "parameters": {"config": "shop.yaml"}} | changes)


@pytest.mark.parametrize(
    ("state", "said", "kind"),
    [
        (Crashed(message="Process exited due to a SIGKILL signal."), "crashed", "out of memory"),
        (Crashed(message="gone"), "crashed", "run crashed"),
        (Cancelling(), "cancelled", "run cancelled"),
    ],
)
def test_another_process_tells_of_a_dead_run(home, state, said, kind):
    failure = failure_of(attempt, gone(), state, datetime(2026, 3, 1, tzinfo=UTC))
    assert (failure.state, failure.kind, failure.stage) == (said, kind, "")
    tell_failure(attempt, gone(), state)
    assert the_note(home)["kind"] == kind


def test_nothing_is_raised_even_where_nothing_is_known(home):
    assert unfinished_task(gone()) == unfinished_task(None) == ""
    tell_failure(attempt, None, Crashed())
    tell_failure(None, gone(), Crashed())
    tell_failure(attempt, gone(parameters={}), Crashed())
    assert the_note(home, "reports")["config"] == ""
