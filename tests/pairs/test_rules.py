"""Pairs of a level: planted ones found and no others, bars that add up, rules by hand, nothing at all."""

from datetime import UTC, datetime

import polars as pl
import pytest

from recsys.affinity import Evidence
from recsys.data.ingest import DataOptions, ingest
from recsys.data.synthetic import SyntheticOptions, synthetic_shop
from recsys.errors import InputError
from recsys.pairs.by_hand import HandRules
from recsys.pairs.collected import collect
from recsys.pairs.options import AffinityOptions
from recsys.pairs.rules import floor, level_rules
from tests.pairs.test_flags import PAIRS, catalog_of, year

NO_RULES = HandRules({}, frozenset())
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def orders() -> pl.DataFrame:
    return year()


def of_year(orders, options=None, rules=NO_RULES, level="item"):
    return level_rules(collect(orders, catalog_of(orders)), level, options or AffinityOptions(), rules)


def pairs_of(table: pl.DataFrame) -> set[tuple[str, str]]:
    return set(table.select("a", "b").iter_rows())


@pytest.mark.parametrize("seed", [0, 4])
def test_planted_pairs_are_found_and_no_others(seed, tmp_path):
    shop = synthetic_shop(SyntheticOptions(seed=seed))
    shop.orders.write_parquet(tmp_path / "orders.parquet")
    shop.catalog.write_parquet(tmp_path / "catalog.parquet")
    data = DataOptions()
    data = type(data)(orders=type(data.orders)(path=f"{tmp_path}/orders.parquet"),
                      catalog=type(data.catalog)(path=f"{tmp_path}/catalog.parquet"))  # fmt: skip
    checked = ingest(data, NOW)
    found = level_rules(collect(checked.orders, checked.catalog), "item", AffinityOptions(), NO_RULES).table
    planted = set(shop.truth.pairs.select("item_a", "item_b").iter_rows())
    hits = pairs_of(found) & planted
    assert len(hits) >= 0.95 * len(planted)
    assert len(hits) >= 0.95 * found.height
    assert not found["seasonal"].any()
    assert not found["few_customers"].any()


def test_bars_and_steps_add_up(orders):
    facts = of_year(orders).facts
    assert facts["counted"] == facts["with_evidence"] + sum(step["dropped"] for step in facts["dropped"])
    assert [step["left"] for step in facts["dropped"]][-1] == facts["with_evidence"] == facts["published"]
    for told in facts["flags"].values():
        assert told["yes"] + told["no"] + told["not_judged"] == facts["with_evidence"]
    assert facts["possible"] == facts["keys"] * (facts["keys"] - 1) // 2


def test_flagged_pairs_are_left_out_where_asked(orders):
    whole = of_year(orders)
    assert whole.table["one_store"].any()
    kept = of_year(orders, AffinityOptions(leave_out=("one_store", "seasonal")))
    assert pairs_of(kept.table) == pairs_of(whole.table.filter(~pl.col("one_store") & ~pl.col("seasonal")))
    assert kept.facts["left_out"]["pairs"] == whole.table.height - kept.table.height


def test_rules_by_hand_override(orders):
    """A pair never sold together comes in, one of evidence goes out, and a left-out one comes back."""
    rules = HandRules(
        {("item", "beer", "f0"): "b_then_a", ("item", "beer", "pretzel"): "a_then_b"},
        frozenset({("item", "bread", "butter")}),
    )
    found = of_year(orders, AffinityOptions(leave_out=("one_store",)), rules)
    by_hand = {(a, b): way for a, b, way in found.table.select("a", "b", "by_hand").iter_rows() if way}
    assert by_hand == {("beer", "f0"): "b_then_a", ("beer", "pretzel"): "a_then_b"}
    assert ("bread", "butter") in pairs_of(of_year(orders).table)
    assert ("bread", "butter") not in pairs_of(found.table)
    assert found.facts["vetoed"]["pairs"] == 1
    weak = found.table.row(by_predicate=pl.col("b") == "f0", named=True)
    assert weak["joint"] > 0
    assert weak["q"] is None


def test_a_pair_named_one_by_one_stands_against_a_veto_of_its_types(orders):
    never = frozenset({("type", "bread", "butter"), ("type", "beer", "pretzel")})
    found = pairs_of(of_year(orders, rules=HandRules({("item", "bread", "butter"): "a_then_b"}, never)).table)
    assert ("bread", "butter") in found
    assert ("beer", "pretzel") not in found


def test_a_rule_by_hand_of_what_is_not_sold_is_published_without_measures(orders):
    sold = orders.filter(pl.col("item_id") != "dip")
    rules = HandRules({("item", "chips", "dip"): "a_then_b"}, frozenset())
    row = of_year(sold, rules=rules).table.row(by_predicate=pl.col("b") == "dip", named=True)
    assert (row["joint"], row["lift"], row["seasonal"], row["by_hand"]) == (0, None, None, "a_then_b")


def test_names_are_the_levels_own_and_nothing_is_nothing(orders):
    strict = AffinityOptions(evidence=Evidence(min_joint=10_000))
    none = of_year(orders, strict)
    assert (none.table.height, none.facts["published"]) == (0, 0)
    assert none.table.columns == of_year(orders).table.columns
    assert none.table.schema == of_year(orders).table.schema
    typed = of_year(orders, level="type").table
    assert typed["a"].to_list() == typed["name_a"].to_list()


def test_look_back_forgets_and_levels_that_are_not_known_are_told(orders):
    catalog = catalog_of(orders)
    short = collect(orders, catalog, months=3)
    assert short.days <= 92
    assert short.forgotten + short.lines.height == orders.height
    assert (short.levels, short.without) == (("item", "type"), ("category", "department"))
    assert collect(orders, catalog, months=3, timed=False).forgotten == 0
    with pytest.raises(InputError, match="no orders"):
        collect(orders.clear(), catalog)


def test_guests_alone_are_asked_for_no_customers():
    found = of_year(year(guests=True))
    assert found.facts["bars"]["min_customers"] == 0
    assert ("bread", "butter") in pairs_of(found.table)


def test_the_floor_lets_the_customary_bar_answer():
    assert [floor(Evidence(), n) for n in (0, 100, 334, 10_000)] == [1, 3, 10, 10]


def test_every_planted_pair_is_among_the_rules(orders):
    evidence = Evidence(min_customers=0, min_taste_low=0.0, max_q=1.0, min_adjusted_low=1.0)
    assert set(PAIRS) - {("sunscreen", "umbrella")} <= pairs_of(
        of_year(orders, AffinityOptions(evidence=evidence)).table
    )
