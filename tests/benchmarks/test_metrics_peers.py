"""The made-up lists, the recognition of definitions, and the conversation with a peer's process."""

import math
import sys

import numpy as np
import pytest

from benchmarks.peers.definitions import UNKNOWN, known_values, named
from benchmarks.peers.made_up import MOST, N_ITEMS, REPEATED, WIDTH, Judged, cases, made_up
from benchmarks.peers.process import HERE, Peer
from recsys.errors import InputError
from recsys.evaluation.metrics import count_relevant, find_hits

ECHO = """
import sys
sys.path.insert(0, {folder!r})
from conversation import converse

def measure(data):
    print("what a library prints is no answer")
    if not len(data["list_item"]):
        raise ValueError("no lists")
    return {{"items": len(data["list_item"]), "relevant": len(data["item"])}}

converse("1.0", lambda data: data, measure)
"""


@pytest.fixture(scope="module")
def small():
    return cases(seed=3)


def loop(judged, k, ideal):
    """Mean nDCG@k over the queries with relevant items, an item counted where it stands; `ideal(k, R)` ranks."""
    wanted = [set() for _ in judged.lists]
    for query, item in zip(judged.query.tolist(), judged.item.tolist(), strict=True):
        wanted[query].add(item)
    gain = [1 / math.log2(rank + 1) for rank in range(1, MOST + 1)]
    values = [
        sum(gain[at] for at, item in enumerate(row[:k]) if item in items) / sum(gain[: ideal(k, len(items))])
        for row, items in zip(judged.lists.tolist(), wanted, strict=True)
        if items
    ]
    return sum(values) / len(values)


def test_made_up_lists_can_be_judged():
    judged = made_up(3_000, seed=1)
    relevant = count_relevant(judged.relevant())
    assert relevant.min() == 1
    assert relevant.max() <= MOST
    assert np.median(relevant) == 5
    assert judged.relevant().nnz == len(judged.item), "no pair stands twice"
    hits = find_hits(judged.lists, judged.relevant())  # refuses an item listed twice
    assert judged.lists.shape == (3_000, WIDTH)
    assert judged.lists.max() < N_ITEMS
    share = hits.mean(axis=0)
    assert 0.2 < share[0] < 0.4
    assert share[0] > share[5] > share[-1] > 0.02


def test_the_seed_makes_the_data():
    first, again, other = made_up(50, 1), made_up(50, 1), made_up(50, 2)
    np.testing.assert_array_equal(first.lists, again.lists)
    np.testing.assert_array_equal(first.item, again.item)
    assert (first.lists != other.lists).any()


def test_each_case_has_its_flaw_and_no_other(small):
    full, short, unlisted, unasked, repeated = small.values()
    assert (full.lists >= 0).all()
    lengths = (short.lists >= 0).sum(axis=1)
    assert lengths.min() == 1
    assert lengths.max() == WIDTH - 1
    empty = (unlisted.lists < 0).all(axis=1)
    assert empty.mean() == 0.2
    np.testing.assert_array_equal(unlisted.lists[~empty], full.lists[~empty])
    assert (count_relevant(unasked.relevant()) == 0).mean() == 0.2
    np.testing.assert_array_equal(np.delete(repeated.lists, 1, axis=1), np.delete(full.lists, 1, axis=1))
    with pytest.raises(InputError, match="stands twice"):
        find_hits(repeated.lists, repeated.relevant())


@pytest.mark.parametrize(
    ("label", "ideal"), [("min(k, R)", min), ("k", lambda k, _: k), ("R", lambda _, relevant: relevant)]
)
def test_the_definition_behind_a_figure_is_found(small, label, ideal):
    for case in ("full lists", "short lists", "a fifth without a list", "a fifth without relevant items"):
        known = known_values(small[case])
        values = {name: next(iter(found.values())) for name, found in known.items()}
        values |= {f"ndcg@{k}": loop(small[case], k, ideal) for k in (10, 20)}
        found = named(values, known)
        assert found["ndcg"] == label, case
        assert found["map"] == "min(k, R)"


def test_another_population_is_found(small):
    known = known_values(small["a fifth without relevant items"])
    values = {name: next(iter(found.values())) for name, found in known.items()}
    values |= {f"recall@{k}": values[f"recall@{k}"] * 0.8 for k in (10, 20)}
    assert named(values, known)["recall"] == "R, without relevant items counts 0"
    known = known_values(small["a fifth without a list"])
    values |= {f"recall@{k}": next(iter(known[f"recall@{k}"].values())) / 0.8 for k in (10, 20)}
    assert named(values, known)["recall"] == "R, without a list left out"


def test_an_unknown_definition_is_said_to_be_unknown(small):
    known = known_values(small["full lists"])
    values = {name: next(iter(found.values())) * 1.01 for name, found in known.items()}
    assert set(named(values, known).values()) == {f"{UNKNOWN} (+1.0%)"}
    values = {name: next(iter(found.values())) for name, found in known.items()}
    values["recall@20"] *= 1.01  # right at 10 only
    assert named(values, known)["recall"].startswith(UNKNOWN)


def test_a_repeat_that_counts_twice_scores_more(small):
    known = known_values(small[REPEATED])
    values = {name: next(iter(found.values())) for name, found in known.items()}
    assert named(values, known)["ndcg"] == "min(k, R), the repeat is a miss"
    values |= {f"ndcg@{k}": loop(small[REPEATED], k, min) for k in (10, 20)}
    assert named(values, known)["ndcg"].startswith(f"{UNKNOWN} (+")


def test_a_peer_answers_and_its_refusal_is_an_answer(tmp_path):
    (tmp_path / "echo_peer.py").write_text(ECHO.format(folder=str(HERE)))
    full = made_up(30, 1)
    files = {"full": full.save(tmp_path / "full.npz")}
    nobody = Judged(np.full_like(full.lists, -1), full.query, full.item)
    files["nobody"] = nobody.save(tmp_path / "nobody.npz")
    peer = Peer("echo", sys.executable, files, tmp_path / "log", tmp_path)
    try:
        assert peer.version == "1.0"
        answer = peer.ask("full")
        assert answer["values"] == {"items": 30 * WIDTH, "relevant": len(full.item)}
        assert 0 <= answer["seconds"] < 5
        assert peer.ask("nobody") == {"error": "ValueError: no lists"}
        assert peer.ask("full")["values"] == answer["values"]
    finally:
        peer.close()
    assert "no answer" in (tmp_path / "log").read_text()


def test_a_peer_that_cannot_run_says_why(tmp_path):
    here = Peer("rectools", sys.executable, {}, tmp_path / "log")  # never in the project's own environment
    here.close()
    assert here.version == ""
    assert "No module named 'rectools'" in here.reason
    nowhere = Peer("ranx", str(tmp_path / "python"), {}, tmp_path / "log")
    nowhere.close()
    assert nowhere.version == ""
    assert "No such file" in nowhere.reason
