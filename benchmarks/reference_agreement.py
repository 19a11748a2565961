"""Our single models, with the settings of the published held-out protocol, against its table (within 3%).

    python -m benchmarks.reference_agreement

Recall@10 on Complete Journey, December 2017, 1,921 queries; the reference is a script of its own that shares no
code with this package. Exits with 1 where a figure is more than 3% off.
"""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.references import RECIPES
from recsys import pipeline
from recsys.config import load_config
from recsys.data.splits import both_tasks
from recsys.evaluation.metrics import count_relevant, find_hits, recall_at
from recsys.evaluation.protocols import SEGMENTS, in_segment, single_lists

REFERENCE = {  # (task, segment): popularity, frequency, als, user_knn, item_knn
    ("next_basket", "all"): (0.0493, 0.1497, 0.0506, 0.0856, 0.0644),
    ("next_basket", "repeat"): (0.1820, 0.3081, 0.1633, 0.2274, 0.1809),
    ("next_basket", "new"): (0.0196, 0.0196, 0.0223, 0.0180, 0.0189),
    ("cart", "all"): (0.0519, 0.1594, 0.0512, 0.0861, 0.1007),
    ("cart", "repeat"): (0.1850, 0.3261, 0.1587, 0.2292, 0.2606),
    ("cart", "new"): (0.0196, 0.0196, 0.0211, 0.0179, 0.0641),
}
BLOCK = 128


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--config", default="configs/complete_journey.yaml")
    config = load_config(arguments.parse_args().config)
    matrices = pipeline.build_matrices(config, pipeline.ingest_orders(config, datetime.now(UTC)))
    off = compare(matrices)
    sys.exit(f"{off} figures are more than 3% off" if off else None)


def compare(matrices: Path) -> int:
    """Print ours, the reference and the ratio; return how many ratios leave 0.97…1.03."""
    data, asked = pipeline.load_moment(matrices, pipeline.TEST)
    tasks = both_tasks(asked, data)
    off = 0
    print(f"{'model':<12}{'task':<13}{'segment':<9}{'ours':>8}{'reference':>11}{'ratio':>8}")
    for at, (name, model) in enumerate(RECIPES.items()):
        model.fit(data)
        for task, queries in tasks.items():
            hits: dict[str, list[float]] = {s: [] for s in SEGMENTS}
            for start in range(0, len(queries), BLOCK):
                rows = queries.take(range(start, min(start + BLOCK, len(queries))))
                lists = single_lists(model.score(rows.histories), rows.histories, 10)
                for segment in SEGMENTS:
                    relevant = in_segment(rows, segment)
                    found = recall_at(find_hits(lists[segment], relevant), count_relevant(relevant), 10)
                    hits[segment] += [v for v in found.tolist() if v == v]
            for segment in SEGMENTS:
                ours, reference = sum(hits[segment]) / len(hits[segment]), REFERENCE[task, segment][at]
                off += not 0.97 <= ours / reference <= 1.03
                print(f"{name:<12}{task:<13}{segment:<9}{ours:>8.4f}{reference:>11.4f}{ours / reference:>8.3f}")
    return off


if __name__ == "__main__":
    main()
