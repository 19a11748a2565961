"""Cold start on its own lines: customers with no and with one order, and items never sold before the cut.

known orders   … 5  4  3  2  1 │ held-out order        asked as if only the latest n orders were known
as if none                     │ held-out order
as if one                   1  │ held-out order
full                     all n │ held-out order
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from recsys.data.histories import Histories, Ints, ItemFacts, TrainData, carts, empty_histories
from recsys.data.splits import Queries, half, hide, nothing
from recsys.data.unknowns import Unknowns
from recsys.evaluation.bootstrap import bootstrap_mean
from recsys.evaluation.metrics import count_relevant, find_hits, list_lengths, recall_at
from recsys.evaluation.protocols import EvaluationOptions, Lists, contender_lists, number
from recsys.evaluation.segments import compared
from recsys.models.content import Content
from recsys.ranking.base_models import BaseModels, params
from recsys.ranking.blend import by_block
from recsys.ranking.hybrid import Hybrid
from recsys.ranking.topk import top_k

QUERIES = 500  # held-out orders that are asked again; a seeded sample of more
FULL, NONE, ONE, TRULY_ONE, NEWCOMERS, UNSOLD = (
    "whole history",
    "as if no order were known",
    "as if one order were known",
    "one order in fact",
    "first order ever",
    "items never sold",
)
Row = dict[str, Any]


def cold_start_records(
    models: BaseModels,
    hybrid: Hybrid,
    data: TrainData,
    tasks: dict[str, Queries],
    lists: Lists,
    unknown: Unknowns,
    options: EvaluationOptions,
) -> list[Row]:
    """Recall at the primary k per group, task and contender; a group nobody belongs to has n = 0 and no value."""
    n, k = len(next(iter(tasks.values()))), options.primary_k
    rows = sample(n, options.seed)
    some = {task: queries.take(rows) for task, queries in tasks.items()}

    def asked(orders: int) -> Lists:
        short = {t: replace(q, histories=q.histories.latest_orders(orders)) for t, q in some.items()}
        return contender_lists(models, hybrid, short, k)

    full = {key: found[rows, :k] for key, found in lists.items()}
    out = [r for group, found in ((FULL, full), (NONE, asked(0)), (ONE, asked(1)))
           for r in _customer_records(group, found, some, options)]  # fmt: skip
    single = np.flatnonzero(next(iter(tasks.values())).histories.n_orders == 1)
    once = {task: queries.take(single) for task, queries in tasks.items()}
    out += _customer_records(TRULY_ONE, {key: found[single, :k] for key, found in lists.items()}, once, options)
    first = newcomer_queries(unknown, data, options.seed)
    found = contender_lists(models, hybrid, first, k) if len(first["cart"]) else _no_lists(lists)
    out += _customer_records(NEWCOMERS, found, first, options)
    content: Any = models["content"]
    return out + list(unsold_records(Content(**params(content)), data, unknown, tasks, options))


def sample(n: int, seed: int) -> Ints:
    """At most QUERIES of n query numbers, ascending."""
    return np.sort(np.random.default_rng(seed).permutation(n)[:QUERIES])


def newcomer_queries(unknown: Unknowns, data: TrainData, seed: int) -> dict[str, Queries]:
    """Both tasks of first orders ever, with empty histories; a sample of more than QUERIES."""
    asked = unknown.newcomers[sample(unknown.newcomers.height, seed).tolist()]
    nobody = empty_histories(asked.height, len(data.items))
    return {"next_basket": hide(asked, nobody, data, nothing), "cart": hide(asked, nobody, data, half)}


def _no_lists(lists: Lists) -> Lists:
    return {key: found[:0] for key, found in lists.items()}


def _customer_records(group: str, lists: Lists, tasks: dict[str, Queries], options: EvaluationOptions) -> list[Row]:
    k, out = options.primary_k, []
    for task, queries in tasks.items():
        n_relevant = count_relevant(queries.relevant)
        values = {
            c: recall_at(find_hits(found[:, :k], queries.relevant), n_relevant, k)[:, None]
            for (c, t, segment), found in lists.items()
            if (t, segment) == (task, "all")
        }
        same = {"about": "customers", "task": task, "metric": "recall", "k": k}
        out += [same | row for row in compared((group,), values, options)]
    return out


def unsold_records(
    content: Content, data: TrainData, unknown: Unknowns, tasks: dict[str, Queries], options: EvaluationOptions
) -> Iterator[Row]:
    """Lists of never-sold items by the likeness of their words to the cart, else to the decayed history.

    `content` is not fitted yet. Recall: never-sold items of the order in the list / never-sold items of the order.
    expected: recall of a random list of the same pool, k / items of the pool, at most 1.
    """
    first, k, pool = next(iter(tasks.values())), options.primary_k, len(unknown.items)
    of_order = dict(zip(unknown.bought["order_id"], unknown.bought["items"].to_list(), strict=True))
    rows = np.array([at for at, order in enumerate(first.orders) if order in of_order], np.int64)
    items = [unknown.items.positions(of_order[first.orders[at]]) for at in rows]
    relevant = carts(items, pool)
    if len(rows):
        content.fit(_with_unsold(data, unknown))
    for task, queries in tasks.items():
        found = _unsold_lists(content, queries.histories.take(rows), pool, k)
        values = recall_at(find_hits(found, relevant), count_relevant(relevant), k)
        mean = bootstrap_mean(values, options.resamples, options.level, options.seed)
        yield {"about": "items", "task": task, "metric": "recall", "k": k, "bucket": UNSOLD, "contender": "content",
               "value": number(mean.mean[0]), "low": number(mean.low[0]),
               "high": number(mean.high[0]), "n": int(mean.n[0]), "bought": int(relevant.nnz), "pool": pool,
               "whole_pool": unknown.whole_pool, "expected": min(1.0, k / pool) if pool else None,
               "empty_lists": int((list_lengths(found) == 0).sum())}  # fmt: skip


def _with_unsold(data: TrainData, unknown: Unknowns) -> TrainData:
    """Known items first, the never-sold ones after them; only the words of the facts matter."""
    texts = (*data.facts.texts, *unknown.texts)
    facts = ItemFacts(texts, texts, np.zeros((0, 3), np.int32), np.zeros(0, np.float32))
    return replace(data, facts=facts)


def _unsold_lists(content: Content, histories: Histories, pool: int, k: int) -> Ints:
    """int64 (n, k): positions within the pool, -1 where nothing alike is left."""
    if not len(histories):
        return np.full((0, k), -1, np.int64)
    known = histories.n_items
    cart = histories.cart
    wider = sp.csr_matrix((cart.data, cart.indices, cart.indptr), shape=(len(histories), known + pool))
    asked = histories.with_cart(wider)

    def block(rows: Ints) -> Ints:
        scores = content.score(asked.take(rows))[:, known:]
        return top_k(np.where(scores > 0, scores, -np.inf).astype(np.float32), k)

    return np.concatenate(by_block(len(asked), block))
