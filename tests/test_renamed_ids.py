"""Ids are names: other ids change the hash of the carts and the order of ties, never the quality."""

from datetime import UTC, datetime

import numpy as np
import polars as pl

from recsys import training
from recsys.stages import read_json

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def renamed(column: str, names: pl.Series, prefix: str, seed: int) -> pl.Expr:
    """Every id becomes prefix + a number drawn without order."""
    ids = names.drop_nulls().unique().sort().to_list()
    numbers = np.random.default_rng(seed).permutation(len(ids))
    return pl.col(column).replace_strict(ids, [f"{prefix}{n}" for n in numbers], default=None)


def test_renamed_ids_move_metrics_by_less_than_their_interval(trained, made_shop, small_config, tmp_path):
    orders, catalog = made_shop.orders, made_shop.catalog
    item = renamed("item_id", catalog["item_id"], "i", 1)
    ids = (
        renamed("order_id", orders["order_id"], "o", 2),
        renamed("customer_id", orders["customer_id"], "c", 3),
        item,
    )
    orders.with_columns(*ids).write_parquet(tmp_path / "orders.parquet")
    catalog.with_columns(item).write_parquet(tmp_path / "catalog.parquet")
    changes = {"data.orders.path": f"{tmp_path}/orders.parquet", "data.catalog.path": f"{tmp_path}/catalog.parquet"}
    other = training.judge(small_config(tmp_path, changes), NOW)
    assert compared(trained.report, other.evaluated) >= 20


def compared(before, after) -> int:
    """Recall at 10 of every contender moves by less than the width of its interval; returns how many were compared.

    Carts are split by the hash of ids, so renaming also draws other halves of the same orders.
    """
    key = ("contender", "task", "segment", "metric", "k")
    new = {tuple(r[k] for k in key): r for r in read_json(after / "metrics.json")["records"]}
    n = 0
    for r in read_json(before / "metrics.json")["records"]:
        if (r["metric"], r["k"]) == ("recall", 10) and r["low"] is not None:
            value = new[tuple(r[k] for k in key)]["value"]
            assert abs(value - r["value"]) <= r["high"] - r["low"], (r, value)
            n += 1
    return n
