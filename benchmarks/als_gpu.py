"""ALS on the GPU beside the CPU: time of the fit, and how alike the lists are; skipped with its reason without a card.

    python -m benchmarks.als_gpu RUN [--rounds 3]

RUN is a folder that `python -m benchmarks.scale` left. Both fit the same matrix with the same options, in turn.
"""

import argparse
import json
import statistics
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from recsys.data.store import load_train_data
from recsys.models.als import Als, no_gpu
from recsys.ranking.topk import top_k

ASKED = 2_000  # customers whose lists are compared


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("run", type=Path)
    arguments.add_argument("--rounds", type=int, default=3)
    given = arguments.parse_args()
    if why := no_gpu():
        print(f"skipped: {why}")
        return
    matrices = Path(json.loads((given.run / "at.json").read_text())["matrices"])
    data = load_train_data(matrices / "test" / "data")
    queries = data.histories.take(np.arange(min(ASKED, len(data.histories))))
    models = {device: replace(Als(), device=device) for device in ("cpu", "gpu")}
    took: dict[str, list[float]] = {device: [] for device in models}
    for _ in range(given.rounds + 1):  # the first warms up
        for device, model in models.items():
            started = time.perf_counter()
            model.fit(data)
            took[device].append(time.perf_counter() - started)
    lists = {device: top_k(model.score(queries), 20) for device, model in models.items()}
    shared = np.mean([len(np.intersect1d(a, b)) / 20 for a, b in zip(lists["cpu"], lists["gpu"], strict=True)])
    median = {device: statistics.median(seconds[1:]) for device, seconds in took.items()}
    print(f"cpu {median['cpu']:.1f} s, gpu {median['gpu']:.1f} s, {median['cpu'] / median['gpu']:.1f} times as fast; "
          f"{shared:.0%} of the top 20 are the same")  # fmt: skip


if __name__ == "__main__":
    main()
