"""ALS on Online Retail against a public notebook: mean AUC .870 (band .865-.877), popularity .814.

    python -m benchmarks.als_online_retail --file online_retail.parquet

Recipe: rows with a customer; quantity summed per customer and item; sums of zero become 1; sums > 0 are kept
(4,338 × 3,664, 266,723 cells); 20% of the cells are hidden; AUC per customer with a hidden cell over the items
that are zero in training. A check of the fit and of our fold-in, not of quality.
"""

import argparse
import random
import sys

import numpy as np
import polars as pl
import scipy.sparse as sp
from sklearn.metrics import roc_auc_score

from recsys.data.histories import Csr, Histories, IdMap, ItemFacts, TrainData, no_carts
from recsys.models.als import Als

BAND = (0.865, 0.877)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--file", required=True, help="Online Retail as Parquet, UCI's columns")
    arguments.add_argument("--seeds", type=int, default=3)
    given = arguments.parse_args()
    full = counts(pl.read_parquet(given.file))
    train, altered = hide(full, 0.2)
    popularity = np.asarray((full > 0).sum(axis=0)).ravel()
    print(f"{full.shape[0]} customers x {full.shape[1]} items, {full.nnz} cells, {len(altered)} altered customers")
    print(f"popularity       AUC {mean_auc(np.tile(popularity, (full.shape[0], 1)), full, train, altered):.4f}")
    outside = 0
    for seed in range(given.seeds):
        model = Als(factors=20, regularization=0.1, alpha=15, damping="none", iterations=50, seed=seed)
        data = train_data(train)
        scores = np.nan_to_num(model.fit(data).score(data.histories))  # who lost every cell is unknown: all alike
        auc = mean_auc(scores, full, train, altered)
        outside += not BAND[0] <= auc <= BAND[1]
        print(f"als, seed {seed}      AUC {auc:.4f}")
    sys.exit(f"{outside} runs lie outside {BAND}" if outside else None)


def counts(lines: pl.DataFrame) -> Csr:
    """Customers × items, summed quantities."""
    sums = (
        lines.drop_nulls("CustomerID")
        .group_by("CustomerID", "StockCode")
        .agg(pl.col("Quantity").sum())
        .with_columns(pl.when(pl.col("Quantity") == 0).then(1).otherwise("Quantity").alias("n"))
        .filter(pl.col("n") > 0)
        .with_columns(u=pl.col("CustomerID").rank("dense") - 1, i=pl.col("StockCode").rank("dense") - 1)
        .sort("u", "i")
    )
    return sp.csr_matrix((sums["n"].cast(pl.Float32).to_numpy(), (sums["u"].to_numpy(), sums["i"].to_numpy())))


def hide(full: Csr, share: float) -> tuple[Csr, list[int]]:
    """The matrix without a random share of its cells, and the customers that lost one."""
    cells = list(zip(*full.nonzero(), strict=True))
    random.seed(0)
    hidden = random.sample(cells, int(np.ceil(share * len(cells))))
    train = full.tolil()
    train[[u for u, _ in hidden], [i for _, i in hidden]] = 0
    return sp.csr_matrix(train), sorted({int(u) for u, _ in hidden})


def mean_auc(scores: np.ndarray, full: Csr, train: Csr, altered: list[int]) -> float:
    """Mean over the altered customers of the AUC over items that are zero in training."""
    values = []
    for u in altered:
        unseen = train[u].toarray()[0] == 0
        values.append(roc_auc_score(full[u].toarray()[0][unseen] > 0, scores[u][unseen]))
    return float(np.mean(values))


def train_data(train: Csr) -> TrainData:
    """One order per customer; ALS looks at the counts only."""
    n, m = train.shape
    ages = np.zeros(train.nnz, np.float32)
    histories = Histories(
        train.indptr.astype(np.int64), train.indices, np.zeros(train.nnz, np.int32), ages, train.data, no_carts(n, m),
        np.arange(n),
    )  # fmt: skip
    facts = ItemFacts(("",) * m, ("",) * m, np.full((m, 3), -1, np.int32), np.full(m, np.nan, np.float32))
    items, customers = (IdMap(tuple(f"{at:06d}" for at in range(size))) for size in (m, n))
    return TrainData(items, customers, histories, train, np.zeros(n, np.float32), facts)


if __name__ == "__main__":
    main()
