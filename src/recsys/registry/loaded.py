"""Registered models as files: found by URI, pinned to what was logged, copied, loaded without unpickling."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from recsys.errors import InputError
from recsys.registry import tracking
from recsys.registry.options import RegistryOptions
from recsys.registry.register import quiet
from recsys.registry.serve import champion_uri

BY_ALIAS = re.compile(r"models:/([^/@]+)@([^/@]+)")
BY_VERSION = re.compile(r"models:/([^/@]+)/(\d+)")
PICKLES = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"


@dataclass(frozen=True, kw_only=True)
class FoundModel:
    """What is known of a model before it is loaded.

    asked        the URI it was asked for by
    source       a URI that goes on to mean this version when the alias moves
    name         registered name and
    version      its version; "" where the URI names neither
    uuid         of the logged files: the same for the same files
    data_digest  of the orders that it learned from, as its run says; "" where no run does
    """

    asked: str
    source: str
    name: str
    version: str
    run_id: str
    model_id: str
    uuid: str
    data_digest: str


def find_model(options: RegistryOptions, uri: str | None = None) -> FoundModel:
    """The model of a URI, by default the champion; InputError where there is none."""
    asked = uri or champion_uri(options)
    client = tracking.connect(options)
    try:
        name, version = _name_and_version(client, asked)
        source = f"models:/{name}/{version}" if name else asked
        info = mlflow.models.get_model_info(source)
    except (MlflowException, OSError) as error:
        said = " ".join(str(getattr(error, "message", error)).split())
        raise InputError(
            f"there is no model {asked} in {without_password(options.tracking_uri)}: {said}; "
            "train one with make train, or name another: models:/NAME@ALIAS, models:/NAME/VERSION or a folder"
        ) from None
    return FoundModel(
        asked=asked,
        source=source,
        name=name,
        version=version,
        run_id=info.run_id or "",
        model_id=info.model_id or "",
        uuid=info.model_uuid or "",
        data_digest=_data_digest(client, info.run_id),
    )


def _name_and_version(client: MlflowClient, uri: str) -> tuple[str, str]:
    if by_alias := BY_ALIAS.fullmatch(uri):
        return by_alias[1], str(client.get_model_version_by_alias(by_alias[1], by_alias[2]).version)
    by_version = BY_VERSION.fullmatch(uri)
    return (by_version[1], by_version[2]) if by_version else ("", "")


def _data_digest(client: MlflowClient, run_id: str | None) -> str:
    try:
        return str(client.get_run(run_id).data.tags.get("data_digest", "")) if run_id else ""
    except MlflowException:  # logged to another store
        return ""


def copy_model(found: FoundModel, out: Path) -> None:
    """The model's files below `out`, so that neither a moved artifact nor a deleted run disturbs who loads it."""
    mlflow.artifacts.download_artifacts(artifact_uri=found.source, dst_path=str(out))


def load_model(folder: Path) -> Any:
    """The pyfunc model of a folder; refused where it would have to unpickle."""
    with quiet(), _without_pickles():
        try:
            return mlflow.pyfunc.load_model(str(folder), suppress_warnings=True)
        except MlflowException as error:
            raise InputError(f"cannot load the model in {folder}: {' '.join(error.message.split())}") from None


@contextmanager
def _without_pickles() -> Iterator[None]:
    before = os.environ.get(PICKLES)
    os.environ[PICKLES] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ[PICKLES]
        else:
            os.environ[PICKLES] = before


def recommender_of(model: Any) -> Any:
    """The Recommender within a loaded model, which knows customers, items and names; InputError in another model."""
    try:
        return model.unwrap_python_model().recommender
    except (MlflowException, AttributeError):
        raise InputError(
            "the model is none of this project's: it has no list of customers and items; name one that make train "
            "registered"
        ) from None


def without_password(uri: str) -> str:
    """A tracking URI for people: user and password of a server or database are left out."""
    return re.sub(r"://[^/@]*@", "://***@", uri)
