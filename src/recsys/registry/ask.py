"""Ask a registered model from the command line."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mlflow
import pandas as pd
from rich.table import Table

from recsys.data.databases import redact
from recsys.errors import InputError
from recsys.registry import tracking
from recsys.registry.options import RegistryOptions
from recsys.registry.serve import champion_uri
from recsys.registry.served import SIGNATURE


def ask_model(
    options: RegistryOptions, model: str | None, customer: str | None, basket: list[str], request: str
) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """The answer row, the names of its items, and the asked ids that the model does not know.

    Raises InputError where there is no such model or the request is wrong.
    """
    uri = model or champion_uri(options)
    tracking.connect(options)
    try:
        # the warnings suppressed compare versions, and list every package: a fifth of the time
        with _quiet(), _hidden("sklearn"):  # LightGBM takes it in where it lies, for .7 s; a served model has none
            loaded = mlflow.pyfunc.load_model(uri, suppress_warnings=True, model_config={"warm": False})
    except (mlflow.exceptions.MlflowException, ImportError) as error:
        raise InputError(
            f"cannot load {uri} from {redact(options.tracking_uri)}: {error}; recsys models lists what is there"
        ) from None
    rows = pd.DataFrame({"customer_id": [customer or ""], "basket": [basket], "options": [request]})
    answer = loaded.predict(rows).to_dict("records")[0]
    lacking = sorted({*SIGNATURE.outputs.input_names()} - {*answer})
    if lacking:
        raise InputError(f"{uri} answers without {', '.join(lacking)}: no model of this version of recsys; train again")
    if answer["error"]:
        raise InputError(answer["error"])
    recommender = loaded.unwrap_python_model().recommender
    places = recommender.items.positions(answer["item_ids"])
    names = {item: recommender.names[at] for item, at in zip(answer["item_ids"], places, strict=True)}
    unknown = [item for item in basket if item not in recommender.items]
    if customer and customer not in recommender.customers:
        unknown.insert(0, customer)
    return answer, names, unknown


@contextmanager
def _quiet() -> Iterator[None]:
    """MLflow warns where a model was logged before `warm` could be chosen."""
    logger = logging.getLogger("mlflow.pyfunc")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _hidden(module: str) -> Iterator[None]:
    """A module that cannot be imported inside, unless it is there already."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]


def answer_table(answer: dict[str, Any], names: dict[str, str]) -> Table:
    """Rank, item, name, score, probability and reason; of offers their items, prices and reason."""
    if len(answer["offers"]) or answer["why_none"]:
        return _offers_table(answer)
    table = Table(title=f"from: {answer['fallback']} · model {answer['model_version']}", title_justify="left")
    for column in ("#", "item", "name", "score", "chance", "why"):
        table.add_column(column, justify="right" if column in ("#", "score", "chance") else "left")
    rows = zip(*(answer[name] for name in ("item_ids", "scores", "probabilities", "reasons")), strict=True)
    for rank, (item, score, chance, reason) in enumerate(rows, 1):
        table.add_row(str(rank), item, names[item], f"{score:.3f}", f"{chance:.1%}", reason)
    return table


def _offers_table(answer: dict[str, Any]) -> Table:
    table = Table(
        title=f"from: {answer['fallback']} · model {answer['model_version']}", title_justify="left",
        caption=answer["why_none"] or None, caption_justify="left",
    )  # fmt: skip
    for column in ("#", "offer", "items", "names", "list", "price", "why"):
        table.add_column(column, justify="right" if column in ("#", "list", "price") else "left")
    for rank, one in enumerate(map(json.loads, answer["offers"]), 1):
        prices = ("" if one[name] is None else f"{one[name]:,.2f}" for name in ("list_price", "offer_price"))
        kind = one["kind"].replace("_", "-")
        table.add_row(str(rank), kind, "\n".join(one["items"]), "\n".join(one["item_names"]), *prices, one["reason"])
    return table
