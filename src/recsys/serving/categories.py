"""The names by which a request may choose items: those of the catalog's departments, categories and types."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ..data.histories import LEVELS, IdMap, ItemFacts
from ..data.store import load_ids, save_ids
from ..errors import InputError
from .placements import short

Codes = frozenset[tuple[int, int]]  # (level, code) pairs


@dataclass(frozen=True)
class Categories:
    """names: of each level the name of each code; levels int32 (n_items, 3): codes of the items, -1 = unknown.

    others, other_levels: items of the catalog that the models do not know, and their codes.
    """

    names: tuple[tuple[str, ...], ...]
    levels: np.ndarray
    others: IdMap
    other_levels: np.ndarray

    @classmethod
    def of(cls, facts: ItemFacts) -> "Categories":
        return cls(facts.level_names, facts.levels, facts.others, facts.other_levels)

    def save(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        (directory / "names.json").write_text(json.dumps(self.names, ensure_ascii=False), encoding="utf-8")
        save_ids(self.others, directory / "others.json")
        np.savez(directory / "levels.npz", levels=self.levels, other_levels=self.other_levels)

    @classmethod
    def load(cls, directory: Path) -> "Categories":
        names = json.loads((directory / "names.json").read_text(encoding="utf-8"))
        with np.load(directory / "levels.npz", allow_pickle=False) as kept:
            levels, other_levels = kept["levels"], kept["other_levels"]
        return cls(tuple(map(tuple, names)), levels, load_ids(directory / "others.json"), other_levels)

    @cached_property
    def _codes(self) -> dict[str, Codes]:
        """Name → every level and code that it stands for."""
        found: dict[str, set[tuple[int, int]]] = {}
        for level, names in enumerate(self.names):
            for code, name in enumerate(names):
                found.setdefault(name, set()).add((level, code))
        return {name: frozenset(codes) for name, codes in found.items()}

    @cached_property
    def _spellings(self) -> dict[str, str]:
        return {name.strip().casefold(): name for name in sorted(self._codes)}

    def codes(self, key: str, names: Sequence[str]) -> Codes:
        """What the names stand for, at whatever level; raises InputError for one that no known item has."""
        found: set[tuple[int, int]] = set()
        for name in names:
            if name not in self._codes:
                raise InputError(f"options.{key} has {short(name)}, {self._remedy(name)}")
            found |= self._codes[name]
        return frozenset(found)

    def _remedy(self, name: str) -> str:
        alike = self._spellings.get(name.strip().casefold()) if len(name) <= 200 else None
        if alike:
            return f"which no item that the model knows belongs to; did you mean {short(alike)}?"
        known = ", ".join(f"{len(names)} of {level}" for level, names in zip(LEVELS, self.names, strict=True))
        return f"which no item that the model knows belongs to; give names of the catalog (it knows {known})"

    def beside(self, ids: Iterable[str]) -> Codes:
        """The narrowest known category of each id that the catalog knows and the models do not; empty for none."""
        places = self.others.positions(list(ids))
        rows = self.other_levels[places[places >= 0]]
        narrowest = (max((level for level, code in enumerate(row) if code >= 0), default=-1) for row in rows)
        return frozenset((at, int(row[at])) for at, row in zip(narrowest, rows, strict=True) if at >= 0)

    def members(self, codes: Codes) -> np.ndarray:
        """bool (n_items,): items with one of the codes."""
        out = np.zeros(len(self.levels), bool)
        for level in range(self.levels.shape[1]):
            out |= np.isin(self.levels[:, level], [code for at, code in codes if at == level])
        return out
