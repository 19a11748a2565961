"""Time of one request to the registered champion in process, p50 and p99, beside implicit's own `recommend`.

    python -m benchmarks.request_time [--tracking-uri sqlite:///mlflow.db] [--requests 100]

Also the ranker's share, many requests in one call by one process, and memory. implicit ranks all items by the factors
of the champion's ALS, computing the customer's anew as ours does: no other models, no rules, no reasons.
Run with what `recsys serve` sets:

    OPENBLAS_NUM_THREADS=1 OMP_WAIT_POLICY=passive RECSYS_THREADS=2 PANDAS_FUTURE_INFER_STRING=0
"""

import argparse
import resource
import time
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from implicit.cpu.als import AlternatingLeastSquares

from recsys.ranking.blend import rank

CANDIDATES = 500
KINDS = ("customer", "cart", "both")


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
    for kind in KINDS:
        took = []
        for _ in range(given.requests):
            rows = pd.DataFrame([request(known, kind, rng)])
            before = time.perf_counter()
            model.predict(rows)
            took.append((time.perf_counter() - before) * 1e3)
        tell(kind, took)
    ranker(known, rng, given.requests)
    implicit_alone(known, rng, given.requests)
    batch(model, known, rng)
    print(f"memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB at its highest")


def request(known: Any, kind: str, rng: np.random.Generator) -> dict[str, Any]:
    """A row that asks by a customer whom the recommender knows, by three items in a cart, or by both."""
    customer = "" if kind == "cart" else str(rng.choice(known.customers.ids))
    basket = [] if kind == "customer" else [str(i) for i in rng.choice(known.items.ids, 3, replace=False)]
    return {"customer_id": customer, "basket": basket, "options": ""}


def tell(what: str, took: list[float]) -> None:
    print(f"{what:<19} p50 {np.percentile(took, 50):.1f} ms, p99 {np.percentile(took, 99):.1f} ms")


def ranker(known: Any, rng: np.random.Generator, requests: int) -> None:
    """The boosters and probabilities alone, on 500 candidates of real customers, and contributions of ten of them.

    The latter beside LightGBM's own; one thread.
    """
    took, ours, lightgbm = [], [], []
    for _ in range(requests):
        queries = known.queries(rng.integers(len(known.customers), size=1), [np.zeros(0, np.int64)])
        ranked = rank(known.models, known.hybrid, queries)
        x = np.resize(ranked.features, (CANDIDATES, ranked.features.shape[1]))
        before = time.perf_counter()
        known.hybrid.judge(x, np.zeros(CANDIDATES, np.int64), np.zeros(1, bool))
        took.append((time.perf_counter() - before) * 1e3)
        before = time.perf_counter()
        known.hybrid.contributions(x[:10])
        ours.append((time.perf_counter() - before) * 1e3)
        before = time.perf_counter()
        known.hybrid.boosters[known.hybrid.reader].predict(x[:10], pred_contrib=True, num_threads=1)
        lightgbm.append((time.perf_counter() - before) * 1e3)
    tell("ranker", took)
    tell("reasons", ours)
    tell("LightGBM", lightgbm)


def implicit_alone(known: Any, rng: np.random.Generator, requests: int) -> None:
    """implicit's `recommend` with the same item factors and the customers' own purchases."""
    als, bought = known.models["als"], known.histories.counts
    model = AlternatingLeastSquares(factors=als.factors, regularization=als.regularization, num_threads=1)
    model.item_factors = als.items_
    model.user_factors = np.zeros((len(known.customers), als.factors), np.float32)
    took = []
    for user in rng.integers(len(known.customers), size=requests):
        before = time.perf_counter()
        model.recommend(user, bought[user], N=10, filter_already_liked_items=False, recalculate_user=True)
        took.append((time.perf_counter() - before) * 1e3)
    tell("implicit", took)


def batch(model: Any, known: Any, rng: np.random.Generator) -> None:
    """Known customers in calls of 480 rows, ten items each with reasons."""
    ids = [str(i) for i in rng.choice(known.customers.ids, 480, replace=len(known.customers) < 480)]
    rows = pd.DataFrame({"customer_id": ids, "basket": [[]] * 480, "options": [""] * 480})
    took = []
    for _ in range(3):
        before = time.perf_counter()
        model.predict(rows)
        took.append(time.perf_counter() - before)
    print(f"batch               {480 / np.median(took):.0f} requests/s in one process")


if __name__ == "__main__":
    main()
