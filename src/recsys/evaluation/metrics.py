"""Ranking and list metrics as arrays: one row per query, float64, NaN where a metric does not apply.

Every definition with its divider, a formula and a hand-worked table: docs/metrics.md. Input of the ranking
metrics is `hits`, bool (n_queries, k_max), where `hits[q, r]` says that rank r + 1 of query q's list is
relevant, and `n_relevant`, int (n_queries,). A list shorter than k_max is padded with False. Lists themselves
are int (n_queries, k_max), best item first, -1 after their end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.errors import InputError

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]
Ideal = Literal["min", "full", "k"]
Divider = Literal["min", "relevant", "k"]


def recall_at(hits: Bools, n_relevant: Ints, k: int) -> Floats:
    """Hits in the first k ranks, divided by the number of relevant items (all of them, not min(k, …))."""
    return _metric(_recall, hits, n_relevant, k)


def precision_at(hits: Bools, n_relevant: Ints, k: int, lengths: Ints | None = None) -> Floats:
    """Hits in the first k ranks, divided by k.

    With `lengths`, int (n_queries,), the divider is min(k, length of the list): the precision of what was
    shown. An empty list then has precision 0.
    """
    precision = _metric(_precision, hits, n_relevant, k)
    if lengths is None:
        return precision
    _refuse_hits_behind(hits, lengths)
    return precision * k / np.clip(lengths, 1, k)


def hit_rate_at(hits: Bools, n_relevant: Ints, k: int) -> Floats:
    """1 where any of the first k ranks is a hit, else 0; no divider."""
    return _metric(_hit_rate, hits, n_relevant, k)


def ndcg_at(hits: Bools, n_relevant: Ints, k: int, ideal: Ideal = "min") -> Floats:
    """Sum of 1/log2(rank + 1) over the hits in the first k ranks, divided by the same sum of an ideal list.

    `ideal`: "min" has hits on its first min(k, relevant) ranks (ours), "full" on as many as are relevant
    even beyond k, "k" on all k ranks even where fewer items are relevant.
    """
    return _metric(lambda top: _ndcg(top, ideal), hits, n_relevant, k)


def mrr_at(hits: Bools, n_relevant: Ints, k: int) -> Floats:
    """1 / rank of the first hit, 0 where the first k ranks hold none; no divider."""
    return _metric(_mrr, hits, n_relevant, k)


def map_at(hits: Bools, n_relevant: Ints, k: int, divider: Divider = "min") -> Floats:
    """Average precision: sum over the hits of (hits up to and with this rank / rank), divided.

    `divider`: "min" is min(k, relevant) (ours), "relevant" is all relevant items, "k" is k.
    """
    return _metric(lambda top: _map(top, divider), hits, n_relevant, k)


def ranking_metrics(
    hits: Bools, n_relevant: Ints, ks: Sequence[int], ideal: Ideal = "min"
) -> dict[tuple[str, int], Floats]:
    """All six metrics at every k of `ks` in one pass over the ranks, each float64 (n_queries,).

    Keys are (name, k), names as in `RANKING`, defaults as in the functions above; `ideal` as in `ndcg_at`.
    """
    tops, wanted = _tops(hits, n_relevant, ks), RANKING | {"ndcg": lambda top: _ndcg(top, ideal)}
    return {(name, top.k): _applied(metric, top) for top in tops for name, metric in wanted.items()}


@dataclass(frozen=True)
class _Top:
    """What the first k ranks of every list hold; float64 (n_queries,) each."""

    k: int
    relevant: Floats  # NaN where nothing is relevant
    found: Floats  # number of hits
    gain: Floats  # sum of 1/log2(rank + 1) over the hits
    precisions: Floats  # sum of the precision at each hit
    first: Floats  # rank of the first hit, infinite where there is none


def _recall(top: _Top) -> Floats:
    return top.found / top.relevant


def _precision(top: _Top) -> Floats:
    return top.found / top.k


def _hit_rate(top: _Top) -> Floats:
    return (top.found > 0).astype(np.float64)


def _mrr(top: _Top) -> Floats:
    return 1 / top.first


def _ndcg(top: _Top, ideal: Ideal = "min") -> Floats:
    places = np.nan_to_num(_divisor(top, ideal)).astype(np.int64)
    return top.gain / _ideal_gains(int(places.max(initial=0)))[places]


def _map(top: _Top, divider: Divider = "min") -> Floats:
    return top.precisions / _divisor(top, divider)


def _divisor(top: _Top, name: str) -> Floats:
    match name:
        case "min":
            return np.minimum(top.relevant, top.k)
        case "relevant" | "full":
            return top.relevant
        case "k":
            return np.full_like(top.relevant, top.k)
    raise InputError(f"no divider is called {name!r}; ndcg has min, full, k and map has min, relevant, k")


def _ideal_gains(longest: int) -> Floats:
    """Gain of a list of hits alone, by its length 0 … longest; NaN at 0, where nothing can be gained."""
    return np.concatenate([[np.nan], np.cumsum(1 / np.log2(np.arange(2, longest + 2)))])


RANKING: dict[str, Callable[[_Top], Floats]] = {
    "recall": _recall,
    "precision": _precision,
    "hit_rate": _hit_rate,
    "ndcg": _ndcg,
    "mrr": _mrr,
    "map": _map,
}


def _metric(metric: Callable[[_Top], Floats], hits: Bools, n_relevant: Ints, k: int) -> Floats:
    return _applied(metric, _tops(hits, n_relevant, [k])[0])


def _applied(metric: Callable[[_Top], Floats], top: _Top) -> Floats:
    return np.where(np.isnan(top.relevant), np.nan, metric(top))


def _tops(hits: Bools, n_relevant: Ints, ks: Sequence[int]) -> list[_Top]:
    """Walk down the ranks once, adding up for all queries at a time; one `_Top` for each k."""
    hits, n_relevant = _checked_hits(hits, n_relevant, ks)
    relevant = np.where(n_relevant > 0, n_relevant, np.nan)
    found, gain, precisions = np.zeros((3, len(hits)))
    first = np.full(len(hits), np.inf)
    tops = []
    for rank, column in enumerate(np.ascontiguousarray(hits.T[: max(ks)]), start=1):
        first[column & (found == 0)] = rank
        found += column
        gain += column * (1 / np.log2(rank + 1))
        precisions += column * found / rank
        if rank in ks:
            tops.append(_Top(rank, relevant, found.copy(), gain.copy(), precisions.copy(), first.copy()))
    return tops


def _checked_hits(hits: Bools, n_relevant: Ints, ks: Sequence[int]) -> tuple[Bools, Ints]:
    hits, n_relevant = np.asarray(hits), np.asarray(n_relevant)
    if hits.ndim != 2 or hits.dtype != np.bool_:
        raise InputError(f"hits must be bool (n_queries, k_max), not {hits.dtype} {hits.shape}; see find_hits")
    if n_relevant.shape != hits.shape[:1] or n_relevant.dtype.kind not in "iu":
        raise InputError(f"n_relevant must be int {hits.shape[:1]}, not {n_relevant.dtype} {n_relevant.shape}")
    for k in ks:
        _check_k(k, hits.shape[1])
    wrong = np.flatnonzero(np.count_nonzero(hits, axis=1) > n_relevant)
    if wrong.size:
        q = wrong[0]
        counted = f"query row {q} has {hits[q].sum()} hits but {n_relevant[q]} relevant items"
        raise InputError(f"{counted}; count hits and relevant items on the same segment")
    return hits, n_relevant


def _check_k(k: int, width: int) -> None:
    if not 1 <= k <= width:
        raise InputError(f"k = {k} does not lie in 1 … {width}, the width of the lists; make longer lists")


def _refuse_hits_behind(hits: Bools, lengths: Ints) -> None:
    """A hit behind the end of its list means that hits and lengths belong to different lists."""
    if np.shape(lengths) != hits.shape[:1]:
        raise InputError(f"lengths has shape {np.shape(lengths)}; {len(hits)} lists need one length each")
    behind = (hits & (np.arange(hits.shape[1]) >= np.asarray(lengths)[:, None])).any(axis=1)
    if behind.any():
        q = np.flatnonzero(behind)[0]
        raise InputError(f"query row {q} has a hit behind its length {lengths[q]}; take both from one list")


def find_hits(lists: Ints, relevant: sp.csr_matrix) -> Bools:
    """Which ranks are relevant: bool, shaped like `lists`, False where it is padded.

    `relevant`: bool (n_queries, n_items); a stored False is not relevant. Refuses an item that stands twice
    in one list (it would count twice), an item beyond n_items and a gap before the end of a list.
    """
    if relevant.shape[0] != len(lists):
        raise InputError(f"{len(lists)} lists but {relevant.shape[0]} rows of relevant items; one row per query")
    lists = _checked_lists(lists, relevant.shape[1])
    marked = _marked(relevant)
    if not marked.nnz:
        return np.zeros(lists.shape, np.bool_)
    query = np.repeat(np.arange(len(lists)), lists.shape[1])
    cells = marked[query, np.maximum(lists, 0).ravel()]  # a search in each row: 3 × faster than one in all pairs
    found: Bools = np.asarray(cells, np.bool_).reshape(lists.shape) & (lists >= 0)
    return found


def count_relevant(relevant: sp.csr_matrix) -> NDArray[np.int64]:
    """int64 (n_queries,): relevant items of each query, the `n_relevant` that goes with `find_hits`."""
    return np.asarray(_marked(relevant).getnnz(axis=1), np.int64)


def list_lengths(lists: Ints) -> NDArray[np.int64]:
    """int64 (n_queries,): items of each list before its -1 padding."""
    return np.asarray(np.count_nonzero(np.asarray(lists) >= 0, axis=1), np.int64)


def catalog_coverage(lists: Ints, k: int, n_items: int) -> float:
    """Distinct items in the first k ranks of all lists, divided by the known items; NaN without items."""
    top = _first(lists, k, n_items)
    return float(np.unique(top[top >= 0]).size / n_items) if n_items else float("nan")


def novelty_at(lists: Ints, popularity: NDArray[Any], k: int) -> Floats:
    """Mean of -log2(an item's share of all popularity) over the listed items, in bits; NaN for an empty list.

    `popularity`: counts or weights ≥ 0 (n_items,). An item that was never bought counts like the rarest
    item that was: the answer stays finite and no item is more novel.
    """
    weights = np.asarray(popularity, np.float64)
    if not (np.isfinite(weights).all() and (weights >= 0).all() and (weights > 0).any()):
        raise InputError("popularity must be finite, ≥ 0 and positive for at least one item; pass item counts")
    bits = -np.log2(np.maximum(weights, weights[weights > 0].min()) / weights.sum())
    top = _first(lists, k, len(weights))
    listed = top >= 0
    return divide_or_nan(np.where(listed, bits[top], 0).sum(axis=1), listed.sum(axis=1))


def intra_list_diversity_at(lists: Ints, vectors: sp.csr_matrix | NDArray[Any], k: int, *, block: int = 8192) -> Floats:
    """1 - mean cosine over the pairs of items in the first k ranks; NaN under two items.

    `vectors`: (n_items, n_dimensions), rows of length 1, or 0 for an item without any: its cosine with every
    other item is 0. Works on `block` queries at a time.
    """
    squares = _squared_lengths(vectors)
    wrong = np.flatnonzero((np.abs(squares - 1) > 1e-3) & (squares != 0))
    if wrong.size:
        length = np.sqrt(squares[wrong[0]])
        raise InputError(f"vector of item {wrong[0]} has length {length:.4g}; divide every row by its length")
    top = _first(lists, k, len(squares))
    blocks = [_diversity(top[at : at + block], vectors, squares) for at in range(0, len(top), block)]
    return np.concatenate([np.empty(0), *blocks])


def overlap_at(lists_a: Ints, lists_b: Ints, k: int) -> Floats:
    """Items in both of a query's lists (first k ranks), divided by the longer one's length; NaN where empty.

    Personalisation is 1 - overlap with the list that everybody gets.
    """
    a, b = _first(lists_a, k), _first(lists_b, k)
    if a.shape != b.shape:
        raise InputError(f"{len(a)} lists against {len(b)}; row q of both must belong to the same query")
    both = np.sort(np.hstack([a, b]), axis=1)
    shared = ((both[:, 1:] == both[:, :-1]) & (both[:, 1:] >= 0)).sum(axis=1)
    return divide_or_nan(shared, np.maximum(list_lengths(a), list_lengths(b)))


def _diversity(top: Ints, vectors: sp.csr_matrix | NDArray[Any], squares: Floats) -> Floats:
    """All pairs at once: |sum of the vectors|² holds every ordered pair, and each vector with itself."""
    length = list_lengths(top)
    starts = np.concatenate([[0], np.cumsum(length)])
    ones = np.ones(int(starts[-1]))
    chosen = sp.csr_matrix((ones, top[top >= 0], starts), shape=(len(top), len(squares)))
    paired = _squared_lengths(chosen @ vectors) - chosen @ squares
    return np.clip(1 - divide_or_nan(paired, length * (length - 1)), 0, 2)


def _squared_lengths(rows: Any) -> Floats:
    if isinstance(rows, np.ndarray):
        return np.asarray(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    return np.asarray(rows.multiply(rows).sum(axis=1), np.float64).ravel()


def divide_or_nan(above: NDArray[Any], below: NDArray[Any]) -> Floats:
    """Quotient, NaN where the divider is 0."""
    return np.asarray(np.divide(above, below, out=np.full(np.shape(below), np.nan), where=below > 0))


def _marked(relevant: sp.csr_matrix) -> sp.csr_matrix:
    """A bool copy, sorted, each relevant item stored once and nothing else."""
    marked = sp.csr_matrix(relevant, dtype=np.bool_, copy=True)
    marked.sum_duplicates()
    marked.eliminate_zeros()
    return marked


def _first(lists: Ints, k: int, n_items: int | None = None) -> Ints:
    lists = np.asarray(lists)
    _check_k(k, lists.shape[1])
    return _checked_lists(lists[:, :k], n_items)


def _checked_lists(lists: Ints, n_items: int | None = None) -> Ints:
    lists = np.asarray(lists)
    if lists.ndim != 2 or lists.dtype.kind not in "iu":
        raise InputError(f"lists must be int (n_queries, k), not {lists.dtype} {lists.shape}")
    lists = lists.astype(np.int64, copy=False)
    unknown = (lists < -1) | (lists >= (np.inf if n_items is None else n_items))
    _refuse(unknown, lists, "is no known item; use positions of the same item map, -1 only as padding")
    after_gap = (lists[:, 1:] >= 0) & (lists[:, :-1] < 0)
    _refuse(after_gap, lists[:, 1:], "stands behind a gap; pad with -1 only at the end")
    ordered = np.sort(lists, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    _refuse(twice, ordered[:, 1:], "stands twice in the list; recommend every item once")
    return lists


def _refuse(wrong: Bools, items: Ints, reason: str) -> None:
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise InputError(f"query row {row}: item {items[row, column]} {reason}")
