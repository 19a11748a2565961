"""Blocks of customers through the registered model: answers as tables, one row per item and one per customer."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd
import polars as pl

from recsys.errors import InputError
from recsys.registry.loaded import recommender_of

BLOCK = 960  # customers of one call: 20 blocks of the Recommender, a few MB of answers
ROWS: dict[str, Any] = {
    "customer_id": pl.String,
    "rank": pl.Int32,  # 1 = best
    "item_id": pl.String,
    "name": pl.String,
    "score": pl.Float64,
    "probability": pl.Float64,
    "reason": pl.String,
    "reason_code": pl.String,
    "fallback": pl.String,
    "model_version": pl.String,
    "scored_at": pl.Datetime("us", "UTC"),
}
CUSTOMERS: dict[str, Any] = {
    "customer_id": pl.String,
    "outcome": pl.String,  # listed | empty | error | set_aside
    "reason": pl.String,  # why there is no list; "" where there is one
    "known": pl.Boolean,
    "fallback": pl.String,
    "items": pl.Int32,
    "model_version": pl.String,
    "scored_at": pl.Datetime("us", "UTC"),
}
LISTS = {"item_ids": "item_id", "scores": "score", "probabilities": "probability", "reasons": "reason",
         "reason_codes": "reason_code"}  # fmt: skip
TOLD = ("fallback", "model_version", "error")  # one text per answer
FLOOR = "min_probability"


@dataclass(frozen=True)
class Asked:
    """One partition's answers: `rows` as in ROWS, `customers` as in CUSTOMERS, both sorted by the shown id."""

    rows: pl.DataFrame
    customers: pl.DataFrame


def request_text(k: int, further: dict[str, Any]) -> str:
    """The `options` of every request as JSON."""
    if "k" in further:
        raise InputError(f"scoring.request holds k = {further['k']!r}; set scoring.k instead")
    try:
        return json.dumps({"k": k, **further}, sort_keys=True)
    except TypeError as error:
        raise InputError(f"scoring.request is no JSON: {error}; dates and the like go in quotes") from None


def refuse_wrong_request(model: Any, request: str) -> None:
    """The model itself says whether it understands the options, before thousands are asked."""
    answer = model.predict(_requests([""], request)).to_dict("records")[0]
    if answer["error"]:
        raise InputError(f"the model refuses scoring.k and scoring.request {request}: {answer['error']}")


def ask(model: Any, customers: pl.DataFrame, request: str, scored_at: datetime) -> Asked:
    """Answers for customer_id, shown_id and known of each customer, in the order of the table."""
    recommender = recommender_of(model)
    names = dict(zip(recommender.items.ids, recommender.names, strict=True))
    parts = [_ask(model, part, request, scored_at, names) for part in customers.iter_slices(BLOCK)]
    return Asked(pl.concat([part.rows for part in parts]), pl.concat([part.customers for part in parts]))


def asked_elsewhere(
    model: Any, customers: pl.DataFrame, answers: pl.DataFrame, request: str, scored_at: datetime
) -> Asked:
    """The same of `answers` that the model gave elsewhere: customer_id, LISTS and TOLD as it names them, in any order.

    InputError where a customer has no answer, or more than one.
    """
    found = customers.select("customer_id").join(answers, on="customer_id", how="left", maintain_order="left")
    if found.height != customers.height or found["error"].null_count():
        raise InputError(f"{answers.height:,} answers came back for {customers.height:,} customers; run again")
    recommender = recommender_of(model)
    names = dict(zip(recommender.items.ids, recommender.names, strict=True))
    lists = {name: found[of].cast(pl.List(ROWS[name])) for of, name in LISTS.items()}
    return _tables(model, customers, lists | {name: found[name] for name in TOLD}, request, scored_at, names)


def _ask(model: Any, customers: pl.DataFrame, request: str, scored_at: datetime, names: dict[str, str]) -> Asked:
    answers = model.predict(_requests(customers["customer_id"].to_list(), request))
    lists = {name: pl.Series([list(v) for v in answers[of]], dtype=pl.List(ROWS[name])) for of, name in LISTS.items()}
    words = {name: pl.Series(answers[name].tolist(), dtype=pl.String) for name in TOLD}
    return _tables(model, customers, lists | words, request, scored_at, names)


def _tables(
    model: Any,
    customers: pl.DataFrame,
    answers: dict[str, pl.Series],
    request: str,
    scored_at: datetime,
    names: dict[str, str],
) -> Asked:
    """`answers`: an entry per customer in their order, lists by the names of ROWS."""
    wide = pl.DataFrame({"customer_id": customers["shown_id"], "known": customers["known"], **answers})
    wide = wide.with_columns(
        items=pl.col("item_id").list.len().cast(pl.Int32), scored_at=pl.lit(scored_at, ROWS["scored_at"])
    )
    empty = wide.select((pl.col("items") == 0) & (pl.col("error") == "")).to_series()
    why = _why_empty(model, customers.filter(empty)["customer_id"].to_list(), request)
    outcome = pl.when(pl.col("error") != "").then(pl.lit("error")).when(empty).then(pl.lit("empty"))
    said = pl.Series("reason", wide["error"].to_list(), pl.String).scatter(empty.arg_true(), why)
    told = wide.with_columns(said, outcome=outcome.otherwise(pl.lit("listed"))).select(*CUSTOMERS)
    return Asked(_rows(wide, names), told)


def _rows(wide: pl.DataFrame, names: dict[str, str]) -> pl.DataFrame:
    """One row per customer and item, of customers with items."""
    ranks = pl.int_ranges(1, pl.col("items") + 1, dtype=pl.Int32)
    long = wide.filter(pl.col("items") > 0).with_columns(rank=ranks).explode("rank", *LISTS.values())
    called = pl.Series("name", [names.get(item, "") for item in long["item_id"]], pl.String)
    return long.with_columns(called).select(*ROWS)


def _why_empty(model: Any, ids: list[str], request: str) -> list[str]:
    """below_min_probability where the list is not empty without that floor, nothing_allowed elsewhere."""
    options = json.loads(request)
    if not ids or not options.pop(FLOOR, 0):
        return ["nothing_allowed"] * len(ids)
    without = model.predict(_requests(ids, json.dumps(options)))
    return [f"below_{FLOOR}" if len(items) else "nothing_allowed" for items in without["item_ids"]]


def _requests(ids: Sequence[str], request: str) -> pd.DataFrame:
    return pd.DataFrame({"customer_id": list(ids), "options": [request] * len(ids)}, dtype=object)
