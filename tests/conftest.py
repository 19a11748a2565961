"""One small shop, and everything that is fitted on it, made once for all tests."""

import copy
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import polars as pl
import pytest
from filelock import FileLock

from recsys import schemas, training
from recsys.config import Config, read_config
from recsys.daily_shop import prepare
from recsys.data.histories import Histories, TrainData, carts
from recsys.data.interactions import InteractionOptions, lines_before, train_data
from recsys.data.splits import Moment, Queries, SplitOptions, asked_orders, both_tasks, moments
from recsys.data.synthetic import SyntheticOptions, SyntheticShop, synthetic_shop
from recsys.models.als import Als
from recsys.models.user_knn import UserKnn
from recsys.offer_kits import make_kit
from recsys.offers.kit import OfferKit
from recsys.offers.kit_store import load_kit, save_kit
from recsys.ranking.base_models import BaseModels, ModelOptions
from recsys.ranking.hybrid import Hybrid, HybridOptions
from recsys.ranking.training_rows import TrainingRows
from recsys.registry import tracking
from recsys.registry.options import RegistryOptions
from recsys.serving.recommender import Recommender
from recsys.training_set import moment_rows

MOMENT = datetime(2024, 7, 1, tzinfo=UTC)  # of `tiny_orders`
FEW = {"per_cart_source": 30, "per_history_source": 20}
FLOWS = "tests/flows/"
LEARNED = HybridOptions(trees=25, min_leaf=20, **FEW, negatives=0.5, threads=1)
CATALOG = dict.fromkeys(schemas.Catalog.columns(), pl.String) | {
    "unit_price": pl.Float64,
    "unit_cost": pl.Float64,
    "in_stock": pl.Boolean,
}
ORDERS = {
    "order_id": pl.String,
    "item_id": pl.String,
    "customer_id": pl.String,
    "ordered_at": schemas.UTC,
    "quantity": pl.Float64,
    "unit_price": pl.Float64,
    "returned_at": schemas.UTC,
    "returned_quantity": pl.Float64,
    "store_id": pl.String,
}
KEY = ["ordered_at", "order_id", "item_id"]
NOW = datetime(2024, 9, 1, tzinfo=UTC)  # of whole trainings; the shop's last order is of July
SMALL: dict[str, Any] = {  # a training of seconds
    "title": "a small shop",
    "split": {"train_moments": 2},
    "models": {"als": {"factors": 8, "iterations": 3}, "user_knn": {"k": 20}, "content": {"max_features": 500}},
    "ranker": {"trees": 15, "leaves": 7, "min_leaf": 20, **FEW, "threads": 1, "negatives": 0.3},
    "evaluation": {"resamples": 100, "examples": 2},
    "offers": {"served": False},  # but by the fixtures below
}

OFFERING = {"offers.served": True}
LENIENT = {  # offers of a shop with few joint orders
    "offers.evidence.min_taste_low": 0.8,
    "offers.evidence.min_joint": 5,
    "offers.bundles.min_customers": 3,
}
DAILY = LENIENT | {"moments.reorder": {"trees": 10, "moments": 2}}  # daily runs of the small shop


def pytest_configure(config: pytest.Config) -> None:
    """Warnings are errors, but for what MLflow 3.17 says of its own code and what Prefect does in other threads."""
    for line in (
        "ignore:.*Any type hint is inferred as AnyType:UserWarning",  # MLflow, when imported
        "ignore:Operation with range is deprecated:DeprecationWarning",  # MLflow with pandas 3
        "ignore:PySpark does not yet fully support pandas:FutureWarning",  # pyspark 4.2 with pandas 3
        "ignore:unclosed <socket:ResourceWarning",  # Prefect's connections to its server on loopback
        # threads of Prefect and MLflow draw from `random` at any time, also while Hypothesis draws
        "ignore:Do not use the `random` module inside strategies:hypothesis.errors.HypothesisDeprecationWarning",
    ):
        config.addinivalue_line("filterwarnings", line)


@pytest.hookimpl(optionalhook=True)  # where pytest-xdist is there
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file stays with one process, for what its module fixtures made; so do all flows, for their server."""
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return FLOWS if nodeid.startswith(FLOWS) else super()._split_scope(nodeid)

    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of several processes none is left alone with a long file at the end: flows and the long ones start first."""

    def later(item: pytest.Item) -> int:
        return 0 if item.nodeid.startswith(FLOWS) else 1 if item.get_closest_marker("long") else 2

    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=later)


@pytest.fixture(autouse=True)
def no_store_left_open() -> None:
    """MLflow's store is one per process: no test finds the one that another connected to."""
    mlflow.set_tracking_uri("sqlite:////nowhere/no-store.db")


@dataclass(frozen=True)
class Shop:
    """Orders with guests and returns, and the matrices of the test moment."""

    orders: pl.DataFrame
    catalog: pl.DataFrame
    train: list[Moment]
    test: Moment
    data: TrainData
    asked: pl.DataFrame
    tasks: dict[str, Queries]


@dataclass(frozen=True)
class Fitted:
    """Models and ranker of the test moment of the small shop."""

    options: ModelOptions
    models: BaseModels
    hybrid: Hybrid
    recommender: Recommender


@dataclass(frozen=True)
class Trained:
    """One whole training on the small shop, registered in a store of its own."""

    config: Config
    report: Path
    registered: dict[str, Any]


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Makes a folder of that name, filled by the first process that wants it; read it or copy it, never write there."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # of all processes of this run

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        folder = base / name
        with FileLock(base / f"{name}.lock"):
            if not folder.exists():
                fresh = base / f"{name}.fresh"
                shutil.rmtree(fresh, ignore_errors=True)
                fresh.mkdir()
                fill(fresh)
                fresh.rename(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def mlflow_store(made_once) -> Callable[[Path], Path]:
    """Puts an empty MLflow store into a folder and returns that: a copy, as making one takes MLflow seconds."""

    def fill(folder: Path) -> None:
        tracking.connect(RegistryOptions(tracking_uri=f"sqlite:///{folder}/mlflow.db", experiment="Default"))

    return lambda home: Path(shutil.copytree(made_once("mlflow", fill), home, dirs_exist_ok=True))


@pytest.fixture(scope="session")
def made_shop() -> SyntheticShop:
    """120 customers, 240 items, 200 days, as exported: guests and returns as rows."""
    return synthetic_shop(SyntheticOptions(customers=120, items=240, orders_per_customer=15, days=200))


@pytest.fixture(scope="session")
def shop_files(made_shop, made_once) -> Path:
    """Folder with orders.parquet and catalog.parquet."""

    def fill(folder: Path) -> None:
        made_shop.orders.write_parquet(folder / "orders.parquet")
        made_shop.catalog.write_parquet(folder / "catalog.parquet")

    return made_once("shop", fill)


@pytest.fixture(scope="session")
def small_options(shop_files) -> Callable[..., dict[str, Any]]:
    """Makes the options of a training that keeps everything below `home`; `changes` are {"section.key": value}."""

    def make(home: Path, changes: dict[str, Any] | None = None) -> dict[str, Any]:
        out = copy.deepcopy(SMALL) | {
            "data": {"orders": {"path": f"{shop_files}/orders.parquet"},
                     "catalog": {"path": f"{shop_files}/catalog.parquet"}},
            "registry": {"tracking_uri": f"sqlite:///{home}/mlflow.db", "artifacts": f"{home}/artifacts",
                         "gate": {"requests": 10, "fresh_process": False, "max_p50_ms": 1e5, "max_p99_ms": 1e5}},
            "run": {"store": f"{home}/store", "reports": f"{home}/reports"},
        }  # fmt: skip
        for name, value in (changes or {}).items():
            *sections, key = name.split(".")
            at = out
            for section in sections:
                at = at.setdefault(section, {})
            at[key] = value
        return out

    return make


@pytest.fixture(scope="session")
def small_config(small_options) -> Callable[..., Config]:
    """`small_options` as a Config."""
    return lambda home, changes=None: read_config(small_options(home, changes))


@pytest.fixture(scope="session")
def stages(small_config, made_once) -> Path:
    """The store of a training on the small shop: every stage of it is finished."""
    return made_once(
        "stages", lambda folder: training.judge(small_config(folder, {"run.store": str(folder)} | OFFERING), NOW)
    )


@pytest.fixture(scope="session")
def trained(small_config, stages, mlflow_store, tmp_path_factory) -> Trained:
    """The small shop trained and registered."""
    changes = {"registry.gate.fresh_process": True} | OFFERING
    config = small_config(mlflow_store(tmp_path_factory.mktemp("trained")), changes)
    shutil.copytree(stages, config.run.store)
    return Trained(config, *training.train(config, NOW))


@pytest.fixture(scope="session")
def kit(small_config, stages, made_once) -> OfferKit:
    """The small shop's kit of everything."""

    def fill(folder: Path) -> None:
        save_kit(make_kit(small_config(folder, LENIENT | {"run.store": str(stages)}), NOW).load(), folder / "kit")

    return load_kit(made_once("offer-kit", fill) / "kit")


@pytest.fixture(scope="session")
def daily_stages(small_config, stages, made_once) -> Path:
    """The store of daily runs on the small shop: both kits and their models of reorders are finished."""

    def fill(folder: Path) -> None:
        shutil.copytree(stages, folder, dirs_exist_ok=True)
        config = small_config(folder, DAILY | {"run.store": str(folder)})
        last = prepare(config, None, None, NOW).days[0]
        prepare(config, last - timedelta(days=1), last, NOW)

    return made_once("daily-stages", fill)


@pytest.fixture(scope="session")
def small_shop(made_shop) -> Shop:
    """The same shop, its orders checked."""
    made = made_shop
    bought = made.orders.filter(pl.col("quantity") > 0).with_columns(
        pl.col("ordered_at").dt.replace_time_zone("UTC"), pl.col("quantity").cast(pl.Float64)
    )
    returned = made.truth.returns.select(
        "order_id", "item_id", "returned_at", returned_quantity=pl.col("quantity").cast(pl.Float64)
    )
    orders = (
        bought.join(returned, on=["order_id", "item_id"], how="left")
        .with_columns(store_id=pl.lit(None, pl.String))
        .select(list(ORDERS))
        .sort(KEY)
    )
    schemas.Orders.validate(orders)
    train, test = moments(orders, SplitOptions(train_moments=3))
    data = train_data(lines_before(orders, test.at), made.catalog)
    asked = asked_orders(orders, test, data)
    return Shop(orders, made.catalog, train, test, data, asked, both_tasks(asked, data))


@pytest.fixture(scope="session")
def fitted(small_shop) -> Fitted:
    """A hybrid of few trees over the three training moments, and the recommender of the test moment."""
    options = ModelOptions(als=Als(factors=8, iterations=4), user_knn=UserKnn(k=20))
    rows = TrainingRows.concatenate([learned_rows(small_shop, m, options) for m in small_shop.train])
    hybrid = Hybrid.fit(rows, LEARNED)
    models = BaseModels.fit(small_shop.data, options)
    recommender = Recommender.of(small_shop.data, models, hybrid, "hybrid")
    return Fitted(options, models, hybrid, recommender)


def learned_rows(shop: Shop, moment: Moment, options: ModelOptions) -> TrainingRows:
    """What the ranker learns from one training moment."""
    data = train_data(lines_before(shop.orders, moment.at), shop.catalog)
    asked = asked_orders(shop.orders, moment, data)
    return moment_rows(BaseModels.fit(data, options), data, asked, LEARNED)


@pytest.fixture(scope="session")
def tiny_orders():
    """Makes schemas.Orders out of (order, customer or None, days before MOMENT, items) tuples."""

    def make(*orders):
        rows = [
            (order, item, customer, MOMENT - timedelta(days=age), 1.0, 1.0, None, None, None)
            for order, customer, age, items in orders
            for item in items
        ]
        frame = pl.DataFrame(rows, schema=ORDERS, orient="row").sort(KEY)
        schemas.Orders.validate(frame)
        return frame

    return make


@pytest.fixture(scope="session")
def tiny_catalog():
    """Makes schemas.Catalog out of item → {column: value}."""

    def make(items):
        rows = [dict.fromkeys(CATALOG) | {"item_id": item} | columns for item, columns in sorted(items.items())]
        return pl.DataFrame(rows, schema=CATALOG)

    return make


@pytest.fixture(scope="session")
def tiny_data(tiny_orders, tiny_catalog):
    """Makes TrainData at MOMENT out of the tuples of `tiny_orders`; every item is known."""

    def make(*orders, catalog=None):
        options = InteractionOptions(min_item_orders=1)
        return train_data(lines_before(tiny_orders(*orders), MOMENT), tiny_catalog(catalog or {}), options)

    return make


@pytest.fixture(scope="session")
def query():
    """Makes Histories of one query out of item positions with their ages, one order each, and a cart."""

    def make(n_items, history=(), cart=(), customer=-1):
        lines = sorted(history, key=lambda line: -line[1])
        return Histories(
            np.array([0, len(lines)]),
            np.array([item for item, _ in lines], np.int32),
            np.arange(len(lines), dtype=np.int32)[::-1].copy(),
            np.array([age for _, age in lines], np.float32),
            np.ones(len(lines), np.float32),
            carts([np.array(cart, np.int64)], n_items),
            np.array([customer]),
        )

    return make
