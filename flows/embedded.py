"""Run a flow from the command line with Prefect's embedded server: bar, closing table, errors without a traceback."""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prefect.cache_policies import NO_CACHE

from recsys.config import load_config
from recsys.errors import InputError, UnavailableError
from recsys.processes import started
from recsys.progress import progress_bar
from recsys.registry.terminal import closing_table, console, model_line
from recsys.stages import read_json

Options = dict[str, Any]  # the configuration as plain values; tasks exchange these and names of finished directories
MARK = "RECSYS_EMBEDDED"  # environment variable that the embedded server inherits: directory|owner|owner's start


def worth_a_retry(_task: Any, _run: Any, state: Any) -> bool:
    """Disks, networks and stores recover; a wrong config or file does not."""
    try:
        state.result(raise_on_failure=True)
    except UnavailableError:
        return True
    except (InputError, ValueError, TypeError, KeyError, AssertionError):
        return False
    except BaseException:
        return True
    return False


# stages and partitions keep their results by content, so Prefect caches nothing; a retry goes on behind the last one
RETRIED: dict[str, Any] = {
    "cache_policy": NO_CACHE,
    "retries": 2,
    "retry_delay_seconds": [5, 60],
    "retry_condition_fn": worth_a_retry,
}


def run_embedded(flow: Callable[..., dict[str, Any]], about: str) -> None:
    """Parse --config, --set and --debug, run the flow, print the closing table; exit code 1 on an error."""
    arguments = argparse.ArgumentParser(description=about)
    arguments.add_argument("--config", default="configs/complete_journey.yaml")
    arguments.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", dest="settings")
    arguments.add_argument("--debug", action="store_true", help="show tracebacks")
    given = arguments.parse_args()
    done = run_quietly(flow, given.debug, config=given.config, settings=given.settings)
    metrics = read_json(Path(done["report"]) / "metrics.json")
    report = Path(done["report"]).parent / "latest" / "report.html"
    console().print(closing_table(metrics, report=report, model=model_line(done)))


def run_quietly(flow: Callable[..., dict[str, Any]], debug: bool, **given: Any) -> dict[str, Any]:
    """The flow's result, after a progress bar; an InputError is one line and exit code 1."""
    end_orphaned_servers()
    os.environ[MARK] = f"{os.getcwd()}|{os.getpid()}|{started(os.getpid())}"
    if not debug:
        quiet_errors()
    try:
        load_config(given["config"], given["settings"])
        with progress_bar():
            done = flow(**given)
    except InputError as error:
        if debug:
            raise
        sys.exit(f"error: {' '.join(str(error).split())}")
    logging.getLogger("prefect").setLevel(logging.WARNING)  # the closing table has the last word
    return done


def quiet_errors() -> None:
    """An InputError says all that is needed; Prefect's tracebacks around it are for --debug."""

    class OneLine(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            error = record.exc_info[1] if record.exc_info else None
            return not isinstance(error, InputError)

    for name in ("prefect", "prefect.flow_runs", "prefect.task_runs", "prefect.engine", "prefect.flow_engine"):
        logging.getLogger(name).addFilter(OneLine())


def end_orphaned_servers() -> list[int]:
    """End embedded servers of this directory whose run was killed; returns their process ids (Linux only)."""
    ended = []
    for entry in Path("/proc").glob("[0-9]*") if Path("/proc").is_dir() else ():
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        marks = [e.decode(errors="replace").partition("=")[2] for e in environment if e.startswith(f"{MARK}=".encode())]
        if marks and _orphaned(marks[0], int(entry.name)):
            os.kill(int(entry.name), signal.SIGTERM)
            ended.append(int(entry.name))
    return ended


def _orphaned(mark: str, process: int) -> bool:
    folder, owner, start = [*mark.rsplit("|", 2), "", ""][:3]
    ours = folder == os.getcwd() and owner.isdigit() and process != os.getpid()
    return ours and started(int(owner)) != start
