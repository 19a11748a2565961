"""The MLflow face of a Recommender. MLflow runs this file as a script when the model is loaded."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from .recommender import Recommender

COLUMNS = ("customer_id", "basket", "options")
THREADS = "RECSYS_THREADS"  # environment variable: threads that judge the candidates of a request
SERVED = "_MLFLOW_IS_IN_SERVING_ENVIRONMENT"  # set by MLflow's scoring server
ANSWER = pd.Index(
    (
        "item_ids", "scores", "probabilities", "reasons", "reason_codes", "offers", "why_none", "fallback",
        "model_version", "error",
    )
)  # fmt: skip


class RecommenderModel(PythonModel):
    """Rows of (customer_id, basket, options) → rows of lists; see docs/serving.md for the contract."""

    def load_context(self, context: PythonModelContext) -> None:
        threads = _threads(os.environ.get(THREADS, "1"))
        self.recommender = replace(Recommender.load(Path(context.artifacts["recommender"])), threads=threads)
        given = context.model_config or {}
        if given.get("warm", True):
            self.recommender.warm()
        self.version = str(given.get("version", ""))

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame | list[dict[str, Any]]:
        """One row out for each row in, in order; what a request asks for stands in its own row.

        A table; to MLflow's scoring server the records that it would make of it, which takes it a millisecond.

        Raises MlflowException (status 400 over HTTP) where the table itself is unfit.
        """
        del context, params
        columns = _columns(model_input)
        answers = self.recommender.recommend(*(columns.get(name, [None] * len(model_input)) for name in COLUMNS))
        if os.environ.get(SERVED):
            return [{name: getattr(answer, name, self.version) for name in ANSWER} for answer in answers]
        cells = np.empty((len(answers), len(ANSWER)), object)
        for row, answer in zip(cells, answers, strict=True):
            row[:] = [getattr(answer, name, self.version) for name in ANSWER]
        return pd.DataFrame(cells, model_input.index, ANSWER, dtype=object, copy=False)


def _threads(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 64):
        raise ValueError(f"{THREADS}={text!r}; give a number from 1 to 64")
    return int(text)


def _columns(frame: pd.DataFrame) -> dict[Any, list[Any]]:
    """The columns as plain Python values, missing ones as None.

    Refuses a table whose rows MLflow has lost, or has filled with a column's name, on the way here.
    """
    names = frame.columns.tolist()
    if not any(name in names for name in COLUMNS):  # rows without a column of the signature come as no rows
        raise MlflowException(f"the table has none of the columns {', '.join(COLUMNS)}", INVALID_PARAMETER_VALUE)
    found = dict(zip(names, frame.to_numpy(object).T.tolist(), strict=True))
    for name, values in found.items():
        if names.count(name) > 1 or (values and all(isinstance(value, str) and value == name for value in values)):
            raise MlflowException(f"the table has the column {name} more than once", INVALID_PARAMETER_VALUE)
    return {name: [None if _missing(value) else value for value in values] for name, values in found.items()}


def _missing(value: Any) -> bool:
    """None, NaN, pandas' NA or NaT: how a table says that a cell is empty."""
    return (
        value is None
        or value is pd.NA
        or value is pd.NaT
        or (isinstance(value, float | np.floating) and value != value)
    )
