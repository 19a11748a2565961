"""The stage of the offer kit: everything of one moment that offers need, made once and found again.

ingest ─ matrices ─┬─ learn (each training moment) ─ blend_cross_sell ─┐
                   └─ fit ─────────────────────────────────────────────┴─ package_offers

What a kit shares with the lists of its moment (models, histories, ids) stays in their stages.
"""

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from recsys import pipeline
from recsys.config import Config, as_dict
from recsys.data.checked_store import read_checked
from recsys.data.interactions import lines_before
from recsys.data.splits import moments
from recsys.data.store import load_train_data
from recsys.evaluation.protocols import HYBRID
from recsys.offers.kit import OfferKit
from recsys.offers.kit_parts import offer_kit
from recsys.offers.kit_store import load_own, save_own
from recsys.offers.options import KitOptions
from recsys.pipeline import KIT, NOW, TEST, shared_of
from recsys.progress import step
from recsys.ranking.base_models import BaseModels
from recsys.ranking.hybrid import Hybrid
from recsys.stages import stage


@dataclass(frozen=True)
class KitStages:
    """The finished stages that a kit is made of."""

    ingested: Path
    matrices: Path
    fitted: Path
    packaged: Path
    name: str

    def load(self) -> OfferKit:
        data = load_train_data(self.matrices / self.name / "data")
        return load_own(self.packaged / KIT, shared_of(data, BaseModels.load(self.fitted / "models")))


def make_kit(config: Config, now: datetime, name: str = NOW) -> KitStages:
    """The kit of a moment; stages that a training finished are reused."""
    with step("ingest orders"):
        ingested = pipeline.ingest_orders(config, now)
    with step("build matrices"):
        matrices = pipeline.build_matrices(config, ingested)
    with step("learn"):
        learned = [pipeline.learn_moment(config, matrices, one) for one in pipeline.training_moments(matrices)]
        fitted = pipeline.fit_models(config, matrices, name)
    with step("make the kit"):
        packaged = package_offers(config, ingested, matrices, learned, fitted, name)
    return KitStages(ingested, matrices, fitted, packaged, name)


def package_offers(
    config: Config, ingested: Path, matrices: Path, learned: list[Path], fitted: Path, name: str
) -> Path:
    """The kit of one moment, before the test (name = test) or of everything (name = now)."""
    ranker = pipeline.blend_cross_sell(config, learned)
    chosen = as_dict(config.offers)
    depends = {
        "from": [ingested.name, matrices.name, fitted.name, ranker.name],
        "moment": name,
        "offers": {f.name: chosen[f.name] for f in fields(KitOptions)},
    }
    return stage(
        pipeline.store(config),
        "package_offers",
        depends,
        lambda out: _package(config, ingested, matrices, fitted, ranker, name, out),
    )


def offers_of_model(
    config: Config, ingested: Path, matrices: Path, learned: list[Path], fitted: Path, name: str
) -> Path | None:
    """The same for a model that is registered; None where `offers.served` is off."""
    if not config.offers.served:
        return None
    return package_offers(config, ingested, matrices, learned, fitted, name)


def _package(config: Config, ingested: Path, matrices: Path, fitted: Path, ranker: Path, name: str, out: Path) -> None:
    checked = read_checked(ingested / "checked")
    data = load_train_data(matrices / name / "data")
    told = pl.DataFrame({"item_id": data.items.ids}).join(
        checked.catalog, on="item_id", how="left", maintain_order="left"
    )
    kit = offer_kit(
        lines_before(checked.orders, _end(config, checked.orders, name), config.interactions.max_age_days),
        data,
        BaseModels.load(fitted / "models"),
        Hybrid.load(ranker / HYBRID),
        brands=told["brand"].to_list(),
        sizes=told["size"].to_list(),
        sold_out=told.filter(pl.col("in_stock").not_())["item_id"].to_list(),
        options=config.offers,
    )
    save_own(kit, out / KIT)


def _end(config: Config, orders: pl.DataFrame, name: str) -> datetime | pl.DataFrame:
    """The moment itself: what comes after it is not looked at."""
    if name == TEST:
        return moments(orders, config.split)[1].at
    last = orders["ordered_at"].max()
    assert isinstance(last, datetime)
    return last + timedelta(microseconds=1)
