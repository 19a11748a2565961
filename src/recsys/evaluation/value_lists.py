"""What the lists are worth: commerce measures of the contenders' lists, and the trade-off of lists by value."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recsys.data.histories import Ints, TrainData
from recsys.data.splits import Queries
from recsys.evaluation.commerce import of_lists, slow_movers
from recsys.evaluation.protocols import HYBRID, EvaluationOptions, Lists
from recsys.ranking.blend import Ranked
from recsys.ranking.topk import top_k_of_rows
from recsys.ranking.value import OF, Worth, value_scores
from recsys.ranking.within_query import in_order

WEIGHTS = (0.25, 0.5, 0.75, 1.0)  # of the worth; 0 is the hybrid's own list
DEPTHS = (3, 10)  # list lengths; 3 is what a cart page shows


@dataclass
class ValueLists:
    """Gathers the hybrid's lists by value block by block; handed to `contender_lists` as `watch`."""

    worth: Worth
    parts: dict[tuple[str, str, float], list[tuple[int, Ints]]] = field(default_factory=dict)

    def __call__(self, task: str, rows: Ints, ranked: Ranked) -> None:
        """`rows` int64: queries of the block; `ranked` their candidates."""
        found = ranked.candidates
        p = in_order(ranked.scores, ranked.probabilities, found.query)
        for what in OF:
            if self.worth.any_known(what):
                worth = self.worth.known(what)[found.item]
                for weight in WEIGHTS:
                    scores = value_scores(p, worth, weight)
                    lists, _ = top_k_of_rows(found.query, found.item, scores, len(rows), max(DEPTHS))
                    self.parts.setdefault((task, what, weight), []).append((int(rows[0]), lists))

    def lists(self) -> dict[tuple[str, str, float], Ints]:
        """(task, price | margin, weight) → int64 (n_queries, 10), in the order of the queries."""
        return {
            key: np.concatenate([part for _, part in sorted(parts, key=lambda block: block[0])])
            for key, parts in self.parts.items()
        }


def commerce_records(
    lists: Lists,
    valued: dict[tuple[str, str, float], Ints],
    tasks: dict[str, Queries],
    data: TrainData,
    options: EvaluationOptions,
) -> list[dict[str, Any]]:
    """One record per contender (or list by value), task, k and measure of `commerce.of_lists`, with intervals.

    contender, task, k, of (score, price or margin: what orders the list), weight, measure, value, low, high, below,
    units. The worth is that of one unit of each item at its price before the cut.
    """
    slow = slow_movers(np.asarray(data.orders.sum(axis=0)).ravel().astype(np.int64))
    wanted: dict[tuple[str, str, str, float], Ints] = {
        (contender, task, "score", 0.0): rows for (contender, task, segment), rows in lists.items() if segment == "all"
    }
    wanted |= {(HYBRID, task, what, weight): rows for (task, what, weight), rows in valued.items()}
    out = []
    for (contender, task, what, weight), rows in wanted.items():
        for k in [depth for depth in DEPTHS if depth <= rows.shape[1]]:
            measured = of_lists(
                rows, tasks[task].relevant, k, prices=data.facts.prices, costs=data.facts.costs, slow=slow
            )
            about = {"contender": contender, "task": task, "k": k, "of": what, "weight": weight}
            out += [about | record for record in measured.records(options.resamples, options.level, options.seed)]
    return out
