"""What happens when a flow fails, crashes or is cancelled: a note, a line in the log, a message. It never raises."""

import logging
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.logging.loggers import flow_run_logger

from recsys import notify
from recsys.config import RunOptions, load_config
from recsys.failure_note import FOLDER, Failure, as_json, described, kind_of, secrets_of, stage_in, write_note

UNDONE = ("RUNNING", "CRASHED", "FAILED", "CANCELLED", "CANCELLING", "PENDING")  # task runs that did not finish


def tell_failure(flow: Any, flow_run: Any, state: Any) -> None:
    """Write the note, log one line, notify. In the run's own process, or in another where that one is dead."""
    try:
        logger: Any = flow_run_logger(flow_run, flow)
    except Exception:
        logger = logging.getLogger(__name__)
    try:
        failure = failure_of(flow, flow_run, state, datetime.now(UTC))
    except Exception as error:
        logger.error("the failure could not be described (%s); see docs/runbook.md", type(error).__name__)
        return
    logger.error("%s", failure.headline)
    try:
        logger.error("note: %s", write_note(notes_folder(failure.config, failure.settings), failure))
    except Exception as error:  # a full disk may be the very reason
        logger.error("the note could not be written (%s); it said: %s", type(error).__name__, failure.error)
    for line in notify.notify(as_json(failure)):
        logger.error("could not notify: %s", line)


TOLD: dict[str, Any] = {"on_failure": [tell_failure], "on_crashed": [tell_failure], "on_cancellation": [tell_failure]}


def failure_of(flow: Any, flow_run: Any, state: Any, now: datetime) -> Failure:
    """What is known of a failed run."""
    given = dict(flow_run.parameters or {})
    config, settings = str(given.get("config") or ""), tuple(map(str, given.get("settings") or ()))
    error, message = error_of(state), str(state.message or "")
    stage = stage_in(error, task_names(flow)) or unfinished_task(flow_run)
    secrets = secrets_of(config, settings, (notify.URL, notify.COMMAND))
    return Failure(
        flow=flow.name,
        run=str(flow_run.name),
        run_id=str(flow_run.id),
        state="cancelled" if state.is_cancelling() else re.sub(r"(?<=[a-z])(?=[A-Z])", " ", str(state.name)).lower(),
        at=now,
        stage=stage,
        error=described(error, message, secrets),
        kind=kind_of(error, str(state.name), message, stage),
        config=config,
        settings=settings,
    )


def error_of(state: Any) -> BaseException | None:
    """The error of a state, where the process that raised it is this one."""
    try:
        found = state.result(raise_on_failure=False) if state.data is not None else None
    except Exception:
        return None
    return found if isinstance(found, BaseException) else None


def task_names(flow: Any) -> set[str]:
    """Names of the functions that are tasks in the module of a flow."""
    names = getattr(flow.fn, "__globals__", {})
    return {one.fn.__name__ for one in names.values() if hasattr(one, "task_run_name") and hasattr(one, "fn")}


def unfinished_task(flow_run: Any) -> str:
    """The task run that a dead process left behind, as the server knows it; "" if it knows none or is away."""
    try:
        with get_client(sync_client=True) as client:
            runs = client.read_task_runs(
                flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run.id])), limit=200
            )
    except Exception:
        return ""
    left = [(run.state.timestamp, run.name) for run in runs if run.state and run.state.type.value in UNDONE]
    return max(left)[1] if left else ""


def notes_folder(config: str, settings: tuple[str, ...]) -> Path:
    """`failures` below run.reports; the default's where the config cannot be read."""
    try:
        reports = load_config(config, list(settings)).run.reports
    except Exception:
        reports = RunOptions().reports
    return Path(reports) / FOLDER
