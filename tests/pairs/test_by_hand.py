"""Rules that people wrote: read with their mistakes named, and stronger than any evidence."""

import polars as pl
import pytest

from recsys.errors import InputError
from recsys.pairs.by_hand import read_rules

CATALOG = pl.DataFrame(
    {"item_id": ["A17", "B02", "C05", "7"], "type": ["PASTA", "SAUCE", "PASTA", None], "category": ["DRY"] * 4},
    schema_overrides={"type": pl.String},
).with_columns(department=pl.lit(None, pl.String))


def test_rules_are_read_in_any_order_and_direction():
    rules = read_rules(
        [{"if": "B02", "then": "A17"}, {"if": 7, "then": "A17"}, {"if": "A17", "then": 7}],
        [{"items": ["C05", "B02"]}, {"types": ["SAUCE", "PASTA"]}], CATALOG,
    )  # fmt: skip
    assert rules.always == {("item", "A17", "B02"): "b_then_a", ("item", "7", "A17"): "both_ways"}
    assert rules.never == {("item", "B02", "C05"), ("type", "PASTA", "SAUCE")}


def test_a_veto_of_types_is_one_of_their_items():
    pairs = pl.DataFrame({"a": ["A17", "A17", "7"], "b": ["B02", "C05", "B02"]})
    rules = read_rules((), [{"types": ["SAUCE", "PASTA"]}], CATALOG)
    assert rules.vetoes("item", pairs, CATALOG).to_list() == [True, False, False]
    assert rules.vetoes("type", pl.DataFrame({"a": ["PASTA"], "b": ["SAUCE"]}), CATALOG).to_list() == [True]
    assert rules.vetoes("category", pl.DataFrame({"a": ["PASTA"], "b": ["SAUCE"]}), CATALOG).to_list() == [False]


@pytest.mark.parametrize(("always", "never", "says"), [
    ([{"if": "A71", "then": "B02"}], [], r"affinity\.always\[0\]: no item 'A71' .* did you mean 'A17'\?"),
    ([{"if": "zzz", "then": "B02"}], [], "mend it or take the rule out"),
    ([{"if": "A17"}], [], r"give \{if: A, then: B\}"),
    ([{"if": "A17", "than": "B02"}], [], "unknown key 'than'; known are if, then, level"),
    ([{"if": "A17", "then": "A17"}], [], "two or more different ones"),
    ([{"if": "A17", "then": "B02", "level": "shelf"}], [], "level = 'shelf'"),
    ([], [{"items": ["A17"]}], "two or more different ones"),
    ([], [{"items": "A17"}], "with a list of two or more"),
    ([], [{"types": ["PASTA", "SAUCES"]}], "did you mean 'SAUCE'"),
    ([{"if": "B02", "then": "A17"}], [{"items": ["A17", "B02"]}], "both under always and under never"),
])  # fmt: skip
def test_mistakes_are_named(always, never, says):
    with pytest.raises(InputError, match=says):
        read_rules(always, never, CATALOG)
