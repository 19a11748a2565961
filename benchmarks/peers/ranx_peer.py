"""ranx: its `Qrels` and `Run`, made before, into `evaluate`; the first call compiles and is not counted."""

from importlib.metadata import version

import numpy as np
import pandas as pd
from conversation import KS, Data, converse
from ranx import Qrels, Run, evaluate

METRICS = [f"{name}@{k}" for name in ("recall", "precision", "hit_rate", "ndcg", "mrr", "map") for k in KS]


def load(data: Data) -> tuple[Qrels, Run]:
    wanted = {"q_id": texts(data["query"]), "doc_id": texts(data["item"]), "score": 1}
    listed = {"q_id": texts(data["list_query"]), "doc_id": texts(data["list_item"]), "score": 1 / data["list_rank"]}
    return Qrels.from_df(pd.DataFrame(wanted)), Run.from_df(pd.DataFrame(listed))


def texts(ids: np.ndarray) -> pd.Series:
    """ranx takes ids as Python strings only, not as the string type of pandas 3."""
    return pd.Series(ids.astype(str), dtype=object)


def measure(given: tuple[Qrels, Run]) -> dict[str, float]:
    """Where lists and relevant items do not name the same queries, `evaluate` refuses without `make_comparable`."""
    qrels, run = given
    alike = set(qrels.keys()) == set(run.keys())
    return evaluate(qrels, run, METRICS, save_results_in_run=False, make_comparable=not alike)


if __name__ == "__main__":
    converse(version("ranx"), load, measure)
