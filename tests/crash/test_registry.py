"""kill -9 at random moments of a registration and of an alias move, and several trainings at once on one store.

Whatever was killed, the champion loads and answers, the store says of no run that it still runs, and the same command,
run again, finishes. The model is packaged once; the trials fork from a process that has imported everything.
"""

import multiprocessing
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
import yaml

from recsys import finish, training
from recsys.registry import champions, tracking
from recsys.registry.register import SETTLED
from tests.crash import registering

pytestmark = pytest.mark.crash
ROOT = Path(__file__).parents[2]
KILLS = 20
PATIENCE = 400  # seconds for what takes a few on a machine of one's own
NAME = "recsys"


@pytest.fixture(scope="module")
def server():
    """Forks processes that have MLflow and the registry imported already."""
    os.environ["PYTHONPATH"] = f"{ROOT / 'src'}:{ROOT}"  # the server's own; it starts before it is told our path
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mlflow", "mlflow.pyfunc", "tests.crash.registering"])
    first = context.Process(target=registering.ready)
    first.start()
    first.join(PATIENCE)
    assert first.exitcode == 0
    return context


@pytest.fixture(scope="module")
def home(trained, tmp_path_factory) -> Path:
    """A store of its own and a training that is handed over to it."""
    folder = tmp_path_factory.mktemp("crash")
    now = registering.NOW
    handed = finish.handed_over(trained.config, training.judge(trained.config, now), now)
    gate = replace(trained.config.registry.gate, fresh_process=False, requests=3)
    options = replace(
        trained.config.registry,
        tracking_uri=f"sqlite:///{folder}/mlflow.db",
        artifacts=f"{folder}/artifacts",
        gate=gate,
    )
    (folder / "training.pickle").write_bytes(pickle.dumps((handed, options)))
    return folder


@pytest.fixture(scope="module")
def run(server, home):
    """Runs a function of `registering` in a process; `after` seconds it is killed, if it still runs."""

    def make(target, *words, after=None):
        process = server.Process(target=target, args=(home, *words))
        process.start()
        process.join(after if after is not None else PATIENCE)
        killed = process.exitcode is None
        if killed:
            process.kill()
            process.join(30)
        return killed, process.exitcode

    return make


@pytest.fixture(scope="module")
def first(run, home) -> float:
    """Seconds of a whole registration; the first one makes the store and the champion."""
    assert run(registering.registers, "first", home / "log") == (False, 0)
    began = time.monotonic()
    assert run(registering.registers, "second", home / "log") == (False, 0)
    return time.monotonic() - began


def connected(home):
    _, options = registering.handed(home)
    return tracking.connect(options)


def champion_answers(client) -> int:
    """Load the champion as a serving team does; returns its version."""
    version = champions.serving(client, NAME)
    model = mlflow.pyfunc.load_model(f"models:/{NAME}@champion")
    answers = model.predict(model.input_example)
    assert set(answers["error"]) == {""}
    assert all(len(items) == 5 for items in answers["item_ids"])
    return version


def test_a_registration_killed_anywhere_leaves_the_champion_and_is_finished_by_a_rerun(first, run, home):
    rng, client, whole, killed, tried = random.Random(3), connected(home), first, 0, 0
    while killed < KILLS:
        key, before, began = f"trial-{tried}", champions.serving(client, NAME), time.monotonic()
        died, code = run(registering.registers, key, home / "log", after=rng.uniform(0, 1) * whole)
        assert died or code == 0, (home / "log").read_text()
        killed, tried = killed + died, tried + 1
        whole = whole if died else time.monotonic() - began  # the machine is less busy now
        assert tried < 3 * KILLS, "trials are killed too late"
        made = [int(v.version) for v in client.search_model_versions(f"name = '{NAME}' and tags.`key` = '{key}'")]
        assert champion_answers(client) in {before, *made}, "the champion of before, or the new one, loads"
        assert run(registering.registers, key, home / "log") == (False, 0), (home / "log").read_text()
        (version,) = client.search_model_versions(f"name = '{NAME}' and tags.`key` = '{key}'")
        assert version.tags[SETTLED] == "yes"
        assert champions.serving(client, NAME) == int(version.version), "better beyond doubt, so it serves"
    experiment = client.get_experiment_by_name("recsys").experiment_id
    assert client.search_runs([experiment], "attributes.status = 'RUNNING'") == []
    served = champions.history(client, NAME)
    assert served == sorted(served), "every promotion is in the history once, in order"
    assert len(served) == len(set(served)) == tried + 2


def test_an_alias_move_killed_anywhere_leaves_a_champion_that_loads(first, run, server, home):
    """Promotions and rollbacks between two versions, killed within the first moves."""
    assert first > 0
    rng, client = random.Random(5), connected(home)
    for version in (2, 1):
        champions.promote(client, NAME, version)
    for at in range(KILLS):
        move_and_kill(server, home, home / f"began-{at}", rng.uniform(0, 0.4))
        assert champion_answers(client) in (1, 2)
        assert run(registering.once) == (False, 0)


def move_and_kill(server, home: Path, began: Path, seconds: float) -> None:
    process = server.Process(target=registering.moves, args=(home, began))
    process.start()
    registering.wait_for(began)  # an empty file, made when the moves begin
    time.sleep(seconds)
    process.kill()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL


def test_registrations_at_once_queue_and_each_is_judged_against_the_champion_of_its_moment(first, server, home):
    """Four processes, four recipes, one store: each has one version, and every champion followed the one before."""
    assert first > 0
    client = connected(home)
    before = champions.serving(client, NAME)
    processes = [
        server.Process(target=registering.registers, args=(home, f"at-once-{at}", home / f"log-{at}"))
        for at in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE)
    said = "".join((home / f"log-{at}").read_text() for at in range(4))
    assert [p.exitcode for p in processes] == [0] * 4, said
    found = [client.search_model_versions(f"name = '{NAME}' and tags.`key` = 'at-once-{at}'") for at in range(4)]
    assert [len(versions) for versions in found] == [1] * 4
    mine = {int(v.version): int(v.tags["decided_against"]) for (v,) in found}
    served = champions.up_to(champions.history(client, NAME), champions.serving(client, NAME))
    order = served[served.index(before) if before in served else 0 :][-5:]
    assert order[0] == before
    assert set(order[1:]) == set(mine)
    assert [mine[version] for version in order[1:]] == order[:-1], "nobody replaced a champion it was not compared with"


def test_four_trainings_at_once_on_one_store_finish(small_options, tmp_path):
    """Whole trainings of different recipes from nothing, the store included."""
    processes = []
    for at in range(4):
        options = small_options(tmp_path, {"ranker.seed": at, "evaluation.examples": 0, "evaluation.resamples": 20})
        (tmp_path / f"shop-{at}.yaml").write_text(yaml.safe_dump(options))
        env = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "MLFLOW_DISABLE_TELEMETRY": "true"}
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "recsys.cli", "train", "--config", f"shop-{at}.yaml"], cwd=tmp_path, text=True,
                env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
        )  # fmt: skip
    said = [process.communicate(timeout=PATIENCE) for process in processes]
    assert [p.returncode for p in processes] == [0] * 4, said
    for out, _ in said:
        assert "guardrails passed" in out
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    versions = client.search_model_versions(f"name = '{NAME}'")
    assert len(versions) == 4
    assert all(v.tags[SETTLED] == "yes" for v in versions)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    assert champion_answers(client) in {int(v.version) for v in versions}
    assert (tmp_path / "reports" / "latest" / "report.html").is_file()
