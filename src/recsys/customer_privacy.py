"""Customer ids in what is handed around: hashed with a secret key where `run.hash_customers` asks for it.

Handed around are the report with its tables, what goes to MLflow beside the model, and the refused rows. The model
itself, the stages of run.store and the exports that shops load keep the ids, as they are asked and joined by them.
"""

import json
from collections.abc import Collection
from typing import Any

import polars as pl

from recsys.config import Config
from recsys.hashing import hash_id, key_from_environment


def key_of(config: Config) -> bytes | None:
    """The key where ids are to be hashed, else None; InputError where it is asked for and not set."""
    return key_from_environment() if config.run.hash_customers else None


def key_mark(config: Config) -> str | None:
    """Says which key was used, and nothing about it; None where ids are not hashed."""
    key = key_of(config)
    return None if key is None else hash_id("", key)[:8]


def hash_table(table: pl.DataFrame, key: bytes) -> pl.DataFrame:
    """The table with its `customer_id` hashed; null, a guest, stays null."""
    return table.with_columns(hash_column(table["customer_id"], key))


def hash_column(ids: pl.Series, key: bytes) -> pl.Series:
    known = ids.drop_nulls().unique()
    return ids.replace_strict(known, [hash_id(text, key) for text in known], default=None, return_dtype=pl.String)


def hash_example(example: dict[str, Any], key: bytes) -> dict[str, Any]:
    """An example of the report."""
    shown = example.get("customer_id")
    if not shown:
        return example
    hashed = hash_id(shown, key)
    return example | {"customer_id": hashed, "title": example["title"].replace(shown, hashed)}


def hash_rejected(rejected: pl.DataFrame, columns: Collection[str], key: bytes) -> pl.DataFrame:
    """Refused rows whose customer, in `columns` of the sources, is hashed.

    A line that is no record may hold the id anywhere: all of it is hashed. Its place in the file stays.
    """
    cells = zip(rejected["column"], rejected["value"], rejected["raw"], strict=True)
    values = [_value(named in columns, value, raw, key) for named, value, raw in cells]
    raws = [_raw(raw, columns, key) for raw in rejected["raw"]]
    return rejected.with_columns(value=pl.Series(values, dtype=pl.String), raw=pl.Series(raws, dtype=pl.String))


def _value(customer: bool, value: str | None, raw: str, key: bytes) -> str | None:
    """`customer`: the column that broke the rule is the customer's."""
    line = json.loads(raw).keys() == {"line"}
    return hash_id(value, key) if value is not None and (customer or line) else value


def _raw(raw: str, columns: Collection[str], key: bytes) -> str:
    row = json.loads(raw)
    hidden = {
        name: hash_id(str(row[name]), key) for name in (*columns, "line") if name in row and row[name] is not None
    }
    return json.dumps(row | hidden, ensure_ascii=False)
