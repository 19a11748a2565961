"""One box: `make schedule` runs the deployments of prefect.yaml by their schedules, with a server of its own.

make schedule ─┬─ Prefect's server on loopback, unless one answers there
               └─ serve ── at its time ──▶ a process for each run
"""

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prefect import serve
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.lost import end_lost_runs
from flows.schedules import FILE, Planned, read_plan
from recsys.errors import InputError

HOST = "127.0.0.1"
PATIENCE = 180.0  # seconds for a server to answer


def main() -> None:
    """Parse --port and --plan, serve until interrupted; exit code 1 on an error or when the server ends."""
    arguments = argparse.ArgumentParser(description="Run the deployments of prefect.yaml by their schedules.")
    arguments.add_argument("--port", type=int, default=4200, help="of Prefect's server on loopback; default 4200")
    arguments.add_argument("--plan", type=Path, default=FILE, help="default: prefect.yaml")
    given = arguments.parse_args()
    try:
        plan = read_plan(given.plan)
        with server(given.port) as url:
            os.environ["PREFECT_API_URL"] = url  # for the processes of the runs
            with temporary_settings({PREFECT_API_URL: url}):
                run_plan(plan, url)
    except InputError as error:
        sys.exit(f"error: {' '.join(str(error).split())}")


def run_plan(plan: list[Planned], url: str) -> None:
    """Serve until Ctrl-C or SIGTERM. Runs that are under way end with it, and the server is told so."""
    deployments = [planned.deployment() for planned in plan]
    print(f"lost runs ended: {', '.join(end_lost_runs(datetime.now(UTC))) or 'none'}", flush=True)
    with suppress(SystemExit):  # Prefect's answer to SIGTERM
        # schedules stay on while this is down: what was missed runs once at the next start
        serve(*deployments, pause_on_shutdown=False)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: Prefect's handler would fail a second time
    if answers(url):
        ended = end_lost_runs(datetime.now(UTC), starting=timedelta(0))
        print(f"runs ended with this: {', '.join(ended) or 'none'}", flush=True)


@contextmanager
def server(port: int) -> Iterator[str]:
    """URL of the API of a server on loopback: the one that answers there, else one that lives as long as this."""
    url = f"http://{HOST}:{port}/api"
    if answers(url):
        yield url
        return
    words = [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port)]
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, env=environment, start_new_session=True)
    over = threading.Event()
    try:
        _wait(url, process)
        threading.Thread(target=_end_with, args=(process, over), daemon=True).start()
        yield url
        if process.poll() is not None:
            raise InputError("Prefect's server ended, and this with it; start both again: make schedule")
    finally:
        over.set()
        _stop(process)


def answers(url: str) -> bool:
    """Whether a Prefect API answers at `url`."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + PATIENCE
    while not answers(url):
        if process.poll() is not None or time.monotonic() > until:
            raise InputError(f"Prefect's server does not start at {url}; is the port taken? give another --port")
        time.sleep(0.3)


def _end_with(process: "subprocess.Popen[bytes]", over: threading.Event) -> None:
    """Without its server nothing would ever run: end, so that whoever supervises starts both again."""
    process.wait()
    if not over.is_set():
        os.kill(os.getpid(), signal.SIGTERM)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End the server and its children, at first politely."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


if __name__ == "__main__":
    main()
