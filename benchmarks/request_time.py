"""Time of one request to the registered champion in process, and of the ranker's share of it: p50 and p99.

    python -m benchmarks.request_time [--tracking-uri sqlite:///mlflow.db] [--requests 100]

Run with OPENBLAS_NUM_THREADS=1, as a server should be.
"""

import argparse
import time
from typing import Any

import mlflow
import numpy as np
import pandas as pd

from recsys.ranking.blend import rank

CANDIDATES = 500


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--tracking-uri", default="sqlite:///mlflow.db")
    arguments.add_argument("--model", default="models:/recsys@champion")
    arguments.add_argument("--requests", type=int, default=100)
    given = arguments.parse_args()
    mlflow.set_tracking_uri(given.tracking_uri)
    started = time.perf_counter()
    model = mlflow.pyfunc.load_model(given.model)
    print(f"cold load {time.perf_counter() - started:.1f} s")
    known = model.unwrap_python_model().recommender
    rng = np.random.default_rng(0)
    for kind in ("customer", "cart", "both"):
        took = []
        for _ in range(given.requests):
            customer = "" if kind == "cart" else str(rng.choice(known.customers.ids))
            basket = [] if kind == "customer" else [str(i) for i in rng.choice(known.items.ids, 3, replace=False)]
            rows = pd.DataFrame({"customer_id": [customer], "basket": [basket], "options": [""]})
            before = time.perf_counter()
            model.predict(rows)
            took.append((time.perf_counter() - before) * 1e3)
        _tell(kind, took)
    ranker(known, rng, given.requests)


def _tell(what: str, took: list[float]) -> None:
    print(f"{what:<9} p50 {np.percentile(took, 50):.1f} ms, p99 {np.percentile(took, 99):.1f} ms")


def ranker(known: Any, rng: np.random.Generator, requests: int) -> None:
    """The boosters and probabilities alone, on 500 candidates of real customers, one thread."""
    took = []
    for _ in range(requests):
        queries = known.queries(rng.integers(len(known.customers), size=1), [np.zeros(0, np.int64)])
        ranked = rank(known.models, known.hybrid, queries, known.per_source)
        x = np.resize(ranked.features, (CANDIDATES, ranked.features.shape[1]))
        before = time.perf_counter()
        known.hybrid.judge(x, np.zeros(CANDIDATES, np.int64), np.zeros(1, bool))
        took.append((time.perf_counter() - before) * 1e3)
    _tell("ranker", took)


if __name__ == "__main__":
    main()
