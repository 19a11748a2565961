"""Runs of dead processes are ended; those of living ones, of other machines and of nobody known are left alone."""

import subprocess
import sys

import pytest

from recsys.processes import died, identity, started
from recsys.registry import tracking
from recsys.registry.options import RegistryOptions
from recsys.registry.orphans import ENDED, PREFIX, end_orphaned_runs, orphaned_runs, owner_tags


@pytest.fixture
def dead() -> dict[str, str]:
    """The identity of a process that ran and is gone."""
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    return identity() | {"pid": gone.stdout.strip(), "started": "1"}


def test_a_process_is_known_by_number_and_start(dead):
    assert died(dead)
    assert not died(identity())
    assert died(identity() | {"started": "1"}), "its number was given to a later process"
    assert not died(dead | {"host": "elsewhere"}), "nothing is known of other machines"
    assert not died({})
    assert not died(identity() | {"pid": "?"})
    assert started(int(dead["pid"])) == ""


def test_running_runs_of_dead_processes_become_failed(tmp_path, dead):
    options = RegistryOptions(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db", artifacts=str(tmp_path / "a"))
    client = tracking.connect(options)
    place = client.get_experiment_by_name(options.experiment).experiment_id
    gone = {f"{PREFIX}{key}": value for key, value in dead.items()}
    tags = {"dead": gone, "living": owner_tags(), "stranger": {}, "other": gone | {f"{PREFIX}host": "elsewhere"}}
    runs = {name: client.create_run(place, tags=given).info.run_id for name, given in tags.items()}
    child = client.create_run(place, tags=gone | {"mlflow.parentRunId": runs["dead"]}).info.run_id
    finished = client.create_run(place, tags=gone).info.run_id
    client.set_terminated(finished)

    assert {run.info.run_id for run in orphaned_runs(client, options.experiment)} == {runs["dead"], child}
    assert set(end_orphaned_runs(client, options.experiment)) == {runs["dead"], child}
    states = {name: client.get_run(run).info.status for name, run in runs.items()}
    assert states == {"dead": "FAILED", "living": "RUNNING", "stranger": "RUNNING", "other": "RUNNING"}
    assert client.get_run(child).info.status == "FAILED"
    assert client.get_run(finished).info.status == "FINISHED"
    assert dead["pid"] in client.get_run(runs["dead"]).data.tags[ENDED]
    assert end_orphaned_runs(client, options.experiment) == []
    assert end_orphaned_runs(client, "no such experiment") == []
