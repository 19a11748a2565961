"""RePlay: two polars frames (query, item, rating; query, item) into `OfflineMetrics`, all metrics in one call."""

from importlib.metadata import version

import polars as pl
from conversation import KS, Data, converse
from replay.metrics import MAP, MRR, NDCG, HitRate, OfflineMetrics, Precision, Recall

KINDS = {"recall": Recall, "precision": Precision, "hit_rate": HitRate, "ndcg": NDCG, "mrr": MRR, "map": MAP}
NAMES = {kind.__name__: name for name, kind in KINDS.items()}


def load(data: Data) -> tuple[pl.DataFrame, pl.DataFrame]:
    rating = -data["list_rank"].astype(float)
    listed = {"query_id": data["list_query"], "item_id": data["list_item"], "rating": rating}
    return pl.DataFrame(listed), pl.DataFrame({"query_id": data["query"], "item_id": data["item"]})


def measure(frames: tuple[pl.DataFrame, pl.DataFrame]) -> dict[str, float]:
    found = OfflineMetrics([kind(list(KS)) for kind in KINDS.values()])(*frames)
    return {f"{NAMES[name.partition('@')[0]]}@{name.partition('@')[2]}": value for name, value in found.items()}


if __name__ == "__main__":
    converse(version("replay-rec"), load, measure)
