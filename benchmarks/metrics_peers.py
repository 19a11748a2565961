"""Our ranking metrics beside RecTools, RePlay and ranx: time on 200,000 queries, and whose figure means what.

    python -m benchmarks.metrics_peers [--rectools PYTHON] [--replay PYTHON] [--ranx PYTHON] [--queries 200000]

PYTHON is an interpreter that has the peer, each in an environment of its own:

    python3 -m venv peers/rectools && peers/rectools/bin/pip install rectools
    python3 -m venv peers/replay && peers/replay/bin/pip install replay-rec
    python3 -m venv peers/ranx && peers/ranx/bin/pip install ranx

Twelve figures on the same seeded lists of 20: recall, precision, hit rate, nDCG, MRR, MAP at 10 and 20. Timed is
the computation alone, with the data in memory in each library's own input format, and with the matching of lists
and relevant items, which every library does inside. One call of each per round, in turn; the first round warms up
(ranx compiles there) and is not counted; the figure is the median. Exits with 1 where we are under 5 × RecTools.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from benchmarks.peers.conversation import KS
from benchmarks.peers.definitions import DEFINITIONS, known_values, named
from benchmarks.peers.made_up import N_ITEMS, REPEATED, WIDTH, Judged, cases, made_up
from benchmarks.peers.process import Answer, Peer
from recsys.evaluation.metrics import count_relevant, find_hits, ranking_metrics

PEERS = ("rectools", "replay", "ranx")
TARGET = 5.0  # times faster than RecTools
SEED = 20
OURS, OURS_LONG = "recsys", "recsys, from long tables"
Long = tuple[np.ndarray, np.ndarray, np.ndarray]  # query, item, rank of a long table
Ask = Callable[[str], Answer]  # name of a data set → the answer


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for peer in PEERS:
        arguments.add_argument(f"--{peer}", metavar="PYTHON", help=f"interpreter that has {peer}")
    arguments.add_argument("--queries", type=int, default=200_000)
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    data = {"timed": made_up(given.queries, SEED), **cases(SEED)}
    with tempfile.TemporaryDirectory() as folder:
        files = {name: judged.save(Path(folder) / f"{at}.npz") for at, (name, judged) in enumerate(data.items())}
        peers = started(given, files, Path(folder))
        try:
            asks: dict[str, Ask] = {OURS: ours(data), OURS_LONG: ours_from_long(data)}
            asks |= {f"{peer.name} {peer.version}": peer.ask for peer in peers}
            slow = print_times(asks, given.rounds)
            print_definitions({name: ask for name, ask in asks.items() if name not in (OURS, OURS_LONG)}, data)
        finally:
            for peer in peers:
                peer.close()
    sys.exit(slow)


def started(given: argparse.Namespace, files: dict[str, Path], folder: Path) -> list[Peer]:
    """The peers that run; the others are named with the reason."""
    out = []
    for name in PEERS:
        python = getattr(given, name)
        peer = Peer(name, python, files, folder / f"{name}.log") if python else None
        if peer and peer.version:
            out.append(peer)
        else:
            print(f"{name}: skipped, {peer.reason if peer else f'no --{name} given'}")
            if peer:
                peer.close()
    return out


def ours(data: dict[str, Judged]) -> Ask:
    """From our own input format: an array of lists and a CSR matrix of relevant items."""
    return timed({name: (judged.lists, judged.relevant()) for name, judged in data.items()}, means)


def ours_from_long(data: dict[str, Judged]) -> Ask:
    """From what the peers start with, columns query, item, rank and query, item: made into ours, then measured."""
    return timed({name: (len(j.lists), j.listed(), j.query, j.item) for name, j in data.items()}, means_from_long)


def timed(given: dict[str, tuple[Any, ...]], measure: Callable[..., dict[str, float]]) -> Ask:
    def ask(name: str) -> Answer:
        started = time.perf_counter()
        values = measure(*given[name])
        return {"seconds": time.perf_counter() - started, "values": values}

    return ask


def means(lists: np.ndarray, relevant: sp.csr_matrix) -> dict[str, float]:
    """ "metric@k" → mean over the queries with relevant items."""
    found = ranking_metrics(find_hits(lists, relevant), count_relevant(relevant), KS)
    return {f"{metric}@{k}": float(np.nanmean(per_query)) for (metric, k), per_query in found.items()}


def means_from_long(n: int, listed: Long, query: np.ndarray, item: np.ndarray) -> dict[str, float]:
    lists = np.full((n, WIDTH), -1, np.int32)
    lists[listed[0], listed[2] - 1] = listed[1]
    return means(lists, sp.csr_matrix((np.ones(len(query), bool), (query, item)), (n, N_ITEMS)))


def print_times(asks: dict[str, Ask], rounds: int) -> str | None:
    """One call of each per round; what to say at the end where RecTools is not slow enough."""
    took: dict[str, list[float]] = {name: [] for name in asks}
    for _ in range(rounds + 1):
        for name, ask in asks.items():
            answer = ask("timed")
            if "error" in answer:
                sys.exit(f"{name} refuses the lists: {answer['error']}")
            took[name].append(answer["seconds"])
    median = {name: statistics.median(seconds[1:]) for name, seconds in took.items()}
    print("| library | median, s | from - to | times ours |\n| --- | --- | --- | --- |")
    for name, seconds in took.items():
        spread = f"{min(seconds[1:]):.3f} - {max(seconds[1:]):.3f}"
        print(f"| {name} | {median[name]:.3f} | {spread} | {median[name] / median[OURS]:.1f} |")
    rectools = next((median[name] for name in median if name.startswith("rectools")), None)
    short = rectools is not None and rectools < TARGET * median[OURS]
    return f"RecTools takes less than {TARGET:g} times ours" if short else None


def print_definitions(asks: dict[str, Ask], data: dict[str, Judged]) -> None:
    """For each set and metric, the divider and the way of counting that a peer's figures follow, and its value."""
    for case in data:
        known = known_values(data[case])
        found = {name: definitions_of(ask(case), known) for name, ask in asks.items()}
        print(f"\n{case}, at {KS[0]}\n\n| metric | ours | {' | '.join(asks)} |\n| --- | --- |{' --- |' * len(asks)}")
        for metric in DEFINITIONS:
            label, value = next(iter(known[f"{metric}@{KS[0]}"].items()))
            own = "refused" if case == REPEATED else f"{label}: {value:.4f}"
            print(f"| {metric} | {own} | {' | '.join(found[name][metric] for name in asks)} |")


def definitions_of(answer: Answer, known: dict[str, dict[str, float]]) -> dict[str, str]:
    if "error" in answer:
        return dict.fromkeys(DEFINITIONS, answer["error"][:60])
    found = named(answer["values"], known)
    return {metric: f"{label}: {answer['values'][f'{metric}@{KS[0]}']:.4f}" for metric, label in found.items()}


if __name__ == "__main__":
    main()
