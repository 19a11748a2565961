"""The contract of customer events: what is kept, what is set aside and why, whatever the order of the rows."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from recsys.data.event_rows import FIELDS, EventsOptions, map_events, read_event_rows
from recsys.data.events import KINDS, RULES, check_events
from recsys.data.synthetic.dirty_events import as_texts, dirty_events
from recsys.data.synthetic.moments_shop import moments_shop
from recsys.errors import InputError
from recsys.schemas import EVENTS, REJECTED
from tests.moments.conftest import source

NOW = datetime(2024, 6, 1, tzinfo=UTC)
END = datetime(2025, 1, 1, tzinfo=UTC)
CUSTOMERS, ITEMS = pl.Series(["a", "b"]), pl.Series(["x", "y"])
GOOD = {"customer_id": "a", "kind": "review", "at": "2024-05-01T10:00:00Z", "item_id": "x", "value": "4"}
SHOP = moments_shop(each=1)
CUSTOMERS_OF_SHOP = SHOP.events["customer_id"].drop_nulls().unique()


def raw(*rows):
    return pl.DataFrame(rows, schema=dict.fromkeys(FIELDS, pl.String))


def check(rows, now=NOW, **options):
    chosen = EventsOptions(**options)
    return check_events([map_events(source(rows), chosen)], chosen, now=now, customers=CUSTOMERS, items=ITEMS)


def rules_of(checked):
    return checked.rejected.select("source_row", "rule").rows()


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"kind": "bought"}, "unknown_kind"),
        ({"kind": None}, "unknown_kind"),
        ({"kind": "Review"}, "unknown_kind"),
        ({"customer_id": " "}, "no_customer"),
        ({"customer_id": "c"}, "unknown_customer"),
        ({"item_id": None}, "no_item"),
        ({"item_id": "z"}, "unknown_item"),
        ({"kind": "search", "item_id": "z"}, "unknown_item"),
        ({"at": "soon"}, "unreadable_time"),
        ({"at": None}, "unreadable_time"),
        ({"received_at": "soon"}, "unreadable_time"),
        ({"at": "2024-06-01T00:00:01Z"}, "future_time"),
        ({"received_at": "2024-06-02"}, "future_time"),
        ({"at": "2019-12-31"}, "before_earliest"),
        ({"at": "2024-04-01", "received_at": "2024-05-01T00:00:01Z"}, "late"),
        ({"until": "later"}, "unreadable_until"),
        ({"until": "2024-05-01T09:59:59Z"}, "until_before_at"),
        ({"kind": "renewal"}, "no_until"),
        ({"value": "many"}, "unreadable_value"),
        ({"value": None}, "no_value"),
        ({"value": "5.1"}, "value_out_of_range"),
        ({"kind": "preference", "value": "-1.5"}, "value_out_of_range"),
    ],
)
def test_one_dirty_row_among_good_ones_breaks_its_rule(changes, rule) -> None:
    good = [GOOD, GOOD | {"item_id": "y"}, GOOD | {"customer_id": "b"}]
    checked = check(raw(*good, GOOD | changes), earliest="2020-01-01")
    assert rules_of(checked) == [(4, rule)]
    assert checked.events.height == 3
    assert (checked.read, checked.count("kept"), checked.count("rejected", rule)) == (4, 3, 1)
    assert checked.rejected["column"][0] in RULES[rule][0]
    assert json.loads(checked.rejected["raw"][0])["kind"] == (GOOD | changes)["kind"]


def test_what_lies_at_a_limit_is_kept() -> None:
    rows = [
        GOOD | {"at": "2024-06-01", "until": "2024-06-01"},
        GOOD | {"at": "2024-04-01", "received_at": "2024-05-01"},
        GOOD | {"value": "1"},
        GOOD | {"value": "5", "item_id": "y"},
        {"kind": "stock_out", "item_id": "x", "at": "2024-05-01"},  # of everybody
        {"kind": "price_rise", "value": "0", "at": "2024-05-01"},
        {"kind": "search", "customer_id": "b", "at": "2024-05-01"},  # no item is needed
    ]
    checked = check(raw(*rows), earliest="2024-04-01")
    assert checked.rejected.is_empty()
    assert dict(checked.events.schema) == EVENTS
    assert checked.events["known_at"].is_sorted()
    late = checked.events.filter(pl.col("at") == datetime(2024, 4, 1, tzinfo=UTC))
    assert late["known_at"].item() == datetime(2024, 5, 1, tzinfo=UTC)


def test_of_the_same_event_told_twice_the_one_known_first_stays() -> None:
    keyed = {"customer_id": "a", "kind": "offer_shown", "item_id": "x", "key": "7", "value": "3"}
    rows = [
        keyed | {"at": "2024-05-02", "source": "first"},
        keyed | {"at": "2024-05-01", "source": "told later", "received_at": "2024-05-03"},
        keyed | {"at": "2024-05-04", "item_id": "y", "source": "another item of the same key"},
        keyed | {"at": "2024-05-05", "kind": "offer_refused", "source": "its outcome"},
        keyed | {"at": "2024-05-05", "customer_id": "b", "source": "another customer's"},
        GOOD,
        GOOD | {"received_at": "2024-05-07"},  # the same event without a key, told again
        GOOD | {"value": "3"},  # another opinion at the same time
    ]
    checked = check(raw(*rows))
    assert rules_of(checked) == [(2, "duplicate"), (7, "duplicate")]
    assert checked.events.filter(pl.col("key").is_null())["known_at"].max() < datetime(2024, 5, 2, tzinfo=UTC)


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(random) -> None:
    dirty, _ = dirty_events(SHOP.events.head(30), END)
    order = list(range(dirty.height))
    random.shuffle(order)
    whole, mixed = (
        check_events([map_events(source(rows))], now=END, customers=CUSTOMERS_OF_SHOP, items=SHOP.catalog["item_id"])
        for rows in (dirty, dirty[order])
    )
    assert_frame_equal(whole.events, mixed.events)
    assert_frame_equal(whole.counts, mixed.counts)
    said = [c.rejected.drop("source_row").sort("rule", "raw") for c in (whole, mixed)]
    assert_frame_equal(*said)


def test_planted_dirt_is_set_aside_by_its_rule_and_nothing_else() -> None:
    dirty, planted = dirty_events(SHOP.events, END)
    known = {"now": END, "customers": CUSTOMERS_OF_SHOP, "items": SHOP.catalog["item_id"]}
    clean = check_events([map_events(source(SHOP.events))], **known)
    checked = check_events([map_events(source(dirty))], **known)
    assert clean.rejected.is_empty()
    assert_frame_equal(checked.events, clean.events)
    found = checked.rejected.select(row=pl.col("source_row") - 1, rule="rule").sort("row")
    assert found.rows() == planted.rows()
    assert set(planted["rule"]) == set(RULES) - {"before_earliest"}
    assert checked.read == dirty.height
    assert checked.rejected.columns == list(REJECTED)


def test_kinds_need_what_they_say() -> None:
    """A row with nothing but a time breaks the first of the rules that its kind has."""
    rows = [{"kind": kind, "at": "2024-05-01"} for kind in KINDS]
    checked = check(raw(*rows))
    broken = dict(zip(checked.rejected["raw"].str.json_path_match("$.kind"), checked.rejected["rule"], strict=True))
    for name, kind in KINDS.items():
        wants = "no_customer" if kind.customer else "no_item" if kind.item else "no_value" if kind.needs_value else None
        assert broken.get(name) == wants


def test_a_csv_of_a_shops_own_columns(tmp_path) -> None:
    (tmp_path / "reviews.csv").write_text(
        "Kunde;Artikel;Sterne;Zeit\na;x;4,5;01.05.2024 12:00\nb;y;drei;02.05.2024 09:00\nb;y;5\n"
    )
    options = EventsOptions(
        path=str(tmp_path / "reviews.csv"),
        separator=";",
        decimal=",",
        columns={"customer_id": "Kunde", "item_id": "Artikel", "value": "Sterne", "at": "Zeit"},
        constants={"kind": "review"},
        time_zone="Europe/Berlin",
    )
    checked = check_events(read_event_rows(options), options, now=NOW, customers=CUSTOMERS, items=ITEMS)
    assert checked.events.select("customer_id", "value", "at").rows() == [
        ("a", 4.5, datetime(2024, 5, 1, 10, tzinfo=UTC))  # summer time
    ]
    rejected = checked.rejected.select("source_row", "rule", "column", "value").rows()
    assert rejected == [(3, "unreadable_value", "Sterne", "drei"), (4, "field_count", None, "b;y;5")]
    assert checked.read == 3


def test_without_a_path_there_are_no_events() -> None:
    checked = check_events(read_event_rows(EventsOptions()), now=NOW)
    assert (checked.events.height, checked.read) == (0, 0)
    assert dict(checked.events.schema) == EVENTS


def test_typed_columns_are_read_as_their_texts_are() -> None:
    as_typed, as_text = map_events(source(SHOP.events)), map_events(source(as_texts(SHOP.events)))
    assert_frame_equal(as_typed.rows, as_text.rows)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"columns": {"when": "at"}}, "no field 'when'"),
        ({"columns": {"at": "At", "kind": "kind"}}, "no column 'At'.*Did you mean 'at'"),
        ({"columns": {"at": "at"}}, "lacks 'kind'"),
        (
            {"columns": {"at": "at", "kind": "kind"}, "constants": {"kind": "review"}},
            "both in columns and in constants",
        ),
        ({"time_zone": "Mars"}, "events.time_zone 'Mars' is unknown"),
    ],
)
def test_wrong_options_are_named(options, says) -> None:
    with pytest.raises(InputError, match=says):
        map_events(source(raw(GOOD)), EventsOptions(**options))


def test_now_needs_a_zone_and_earliest_a_date() -> None:
    with pytest.raises(InputError, match="no time zone"):
        check(raw(GOOD), now=datetime(2024, 6, 1))  # noqa: DTZ001
    with pytest.raises(InputError, match=r"events\.earliest 'spring' is no date"):
        check(raw(GOOD), earliest="spring")


def test_docs_tell_every_kind_and_rule() -> None:
    text = (Path(__file__).parents[2] / "docs" / "moments.md").read_text()
    contract = text[text.index("## Events") : text.index("## Triggers")]
    named = re.findall(r"^\| `(\w+)` \|", contract, re.MULTILINE)
    assert named == [*EVENTS_FIELDS, *KINDS, *RULES]


EVENTS_FIELDS = ("customer_id", "kind", "at", "until", "item_id", "value", "source", "key", "received_at")
