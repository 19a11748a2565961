"""RecTools: two pandas frames (user, item, rank; user, item) into `calc_metrics`, all metrics in one call."""

from importlib.metadata import version

import pandas as pd
from conversation import KS, Data, converse
from rectools import Columns
from rectools.metrics import MAP, MRR, NDCG, HitRate, Precision, Recall, calc_metrics

KINDS = {"recall": Recall, "precision": Precision, "hit_rate": HitRate, "ndcg": NDCG, "mrr": MRR, "map": MAP}
METRICS = {f"{name}@{k}": kind(k) for name, kind in KINDS.items() for k in KS}


def load(data: Data) -> tuple[pd.DataFrame, pd.DataFrame]:
    listed = {Columns.User: data["list_query"], Columns.Item: data["list_item"], Columns.Rank: data["list_rank"]}
    return pd.DataFrame(listed), pd.DataFrame({Columns.User: data["query"], Columns.Item: data["item"]})


def measure(frames: tuple[pd.DataFrame, pd.DataFrame]) -> dict[str, float]:
    return calc_metrics(METRICS, reco=frames[0], interactions=frames[1])


if __name__ == "__main__":
    converse(version("rectools"), load, measure)
