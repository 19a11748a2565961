"""Runs that the server believes to be running though their process is gone, e.g. after a power cut.

Nobody else ends them: they stay Running for ever, and while they hold the place of their deployment no scheduled
run gets it.
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import State, StateType
from prefect.settings import PREFECT_API_URL
from prefect.states import Crashed

from flows.hooks import tell_failure
from flows.schedules import read_plan
from recsys.errors import InputError
from recsys.processes import alive

UNDER_WAY = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
STARTING = timedelta(minutes=10)  # a run without a process of its own may still be starting so long
ENGINES = (b"prefect.engine", b"prefect.runner")  # in the command lines of the processes that work on runs
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def end_lost_runs(now: datetime, starting: timedelta = STARTING) -> list[str]:
    """Mark runs of prefect.yaml's flows whose process is gone as Crashed, tell of them; returns their names.

    Processes are seen on their own machine only, so the server has to be on this one.
    """
    if urlsplit(PREFECT_API_URL.value() or "").hostname not in LOOPBACK:
        raise InputError("lost runs can be told only beside a server on loopback; set PREFECT_API_URL to it")
    flows = {flow.name: flow for flow in (planned.flow() for planned in read_plan())}
    ended = []
    with get_client(sync_client=True) as client:
        wanted = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=UNDER_WAY)))
        for run in client.read_flow_runs(flow_run_filter=wanted):
            flow = flows.get(client.read_flow(run.flow_id).name)
            if flow is None or run.deployment_id is None or not is_lost(run, now, starting):
                continue
            state: State[Any] = Crashed(message="The process of this run is gone; see docs/runbook.md")
            client.set_flow_run_state(run.id, state, force=True)
            tell_failure(flow, run, state)
            ended.append(run.name)
    return ended


def is_lost(run: Any, now: datetime, starting: timedelta = STARTING) -> bool:
    """Whether the process of a run is gone. A worker tells the server its number, `make schedule` does not."""
    if run.infrastructure_pid and str(run.infrastructure_pid).isdigit():
        return not alive(int(run.infrastructure_pid))
    at_work = has_process(str(run.id))
    if at_work is not None and run.state.type != StateType.PENDING:  # whoever runs had a process
        return not at_work
    return not at_work and bool(now - run.state.timestamp > starting)


def has_process(run: str) -> bool | None:
    """Whether a process of this machine works on the run of that id; None where processes cannot be seen."""
    if not Path("/proc").is_dir():
        return None
    mark = f"PREFECT__FLOW_RUN_ID={run}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes()
            if any(engine in words for engine in ENGINES) and mark in (entry / "environ").read_bytes().split(b"\0"):
                return True
        except PermissionError:  # another user's run, maybe this one
            return True
        except OSError:  # it ended meanwhile
            continue
    return False


def main() -> None:
    """`python -m flows.lost`: end them and say which."""
    try:
        ended = end_lost_runs(datetime.now(UTC))
    except InputError as error:
        sys.exit(f"error: {error}")
    print(f"lost runs ended: {', '.join(ended) or 'none'}")


if __name__ == "__main__":
    main()
