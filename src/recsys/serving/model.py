"""The MLflow face of a Recommender. MLflow runs this file as a script when the model is loaded."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from .recommender import Recommender

COLUMNS = ("customer_id", "basket", "options")


class RecommenderModel(PythonModel):
    """Rows of (customer_id, basket, options) → rows of lists; see docs/serving.md for the contract."""

    def load_context(self, context: PythonModelContext) -> None:
        self.recommender = Recommender.load(Path(context.artifacts["recommender"]))
        self.recommender.warm()
        self.version = str((context.model_config or {}).get("version", ""))

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """One row out for each row in, in order; what a request asks for stands in its own row.

        Raises MlflowException (status 400 over HTTP) where the table itself is unfit.
        """
        del context, params
        _check(model_input)
        columns = [_values(model_input, name) for name in COLUMNS]
        answers = self.recommender.recommend(*columns)
        return pd.DataFrame(
            {
                "item_ids": [a.item_ids for a in answers],
                "scores": [a.scores for a in answers],
                "probabilities": [a.probabilities for a in answers],
                "reasons": [a.reasons for a in answers],
                "reason_codes": [a.reason_codes for a in answers],
                "offers": [a.offers for a in answers],
                "why_none": [a.why_none for a in answers],
                "fallback": [a.fallback for a in answers],
                "model_version": self.version,
                "error": [a.error for a in answers],
            },
            index=model_input.index,
        )


def _check(frame: pd.DataFrame) -> None:
    """Refuse a table whose rows MLflow has lost, or has filled with a column's name, on the way here."""
    if not any(name in frame for name in COLUMNS):  # rows without a column of the signature come as no rows
        raise MlflowException(f"the table has none of the columns {', '.join(COLUMNS)}", INVALID_PARAMETER_VALUE)
    for name in frame:
        if len(frame) and all(isinstance(value, str) and value == name for value in frame[name]):
            raise MlflowException(f"the table has the column {name} more than once", INVALID_PARAMETER_VALUE)


def _values(frame: pd.DataFrame, name: str) -> list[Any]:
    """A column as plain Python values, missing ones as None."""
    if name not in frame:
        return [None] * len(frame)
    return [None if _missing(value) else value for value in frame[name].tolist()]


def _missing(value: Any) -> bool:
    """None, NaN, pandas' NA or NaT: how a table says that a cell is empty."""
    return (
        value is None
        or value is pd.NA
        or value is pd.NaT
        or (isinstance(value, float | np.floating) and value != value)
    )
