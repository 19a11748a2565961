"""What batch scoring writes, for whom and where."""

from dataclasses import dataclass, field
from typing import Any, Literal

Export = Literal["csv", "wide", "jsonl"]


@dataclass(frozen=True, kw_only=True)
class ScoringOptions:
    """Batch scoring: recommendations of all customers, or of a list, as files."""

    customers: str = ""  # file of ids: a line each, or CSV or Parquet with customer_id; empty: all that the model knows
    unknown: Literal["fallback", "set_aside"] = "fallback"  # of listed customers that the model does not know
    k: int = 10  # length of a list
    request: dict[str, Any] = field(default_factory=dict)  # further keys of a request's options, see docs/serving.md
    partition_rows: int = 200_000  # most rows of one Parquet file
    workers: int = 2  # processes, each with the model in memory
    exports: tuple[Export, ...] = ("csv", "wide", "jsonl")  # csv: a row per item; wide: a row per customer
    csv_separator: Literal["comma", "semicolon", "tab"] = "comma"
    csv_bom: bool = False  # a byte order mark, by which Excel knows UTF-8
    out: str = "scores"  # scores/latest and one folder per run; relative paths start at the working directory
    keep: int = 5  # folders of the latest runs
    hash_ids: bool = False  # customer ids as keyed hashes; the key stands in the environment variable RECSYS_ID_KEY
