"""GP-TopFreq, UP-CF@r and TIFU-KNN against Cornac's GPTop, UPCF and TIFUKNN on a synthetic shop.

    python -m benchmarks.cornac_check --python PYTHON

PYTHON is an interpreter that has Cornac, in an environment of its own:

    python3 -m venv peers/cornac && peers/cornac/bin/pip install cornac==3.0.1 similaripy==0.2.0

Half of the customers teach, the other half ask. Where both libraries define the same, the scores must agree (within
1e-5 of the largest, else the command exits with 1). Where Cornac deviates from the papers' equations, the share of
common items in the lists of ten is printed, with the deviation:

GPTop     the share of everybody's baskets reaches 1, so that the best seller counts like one own basket more
UPCF      w(u, v) is that of 0/1 vectors of all items ever bought, not of p; alike where a customer has one basket;
          only the hundred best items get a score, and only they are compared; it crashes with similaripy 0.7.0
TIFUKNN   within-group decay runs over all baskets, not within each group; r_g has the exponent 7 - i also where a
          customer has fewer than 7 baskets; the latest basket of every teacher is dropped; and the mean of the
          neighbours is taken over items too: one number, which changes no list
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.comparison.shop import FUTURE, literature_shop
from benchmarks.references import GPTopFreq, GTopFreq, PTopFreq, TifuKnn, UpCf
from recsys.data.histories import Floats, Histories, IdMap, TrainData
from recsys.data.interactions import lines_before, train_data
from recsys.data.synthetic import SyntheticOptions, synthetic_shop
from recsys.models.base import Scorer
from recsys.ranking.topk import top_k

WORKER = Path(__file__).parent / "peers" / "cornac_peer.py"
TOLERANCE = 1e-5
K = 10
Customers = list[list[list[int]]]  # baskets of item positions, per customer


@dataclass(frozen=True)
class Check:
    """One of ours beside one of Cornac's. `equal`: the definitions are the same, so the scores must be."""

    name: str
    ours: Scorer
    kind: str
    params: dict[str, Any]
    equal: bool
    scale: Callable[[Floats, TrainData], Floats] = lambda scores, _: scores  # ours in Cornac's unit
    single_baskets: bool = False  # everybody has the first basket only


def per_best_seller(scores: Floats, data: TrainData) -> Floats:
    return scores / data.orders.sum(axis=0).max()


def unlisted_as_zero(scores: Floats, _: TrainData) -> Floats:
    return np.nan_to_num(scores)


CHECKS = (
    Check("G-TopFreq", GTopFreq(), "GPTop", {"use_personalized_popularity": False}, True, per_best_seller),
    Check("P-TopFreq", PTopFreq(), "GPTop", {"use_global_popularity": False}, True, unlisted_as_zero),
    Check("GP-TopFreq", GPTopFreq(), "GPTop", {}, False),
    *(
        Check(f"UP-CF@1, a = {a}, q = {q}, one basket each", UpCf(recency=1, asymmetry=a, locality=q), "UPCF",
              {"recency": 1, "asymmetry": a, "locality": q}, True, single_baskets=True)
        for a, q in ((0.25, 1), (0.75, 5))
    ),
    Check("UP-CF@10, a = 0.25, q = 5", UpCf(recency=10), "UPCF", {"recency": 10, "asymmetry": 0.25, "locality": 5},
          False),
    Check("TIFU-KNN, own vector, 1 group", TifuKnn(groups=1, alpha=1), "TIFUKNN", {"n_groups": 1, "alpha": 1}, True),
    Check("TIFU-KNN, own vector, 2 groups, r_b = 1", TifuKnn(groups=2, within=1, alpha=1), "TIFUKNN",
          {"n_groups": 2, "within_decay_rate": 1, "alpha": 1}, True),
    Check("TIFU-KNN, own vector, usual values", TifuKnn(alpha=1), "TIFUKNN", {"alpha": 1}, False),
    Check("TIFU-KNN, usual values", TifuKnn(k=50), "TIFUKNN", {"n_neighbors": 50}, False),
)  # fmt: skip


def main(words: list[str] | None = None) -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--python", required=True, help="interpreter of an environment with Cornac")
    arguments.add_argument("--customers", type=int, default=200)
    given = arguments.parse_args(words)
    teachers, askers, n_items = baskets(given.customers)
    off = 0
    print(f"{len(teachers)} customers teach, {len(askers)} ask, {n_items} items")
    print(f"{'check':<42}{'difference':>12}{'common of 10':>14}  must agree")
    for single in (True, False):
        chosen = [check for check in CHECKS if check.single_baskets == single]
        shown = [[own[:1] if single else own for own in half] for half in (teachers, askers)]
        theirs = cornac_scores(given.python, *shown, n_items, chosen)
        for check in chosen:
            off += not report(check, our_scores(check, *shown, n_items), theirs[check.name])
    sys.exit(f"{off} scores that must agree with Cornac's do not" if off else None)


def baskets(customers: int) -> tuple[Customers, Customers, int]:
    """Baskets of the customers of a synthetic shop with at least two, half of them teachers."""
    orders = synthetic_shop(SyntheticOptions(customers=customers, items=240, orders_per_customer=9)).orders
    bought = orders.filter((pl.col("quantity") > 0) & pl.col("customer_id").is_not_null())
    items = IdMap.of(bought["item_id"].unique().to_list())
    grouped = (
        bought.group_by("customer_id", "order_id")
        .agg(pl.col("ordered_at").min(), pl.col("item_id").unique().sort())
        .sort("customer_id", "ordered_at", "order_id")
        .group_by("customer_id", maintain_order=True)
        .agg("item_id")
    )
    found = [[items.positions(basket).tolist() for basket in own] for own in grouped["item_id"].to_list()]
    found = [own for own in found if len(own) > 1]
    return found[: len(found) // 2], found[len(found) // 2 :], len(items)


def cornac_scores(python: str, teachers: Customers, askers: Customers, n_items: int, checks: list[Check]) -> Any:
    """float64 (n_askers, n_items) by name of the check."""
    models = {check.name: {"kind": check.kind, "params": check.params} for check in checks}
    with tempfile.TemporaryDirectory() as folder:
        asked, out = Path(folder) / "asked.json", Path(folder) / "out.npz"
        asked.write_text(json.dumps({"n_items": n_items, "teachers": teachers, "askers": askers, "models": models}))
        command = [python, str(WORKER), str(asked), str(out)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            sys.exit(f"{python} does not run ({error.strerror}); give the interpreter of an environment with Cornac")
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["no message"])[-1]
            sys.exit(f"Cornac failed in {python}: {said}; see the docstring for set-up")
        print(f"Cornac {done.stdout.strip().splitlines()[-1]}", file=sys.stderr)
        with np.load(out) as file:
            return {name: file[name] for name in file.files}


def our_scores(check: Check, teachers: Customers, askers: Customers, n_items: int) -> Floats:
    data = matrices(teachers, n_items)
    asked = matrices(askers, n_items).histories
    strangers = Histories(asked.indptr, asked.items, asked.orders, asked.ages, asked.weights, asked.cart,
                          np.full(len(asked), -1))  # fmt: skip
    return check.scale(check.ours.fit(data).score(strangers), data)


def matrices(customers: Customers, n_items: int) -> TrainData:
    """Every basket is history; customers and items keep their order."""
    named = {f"{u:06d}": [[f"{i:06d}" for i in basket] for basket in own] + [[]] for u, own in enumerate(customers)}
    shop = literature_shop(named, "the synthetic shop")
    items = IdMap(tuple(f"{i:06d}" for i in range(n_items)))
    return train_data(lines_before(shop.orders, FUTURE), shop.catalog, items=items)


def report(check: Check, ours: Floats, theirs: Floats) -> bool:
    """Print one line; False where scores that must agree do not."""
    said = theirs != 0 if check.kind == "UPCF" else np.ones(theirs.shape, bool)
    difference = float(np.abs(np.nan_to_num(ours) - theirs)[said].max() / np.abs(theirs).max())
    lists = zip(top_k(ours, K), top_k(theirs, K), strict=True)
    common = float(np.mean([len(set(a) & set(b)) / K for a, b in lists]))
    print(f"{check.name:<42}{difference:>12.1e}{common:>14.3f}  {'yes' if check.equal else 'no'}")
    return not check.equal or difference <= TOLERANCE


if __name__ == "__main__":
    main()
