"""What the packaged model recommends: the answers of the served code to a fixed sample of customers and carts."""

import json
from collections import Counter
from typing import Any

import numpy as np
import polars as pl

from recsys.data.splits import hash_order
from recsys.monitoring.measures import binned, decile_edges
from recsys.monitoring.options import MonitoringOptions
from recsys.monitoring.order_profile import NOBODY, category_level, hash_of
from recsys.serving.recommender import Answer, Recommender

COLUMNS = ["order_id", "customer_id", "item_id", "ordered_at"]  # of the orders that are looked at
CARTS = 3  # customers for each anonymous cart
K = 10  # length of the lists
PARTS = ("head", "middle", "tail")  # of the lines of the recent days, a third each
RECENT_DAYS = 84  # of popularity


def profile_lists(
    recommender: Recommender, orders: pl.DataFrame, catalog: pl.DataFrame, options: MonitoringOptions, recipe: str
) -> dict[str, Any]:
    """Profile of the lists of ten of sampled customers of `orders`, and of carts out of the latest orders.

    Customers are chosen among all who ordered, also those of whom the model knows nothing; kept is only their hash.
    """
    who = sample_customers(orders, options)
    carts = sample_carts(orders, max(1, options.sample // CARTS))
    answers = recommender.recommend(
        [*who.values(), *[None] * len(carts)],
        [*[[] for _ in who], *carts],
        [json.dumps({"k": K})] * (len(who) + len(carts)),
    )
    own = answers[: len(who)]
    return {
        "contender": recommender.contender,
        "recipe": recipe,
        "lists": {name: answer.item_ids for name, answer in zip(who, own, strict=True)},
        "carts": len(carts),
        "scores": numbers([a.scores for a in answers]),
        "probabilities": numbers([a.probabilities for a in answers]),
        "fallback": dict(sorted(Counter(a.fallback for a in answers).items())),
        "short": [sum(len(a.item_ids) < K for a in answers), len(answers)],
        "repeats": repeats(list(who.values()), own, orders),
        "categories": listed_categories(answers, catalog, options.category_level),
        "popularity": listed_popularity(answers, orders),
    }


def sample_customers(orders: pl.DataFrame, options: MonitoringOptions) -> dict[str, str]:
    """Hash → customer id of the customers with the smallest hashes: the same ones in every run."""
    ids = orders["customer_id"].unique().drop_nulls()
    hashed = sorted((hash_of(name, options.seed), name) for name in ids)
    return dict(hashed[: options.sample])


def sample_carts(orders: pl.DataFrame, n: int) -> list[list[str]]:
    """The first half, by the hash of order and item, of the items of the n latest orders of two items or more."""
    heads = orders.group_by("order_id").agg(pl.len(), pl.col("ordered_at").first()).filter(pl.col("len") > 1)
    chosen = heads.sort("ordered_at", "order_id").tail(n)["order_id"].to_list()
    items = orders.filter(pl.col("order_id").is_in(chosen)).group_by("order_id").agg("item_id").sort("order_id")
    return [hash_order(order, row)[: len(row) // 2] for order, row in items.iter_rows()]


def numbers(values: list[list[float]]) -> dict[str, Any]:
    """Decile edges, all values in bins by them, the values, and the mean of each list (lists are independent)."""
    flat = np.array([float(f"{v:.4g}") for row in values for v in row])
    edges = decile_edges(flat) if len(flat) else []
    means = [float(f"{np.mean(row):.4g}") for row in values if row]
    return {"edges": edges, "counts": binned(flat, edges), "values": flat.tolist(), "sample": means}


def repeats(customers: list[str], answers: list[Answer], orders: pl.DataFrame) -> list[int]:
    """[listed items that the customer had bought, listed items] of customers with a list."""
    bought = orders.filter(pl.col("customer_id").is_in(customers)).select("customer_id", "item_id").unique()
    held = set(bought.iter_rows())
    pairs = [(who, item) for who, answer in zip(customers, answers, strict=True) for item in answer.item_ids]
    return [sum(pair in held for pair in pairs), len(pairs)]


def listed_categories(answers: list[Answer], catalog: pl.DataFrame, level: str) -> dict[str, int]:
    """Category → slots of the lists."""
    of = dict(catalog.select("item_id", category_level(catalog, level)).iter_rows())
    return dict(sorted(Counter(of.get(item) or NOBODY for answer in answers for item in answer.item_ids).items()))


def listed_popularity(answers: list[Answer], orders: pl.DataFrame) -> dict[str, int]:
    """head, middle, tail → slots: items by their lines of the last 84 days, a third of the lines each."""
    recent = orders.filter(pl.col("ordered_at") > pl.col("ordered_at").max() - pl.duration(days=RECENT_DAYS))
    counts = recent.group_by("item_id").len().sort("len", "item_id", descending=[True, False])
    before = (counts["len"].cum_sum() - counts["len"]) / counts["len"].sum()
    part = dict(zip(counts["item_id"], (before * len(PARTS)).cast(pl.Int64), strict=True))
    found = Counter(PARTS[part.get(item, len(PARTS) - 1)] for answer in answers for item in answer.item_ids)
    return {name: found.get(name, 0) for name in PARTS}
