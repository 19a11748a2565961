"""Server and worker for real, on loopback: deployed without questions, run, failed, killed, cut off."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import mlflow
import polars as pl
import pytest
import yaml

from recsys.folders import damages

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.deployment
TRAIN, SCORE = "train/nightly-train", "score/nightly-score"
NEXT = "models.content.max_features=300"  # another recipe: nothing of it is finished yet


class Box:
    """A project folder with the real flows and prefect.yaml, a small shop, and processes of its own."""

    def __init__(self, home: Path, options: dict[str, Any]) -> None:
        self.home = home
        shutil.copytree(ROOT / "flows", home / "flows", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("prefect.yaml", "prefect.toml"):
            shutil.copy(ROOT / name, home)
        (home / "configs").mkdir()
        (home / "configs" / "complete_journey.yaml").write_text(yaml.safe_dump(options))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.api = f"http://127.0.0.1:{self.port}/api"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))}
        self.env = kept | {
            "PREFECT_API_URL": self.api, "PREFECT_HOME": f"{home}/.prefect", "MLFLOW_DISABLE_TELEMETRY": "true",
            "PREFECT_PROFILES_PATH": f"{home}/.prefect/profiles.toml", "PYTHONPATH": f"{ROOT / 'src'}",
            "PREFECT_WORKER_QUERY_SECONDS": "1", "RECSYS_NOTIFY_COMMAND": f"tee -a {home}/told.jsonl",
        }  # fmt: skip
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, *words: str) -> "subprocess.Popen[bytes]":
        log = (self.home / f"{len(self.running)}-{words[1]}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, *words], cwd=self.home, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        log.close()
        self.running.append(process)
        return process

    def server(self) -> "subprocess.Popen[bytes]":
        words = ("-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port))
        process = self.start(*words)
        self.get("/health", tries=300)
        return process

    def worker(self) -> "subprocess.Popen[bytes]":
        return self.start("-m", "prefect", "worker", "start", "--pool", "recsys", "--type", "process")

    def command(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words], cwd=self.home, env=self.env, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def get(self, path: str, body: Any = None, tries: int = 20) -> Any:
        """The API's answer, asked again where a busy server has none yet."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.api + path, data, {"Content-Type": "application/json"})
        for left in reversed(range(tries)):
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.load(answer)
            except OSError as error:
                said = error.read() if isinstance(error, urllib.error.HTTPError) else error
                assert left, f"{path}: {said!r}"
                time.sleep(0.5)
        return None

    def trigger(self, *settings: str, of: str = TRAIN, **parameters: Any) -> str:
        """Ask for a run of a deployment; returns its id."""
        deployment = self.get(f"/deployments/name/{of}")
        body = {"parameters": deployment["parameters"] | parameters | {"settings": list(settings)}}
        return str(self.get(f"/deployments/{deployment['id']}/create_flow_run", body)["id"])

    def run(self, run: str) -> dict[str, Any]:
        return dict(self.get(f"/flow_runs/{run}"))

    def ends(self, run: str, seconds: float = 300) -> dict[str, Any]:
        """The run in its last state."""
        last = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
        until(lambda: self.run(run)["state_type"] in last, seconds, f"run {run} does not end: {self.logs()}")
        return self.run(run)

    def is_at_work(self, run: str) -> int:
        """Wait until the run is in one of its tasks; returns its process number."""
        until(lambda: self.tasks(run), 200, f"run {run} does not start: {self.logs()}")
        return int(self.run(run)["infrastructure_pid"])

    def tasks(self, run: str) -> list[str]:
        found = self.get("/task_runs/filter", {"flow_runs": {"id": {"any_": [run]}}}) or []
        return [task["name"] for task in found if task["state_type"] != "PENDING"]

    def note(self, run: str) -> dict[str, Any]:
        """The failure note of a run, whose page must lie beside it."""
        until(lambda: list(self.notes(run)), 30, f"no note of run {run}: {self.logs()}")
        (file,) = self.notes(run)
        assert file.with_suffix(".md").read_text().startswith("# train ")
        return dict(json.loads(file.read_text()))

    def notes(self, run: str) -> Iterator[Path]:
        return (self.home / "reports" / "failures").glob(f"*-{run[:8]}.json")

    def champion(self) -> int:
        client = mlflow.MlflowClient(f"sqlite:///{self.home}/mlflow.db")
        return int(client.get_model_version_by_alias("recsys", "champion").version)

    def logs(self) -> str:
        return "\n".join(file.read_text(errors="replace")[-3000:] for file in sorted(self.home.glob("*.log")))

    def stop(self) -> None:
        for process in self.running:
            kill(process)


def kill(process: "subprocess.Popen[bytes]") -> None:
    """The process, and what it started in its session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)


def until(true: Callable[[], Any], seconds: float, otherwise: str) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, otherwise
        time.sleep(0.2)


@pytest.fixture(scope="module")
def box(small_options, tmp_path_factory):
    home = tmp_path_factory.mktemp("box")
    changes = {
        "run.store": "store", "run.reports": "reports", "evaluation.examples": 1, "scoring.partition_rows": 300,
        "scoring.workers": 1, "registry.tracking_uri": f"sqlite:///{home}/mlflow.db", "registry.artifacts": "artifacts",
    }  # fmt: skip
    made = Box(home, small_options(home, changes))
    try:
        made.server()
        made.command("-m", "prefect", "--no-prompt", "work-pool", "create", "recsys", "--type", "process")
        made.command("-m", "prefect", "--no-prompt", "deploy", "--all")
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def worker(box):
    return box.worker()


@pytest.fixture(scope="module")
def plan() -> list[dict[str, Any]]:
    return list(yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"])


def test_the_server_knows_every_deployment_as_it_is_written(box, plan):
    known = {one["name"]: one for one in box.get("/deployments/filter", {})}
    assert set(known) == {one["name"] for one in plan}
    for one in plan:
        told = known[one["name"]]
        assert told["parameters"] == one["parameters"]
        assert told["tags"] == one["tags"]
        assert told["work_pool_name"] == one["work_pool"]["name"] == "recsys"
        assert told["global_concurrency_limit"]["limit"] == one["concurrency_limit"]["limit"] == 1
        options = {key: value for key, value in one["concurrency_limit"].items() if key != "limit"}
        assert {key: told["concurrency_options"][key] for key in options} == options
        (schedule,) = told["schedules"]
        assert schedule["active"]
        assert {key: schedule["schedule"][key] for key in ("cron", "timezone")} == {
            key: one["schedules"][0][key] for key in ("cron", "timezone")
        }


def test_the_next_nights_are_scheduled(box, plan):
    for one in plan:
        deployment = box.get(f"/deployments/name/{Path(one['entrypoint'].partition(':')[0]).stem}/{one['name']}")["id"]
        wanted = {"flow_runs": {"deployment_id": {"any_": [deployment]}, "state": {"type": {"any_": ["SCHEDULED"]}}}}
        until(lambda body=wanted: len(box.get("/flow_runs/filter", body)) >= 3, 60, "nothing is scheduled")
        (schedule,) = one["schedules"]
        minute, hour = schedule["cron"].split()[:2]
        times = [
            datetime.fromisoformat(run["expected_start_time"]).astimezone(ZoneInfo(schedule["timezone"]))
            for run in box.get("/flow_runs/filter", wanted)
        ]
        assert {(at.hour, at.minute) for at in times} == {(int(hour), int(minute))}
        assert len({at.date() for at in times}) == len(times) >= 3


@pytest.mark.usefixtures("worker")
def test_a_run_completes_and_a_second_at_the_same_time_is_cancelled(box):
    run = box.trigger()
    box.is_at_work(run)
    second = box.ends(box.trigger())
    assert (second["state_type"], second["state"]["message"]) == ("CANCELLED", "Deployment concurrency limit reached.")
    assert box.ends(run)["state_type"] == "COMPLETED", box.logs()
    assert box.champion() == 1
    assert (box.home / "reports" / "latest" / "report.html").is_file()
    assert not (box.home / "reports" / "failures").exists()


@pytest.mark.usefixtures("worker")
def test_the_scoring_asks_the_champion_and_publishes(box):
    assert box.ends(box.trigger(of=SCORE))["state_type"] == "COMPLETED", box.logs()
    assert_scored(box, version="1")


def assert_scored(box: Box, version: str) -> None:
    """The manifest names the champion, every file is as it says, and the partitions hold its rows."""
    latest = box.home / "scores" / "latest"
    manifest = json.loads((latest / "manifest.json").read_text())
    assert manifest["model"]["version"] == version
    assert damages(latest) == []
    assert manifest["partitions"]["all"] == len(list(latest.glob("partitions/*.parquet"))) > 1
    assert manifest["counts"]["rows"] == pl.read_parquet(latest / "partitions" / "*.parquet").height > 300


@pytest.mark.usefixtures("worker")
def test_a_failing_run_leaves_a_note_and_the_champion(box):
    run = box.trigger("data.orders.path=nowhere.csv")
    assert box.ends(run)["state_name"] == "Failed"
    note = box.note(run)
    assert (note["stage"], note["kind"], note["run_id"]) == ("ingest_orders", "bad orders", run)
    assert "nowhere.csv" in note["error"]
    assert note["runbook"] == "docs/runbook.md#bad-orders"
    assert json.loads((box.home / "told.jsonl").read_text().replace("}{", "}\n{").splitlines()[-1]) == note
    assert box.champion() == 1


@pytest.mark.usefixtures("worker")
def test_a_run_ends_when_its_time_is_over(box):
    run = box.trigger(NEXT, max_hours=0.0002)
    assert box.ends(run)["state_name"] == "TimedOut"
    assert box.note(run)["kind"] == "timed out"
    assert "max_hours = 0.0002" in box.note(run)["error"]
    assert box.champion() == 1


@pytest.mark.usefixtures("worker")
def test_a_killed_run_is_crashed(box):
    run = box.trigger(NEXT)
    os.kill(box.is_at_work(run), signal.SIGKILL)
    assert box.ends(run)["state_name"] == "Crashed"
    note = box.note(run)
    assert (note["state"], note["kind"]) == ("crashed", "out of memory")
    assert note["stage"] in box.tasks(run)


def test_a_run_whose_worker_is_killed_ends(box, worker):
    run = box.trigger(NEXT)
    box.is_at_work(run)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait(30)
    ended = box.ends(run)
    assert (ended["state_type"], box.champion()) == ("CRASHED", 1)


def test_after_a_power_cut_the_lost_run_is_ended_and_the_next_one_gets_its_place(box):
    """Everything is killed at once; without `flows.lost` the run would be Running for ever."""
    working = box.worker()
    run = box.trigger(NEXT)
    process = box.is_at_work(run)
    for one in (process, working.pid):
        os.kill(one, signal.SIGSTOP)  # so that neither has a last word
    for one in box.running:
        kill(one)
    os.kill(process, signal.SIGKILL)
    box.server()
    assert box.run(run)["state_type"] == "RUNNING"
    assert run_name(box, run) in box.command("-m", "flows.lost")
    assert box.run(run)["state_type"] == "CRASHED"
    assert box.note(run)["kind"] == "run crashed"
    box.worker()
    assert box.ends(box.trigger())["state_type"] == "COMPLETED", box.logs()  # finished stages are kept


def run_name(box: Box, run: str) -> str:
    return str(box.run(run)["name"])


# --- one box: `make schedule`, without a worker


@pytest.fixture(scope="module")
def one_box(box, small_options, tmp_path_factory):
    """A folder of its own that asks the champion of the first."""
    home = tmp_path_factory.mktemp("one-box")
    changes = {
        "run.store": "store", "run.reports": "reports", "registry.tracking_uri": f"sqlite:///{box.home}/mlflow.db",
        "registry.artifacts": f"{box.home}/artifacts", "scoring.workers": 1, "scoring.partition_rows": 300,
    }  # fmt: skip
    box.stop()
    made = Box(home, small_options(home, changes))
    yield made
    made.stop()


def scheduled(box: Box) -> "subprocess.Popen[bytes]":
    """What `make schedule` starts, when it serves."""
    process = box.start("-m", "flows.serve", "--port", str(box.port))
    log = sorted(box.home.glob("*-flows.serve.log"))[-1]
    until(lambda: b"are being served" in log.read_bytes(), 200, log.read_text())
    return process


def assert_ends(box: Box, process: "subprocess.Popen[bytes]", code: int) -> str:
    """The process ends by itself with that code, and nothing that it started is left; returns what it said."""
    assert process.wait(60) == code, box.logs()
    until(lambda: not processes_in(box.home), 20, f"left: {processes_in(box.home)}")
    with pytest.raises(OSError):
        urllib.request.urlopen(f"{box.api}/health", timeout=5)
    return sorted(box.home.glob("*-flows.serve.log"))[-1].read_text()


def processes_in(home: Path) -> list[str]:
    """Command lines of the processes that work in a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (entry / "cwd").resolve() == home.resolve() and (entry / "cmdline").read_bytes():
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


def test_one_box_serves_every_deployment_and_ends_on_sigterm(one_box, plan):
    process = scheduled(one_box)
    assert {one["name"] for one in one_box.get("/deployments/filter", {})} == {one["name"] for one in plan}
    assert one_box.ends(one_box.trigger(of=SCORE))["state_type"] == "COMPLETED", one_box.logs()
    assert_scored(one_box, version="1")
    process.send_signal(signal.SIGTERM)
    said = assert_ends(one_box, process, code=0)
    assert "runs ended with this: none" in said


def test_a_run_that_one_box_takes_with_it_is_crashed_and_its_place_free(one_box, plan):
    """SIGINT, which is Ctrl-C: the schedules stay on, and the next run is not cancelled for a lost one."""
    process = scheduled(one_box)
    known = {one["name"]: one for one in one_box.get("/deployments/filter", {})}
    assert all(known[one["name"]]["schedules"][0]["active"] and not known[one["name"]]["paused"] for one in plan)
    run = one_box.trigger(NEXT)
    until(lambda: one_box.tasks(run), 200, one_box.logs())
    process.send_signal(signal.SIGINT)
    said = assert_ends(one_box, process, code=0)
    assert "runs ended with this: train-configs" in said
    assert one_box.note(run)["kind"] == "run crashed"
    process = scheduled(one_box)
    assert one_box.run(run)["state_type"] == "CRASHED"
    second = one_box.trigger("data.orders.path=nowhere.csv")
    assert one_box.ends(second)["state_type"] == "FAILED", "it had its place"
    os.killpg(server_of(process), signal.SIGKILL)
    assert "Prefect's server ended, and this with it" in assert_ends(one_box, process, code=1)


def server_of(process: "subprocess.Popen[bytes]") -> int:
    """The child of `flows.serve` that is Prefect's server."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    (server,) = [int(child) for child in children if b"server" in Path(f"/proc/{child}/cmdline").read_bytes()]
    return server
