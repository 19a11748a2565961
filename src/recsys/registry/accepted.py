"""What the last accepted run looked like: the profiles that the champion's MLflow run keeps.

The champion is the run whose data and lists serve now; a rollback moves the comparison with it, and a store of
stages that is swept or lies on another machine does not matter.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow

from recsys.registry.champions import champion
from recsys.registry.options import RegistryOptions
from recsys.registry.register import quiet
from recsys.registry.tracking import MONITORING, connect

FORMAT = 1  # of the record; one of another format is not compared with


@dataclass(frozen=True)
class Accepted:
    """The champion and its record; None where its run holds none of this format."""

    label: str
    record: dict[str, Any] | None


def accepted_run(options: RegistryOptions, title: str) -> Accepted | None:
    """The champion's record, None where there is no champion of this shop. A local store is not made for the question.

    Raises InputError where the registry does not answer.
    """
    local = options.tracking_uri.removeprefix("sqlite:///")
    if local != options.tracking_uri and not Path(local).exists():
        return None
    with quiet():
        standing = champion(connect(options), options.model_name)
        if standing is None or standing.tags.get("title", title) != title:
            return None
        label = f"version {standing.version} of {options.model_name}"
        try:
            record = mlflow.artifacts.load_dict(f"runs:/{standing.run_id}/{MONITORING}")
        except mlflow.exceptions.MlflowException:
            record = {}
        return Accepted(label, record if record.get("format") == FORMAT else None)
