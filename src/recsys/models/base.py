"""One contract for every model, and how a fitted one is kept on disk.

A model is a dataclass: keyword-only hyperparameters stored untouched, learned attributes that end in an
underscore. `fit` forgets the past. `score` answers for any history and cart; NaN = this model cannot say.
"""

import itertools
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import scipy.sparse as sp
from scipy.sparse._sparsetools import csc_matvec

from ..data.histories import Csr, Floats, Histories, Ints, TrainData, csr, with_data


class Scorer(Protocol):
    """What candidates, features and the evaluation ask of a model."""

    def fit(self, data: TrainData) -> Self:
        """Learn from everything before the moment of `data`; an earlier fit is forgotten."""
        ...

    def score(self, queries: Histories) -> Floats:
        """float32 (n_queries, n_items), higher is better; NaN = cannot say. Callers ask in blocks."""
        ...


M = TypeVar("M")


def dense(matrix: Csr) -> Floats:
    """CSR → float32 array."""
    return np.asarray(matrix.toarray(), np.float32)


def product(rows: Csr, matrix: Csr) -> Floats:
    """`rows @ matrix` as an array, float32 (n, m): the sums of SciPy's sparse product in a fifth of its time.

    SciPy's loop over the columns of a CSC matrix adds the rows of `matrix` up where they lie. It takes column c from
    ends[c] to ends[c + 1], so with the picked rows from the last to the first, every second column is a picked row, and
    the others end before they begin:

    ```
    rows    ── 2 ────── 1 ── 0          ends = begin 2, end 2, begin 1, end 1, begin 0, end 0
    ```
    """
    n, m = rows.shape[0], matrix.shape[1]
    out = np.zeros((n, m), np.float32)
    indptr, indices, data = matrix.indptr, matrix.indices, matrix.data
    for at, (begin, end) in enumerate(itertools.pairwise(rows.indptr.tolist())):
        if begin == end:
            continue
        order = np.argsort(rows.indices[begin:end])[::-1]
        picked = rows.indices[begin:end][order]
        ends = np.empty((len(picked), 2), indptr.dtype)
        ends[:, 0], ends[:, 1] = indptr[picked], indptr[picked + 1]
        weights = np.zeros((len(picked), 2), data.dtype)
        weights[:, 0] = rows.data[begin:end][order]
        csc_matvec(m, 2 * len(picked) - 1, ends.ravel(), indices, data, weights.ravel(), out[at])
    return out


def in_rows(rows: Ints, columns: Ints, values: Floats, shape: tuple[int, int]) -> Csr:
    """CSR of cells that come row by row, ascending; what SciPy would sort, add up and check is taken as it is."""
    indptr = np.zeros(shape[0] + 1, np.int32)
    np.cumsum(np.bincount(rows, minlength=shape[0]), out=indptr[1:])
    return csr(values, columns, indptr, shape)


def unit_rows(matrix: Csr) -> Csr:
    """Rows divided by their Euclidean length; empty rows stay empty."""
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    length = np.sqrt(np.bincount(row, np.square(matrix.data, dtype=np.float64), minlength=matrix.shape[0]))
    return with_data(matrix, matrix.data / np.maximum(length, 1e-9)[row])


def high_cells(scores: Floats, k: int) -> tuple[Ints, Ints]:
    """Rows and columns, sorted, of a few more cells than the k highest of each row; NaN and -inf never.

    The k-th highest of block maxima bounds the k-th highest cell from below, so all of the k highest, and all
    that tie with them, are among the cells found: a tenth of the time of a partition of whole rows.
    """
    n, m = scores.shape
    width = max(1, min(32, m // (4 * max(k, 1))))  # cells in a block, strided
    whole = m // width * width
    blocks = np.fmax.reduce(scores[:, :whole].reshape(n, width, whole // width), axis=1)
    blocks = np.concatenate([blocks, scores[:, whole:]], axis=1)
    lowest = np.finfo(np.float32).min
    edge = np.full(n, lowest, scores.dtype)
    if k < blocks.shape[1]:
        edge = np.fmax(-np.partition(-np.nan_to_num(blocks, nan=-np.inf), k - 1, axis=1)[:, k - 1], lowest)
    cells = np.flatnonzero(scores >= edge[:, None])
    rows = cells // max(m, 1)
    return rows, cells - rows * m


def places(rows: Ints, n: int) -> Ints:
    """int64 (m,): 0, 1, 2, … within each run of equal row numbers; `rows` ascending, below n."""
    sizes = np.bincount(rows, minlength=n)
    return np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def unknown_rows(scores: Floats, known: np.ndarray) -> Floats:
    """`scores` with NaN in the rows where `known` (bool, per row) is False; changed in place."""
    scores[~known] = np.nan
    return scores


def save(model: Any, directory: Path) -> None:
    """Hyperparameters as JSON, learned arrays as npy, learned matrices as npz: nothing pickled."""
    directory.mkdir(parents=True)
    learned = {k: v for k, v in vars(model).items() if k.endswith("_")}
    scalars = {k: v for k, v in learned.items() if not isinstance(v, np.ndarray) and not sp.issparse(v)}
    (directory / "model.json").write_text(json.dumps({"params": asdict(model), "learned": scalars}))
    for name, value in learned.items():
        if isinstance(value, sp.csr_matrix):
            sp.save_npz(directory / f"{name}.npz", value, compressed=False)
        elif isinstance(value, np.ndarray):
            np.save(directory / f"{name}.npy", value, allow_pickle=False)


def load(kind: type[M], directory: Path) -> M:
    """A fitted model as `save` left it."""
    kept = json.loads((directory / "model.json").read_text())
    names = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    model = kind(**{k: v for k, v in kept["params"].items() if k in names})
    for name, value in kept["learned"].items():
        setattr(model, name, value)
    for file in directory.glob("*.npy"):
        setattr(model, file.stem, np.load(file, allow_pickle=False))
    for file in directory.glob("*.npz"):
        setattr(model, file.stem, sp.csr_matrix(sp.load_npz(file)))
    return model
