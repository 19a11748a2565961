"""MLflow: one parent run per study, one child run per finished trial; logging twice changes nothing."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from recsys.registry.options import RegistryOptions
from recsys.registry.orphans import owner_tags
from recsys.registry.tracking import MAX_PARAM, connect, flatten

STUDY, TRIAL = "study", "trial"  # tags of parent and children
AT_ONCE = 100  # parameters of one request


class FinishedTrial(Protocol):
    """What is logged of a trial; `by_moment` is empty where its values were refused."""

    @property
    def number(self) -> int: ...
    @property
    def options(self) -> dict[str, Any]: ...
    @property
    def by_moment(self) -> list[float]: ...
    @property
    def seconds(self) -> float: ...
    @property
    def reason(self) -> str: ...
    @property
    def value(self) -> float: ...


@dataclass
class TuningRun:
    """The parent run, and the trials that it has as children."""

    client: MlflowClient
    experiment: str
    run_id: str
    logged: set[int] = field(default_factory=set)

    def log(self, trials: Sequence[FinishedTrial]) -> None:
        """A child run for every trial that has none yet."""
        for trial in trials:
            if trial.number not in self.logged:
                now = self._log_child(trial)
                if trial.by_moment:  # the search as a curve
                    best = max(t.value for t in trials[: trial.number + 1] if t.by_moment)
                    curve = {"value": trial.value, "best_value": best}
                    self.client.log_batch(self.run_id, metrics=_metrics(curve, now, trial.number))
                self.logged.add(trial.number)

    def _log_child(self, trial: FinishedTrial) -> int:
        """The child run; returns when it was made, in milliseconds."""
        tags = {MLFLOW_PARENT_RUN_ID: self.run_id, TRIAL: str(trial.number)}
        tags |= {"refused": trial.reason[:MAX_PARAM]} if trial.reason else {}
        run = self.client.create_run(self.experiment, tags=tags, run_name=f"trial {trial.number}").info
        metrics = {f"value_moment_{at + 1}": value for at, value in enumerate(trial.by_moment)}
        metrics |= {"value": trial.value} if trial.by_moment else {}
        _log_params(self.client, run.run_id, trial.options)
        self.client.log_batch(run.run_id, metrics=_metrics(metrics | {"seconds": trial.seconds}, run.start_time))
        self.client.set_terminated(run.run_id, "FINISHED" if trial.by_moment else "FAILED")
        return int(run.start_time)

    def close(self, metrics: dict[str, float], tuned: Path) -> None:
        """What came out, on the parent run."""
        for name, value in metrics.items():
            self.client.log_metric(self.run_id, name, value)
        self.client.log_artifact(self.run_id, str(tuned))


@contextmanager
def tuning_run(options: RegistryOptions, title: str, study: str, params: dict[str, Any]) -> Iterator[TuningRun]:
    """The parent run of a study: the one that an earlier call opened, or a fresh one; RUNNING meanwhile."""
    client = connect(options)
    experiment = str(client.get_experiment_by_name(options.experiment).experiment_id)  # type: ignore[union-attr]
    found = client.search_runs([experiment], f"tags.`{STUDY}` = '{study}'", max_results=1)
    if found:
        run_id = str(found[0].info.run_id)
        client.update_run(run_id, "RUNNING")
        for key, value in owner_tags().items():
            client.set_tag(run_id, key, value)
    else:
        run_id = str(
            client.create_run(experiment, tags={STUDY: study} | owner_tags(), run_name=f"tune {title}").info.run_id
        )
        _log_params(client, run_id, flatten(params))
    try:
        yield TuningRun(client, experiment, run_id, _children(client, experiment, run_id))
    except BaseException as error:
        client.set_terminated(run_id, "FAILED" if isinstance(error, Exception) else "KILLED")
        raise
    client.set_terminated(run_id)


def _children(client: MlflowClient, experiment: str, parent: str) -> set[int]:
    """Numbers of the trials that are logged whole; what a killed call left half-logged is deleted."""
    mine = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent}'"
    page = client.search_runs([experiment], mine)
    runs = list(page)
    while page.token:
        page = client.search_runs([experiment], mine, page_token=page.token)
        runs += page
    for run in runs:
        if run.info.status == "RUNNING":
            client.delete_run(run.info.run_id)
    return {int(run.data.tags[TRIAL]) for run in runs if run.info.status != "RUNNING"}


def _metrics(values: dict[str, float], at: int, step: int = 0) -> list[Metric]:
    return [Metric(name, value, at, step) for name, value in values.items()]


def _log_params(client: MlflowClient, run_id: str, options: dict[str, Any]) -> None:
    params = [Param(name, str(value)[:MAX_PARAM]) for name, value in options.items()]
    for at in range(0, len(params), AT_ONCE):
        client.log_batch(run_id, params=params[at : at + AT_ONCE])
