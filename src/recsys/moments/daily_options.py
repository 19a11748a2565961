"""Every option of the daily run."""

from dataclasses import dataclass
from typing import Literal

Export = Literal["csv", "jsonl"]


@dataclass(frozen=True, kw_only=True)
class DailyOptions:
    """Offers due on a day as files: `recsys due`. docs/moments.md."""

    kit: Literal["auto", "now", "test"] = "auto"  # auto: the newest kit that learned from nothing after the date began
    costs: bool = True  # offers that silence refuses whatever they are get made too, so that each rule's cost is known
    at_risk: str = ""  # file of customers whom the shop itself holds to be at risk: ids as scoring.customers has them
    exports: tuple[Export, ...] = ("csv", "jsonl")  # beside Parquet
    csv_separator: Literal["comma", "semicolon", "tab"] = "comma"
    csv_bom: bool = False  # a byte order mark, by which Excel knows UTF-8
    out: str = "due"  # due/latest and a folder per date; relative paths start at the working directory
    log_out: str = "offers-log"  # of `recsys offers-log`: latest and one folder per run
    log_keep: int = 5  # folders of the latest runs
    hash_ids: bool = False  # customer ids as keyed hashes, in events too; the key stands in RECSYS_ID_KEY
