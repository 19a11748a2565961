"""How an item is made up: whose brand it is, what it holds, and what that says of two items side by side."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from ..data.histories import Csr, Floats, IdMap, Ints
from ..data.pack_sizes import GRAMS_PER_OUNCE, ML_PER_FLUID_OUNCE, PackSize, Unit, pack_size
from ..models.content import normalise
from .shelf import Shelf

MEASURES: tuple[Unit, ...] = ("g", "ml", "oz", "piece")
OUNCES = np.array([1 / GRAMS_PER_OUNCE, 1 / ML_PER_FLUID_OUNCE, 1.0, 1.0])  # per unit; pieces stay pieces
BRAND_SHRINK = 5.0  # items added to each brand's own, at the level of their type


@dataclass(frozen=True)
class Makes:
    """Brand and size of n items.

    brands    int64 (n,): code of the brand; -1 = unknown
    levels    float64 (n_brands,): mean log of price per unit above the median of the type; 0 = as the type
    amounts   float64 (n,): in all, in the item's unit; NaN = unknown
    units     int8 (n,): place in MEASURES; -1 = unknown
    packs     int32 (n,): packs or pieces; 1 where none are named
    versions  int64 (n,): code of the name without brand and size; -1 where nothing is left
    """

    brands: Ints
    levels: Floats
    amounts: Floats
    units: Ints
    packs: Ints
    versions: Ints

    def size(self, at: int) -> PackSize | None:
        """Size of the item at a position; None where it is unknown."""
        unit = int(self.units[at])
        return PackSize(float(self.amounts[at]), MEASURES[unit], int(self.packs[at])) if unit >= 0 else None

    def larger(self, a: Ints, b: Ints) -> Floats:
        """float64 (m,): amounts of b by amounts of a; NaN where either is unknown or the units do not compare."""
        of_a, of_b = self.units[a], self.units[b]
        ounce = MEASURES.index("oz")
        bare = ((of_a == ounce) & (of_b < ounce)) | ((of_b == ounce) & (of_a < ounce))
        comparable = (of_a >= 0) & (of_b >= 0) & ((of_a == of_b) | bare)
        ratio = self.amounts[b] * OUNCES[of_b] / (self.amounts[a] * OUNCES[of_a])
        return np.where(comparable, ratio, np.nan)

    def dearer_brand(self, a: Ints, b: Ints) -> Floats:
        """float64 (m,): level of b's brand above that of a's; NaN where a brand is unknown."""
        known = (self.brands[a] >= 0) & (self.brands[b] >= 0)
        levels = np.append(self.levels, np.nan)
        return np.where(known, levels[self.brands[b]] - levels[self.brands[a]], np.nan)


def makes_of(shelf: Shelf, brands: Sequence[str | None], sizes: Sequence[str | None]) -> Makes:
    """Makes of the shelf's items, out of what the catalog says of each, in the shelf's order."""
    names = IdMap.of([name for name in brands if name])
    codes = names.positions([name or "" for name in brands])
    read = [pack_size(text) for text in sizes]
    amounts = np.array([np.nan if size is None else size.amount for size in read])
    units = np.array([-1 if size is None else MEASURES.index(size.unit) for size in read], np.int8)
    packs = np.array([1 if size is None else size.packs for size in read], np.int32)
    levels = brand_levels(shelf, codes, len(names), amounts, units)
    return Makes(codes, levels, amounts, units, packs, _versions(shelf.names, brands, sizes))


def _versions(names: Sequence[str], brands: Sequence[str | None], sizes: Sequence[str | None]) -> Ints:
    left = []
    for name, brand, size in zip(names, brands, sizes, strict=True):
        besides = {*normalise(brand or "").split(), *normalise(size or "").split()}
        left.append(" ".join(word for word in normalise(name).split() if word not in besides))
    return IdMap.of([text for text in left if text]).positions(left)


def no_makes(n: int) -> Makes:
    """Of n items neither brand nor size is known."""
    unknown = np.full(n, -1)
    return Makes(unknown, np.zeros(0), np.full(n, np.nan), unknown.astype(np.int8), np.ones(n, np.int32), unknown)


def brand_levels(shelf: Shelf, brands: Ints, n_brands: int, amounts: Floats, units: Ints) -> Floats:
    """float64 (n_brands,), see `Makes`; items without a size are compared by price with others without one."""
    unit = units.astype(np.int64)
    price = np.log(np.where(shelf.prices > 0, shelf.prices, np.nan) / np.where(unit >= 0, amounts, 1.0))
    kind = np.where(shelf.types >= 0, shelf.types * (len(MEASURES) + 1) + unit + 1, -1)
    known = np.flatnonzero((brands >= 0) & (kind >= 0) & ~np.isnan(price))
    above = price[known] - medians(kind[known], price[known])
    total = np.bincount(brands[known], above, minlength=n_brands)
    return np.asarray(total / (np.bincount(brands[known], minlength=n_brands) + BRAND_SHRINK))


def medians(groups: Ints, values: Floats) -> Floats:
    """float64 (m,): median of the values of each one's group."""
    order = np.lexsort((values, groups))
    _, inverse, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    start = np.cumsum(sizes) - sizes
    low, high = values[order[start + (sizes - 1) // 2]], values[order[start + sizes // 2]]
    return np.asarray(((low + high) / 2)[inverse])


# --- where the catalog knows no type


def with_alike_types(shelf: Shelf, vectors: Csr, sold: Ints, alike: float = 0.3) -> Shelf:
    """The shelf with items of unknown type put into types of similar texts, new codes behind the known ones.

    The most sold item without a type leads a new one; a further item joins the leader whose text is closest, where the
    cosine is at least `alike`, else it leads one itself. `vectors` (n, n_terms): rows of unit length, see
    `Content.vectors`; an item without any text keeps its -1.
    """
    loose = np.flatnonzero((shelf.types < 0) & (np.diff(vectors.indptr) > 0))
    loose = loose[np.lexsort((loose, -sold[loose]))]
    types = shelf.types.copy()
    types[loose] = int(types.max(initial=-1)) + 1 + _led(_near(vectors[loose], alike))
    return replace(shelf, types=types)


def _near(rows: Csr, alike: float, block: int = 1024) -> Csr:
    """CSR (m, m): cosines of at least `alike`."""
    across, found = rows.T.tocsr(), []
    for start in range(0, rows.shape[0], block):
        part = (rows[start : start + block] @ across).tocsr()
        part.data[part.data < alike - 1e-6] = 0
        part.eliminate_zeros()
        found.append(part)
    return sp.csr_matrix(sp.vstack(found)) if found else sp.csr_matrix((0, 0))


def _led(near: Csr) -> Ints:
    """int64 (m,): 0, 1, 2, … the leader's number of each row; rows stand in the order in which they may lead."""
    led, nearest = np.full(near.shape[0], -1), np.zeros(near.shape[0])
    count = 0
    for row in range(len(led)):
        if led[row] >= 0:
            continue
        cells = slice(near.indptr[row], near.indptr[row + 1])
        others, cosine = near.indices[cells], near.data[cells]
        closer = cosine > nearest[others]
        led[others[closer]], nearest[others[closer]] = count, cosine[closer]
        led[row], nearest[row] = count, np.inf  # a leader stays
        count += 1
    return led
