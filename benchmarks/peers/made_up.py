"""Made-up lists and relevant items, seeded: the large set that is timed and the small ones that tell dividers apart."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

N_ITEMS, WIDTH, MOST = 20_000, 20, 60  # items of the shop, length of a list, most relevant items of a query
FEW = 2_000  # queries of a small set
REPEATED = "first item listed twice"


@dataclass(frozen=True)
class Judged:
    """What a metric is computed from.

    lists     int32 (n_queries, WIDTH), best first, -1 after the end
    query     int32 (n_pairs,) ascending, item int32 (n_pairs,): the relevant items of each query
    """

    lists: NDArray[np.int32]
    query: NDArray[np.int32]
    item: NDArray[np.int32]

    def relevant(self) -> sp.csr_matrix:
        """bool CSR (n_queries, N_ITEMS)."""
        indptr = np.concatenate([[0], np.cumsum(np.bincount(self.query, minlength=len(self.lists)))])
        return sp.csr_matrix((np.ones(len(self.item), bool), self.item, indptr), (len(self.lists), N_ITEMS))

    def listed(self) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
        """The lists as a long table: query, item, rank from 1."""
        query, place = np.nonzero(self.lists >= 0)
        return query.astype(np.int32), self.lists[query, place], (place + 1).astype(np.int32)

    def save(self, file: Path) -> Path:
        query, item, rank = self.listed()
        np.savez(file, list_query=query, list_item=item, list_rank=rank, query=self.query, item=self.item)
        return file


def made_up(n_queries: int, seed: int) -> Judged:
    """Full lists; 1 to 60 relevant items per query (lognormal, median 5), hits likelier at the first ranks.

    The items of a query stand `step` apart on a ring, so that none comes twice: the first 60 places may be
    relevant, the others never are.
    """
    random = np.random.default_rng(seed)
    sizes = np.clip(np.rint(random.lognormal(np.log(5), 0.9, n_queries)), 1, MOST).astype(np.int64)
    start, step = random.integers(0, N_ITEMS, n_queries), random.integers(1, N_ITEMS // (MOST + WIDTH), n_queries)
    hit = random.random((n_queries, WIDTH)) < 0.3 / np.sqrt(np.arange(1, WIDTH + 1))
    nth = np.cumsum(hit, axis=1)
    hit &= nth <= sizes[:, None]
    place = np.where(hit, nth - 1, MOST + np.arange(WIDTH))
    query = np.repeat(np.arange(n_queries), sizes)
    nth_relevant = np.arange(len(query)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    lists = (start[:, None] + place * step[:, None]) % N_ITEMS
    item = (start[query] + nth_relevant * step[query]) % N_ITEMS
    return Judged(lists.astype(np.int32), query.astype(np.int32), item.astype(np.int32))


def cases(seed: int) -> dict[str, Judged]:
    """Small sets, each with one thing that definitions disagree about."""
    plain = made_up(FEW, seed)
    return {
        "full lists": plain,
        "short lists": shortened(plain, seed + 1),
        "a fifth without a list": without_list(plain, np.arange(FEW) % 5 == 0),
        "a fifth without relevant items": without_relevant(plain, np.arange(FEW) % 5 == 0),
        REPEATED: repeated(plain),
    }


def shortened(judged: Judged, seed: int) -> Judged:
    """Every list cut to a length of 1 … WIDTH - 1."""
    lengths = np.random.default_rng(seed).integers(1, WIDTH, len(judged.lists))
    return replace(judged, lists=np.where(np.arange(WIDTH) < lengths[:, None], judged.lists, np.int32(-1)))


def without_list(judged: Judged, who: NDArray[np.bool_]) -> Judged:
    return replace(judged, lists=np.where(who[:, None], np.int32(-1), judged.lists))


def without_relevant(judged: Judged, who: NDArray[np.bool_]) -> Judged:
    keep = ~who[judged.query]
    return replace(judged, query=judged.query[keep], item=judged.item[keep])


def repeated(judged: Judged) -> Judged:
    """The item of rank 1 stands at rank 2 too."""
    lists = judged.lists.copy()
    lists[:, 1] = lists[:, 0]
    return replace(judged, lists=lists)
