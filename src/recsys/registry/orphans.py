"""MLflow runs that say RUNNING although the process that started them is dead: killed, or the machine lost power."""

from typing import Any

from mlflow import MlflowClient

from recsys.processes import died, identity

PREFIX = "recsys.owner."  # tags: host, pid and start of the process that works on a run
ENDED = "recsys.ended"  # tag: why we ended it
PAGE = 1_000


def owner_tags() -> dict[str, str]:
    """Tags of a run that this process starts."""
    return {f"{PREFIX}{key}": value for key, value in identity().items()}


def orphaned_runs(client: MlflowClient, experiment: str) -> list[Any]:
    """Runs of the experiment that say RUNNING and whose process on this machine is dead; parents and children.

    Runs without our tags, and those of other machines, are left alone.
    """
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return []
    runs: list[Any] = []
    token = None
    while True:
        page = client.search_runs([found.experiment_id], "attributes.status = 'RUNNING'", 1, PAGE, page_token=token)
        runs += [run for run in page if died(_owner(run))]
        token = page.token
        if not token:
            return runs


def end_orphaned_runs(client: MlflowClient, experiment: str) -> list[str]:
    """Mark them FAILED, their unfinished models too, and say why in a tag; returns the runs' ids."""
    ended = []
    for run in orphaned_runs(client, experiment):
        for model in _unfinished_models(client, run):
            client.finalize_logged_model(model.model_id, "FAILED")
        client.set_tag(run.info.run_id, ENDED, f"its process {_owner(run)['pid']} died")
        client.set_terminated(run.info.run_id, "FAILED")
        ended.append(str(run.info.run_id))
    return ended


def _unfinished_models(client: MlflowClient, run: Any) -> list[Any]:
    found = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
    return [model for model in found if str(model.status) == "PENDING"]


def _owner(run: Any) -> dict[str, str]:
    return {key.removeprefix(PREFIX): value for key, value in run.data.tags.items() if key.startswith(PREFIX)}
