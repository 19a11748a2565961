"""The models of a moment that Spark fits: ALS and item-kNN, saved as any fitted model is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys.data.interactions import InteractionOptions
from recsys.data.store import load_ids
from recsys.errors import InputError
from recsys.models.als import Als
from recsys.models.base import load, save
from recsys.models.item_knn import ItemKnn
from recsys.spark.als import fit_als
from recsys.spark.lines import cells, known_lines, lines_before
from recsys.spark.options import SparkOptions
from recsys.spark.pairs import fit_item_knn
from recsys.spark.session import session

FITTED: dict[str, type] = {"als": Als, "item_knn": ItemKnn}


@dataclass(frozen=True)
class KnownMoment:
    """Where Spark finds what was known at a moment.

    orders   Parquet file of the checked orders
    place    the moment's folder of matrices: at.parquet, data/items.json, data/customers.json
    options  how lines become cells, as the matrices were built
    """

    orders: Path
    place: Path
    options: InteractionOptions


def fit_by_spark(options: SparkOptions, moment: KnownMoment, als: Als, item_knn: ItemKnn, out: Path) -> None:
    """Write fitted models of these hyperparameters below `out`."""
    if not moment.orders.exists():
        raise InputError(f"the checked orders {moment.orders} are gone from run.store; run again, it makes them anew")
    spark = session(options)
    items, customers = (load_ids(moment.place / "data" / f"{name}.json") for name in ("items", "customers"))
    before = lines_before(spark, moment.orders, moment.place / "at.parquet", moment.options.max_age_days)
    lines = known_lines(before, items, moment.options).persist()
    try:
        save(fit_als(cells(lines, customers), als, len(items), options.parts), out / "als")
        save(fit_item_knn(lines, item_knn, len(items), options.parts), out / "item_knn")
    finally:
        lines.unpersist()


def load_fitted(directory: Path) -> dict[str, Any]:
    """What `fit_by_spark` wrote, by the model's name."""
    return {name: load(kind, directory / name) for name, kind in FITTED.items()}
