"""Who answers, and their lists: references, single models, hybrid."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.comparison.exams import Exam, exam
from benchmarks.comparison.shop import Shop
from recsys.config import Config
from recsys.data.splits import Moment, Queries
from recsys.errors import InputError
from recsys.evaluation.protocols import SEGMENTS, Lists, contender_lists, single_lists
from recsys.models.base import Scorer
from recsys.progress import step
from recsys.ranking.base_models import SINGLES, BaseModels
from recsys.ranking.blend import by_block
from recsys.ranking.hybrid import Hybrid
from recsys.ranking.training_rows import TrainingRows
from recsys.training_set import moment_rows


@dataclass(frozen=True)
class Learned:
    """The hybrid, or None and the reason."""

    hybrid: Hybrid | None
    notes: tuple[str, ...]


def learn_hybrid(shop: Shop, train: Sequence[Moment], test: Moment, config: Config, min_basket: int) -> Learned:
    """Rows of every training moment, then the ranker.

    With keys the teachers' last baskets are labels too; not in a window, where they lie in the test's time.
    """
    teachers = shop.keys.teachers if shop.keys else None
    parts, notes = [], []
    last = [test] if teachers and config.split.kind == "last_basket" else []
    for moment in [*train, *last]:
        with step(f"learn {moment.name}"):
            try:
                found = exam(shop, moment, config, min_basket, teachers)
            except InputError as error:
                notes.append(f"the ranker learns nothing from moment {moment.name}: {error}")
                continue
            if found.asked.height:
                parts.append(
                    moment_rows(BaseModels.fit(found.data, config.models), found.data, found.asked, config.ranker)
                )
    answers = np.concatenate([part.y for part in parts]) if parts else np.zeros(0, bool)
    if not answers.any() or answers.all():
        return Learned(
            None, (*notes, "the hybrid is left out: no training moment has items bought and items not bought")
        )
    with step("ranker"):
        hybrid = Hybrid.fit(TrainingRows.concatenate(parts), config.ranker)
    said = f"the ranker learned from {len(answers):,} rows, {int(answers.sum()):,} of them bought"
    return Learned(hybrid, (*notes, f"{said}, of {len(parts)} moments"))


def lists_of(
    references: dict[str, Scorer],
    models: BaseModels,
    hybrid: Hybrid | None,
    names: Sequence[str],
    tasks: dict[str, Queries],
    k: int,
) -> Lists:
    """Lists of references, the single models among `names` and the hybrid; all tasks ask the same orders."""
    with step(f"lists of references, {', '.join(tasks)}"):
        out = scorer_lists(references, tasks, k)
    with step(f"lists of models, {', '.join(tasks)}"):
        singles = tuple(name for name in SINGLES if name in names)
        if hybrid is None:
            return out | scorer_lists({name: models[name] for name in singles}, tasks, k)
        return out | contender_lists(models, hybrid, tasks, k, singles=singles)


def scorer_lists(scorers: dict[str, Scorer], tasks: dict[str, Queries], k: int) -> Lists:
    """Lists of single scorers for every task and segment."""
    out: Lists = {}
    for name, scorer in scorers.items():
        for task, queries in tasks.items():
            parts = _lists(scorer, queries, k)
            out |= {(name, task, s): np.concatenate([part[s] for part in parts]) for s in SEGMENTS}
    return out


def _lists(scorer: Scorer, queries: Queries, k: int) -> list[dict[str, np.ndarray]]:
    def block(rows: np.ndarray) -> dict[str, np.ndarray]:
        asked = queries.histories.take(rows)
        return single_lists(scorer.score(asked), asked, k)

    return by_block(len(queries), block)


def new_items_only(lists: Lists) -> Lists:
    """What a customer bought before is barred: the list of all items is that of the new ones."""
    out = dict(lists)
    for name, task, segment in lists:
        new = lists[name, task, "new"]
        out[name, task, segment] = np.full_like(new, -1) if segment == "repeat" else new
    return out


def fit_references(references: dict[str, Scorer], found: Exam) -> dict[str, Scorer]:
    """Every reference fitted on the exam's data; those given stay unfitted."""
    out = {}
    for name, model in references.items():
        with step(f"fit {name}"):
            out[name] = copy.copy(model).fit(found.data)
    return out
