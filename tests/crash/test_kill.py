"""kill -9 at random moments of a training, then the same command again: nothing half-made is ever read.

Every trial starts from nothing, is killed once (the whole process group, or the Python process alone, whose children
live on), and is run again to the end. Two trials run at a time, each in a project folder of its own.
"""

import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mlflow
import pytest
import yaml

from flows.embedded import MARK

pytestmark = pytest.mark.crash
ROOT = Path(__file__).parents[2]
COMMANDS = {"recsys": ["-m", "recsys.cli", "train"], "flow": ["-m", "flows.train"]}
rng = random.Random(7)
# command, and the shares of an undisturbed run at which its process group, and its Python process alone, is killed
TRIALS = [(command, rng.uniform(0.2, 1), rng.uniform(0.2, 1)) for command in ("recsys", "recsys", "recsys", "flow")]


@pytest.fixture(scope="module")
def shop(small_options, tmp_path_factory):
    """A project folder: config and Prefect's settings."""

    def make() -> Path:
        home = tmp_path_factory.mktemp("project")
        options = small_options(home, {"run.store": "store", "run.reports": "reports", "evaluation.examples": 1})
        (home / "shop.yaml").write_text(yaml.safe_dump(options))
        (home / "prefect.toml").write_text((ROOT / "prefect.toml").read_text())
        return home

    return make


def start(home: Path, command: str, *words: str) -> subprocess.Popen[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "MLFLOW_", MARK))}
    env |= {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}", "MLFLOW_DISABLE_TELEMETRY": "true"}
    words = (*COMMANDS[command], "--config", "shop.yaml", *words)
    return subprocess.Popen(
        [sys.executable, *words], cwd=home, env=env, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate(timeout=180)
    assert process.returncode == 0, said
    return said


@pytest.fixture(scope="module")
def undisturbed(shop) -> dict[str, float]:
    """Seconds of a whole run of each command, from nothing, both at once."""
    began = time.monotonic()
    running = [start(shop(), command) for command in COMMANDS]
    took = {}
    for command, process in zip(COMMANDS, running, strict=True):  # the quicker one first
        finish(process)
        took[command] = time.monotonic() - began
    return took


def marked(home: Path) -> dict[int, str]:
    """Processes that a flow of this folder started: number → command line."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes().decode(errors="replace").split("\0")
            if any(e.startswith(f"{MARK}={home}|") for e in environment):
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    return found


def halves(home: Path) -> list[str]:
    """What a killed run left unfinished."""
    hidden = [*home.glob("store/*/.*"), *home.glob("reports/.*"), *home.glob("*fresh*")]
    return sorted(p.relative_to(home).as_posix() for p in hidden)


def kill_after(seconds: float, home: Path, command: str, whole: bool) -> list[str]:
    """Start, kill, run again; returns what lay half-made in between."""
    process = start(home, command)
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL) if whole else process.kill()
    process.stdout.close()
    process.wait(timeout=30)
    left = halves(home)
    finish(start(home, command))
    return left


@pytest.mark.parametrize(("command", "group", "alone"), TRIALS)
def test_killed_and_run_again(shop, undisturbed, command, group, alone):
    trials = [(share * undisturbed[command], shop(), command, share is group) for share in (group, alone)]
    with ThreadPoolExecutor(2) as pool:
        left = list(pool.map(kill_after, *zip(*trials, strict=True)))
    for (_, home, _, _), before in zip(trials, left, strict=True):
        assert halves(home) == [], before
        for done in home.glob("store/*/[0-9a-f]*"):
            assert (done / "stage.json").is_file(), f"{done} is half"
        assert (home / "reports" / "latest" / "report.html").is_file()
        champion_answers(home)
        assert_no_server_is_left(home)


def champion_answers(home: Path) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{home}/mlflow.db")
    model = mlflow.pyfunc.load_model("models:/recsys@champion")
    answers = model.predict(model.input_example)
    assert set(answers["error"]) == {""}
    assert [len(items) for items in answers["item_ids"]] == [5, 5, 5]
    versions = mlflow.MlflowClient().search_model_versions("name = 'recsys'")
    assert len(versions) == 1, "killed or not, one training is one version"


def assert_no_server_is_left(home: Path) -> None:
    until = time.monotonic() + 20
    while marked(home) and time.monotonic() < until:
        time.sleep(0.2)
    assert marked(home) == {}
