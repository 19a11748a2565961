"""The hybrid over five seeds: mean and spread of recall@10 per task and segment, against the floors.

    python -m benchmarks.seeds [--config FILE] [--set section.key=value] [--seeds 5]

Every seed refits ALS, samples other negatives and trains other trees. Exits with 1 where a mean lies below its
floor (floors are those of Complete Journey's December window and hold for the default config only).
"""

import argparse
import statistics
import sys
from datetime import UTC, datetime

from recsys import training
from recsys.config import load_config
from recsys.stages import read_json

FLOORS = {
    ("next_basket", "all"): 0.152,
    ("next_basket", "new"): 0.0248,
    ("cart", "all"): 0.190,
    ("cart", "new"): 0.069,
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--config", default="configs/complete_journey.yaml")
    arguments.add_argument("--set", action="append", default=[], dest="settings")
    arguments.add_argument("--seeds", type=int, default=5)
    given = arguments.parse_args()
    found: dict[tuple[str, str], list[float]] = {}
    for seed in range(given.seeds):
        seeds = [f"models.als.seed={seed}", f"ranker.seed={seed}"]
        done = training.judge(load_config(given.config, [*given.settings, *seeds]), datetime.now(UTC))
        for r in read_json(done.evaluated / "metrics.json")["records"]:
            if (r["contender"], r["metric"], r["k"]) == ("hybrid", "recall", 10):
                found.setdefault((r["task"], r["segment"]), []).append(r["value"])
        print(f"seed {seed}: " + "  ".join(f"{t} {s} {v[-1]:.4f}" for (t, s), v in found.items()), flush=True)
    below = 0
    print(f"{'task':<13}{'segment':<9}{'mean':>8}{'min':>8}{'max':>8}{'floor':>8}")
    for (task, segment), values in found.items():
        floor = FLOORS.get((task, segment))
        mean = statistics.mean(values)
        below += floor is not None and mean < floor
        print(f"{task:<13}{segment:<9}{mean:>8.4f}{min(values):>8.4f}{max(values):>8.4f}{floor or '':>8}")
    sys.exit(f"{below} means lie below their floor" if below else None)


if __name__ == "__main__":
    main()
