"""Scores of Cornac's next-basket models. Runs in Cornac's environment: `PYTHON cornac_peer.py ASKED.json OUT.npz`.

ASKED holds n_items, teachers and askers ([[item, …], …] in time order, per customer) and models
({name: {"kind": …, "params": …}}); OUT holds float64 (n_askers, n_items) per name.
"""

import json
import sys
from collections import OrderedDict
from importlib.metadata import version

import numpy as np
from cornac.data import BasketDataset
from cornac.models import TIFUKNN, UPCF, GPTop

KINDS = {"GPTop": GPTop, "UPCF": UPCF, "TIFUKNN": TIFUKNN}


def main(asked: str, out: str) -> None:
    with open(asked, encoding="utf-8") as file:
        given = json.load(file)
    train = dataset(given["teachers"], given["n_items"])
    scores = {}
    for name, model in given["models"].items():
        fitted = KINDS[model["kind"]](**model["params"]).fit(train)
        answers = [fitted.score(len(given["teachers"]), baskets) for baskets in given["askers"]]
        scores[name] = np.array(answers, np.float64)
    np.savez(out, **scores)
    print(version("cornac"))


def dataset(customers: list, n_items: int) -> BasketDataset:
    """Items keep their positions."""
    lines = [
        (user, f"{user}#{t}", item, t)
        for user, baskets in enumerate(customers)
        for t, basket in enumerate(baskets)
        for item in basket
    ]
    items = OrderedDict((item, item) for item in range(n_items))
    return BasketDataset.build(lines, fmt="UBIT", global_iid_map=items)


if __name__ == "__main__":
    main(*sys.argv[1:])
