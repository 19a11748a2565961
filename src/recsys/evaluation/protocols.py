"""The held-out protocol: every contender answers the same queries; lists become per-query values and records.

Segments: all; repeat = list and relevant items restricted to what the customer bought before the moment;
new = both restricted to what the customer never bought. Queries without a relevant item are left out.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp

from recsys.data.histories import Csr, Floats, Histories, Ints
from recsys.data.splits import Queries
from recsys.evaluation.bootstrap import bootstrap_mean, paired_difference, paired_ratio
from recsys.evaluation.metrics import (
    Ideal,
    catalog_coverage,
    count_relevant,
    find_hits,
    intra_list_diversity_at,
    list_lengths,
    novelty_at,
    ranking_metrics,
)
from recsys.ranking.base_models import SINGLES, BaseModels, cart_scores, history_scores, single_scores
from recsys.ranking.blend import BLOCK, Ranked, by_block, rank
from recsys.ranking.hybrid import Hybrid
from recsys.ranking.topk import top_k, top_k_of_rows

TASKS = ("next_basket", "cart")
SEGMENTS = ("all", "repeat", "new")
HYBRID = "hybrid"


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """What is measured, and by which metric the best contender is chosen."""

    ks: tuple[int, ...] = (3, 5, 10, 20)
    resamples: int = 1000  # of the bootstrap
    level: float = 0.95  # of its intervals
    primary_task: Literal["next_basket", "cart", "both"] = "both"  # both = mean of the two
    primary_segment: Literal["all", "repeat", "new"] = "all"
    primary_metric: Literal["recall", "precision", "ndcg", "hit_rate", "mrr", "map"] = "recall"
    primary_k: int = 10
    seed: int = 0
    examples: int = 6  # customers and carts shown in the report


Lists = dict[tuple[str, str, str], Ints]  # (contender, task, segment) → int64 (n_queries, k) with -1
Watch = Callable[[str, Ints, Ranked], None]  # (task, queries of the block, their ranked candidates)


def contender_lists(
    models: BaseModels,
    hybrid: Hybrid,
    tasks: dict[str, Queries],
    k: int,
    *,
    singles: tuple[str, ...] = SINGLES,
    watch: Watch | None = None,
    block: int = BLOCK,
) -> Lists:
    """Lists of the single models named and of the hybrid, for every task and segment.

    The queries of all tasks are about the same orders and differ in their carts only. `watch` is shown the
    hybrid's candidates of every block, from several threads and in any order.
    """
    first = next(iter(tasks.values()))

    def asked_of(rows: np.ndarray) -> Lists:
        shared = history_scores(models, first.histories.take(rows))
        out: Lists = {}
        for task, queries in tasks.items():
            asked = queries.histories.take(rows)
            sources = shared | cart_scores(models, asked)
            for name in singles:
                scores = single_scores(name, sources, asked.has_cart)
                out |= _segments((name, task), single_lists(scores, asked, k))
            ranked = rank(models, hybrid, asked, sources=sources)
            if watch is not None:
                watch(task, rows, ranked)
            out |= _segments((HYBRID, task), _hybrid_lists(ranked, asked, k))
        return out

    parts = by_block(len(first), asked_of, size=block)
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _segments(key: tuple[str, str], lists: dict[str, Ints]) -> Lists:
    return {(*key, segment): rows for segment, rows in lists.items()}


def owned_items(queries: Histories) -> Csr:
    """CSR (n, n_items): bought before."""
    return queries.last_age


def single_lists(scores: Floats, queries: Histories, k: int) -> dict[str, Ints]:
    """Lists per segment; that of all items is merged from the other two, so the scores are searched once."""
    n = len(queries)
    visible = queries.cart.toarray() > 0
    masked = np.where(visible, -np.inf, scores)
    owned = owned_items(queries)
    row = np.repeat(np.arange(n), np.diff(owned.indptr))
    value = masked[row, owned.indices]
    some = np.isfinite(value)
    repeat, _ = top_k_of_rows(row[some], owned.indices[some].astype(np.int64), value[some], n, k)
    unowned = masked
    unowned[row, owned.indices] = -np.inf
    new = top_k(unowned, k)
    both = np.sort(np.concatenate([repeat, new], axis=1), axis=1)
    query, place = np.nonzero(both >= 0)
    item = both[query, place]
    # `masked` lost the owned scores above; `scores` still has them
    every, _ = top_k_of_rows(query, item, scores[query, item], n, k)
    return {"all": every, "repeat": repeat, "new": new}


def _hybrid_lists(ranked: Ranked, queries: Histories, k: int) -> dict[str, Ints]:
    query, item = ranked.candidates.query, ranked.candidates.item
    own = owned_items(queries)
    marked = np.zeros(own.shape, bool)
    marked[np.repeat(np.arange(len(queries)), np.diff(own.indptr)), own.indices] = True
    owned = marked[query, item]
    keep = {"all": np.ones(len(query), bool), "repeat": owned, "new": ~owned}
    return {s: top_k_of_rows(query[m], item[m], ranked.scores[m], len(queries), k)[0] for s, m in keep.items()}


@dataclass(frozen=True)
class PerQuery:
    """Values per query: columns[i] = (contender, task, segment, metric, k) of values[:, i]; NaN = left out."""

    columns: list[tuple[str, str, str, str, int]]
    values: dict[str, Floats] = field(default_factory=dict)  # task → float64 (n_queries, columns of the task)

    def of(self, contender: str, task: str, segment: str, metric: str, k: int) -> Floats:
        """float64 (n_queries,)."""
        at = [c for c in self.columns if c[1] == task].index((contender, task, segment, metric, k))
        return self.values[task][:, at]


def in_segment(queries: Queries, segment: str) -> Csr:
    """Relevant items of the segment, CSR (n, n_items)."""
    if segment == "all":
        return queries.relevant
    owned = owned_items(queries.histories).copy()
    owned.data[:] = 1
    repeat = sp.csr_matrix(queries.relevant.multiply(owned))
    if segment == "repeat":
        return repeat
    new = sp.csr_matrix(queries.relevant - repeat)
    new.eliminate_zeros()
    return new


def per_query(
    lists: Lists,
    tasks: dict[str, Queries],
    ks: tuple[int, ...],
    popularity: Floats,
    vectors: Csr,
    ideal: Ideal = "min",
) -> PerQuery:
    """Ranking metrics, novelty and diversity of every list; `ideal` is that of nDCG."""
    columns: list[tuple[str, str, str, str, int]] = []
    values: dict[str, list[Floats]] = {task: [] for task in tasks}
    for (contender, task, segment), rows in lists.items():
        relevant = in_segment(tasks[task], segment)
        n_relevant = count_relevant(relevant)
        found = dict(ranking_metrics(find_hits(rows, relevant), n_relevant, ks, ideal))
        if segment == "all":
            found |= {("novelty", k): novelty_at(rows, popularity, k) for k in ks}
            found |= {("diversity", k): intra_list_diversity_at(rows, vectors, k) for k in ks}
        for (metric, k), value in found.items():
            columns.append((contender, task, segment, metric, k))
            values[task].append(value)
    return PerQuery(columns, {task: np.stack(v, axis=1) for task, v in values.items()})


def kind_of(contender: str) -> str:
    """hybrid, single, or reference: a published method that the package does not offer."""
    return "hybrid" if contender == HYBRID else "single" if contender in SINGLES else "reference"


Groups = dict[str, Ints]  # task → int64 (n_queries,): queries of one group are resampled together


def records(
    table: PerQuery, lists: Lists, n_items: int, options: EvaluationOptions, groups: Groups | None = None
) -> list[dict[str, Any]]:
    """One record per contender, task, segment, metric and k, with bootstrap intervals over queries or `groups`."""
    out = []
    for task, values in table.values.items():
        drawn = (groups or {}).get(task)
        means = bootstrap_mean(values, options.resamples, options.level, options.seed, drawn)
        columns = [c for c in table.columns if c[1] == task]
        for at, (contender, _, segment, metric, k) in enumerate(columns):
            out.append(
                {"contender": contender, "kind": kind_of(contender), "task": task, "segment": segment, "metric": metric,
                 "k": k, "value": number(means.mean[at]), "low": number(means.low[at]), "high": number(means.high[at]),
                 "n": int(means.n[at])}
            )  # fmt: skip
    return out + list(_coverage_records(lists, n_items, options.ks))


def _coverage_records(lists: Lists, n_items: int, ks: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    for (contender, task, segment), rows in lists.items():
        for k in ks if segment == "all" else ():
            value = catalog_coverage(rows, k, n_items)
            yield {"contender": contender, "kind": kind_of(contender), "task": task, "segment": segment,
                   "metric": "coverage", "k": k, "value": number(value), "low": None, "high": None,
                   "n": int((list_lengths(rows) > 0).sum())}  # fmt: skip


def number(value: float) -> float | None:
    """A float that JSON knows: NaN and infinities become null."""
    return float(value) if np.isfinite(value) else None


def best_single(rows: list[dict[str, Any]], task: str, segment: str, metric: str, k: int) -> str:
    """The single model with the highest value; ties go to the name first in the alphabet."""
    mine = [
        r
        for r in rows
        if r["kind"] == "single" and (r["task"], r["segment"], r["metric"], r["k"]) == (task, segment, metric, k)
    ]
    return str(min(mine, key=lambda r: (-(r["value"] if r["value"] is not None else -1), r["contender"]))["contender"])


def paired_records(
    table: PerQuery,
    rows: list[dict[str, Any]],
    options: EvaluationOptions,
    against: str | None = None,
    groups: Groups | None = None,
) -> list[dict[str, Any]]:
    """The hybrid against `against`, or the best single model of each task, segment, metric and k; same resamples."""
    out = []
    wanted = list(itertools.product(SEGMENTS, ("recall", "ndcg", "hit_rate", "mrr"), options.ks))
    for task in table.values:
        baselines = [against or best_single(rows, task, *what) for what in wanted]
        ours = np.stack([table.of(HYBRID, task, *what) for what in wanted], axis=1)
        theirs = np.stack([table.of(b, task, *what) for b, what in zip(baselines, wanted, strict=True)], axis=1)
        given = (options.resamples, options.level, options.seed, (groups or {}).get(task))
        gap, ratio = paired_difference(ours, theirs, *given), paired_ratio(ours, theirs, *given)
        for at, (baseline, (segment, metric, k)) in enumerate(zip(baselines, wanted, strict=True)):
            out.append(
                {"contender": HYBRID, "baseline": baseline, "task": task, "segment": segment, "metric": metric, "k": k,
                 "difference": number(gap.mean[at]), "low": number(gap.low[at]), "high": number(gap.high[at]),
                 "ratio": number(ratio.ratio[at]), "ratio_low": number(ratio.low[at]),
                 "ratio_high": number(ratio.high[at]), "p": number(gap.p[at]), "n": int(gap.n[at])}
            )  # fmt: skip
    return out


def choose_best(rows: list[dict[str, Any]], options: EvaluationOptions) -> str:
    """The contender with the highest primary metric; on a tie a single model is preferred, then the alphabet."""
    tasks = TASKS if options.primary_task == "both" else (options.primary_task,)
    wanted = (options.primary_segment, options.primary_metric, options.primary_k)
    total: dict[str, float] = {}
    for r in rows:
        if r["task"] in tasks and (r["segment"], r["metric"], r["k"]) == wanted:
            total[r["contender"]] = total.get(r["contender"], 0.0) + (r["value"] or 0.0)
    return min(total, key=lambda name: (-total[name], name == HYBRID, name))
