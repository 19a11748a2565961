"""Co-purchase counts by Spark: items are dealt into parts, and each part counts its pairs as sparse products.

    lines ─ orders (items, fade) ─┬─ a copy to each part that holds one of its items
                                  └─ part k: C[k] = B[:, k]ᵀ B over its orders, cells of enough orders

A part sees every order with one of its items, so its counts are final: what is too rare is dropped where it was
counted, and only what is kept crosses the network again. A self-join would send each pair of each order.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from recsys.models.item_knn import LEAST_FADE, ItemKnn, Pairs

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

CELLS = "a int, b int, n float, faded float"


def fit_item_knn(lines: "DataFrame", model: ItemKnn, n_items: int, parts: int) -> ItemKnn:
    """A fitted model of the same hyperparameters; `lines` as `lines.known_lines` makes them."""
    return replace(model).with_pairs(count_pairs(lines, n_items, model.min_joint, model.recent_half_life, parts))


def count_pairs(lines: "DataFrame", n_items: int, min_joint: int, half_life: float, parts: int) -> Pairs:
    """`recsys.models.item_knn.count_pairs` without the cells of fewer than `min_joint` orders; counts are the same."""
    from pyspark.sql import functions as fn

    fade = fn.greatest(fn.pow(fn.lit(0.5), fn.min("age") / fn.lit(half_life)), fn.lit(LEAST_FADE))
    orders = lines.groupBy("order_id").agg(fn.collect_list("item").alias("items"), fade.cast("float").alias("fade"))
    orders = orders.persist()
    try:
        n_orders, mean_fade = orders.agg(fn.count("*"), fn.avg("fade")).collect()[0]
        part = fn.explode(fn.array_distinct(fn.transform("items", lambda item: item % fn.lit(parts)))).alias("part")
        dealt = orders.select(part, "items", "fade").groupBy("part")
        found = dealt.applyInArrow(_counter(n_items, parts, min_joint), CELLS).toArrow()
    finally:
        orders.unpersist()
    a, b, n, faded = (found.column(name).to_numpy() for name in ("a", "b", "n", "faded"))
    single, by_cell = a == b, np.lexsort([b, a])
    by_cell = by_cell[~single[by_cell]]
    sold, faded_sold = np.zeros(n_items, np.float32), np.zeros(n_items, np.float32)
    sold[a[single]], faded_sold[a[single]] = n[single], faded[single]
    ends = np.concatenate([[0], np.cumsum(np.bincount(a[by_cell], minlength=n_items))])
    together = sp.csr_matrix((n[by_cell], b[by_cell], ends), shape=(n_items, n_items))
    return Pairs(together, faded[by_cell], sold, faded_sold, n_orders, float(mean_fade or 0))


def _counter(n_items: int, parts: int, min_joint: int) -> Callable[[pa.Table], pa.Table]:
    """What counts a part's table of orders. It names nothing of this package, which executors need not have."""

    def count(orders: pa.Table) -> pa.Table:
        import numpy as np
        import pyarrow as pa
        import scipy.sparse as sp

        lists = orders.column("items").combine_chunks()
        items, ends = lists.flatten().to_numpy(), lists.value_lengths().to_numpy().cumsum()
        ends = np.concatenate([[0], ends])
        shape = (len(lists), n_items)
        bought = sp.csr_matrix((np.ones(len(items), np.float32), items, ends), shape=shape)
        fade = np.repeat(orders.column("fade").to_numpy(), np.diff(ends))
        own = items % parts == orders.column("part")[0].as_py()
        own_ends = np.concatenate([[0], own.cumsum()])[ends]
        mine = sp.csr_matrix((np.ones(own_ends[-1], np.float32), items[own], own_ends), shape=shape)
        joint = (mine.T @ bought).tocoo()
        faded = (mine.T @ sp.csr_matrix((fade, items, ends), shape=shape)).tocoo()
        kept = (joint.data >= min_joint) | (joint.row == joint.col)
        columns = (joint.row, joint.col, joint.data, faded.data)
        return pa.table(dict(zip(("a", "b", "n", "faded"), (column[kept] for column in columns), strict=True)))

    return count
