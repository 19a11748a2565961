"""Which definition a peer's figure follows: our metrics under every divider, compared to the last digits."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.peers.conversation import KS
from benchmarks.peers.made_up import Judged
from recsys.evaluation import metrics as m

CLOSE = 1e-9  # relative; sums are taken in another order
UNKNOWN = "none of ours"


@dataclass(frozen=True)
class Reading:
    """One way to read the lists: what counts as a hit, how many items are relevant, how long each list is."""

    label: str
    hits: m.Bools
    relevant: m.Ints
    lengths: m.Ints


Definition = Callable[[Reading, int], m.Floats]
DEFINITIONS: dict[str, dict[str, Definition]] = {  # metric → divider → values per query; ours comes first
    "recall": {
        "R": lambda r, k: m.recall_at(r.hits, r.relevant, k),
        "min(k, R)": lambda r, k: m.recall_at(r.hits, r.relevant, k) * r.relevant / np.minimum(k, r.relevant),
    },
    "precision": {
        "k": lambda r, k: m.precision_at(r.hits, r.relevant, k),
        "min(k, length)": lambda r, k: m.precision_at(r.hits, r.relevant, k, r.lengths),
        "min(k, R)": lambda r, k: m.precision_at(r.hits, r.relevant, k) * k / np.minimum(k, r.relevant),
    },
    "hit_rate": {"none": lambda r, k: m.hit_rate_at(r.hits, r.relevant, k)},
    "ndcg": {
        "min(k, R)": lambda r, k: m.ndcg_at(r.hits, r.relevant, k),
        "k": lambda r, k: m.ndcg_at(r.hits, r.relevant, k, ideal="k"),
        "R": lambda r, k: m.ndcg_at(r.hits, r.relevant, k, ideal="full"),
    },
    "mrr": {"none": lambda r, k: m.mrr_at(r.hits, r.relevant, k)},
    "map": {
        "min(k, R)": lambda r, k: m.map_at(r.hits, r.relevant, k),
        "R": lambda r, k: m.map_at(r.hits, r.relevant, k, divider="relevant"),
        "k": lambda r, k: m.map_at(r.hits, r.relevant, k, divider="k"),
    },
}
POPULATIONS: dict[str, Callable[[Reading, m.Floats], m.Floats]] = {  # over which queries the mean is taken
    "": lambda _, values: values[~np.isnan(values)],
    "without relevant items counts 0": lambda _, values: np.nan_to_num(values),
    "without a list left out": lambda r, values: values[~np.isnan(values) & (r.lengths > 0)],
}


def readings(judged: Judged) -> list[Reading]:
    """The lists as they are; where an item stands at ranks 1 and 2, three ways to count it."""
    relevant, lengths = m.count_relevant(judged.relevant()), m.list_lengths(judged.lists)
    again = (judged.lists[:, 0] == judged.lists[:, 1]) & (judged.lists[:, 0] >= 0)
    if not again.any():
        return [Reading("", m.find_hits(judged.lists, judged.relevant()), relevant, lengths)]
    moved = judged.lists.copy()
    moved[again, 1:-1], moved[again, -1] = judged.lists[again, 2:], -1
    up = m.find_hits(moved, judged.relevant())
    miss = up.copy()
    miss[again, 2:], miss[again, 1] = up[again, 1:-1], False
    twice = miss.copy()
    twice[again, 1] = up[again, 0]
    return [
        Reading("the repeat is a miss", miss, relevant, lengths),
        Reading("the repeat goes, the rest moves up", up, relevant, lengths - again),
        Reading(
            "the repeat is one more hit and one more relevant item", twice, relevant + twice[:, 1] * again, lengths
        ),
    ]


def known_values(judged: Judged) -> dict[str, dict[str, float]]:
    """ "metric@k" → definition → mean; the first definition of each is ours."""
    found: dict[str, dict[str, float]] = {f"{name}@{k}": {} for name in DEFINITIONS for k in KS}
    for name, k, label, value in _all_values(readings(judged)):
        found[f"{name}@{k}"].setdefault(label, value)
    return found


def _all_values(given: list[Reading]) -> Iterator[tuple[str, int, str, float]]:
    with np.errstate(divide="ignore", invalid="ignore"):  # queries without relevant items
        for reading in given:
            for name, definitions in DEFINITIONS.items():
                for divider, define in definitions.items():
                    for k in KS:
                        values = define(reading, k)
                        for population, choose in POPULATIONS.items():
                            label = ", ".join(part for part in (divider, reading.label, population) if part)
                            yield name, k, label, float(np.mean(choose(reading, values)))


def named(values: dict[str, float], known: dict[str, dict[str, float]]) -> dict[str, str]:
    """metric → the definition that its values follow at every k, ours where several agree."""
    out = {}
    for name in DEFINITIONS:
        fits = [
            label
            for label in known[f"{name}@{KS[0]}"]
            if all(math.isclose(values[f"{name}@{k}"], known[f"{name}@{k}"][label], rel_tol=CLOSE) for k in KS)
        ]
        gap = max(values[f"{name}@{k}"] / next(iter(known[f"{name}@{k}"].values())) - 1 for k in KS)
        out[name] = fits[0] if fits else f"{UNKNOWN} ({gap:+.1%})"
    return out
