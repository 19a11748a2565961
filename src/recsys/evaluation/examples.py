"""A few customers and carts of the test as a person would look at them."""

from collections import Counter
from typing import Any

import numpy as np
import polars as pl

from recsys.data.splits import Queries
from recsys.serving.recommender import Recommender

HISTORY = 8  # items of the history that are shown


def examples(
    judged: Recommender, tasks: dict[str, Queries], asked: pl.DataFrame, n: int, seed: int
) -> list[dict[str, Any]]:
    """n seeded queries per task: history, cart, what was bought, and the list with its reasons."""
    rows = np.sort(np.random.default_rng(seed).permutation(asked.height)[:n])
    return [_example(judged, task, queries, asked, int(row)) for task, queries in tasks.items() for row in rows]


def _example(judged: Recommender, task: str, queries: Queries, asked: pl.DataFrame, row: int) -> dict[str, Any]:
    customer = asked["customer_id"][row]
    ids, names = judged.items.ids, judged.names
    cart = queries.histories.cart[row].indices
    bought = {ids[i] for i in queries.relevant[row].indices}
    answer = judged.recommend([customer], [[ids[i] for i in cart]], [None])[0]
    h = queries.histories
    lines = h.items[h.indptr[row] : h.indptr[row + 1]].tolist()
    often = sorted(Counter(lines).items(), key=lambda pair: (-pair[1], pair[0]))[:HISTORY]
    where = {"next_basket": "before an order", "cart": "with a cart"}[task]
    listed = zip(answer.item_ids, answer.scores, answer.probabilities, answer.reasons, strict=True)
    price = judged.models.stats.price
    return {
        "title": f"Customer {customer}, {where}",
        "customer_id": customer,
        "history": [{"item_id": ids[i], "name": names[i], "times": times} for i, times in often],
        "cart": [{"item_id": ids[i], "name": names[i]} for i in cart],
        "bought": sorted(bought),
        "names": {item: names[judged.items.positions([item])[0]] for item in sorted(bought)},
        "items": [
            {"rank": at + 1, "item_id": item, "name": names[judged.items.positions([item])[0]], "score": score,
             "probability": round(chance, 6), "reason": reason, "hit": item in bought,
             "price": _price(float(price[judged.items.positions([item])[0]]))}
            for at, (item, score, chance, reason) in enumerate(listed)
        ],
    }  # fmt: skip


def _price(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 2)
