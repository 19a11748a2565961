"""Matrices on disk: npz and JSON, nothing pickled. Part of what is served."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from .histories import Histories, IdMap, ItemFacts, TrainData, no_carts

LINES = ("indptr", "items", "orders", "ages", "weights", "customers")


def save_histories(histories: Histories, file: Path) -> None:
    """Everything but the carts."""
    np.savez(file, n_items=histories.n_items, **{name: getattr(histories, name) for name in LINES})


def load_histories(file: Path) -> Histories:
    """Histories with empty carts."""
    with np.load(file, allow_pickle=False) as kept:
        arrays = {name: kept[name] for name in LINES}
        n_items = int(kept["n_items"])
    return Histories(cart=no_carts(len(arrays["indptr"]) - 1, n_items), **arrays)


def save_ids(ids: IdMap, file: Path) -> None:
    file.write_text(json.dumps(ids.ids, ensure_ascii=False), encoding="utf-8")


def load_ids(file: Path) -> IdMap:
    return IdMap(tuple(json.loads(file.read_text(encoding="utf-8"))))


def save_train_data(data: TrainData, directory: Path) -> None:
    directory.mkdir(parents=True)
    save_ids(data.items, directory / "items.json")
    save_ids(data.customers, directory / "customers.json")
    save_histories(data.histories, directory / "histories.npz")
    sp.save_npz(directory / "orders.npz", data.orders, compressed=False)
    np.savez(
        directory / "arrays.npz",
        order_ages=data.order_ages,
        levels=data.facts.levels,
        prices=data.facts.prices,
        other_levels=data.facts.other_levels,
        costs=np.full(len(data.items), np.nan, np.float32) if data.facts.costs is None else data.facts.costs,
    )
    words = {name: getattr(data.facts, name) for name in ("texts", "names", "level_names")}
    words["others"] = data.facts.others.ids
    (directory / "words.json").write_text(json.dumps(words, ensure_ascii=False), encoding="utf-8")


def load_train_data(directory: Path) -> TrainData:
    words = json.loads((directory / "words.json").read_text(encoding="utf-8"))
    with np.load(directory / "arrays.npz", allow_pickle=False) as kept:
        arrays = dict(kept)
    items = load_ids(directory / "items.json")
    facts = ItemFacts(
        tuple(words["texts"]),
        tuple(words["names"]),
        arrays["levels"],
        arrays["prices"],
        tuple(map(tuple, words["level_names"])),
        IdMap(tuple(words["others"])),
        arrays["other_levels"],
        arrays["costs"],
    )
    histories = load_histories(directory / "histories.npz")
    return TrainData(
        items,
        load_ids(directory / "customers.json"),
        replace(histories, customers=np.arange(len(histories))),
        sp.csr_matrix(sp.load_npz(directory / "orders.npz")),
        arrays["order_ages"],
        facts,
    )
