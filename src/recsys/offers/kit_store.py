"""The kit on disk: npz, npy, JSON and LightGBM text, nothing pickled.

What a kit shares with the model that serves it beside lists (base models, items, customers, histories) is kept once:
`save_own` and `load_own` leave it out.
"""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..affinity import Affinity
from ..data.histories import Histories, IdMap
from ..data.manifest import verify_manifest, write_manifest
from ..data.store import load_histories, load_ids, save_histories, save_ids
from ..ranking.base_models import BaseModels
from ..ranking.hybrid import Hybrid
from .bundle_prices import CompanionDiscount
from .bundles import Bundle, NoBundle
from .cross_seller import CrossSeller
from .kit import OfferKit
from .makes import Makes
from .options import KitOptions, options_from
from .shelf import Shelf
from .upsell_model import UpsellModel

SHELF_ARRAYS = ("types", "prices", "costs")


@dataclass(frozen=True)
class Shared:
    """What one moment's lists and offers both ask."""

    models: BaseModels
    items: IdMap
    names: tuple[str, ...]
    customers: IdMap
    histories: Histories


def save_kit(kit: OfferKit, directory: Path) -> None:
    """Everything, with a manifest of digests."""
    seller = kit.seller
    save_own(kit, directory / "own")
    seller.models.save(directory / "models")
    save_ids(kit.shelf.items, directory / "items.json")
    save_ids(seller.customers, directory / "customers.json")
    save_histories(seller.histories, directory / "histories.npz")
    (directory / "names.json").write_text(json.dumps(kit.shelf.names, ensure_ascii=False), encoding="utf-8")
    write_manifest(directory)


def load_kit(directory: Path) -> OfferKit:
    """InputError where a file is not what was saved."""
    verify_manifest(directory)
    shared = Shared(
        BaseModels.load(directory / "models"),
        load_ids(directory / "items.json"),
        tuple(json.loads((directory / "names.json").read_text(encoding="utf-8"))),
        load_ids(directory / "customers.json"),
        load_histories(directory / "histories.npz"),
    )
    return load_own(directory / "own", shared)


def save_own(kit: OfferKit, directory: Path) -> None:
    """All but what `Shared` holds; whoever writes the whole folder writes its manifest."""
    seller, shelf = kit.seller, kit.shelf
    directory.mkdir(parents=True, exist_ok=True)
    seller.ranker.save(directory / "ranker")
    save_ids(seller.rules.items, directory / "pair_items.json")
    np.savez(directory / "shelf.npz", **{name: getattr(shelf, name) for name in SHELF_ARRAYS})
    np.savez(directory / "pairs.npz", **_arrays(seller.rules, "items"))
    np.savez(directory / "makes.npz", **_arrays(kit.makes))
    np.savez(directory / "facts.npz", recent=kit.recent, substitutes=seller.substitutes)
    if kit.upsell_model is not None:
        kit.upsell_model.save(directory / "upsell")
    facts = {
        "categories": kit.categories, "sold_out": kit.sold_out,
        "options": asdict(kit.options), "bundles": [asdict(b) for b in kit.found],
        "no_bundle": [asdict(b) for b in kit.no_bundle],
    }  # fmt: skip
    (directory / "kit.json").write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")


def load_own(directory: Path, shared: Shared) -> OfferKit:
    """The kit beside what it shares; files are as their manifest says, which the caller has checked."""
    facts = json.loads((directory / "kit.json").read_text(encoding="utf-8"))
    options = options_from(KitOptions, facts["options"])
    kept = _loaded(directory / "facts.npz")
    seller = CrossSeller(
        shared.models,
        Hybrid.load(directory / "ranker"),
        Shelf(shared.items, shared.names, **_loaded(directory / "shelf.npz")),
        _affinity(load_ids(directory / "pair_items.json"), _loaded(directory / "pairs.npz")),
        shared.customers,
        shared.histories,
        kept["substitutes"],
        options.cross_sell,
    )
    model = directory / "upsell"
    return OfferKit(
        seller,
        Makes(**_loaded(directory / "makes.npz")),
        UpsellModel.load(model) if model.is_dir() else None,
        kept["recent"],
        tuple(_bundle(**b) for b in facts["bundles"]),
        tuple(NoBundle(tuple(b["items"]), b["reason"]) for b in facts["no_bundle"]),
        tuple(facts["categories"]),
        tuple(facts["sold_out"]),
        options,
    )


def _bundle(items: list[str], companion: dict[str, Any] | None, **facts: Any) -> Bundle:
    return Bundle(items=tuple(items), companion=CompanionDiscount(**companion) if companion else None, **facts)


def _arrays(facts: Any, *but: str) -> dict[str, Any]:
    return {f.name: getattr(facts, f.name) for f in fields(facts) if f.name not in but}


def _affinity(items: IdMap, arrays: dict[str, Any]) -> Affinity:
    return Affinity(items=items, **arrays | {name: int(arrays[name]) for name in ("n_orders", "min_joint")})


def _loaded(file: Path) -> dict[str, Any]:
    with np.load(file, allow_pickle=False) as kept:
        return {name: kept[name] for name in kept.files}
