"""LightGBM's own contributions (TreeSHAP) of a few rows in a fifth of its time, from a table made once per model.

Lundberg et al., "Consistent Individualized Feature Attribution for Tree Ensembles", 2018; the table is that of Fast
TreeSHAP v2 (Yang 2021). A leaf of value v whose path asks features j = 1…d, each with the share z_j of the training
rows that stay on the path at its splits, adds to feature i, where o_j = 1 if the row stays on the path at all splits
by j and 0 if not,

    φ_i = v (o_i − z_i) ∫₀¹ Π_{j≠i} (z_j (1 − t) + o_j t) dt

which depends on the row by the d bits o alone. So all 2^d answers of every leaf are worked out beforehand.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse._sparsetools import csr_matvec

from ..data.histories import Csr, Floats, Ints

if TYPE_CHECKING:
    import lightgbm as lgb

MOST_CELLS = 8_000_000  # of the table: 32 MB
ROWS = 16  # looked up together, so that they stay in the cache


@dataclass(frozen=True)
class TreeShap:
    """Splits of all trees, and of every leaf the bits that its path asks for.

    first                int (n_trees,): where the splits of each tree begin
    bit                  uint (n_splits,): of the tree's word, the bit that holds the split's answer
    feature, threshold   of each split: left where the value is not above the threshold
    missing_left         bool (n_splits,): where NaN goes
    leaf_tree            int (n_leaves,)
    mask, want           uint (d, n_leaves): the splits of a path by one feature, and the answers that stay on it
    table                float32 (n_leaves · 2^d, d)
    into                 CSR (n_features, n_leaves · d): 1 where a column of the table speaks of the feature
    """

    first: Ints
    bit: np.ndarray
    feature: Ints
    threshold: Floats
    missing_left: np.ndarray
    leaf_tree: Ints
    mask: np.ndarray
    want: np.ndarray
    table: Floats
    into: Csr

    @classmethod
    def of(cls, booster: "lgb.Booster") -> "TreeShap | None":
        """None where the table would be too large (trees of more than 64 splits, paths of many features) or empty."""
        trees = [t["tree_structure"] for t in booster.dump_model()["tree_info"] if t["num_leaves"] > 1]
        splits = [list(_splits(root)) for root in trees]
        paths = [(at, *path) for at, root in enumerate(trees) for path in _paths(root, [])]
        d = max((len({split["split_feature"] for split, *_ in path}) for _, path, _ in paths), default=0)
        most = max(map(len, splits), default=0)
        if not d or most > 64 or len(paths) * 2**d * d > MOST_CELLS:
            return None
        word = np.uint32 if most <= 32 else np.uint64
        shape = (len(paths), d)
        mask, want = np.zeros(shape, word), np.zeros(shape, word)
        share, column = np.ones(shape), np.zeros(shape, np.int64)  # of features that a path does not ask: they add 0
        for leaf, (_, path, _) in enumerate(paths):
            slots: dict[int, int] = {}
            for split, left, kept in path:
                slot = slots.setdefault(split["split_feature"], len(slots))
                bit = word(1 << split["split_index"])
                mask[leaf, slot] |= bit
                want[leaf, slot] |= bit if left else word(0)
                share[leaf, slot] *= kept
                column[leaf, slot] = split["split_feature"]
        flat = [(at, split) for at, of_tree in enumerate(splits) for split in of_tree]
        values = np.array([value for *_, value in paths])
        cells = (np.ones(column.size, np.float32), (column.ravel(), np.arange(column.size)))
        return cls(
            first=np.flatnonzero(np.diff([at for at, _ in flat], prepend=-1)),
            bit=np.array([1 << split["split_index"] for _, split in flat], word),
            feature=np.array([split["split_feature"] for _, split in flat]),
            threshold=np.array([split["threshold"] for _, split in flat]),
            missing_left=np.array([_missing_left(split) for _, split in flat]),
            leaf_tree=np.array([at for at, *_ in paths]),
            mask=np.ascontiguousarray(mask.T),
            want=np.ascontiguousarray(want.T),
            table=_table(values, share).reshape(-1, d),
            into=sp.csr_matrix(cells, shape=(booster.num_feature(), column.size)),
        )

    def contributions(self, x: Floats) -> Floats:
        """float32 (n, n_features): what each feature adds to the raw output of each row of `x`."""
        parts = [self._of_rows(x[at : at + ROWS]) for at in range(0, len(x), ROWS)]
        return np.concatenate(parts) if parts else np.zeros((0, self.into.shape[0]), np.float32)

    def _of_rows(self, x: Floats) -> Floats:
        answers = self._words(x).take(self.leaf_tree, axis=1)
        d, n_leaves = self.mask.shape
        bits = np.zeros(answers.shape, np.min_scalar_type(2**d - 1))
        for mask, want in zip(self.mask[::-1], self.want[::-1], strict=True):
            bits += bits
            bits |= (answers & mask == want).view(np.uint8)
        found = self.table.take(bits + (np.arange(n_leaves) << d), axis=0).reshape(len(x), -1)
        out = np.zeros((len(x), self.into.shape[0]), np.float32)
        for row, parts in zip(out, found, strict=True):
            csr_matvec(*self.into.shape, self.into.indptr, self.into.indices, self.into.data, parts, row)
        return out

    def _words(self, x: Floats) -> np.ndarray:
        """uint (n, n_trees): the answers of all splits of a tree, one bit each; 1 = left."""
        left = x.astype(np.float64).take(self.feature, axis=1) <= self.threshold
        left |= np.isnan(x).take(self.feature, axis=1) & self.missing_left
        return np.asarray(np.add.reduceat(left * self.bit, self.first, axis=1))


def _splits(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "split_index" in node:
        yield node
        yield from _splits(node["left_child"])
        yield from _splits(node["right_child"])


def _paths(node: dict[str, Any], path: list[Any]) -> Iterator[tuple[list[Any], float]]:
    """Of each leaf its path of (split, goes left, share of the training rows that do) and its value."""
    if "split_index" not in node:
        yield path, node["leaf_value"]
        return
    for side, left in (("left_child", True), ("right_child", False)):
        child = node[side]
        rows = child.get("internal_count", child.get("leaf_count"))
        yield from _paths(child, [*path, (node, left, rows / node["internal_count"])])


def _missing_left(split: dict[str, Any]) -> bool:
    """LightGBM reads NaN as 0 where the training rows had none."""
    if split["missing_type"] == "NaN":
        return bool(split["default_left"])
    return bool(split["threshold"] >= 0)


def _table(values: Floats, share: Floats) -> Floats:
    """float32 (n_leaves, 2^d, d): φ for all bits o. Gauss-Legendre of d / 2 points is exact: the degree is d - 1."""
    d = share.shape[1]
    stays = (np.arange(2**d)[:, None] >> np.arange(d)) & 1  # (2^d, d)
    points, weights = np.polynomial.legendre.leggauss(d // 2 + 1)
    integral = np.zeros((len(values), 2**d, d))
    for t, weight in zip((points + 1) / 2, weights / 2, strict=True):
        factor = share[:, None, :] * (1 - t) + stays * t
        integral += weight * factor.prod(axis=2, keepdims=True) / factor
    return np.asarray(values[:, None, None] * (stays - share[:, None, :]) * integral, np.float32)
