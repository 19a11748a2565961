"""What killed trainings left in the store: runs that say RUNNING for ever, and models that are never finished."""

import os
import socket
from typing import Any

from mlflow import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from recsys.registry.locks import lock_file
from recsys.registry.options import RegistryOptions

LOGGED_BY, CLEANED = "logged_by", "cleaned_up"  # tags of runs
PAGE = 1000


def this_process() -> str:
    """host|process number, the tag of a training's run."""
    return f"{socket.gethostname()}|{os.getpid()}"


def clean_up(client: MlflowClient, options: RegistryOptions) -> list[str]:
    """Mark the runs of dead trainings as KILLED and their unfinished models as FAILED; returns the runs' ids.

    The caller holds the lock of the store, and runs are logged under that lock, so whatever still runs in a local store
    is dead. On a server only runs of dead processes of this host are. Other runs of the experiment are left alone.
    """
    experiment = client.get_experiment_by_name(options.experiment)
    if experiment is None:
        return []
    running = client.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'", max_results=PAGE)
    locked = lock_file(options) is not None
    dead = {r.info.run_id for r in running if "key" in r.data.tags and (locked or _died(r.data.tags.get(LOGGED_BY)))}
    dead |= {r.info.run_id for r in running if r.data.tags.get(MLFLOW_PARENT_RUN_ID) in dead}
    for run_id in sorted(dead):
        for model in _unfinished_models(client, experiment.experiment_id, run_id):
            client.finalize_logged_model(model.model_id, "FAILED")
        client.set_tag(run_id, CLEANED, "its process was gone")
        client.set_terminated(run_id, "KILLED")
    return sorted(dead)


def _unfinished_models(client: MlflowClient, experiment_id: str, run_id: str) -> list[Any]:
    found = client.search_logged_models([experiment_id], f"source_run_id = '{run_id}'")
    return [m for m in found if str(m.status) == "PENDING"]


def _died(logged_by: str | None) -> bool:
    host, _, number = (logged_by or "").rpartition("|")
    if host != socket.gethostname() or not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
