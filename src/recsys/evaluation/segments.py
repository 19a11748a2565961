"""The same lists judged group by group, so that a win on average cannot hide a loss for newcomers.

Two kinds of groups. Groups of queries (history length, cart size) hold whole queries, and every metric applies.
Groups of items (popularity, category) restrict the relevant items of a query: recall is then the hits of the group in
the first k ranks, divided by the query's relevant items of the group. The list itself is not cut again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recsys.data.histories import Floats, Ints, TrainData
from recsys.data.splits import Queries
from recsys.evaluation.bootstrap import bootstrap_mean, paired_ratio
from recsys.evaluation.metrics import divide_or_nan, find_hits
from recsys.evaluation.protocols import HYBRID, EvaluationOptions, Lists, PerQuery, kind_of, number

HISTORY_STARTS = (1, 2, 5, 10, 25, 50, 100, 250)  # orders before the moment
CART_STARTS = (1, 2, 4, 8, 16, 32)  # visible items
SMALLEST = 30  # queries of a group; a smaller one is merged with a neighbour, or with the other categories
MOST = 6  # groups of a size; beyond, the highest are merged
MOST_CATEGORIES = 8
THIRDS = ("head", "middle", "tail")


@dataclass(frozen=True)
class Groups:
    """Codes of queries or items and the names of the groups; a code of -1 belongs to none."""

    dimension: str
    codes: Ints  # int64 (n_queries,) or (n_items,)
    names: tuple[str, ...]


def size_groups(dimension: str, sizes: Ints, starts: tuple[int, ...]) -> Groups:
    """Queries by a size ≥ starts[0]: `starts` begin the groups, small ones are merged with the smaller neighbour.

    A group is named by what it spans ("1", "2–4", "50+"), so a merged one says so.
    """
    begin = list(starts)
    n = np.histogram(sizes, [*begin, np.inf])[0].tolist()
    while len(begin) > 1 and (min(n) < SMALLEST or len(begin) > MOST):
        at = n.index(min(n)) if min(n) < SMALLEST else len(begin) - 1
        left = at - 1 if at and (at == len(begin) - 1 or n[at - 1] <= n[at + 1]) else at
        n[left] += n.pop(left + 1)
        begin.pop(left + 1)
    return Groups(dimension, np.searchsorted(begin, sizes, side="right") - 1, _spans(begin))


def _spans(begin: list[int]) -> tuple[str, ...]:
    ends = [after - 1 for after in begin[1:]]
    closed = [str(a) if a == b else f"{a}–{b}" for a, b in zip(begin, ends, strict=False)]
    return (*closed, f"{begin[-1]}+")


def popularity_thirds(lines: Floats) -> Groups:
    """Items by popularity: head, middle and tail each hold a third of the order lines, most sold items first.

    `lines` float64 (n_items,): order lines before the moment; ties go to the lower position. An item belongs where
    its first line falls; a third that one item swallows stays empty.
    """
    order = np.lexsort((np.arange(len(lines)), -lines))
    before = np.cumsum(lines[order]) - lines[order]
    codes = np.empty(len(lines), np.int64)
    codes[order] = np.minimum(3 * before / max(lines.sum(), 1), 2).astype(np.int64)
    counts = np.bincount(codes, minlength=3)
    return Groups("item popularity", codes, tuple(f"{t}, {n:,} items" for t, n in zip(THIRDS, counts, strict=True)))


def category_groups(levels: Ints, names: list[list[str]], queries: Queries) -> Groups | None:
    """Items by the highest catalog level that tells any apart; None where the catalog has no categories.

    `levels` int32 (n_items, n_levels): code into `names` of that level, -1 = unknown. The categories with most relevant
    items are kept, at most `MOST_CATEGORIES`, each asked for by at least `SMALLEST` queries; the rest is "other".
    """
    level = next((at for at, known in enumerate(names) if len(known) > 1), None)
    if level is None:
        return None
    codes = levels[:, level].astype(np.int64)
    relevant = queries.relevant
    row = np.repeat(np.arange(len(queries)), np.diff(relevant.indptr))
    own = codes[relevant.indices]
    n_relevant = np.bincount(own[own >= 0], minlength=len(names[level]))
    pairs = np.unique(np.stack([row, own])[:, own >= 0], axis=1)
    n_queries = np.bincount(pairs[1], minlength=len(names[level]))
    by_size = np.lexsort((np.arange(len(n_relevant)), -n_relevant))
    kept = [int(c) for c in by_size if n_queries[c] >= SMALLEST][:MOST_CATEGORIES]
    place = np.full(len(names[level]) + 1, len(kept))  # the last stands for unknown: "other" too
    place[kept] = np.arange(len(kept))
    return Groups("category", place[codes], (*(names[level][c] for c in kept), "other"))


def by_query_group(values: Floats, groups: Groups) -> Floats:
    """float64 (n_queries, n_groups): each query's value in the column of its group, NaN elsewhere."""
    member = groups.codes[:, None] == np.arange(len(groups.names))
    return np.where(member, values[:, None], np.nan)


def recall_by_item_group(rows: Ints, queries: Queries, groups: Groups, k: int) -> Floats:
    """float64 (n_queries, n_groups): hits of the group in the first k ranks / relevant items of the group.

    NaN where a query has no relevant item of the group. `rows` int64 (n_queries, ≥ k): lists with -1 at their end.
    """
    shape = len(queries), len(groups.names)
    relevant = queries.relevant
    query = np.repeat(np.arange(len(queries)), np.diff(relevant.indptr))
    n_relevant = _count(query, groups.codes[relevant.indices], shape)
    hit_query, rank = np.nonzero(find_hits(rows[:, :k], relevant))
    return divide_or_nan(_count(hit_query, groups.codes[rows[hit_query, rank]], shape), n_relevant)


def _count(query: Ints, group: Ints, shape: tuple[int, int]) -> Floats:
    kept = group >= 0
    cells = np.bincount(query[kept] * shape[1] + group[kept], minlength=shape[0] * shape[1])
    return cells.reshape(shape).astype(np.float64)


def segment_records(
    table: PerQuery,
    lists: Lists,
    tasks: dict[str, Queries],
    data: TrainData,
    categories: list[list[str]],
    options: EvaluationOptions,
) -> list[dict[str, Any]]:
    """One record per dimension, bucket, task, contender and metric at the primary k, with bootstrap intervals.

    `categories`: names of the codes of each catalog level. The hybrid's records also hold its paired ratio to the
    single model that is best in the same bucket: baseline, ratio, ratio_low, ratio_high.
    """  # fmt: skip
    first = next(iter(tasks.values()))
    of_items = [popularity_thirds(np.asarray(data.orders.sum(axis=0), np.float64).ravel())]
    known = category_groups(data.facts.levels, categories, first)
    of_items += [known] if known else []
    k, out = options.primary_k, []
    for task, queries in tasks.items():
        contenders = list(dict.fromkeys(c for c, t, _ in lists if t == task))
        for metric in dict.fromkeys((options.primary_metric, "recall")):
            for groups in _query_groups(queries):
                parts = {c: by_query_group(table.of(c, task, "all", metric, k), groups) for c in contenders}
                out += list(_records(groups, "queries", task, metric, parts, options))
        for groups in of_items:
            parts = {c: recall_by_item_group(lists[c, task, "all"], queries, groups, k) for c in contenders}
            out += list(_records(groups, "items", task, "recall", parts, options))
    return out


def _query_groups(queries: Queries) -> Iterator[Groups]:
    yield size_groups("orders before", queries.histories.n_orders, HISTORY_STARTS)
    visible = np.diff(queries.histories.cart.indptr)
    if visible.any():
        yield size_groups("cart size", visible, CART_STARTS)


def _records(
    groups: Groups, kind: str, task: str, metric: str, values: dict[str, Floats], options: EvaluationOptions
) -> Iterator[dict[str, Any]]:
    """`values`: contender → float64 (n_queries, n_groups). A bucket without any query is left out."""
    for row in compared(groups.names, values, options):
        if row["n"]:
            yield {
                "dimension": groups.dimension,
                "of": kind,
                "task": task,
                "metric": metric,
                "k": options.primary_k,
                **row,
            }


def compared(
    buckets: Sequence[str], values: Mapping[str, Floats], options: EvaluationOptions
) -> Iterator[dict[str, Any]]:
    """Mean with interval per contender and bucket; the hybrid's also against the best single model of the bucket.

    `values`: contender → float64 (n_queries, n_buckets), NaN where a query does not count. The baseline is chosen on
    the queries it is compared on, which favours it a little.
    """
    given = (options.resamples, options.level, options.seed)
    names, shape = list(values), (len(values), len(buckets))
    drawn = bootstrap_mean(np.hstack(list(values.values())), *given)
    mean, low, high = (part.reshape(shape) for part in (drawn.mean, drawn.low, drawn.high))
    n = drawn.n.reshape(shape)
    best = [_best_single(names, mean[:, b]) for b in range(shape[1])]
    ratio = paired_ratio(values[HYBRID], np.stack([values[s][:, b] for b, s in enumerate(best)], axis=1), *given)
    for at, contender in enumerate(names):
        for b, bucket in enumerate(buckets):
            row = {"bucket": bucket, "contender": contender, "value": number(mean[at, b]), "low": number(low[at, b]),
                   "high": number(high[at, b]), "n": int(n[at, b])}  # fmt: skip
            if contender == HYBRID:
                row |= {"baseline": best[b], "ratio": number(ratio.ratio[b]), "ratio_low": number(ratio.low[b]),
                        "ratio_high": number(ratio.high[b])}  # fmt: skip
            yield row


def _best_single(names: list[str], values: Floats) -> str:
    """Ties go to the name first in the alphabet."""
    found = {name: value for name, value in zip(names, values, strict=True) if kind_of(name) == "single"}
    return min(found, key=lambda name: (-np.nan_to_num(found[name]), name))
