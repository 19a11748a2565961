"""What a part of the benchmark found, and the moment that all of them learn from."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from recsys import pipeline
from recsys.affinity import Affinity, count_pairs, only_evident
from recsys.config import Config
from recsys.data.checked_store import read_checked
from recsys.data.histories import TrainData
from recsys.data.interactions import lines_before
from recsys.data.splits import Moment, moments
from recsys.errors import InputError
from recsys.offers.shelf import Shelf, shelf_of
from recsys.offers.substitutes import substitute_types, type_evidence
from recsys.offers.text_types import with_text_types

Row = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """records: plain JSON rows; table: Markdown lines; missed: the bars that were not reached, in words."""

    records: list[Row]
    table: list[str]
    missed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Before:
    """What is known at the cut; `orders` holds the window too, for the answers."""

    config: Config
    matrices: Path
    orders: pl.DataFrame
    moment: Moment
    data: TrainData
    shelf: Shelf

    @classmethod
    def read(cls, config: Config, now: datetime) -> "Before":
        if config.split.kind != "window":
            raise InputError(f"split.kind is {config.split.kind}; offers are judged on a window")
        ingested = pipeline.ingest_orders(config, now)
        matrices = pipeline.build_matrices(config, ingested)
        orders = read_checked(ingested / "checked").orders
        _, test = moments(orders, config.split)
        data, _ = pipeline.load_moment(matrices, pipeline.TEST)
        return cls(config, matrices, orders, test, data, with_text_types(shelf_of(data.items, data.facts)))

    def substitutes(self) -> Any:
        """bool (n_types,)"""
        return substitute_types(type_evidence(self.data.histories, self.shelf.types))

    def evident(self) -> tuple[Affinity, Affinity]:
        """All pairs of the orders before the cut, and those with evidence."""
        counted = count_pairs(lines_before(self.orders, self.moment.at, self.config.interactions.max_age_days))
        return counted, only_evident(counted)


def line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def spread(low: float, high: float, digits: int = 2) -> str:
    return f"{low:.{digits}f}-{high:.{digits}f}"
