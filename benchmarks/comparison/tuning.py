"""Hyperparameters of the published methods, chosen on the orders before the test among a stated grid."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.comparison.exams import Exam
from benchmarks.comparison.lists import new_items_only, scorer_lists
from recsys.evaluation.metrics import count_relevant, find_hits, recall_at
from recsys.models.base import Scorer
from recsys.progress import step

GRIDS: dict[str, dict[str, tuple[Any, ...]]] = {
    "TIFU-KNN": {"k": (100, 300), "groups": (3, 7, 14), "over": (0.5, 0.7, 0.9), "alpha": (0.3, 0.5, 0.7, 0.9)},
    "UP-CF@r": {"recency": (5, 10, 25, 0), "asymmetry": (0.25, 0.5, 0.75), "locality": (5.0, 10.0)},
    "PerNIR": {"k": (25, 50, 100, 300), "history": (0.05, 0.1, 0.3, 0.5), "personal": (0.1, 0.3, 0.5, 0.7)},
}
TUNED_ON = {"TIFU-KNN": "next_basket", "UP-CF@r": "next_basket", "PerNIR": "cart"}


def tuned(references: dict[str, Scorer], found: Exam, k: int, mask_bought: bool) -> dict[str, tuple[Scorer, float]]:
    """The best of each grid by recall@k on the validation orders, and that recall; the first of equals.

    Empty where nothing can be asked.
    """
    out: dict[str, tuple[Scorer, float]] = {}
    if not found.asked.height:
        return out
    for name in [name for name in references if name in GRIDS]:
        with step(f"tune {name}"):
            tries = [(model, _recall(model, name, found, k, mask_bought)) for model in _grid(name, references[name])]
        out[name] = max(tries, key=lambda scored: scored[1])
    return out


def chosen_values(name: str, model: Any) -> dict[str, Any]:
    """The hyperparameters that the grid varies."""
    return {parameter: getattr(model, parameter) for parameter in GRIDS[name]}


def _grid(name: str, model: Any) -> list[Any]:
    """Unfitted models of every combination."""
    grid = GRIDS[name]
    return [replace(model, **dict(zip(grid, values, strict=True))) for values in itertools.product(*grid.values())]


def _recall(model: Scorer, name: str, found: Exam, k: int, mask_bought: bool) -> float:
    """Mean recall@k over the validation orders; 0 where there are none."""
    tasks = found.tasks((TUNED_ON[name],))
    lists = scorer_lists({name: model.fit(found.data)}, tasks, k)
    lists = new_items_only(lists) if mask_bought else lists
    queries = tasks[TUNED_ON[name]]
    values = recall_at(
        find_hits(lists[name, TUNED_ON[name], "all"], queries.relevant), count_relevant(queries.relevant), k
    )
    held = values[~np.isnan(values)]
    return float(held.mean()) if len(held) else 0.0
