"""Floors and groups out of hand-made figures; each fails alone, by its own number."""

from dataclasses import replace

import pytest

from recsys.evaluation.cold_start import NEWCOMERS, NONE
from recsys.registry.guardrails import Figures, against_champion, of_figures
from recsys.registry.options import GateOptions

OPTIONS = GateOptions(min_primary=0.1, min_coverage=0.5)
TASKS = ("next_basket", "cart")


def record(contender, task, segment, value, **more):
    kind = "hybrid" if contender == "hybrid" else "single"
    row = {"contender": contender, "kind": kind, "task": task, "segment": segment, "metric": "recall", "k": 10}
    return row | {"value": value, "low": value * 0.9, "high": value * 1.1, "n": 400} | more


def group(contender, value, high, n=50, **more):
    return {"contender": contender, "value": value, "low": None, "high": high, "n": n} | more


@pytest.fixture
def figures():
    """The hybrid finds 0.3, item_knn 0.2, popularity 0.1; the same in every group that is there."""
    levels = {"hybrid": 0.3, "item_knn": 0.2, "popularity": 0.1}
    records = [record(c, t, s, v) for c, v in levels.items() for t in TASKS for s in ("all", "new")]
    paired = [{"contender": "hybrid", "baseline": "item_knn", "task": t, "segment": "new", "metric": "recall", "k": 10,
               "ratio": 1.5, "ratio_high": 1.7} for t in TASKS]  # fmt: skip
    metrics = {"records": records, "paired": paired, "best": "hybrid", "primary_value": 0.3,
               "primary": {"task": "next_basket", "segment": "all", "metric": "recall", "k": 10}}  # fmt: skip
    cold = [group(c, v, v * 1.2, about="customers", task="cart", bucket=NONE) for c, v in levels.items()]
    cold.append(group("content", 0.4, 0.5, about="items", task="cart", bucket=NONE))
    tail = [group(c, v, v * 1.2, dimension="item popularity", task="cart", metric="recall", bucket="tail, 40 items")
            for c, v in levels.items()]  # fmt: skip
    return Figures(metrics, {"hybrid": {"counts": [5, 3]}, "popularity": {"counts": [9]}}, tail, cold, 4)


def by_name(rails):
    found = {rail.name: rail for rail in rails}
    assert len(found) == len(rails)
    return found


def test_all_pass_and_say_their_numbers(figures):
    rails = by_name(of_figures(figures, OPTIONS))
    assert all(rail.passed for rail in rails.values())
    assert (rails["coverage at 10"].value, rails["coverage at 10"].text[:6]) == (0.5, "2 of 4")
    assert rails["cart: hybrid / popularity"].value == pytest.approx(3)
    assert rails["next basket: hybrid / item knn"].value == pytest.approx(1.5)
    assert rails["cart, items new to the customer / best single model"].value == 1.7, "the paired upper end"
    alone = rails["cart, customers as if they were new / best single model"]
    assert alone.value == pytest.approx(0.3 * 1.2 / 0.2), "not paired: own upper end / value"
    assert "1.500 × item knn on 50 queries" in alone.text
    empty = rails["cart, newcomers / best single model"]
    assert (empty.value, empty.passed, empty.text) == (None, True, "nobody asked of this group")


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"min_primary": 0.31}, "primary metric"),
        ({"min_coverage": 0.51}, "coverage at 10"),
        ({"min_of_popularity": 3.01}, "cart: hybrid / popularity"),
        ({"min_of_single": 1.51}, "next basket: hybrid / item knn"),
        ({"min_of_group": 1.71}, "next basket, items new to the customer / best single model"),
        ({"min_of_group": 1.81}, "cart, rarely sold items / best single model"),
    ],
)
def test_each_fails_by_its_own_threshold(figures, options, name):
    rail = by_name(of_figures(figures, replace(OPTIONS, **options)))[name]
    assert not rail.passed
    assert rail.threshold == next(iter(options.values()))
    assert rail.value < rail.threshold


def test_a_value_that_lies_on_its_threshold_passes(figures):
    exact = replace(OPTIONS, min_primary=0.3, min_coverage=0.5, min_of_group=1.7)
    assert [r.name for r in of_figures(figures, exact) if not r.passed] == []


def test_few_queries_fail_no_group_and_many_do(figures):
    """The hybrid finds half of what the best single model finds; the interval of 40 queries reaches up to it."""

    def tail(high):
        rows = [replace_row(r, 0.1, high) if r["contender"] == "hybrid" else r for r in figures.segments]
        rails = by_name(of_figures(replace(figures, segments=rows), OPTIONS))
        return rails["cart, rarely sold items / best single model"]

    def replace_row(row, value, high):
        return row | {"value": value, "high": high}

    assert tail(0.19).passed
    assert not tail(0.12).passed
    assert tail(None).passed, "one query has no interval"


def test_a_single_model_that_won_is_held_to_popularity_alone(figures):
    won = replace(figures, metrics=figures.metrics | {"best": "popularity"})
    names = set(by_name(of_figures(won, OPTIONS)))
    assert names == {"primary metric", "coverage at 10", "next basket: popularity / popularity",
                     "cart: popularity / popularity"}  # fmt: skip


def test_nothing_measured_fails_a_floor(figures):
    records = [r for r in figures.metrics["records"] if r["task"] != "cart"]
    rails = of_figures(replace(figures, metrics=figures.metrics | {"records": records}), OPTIONS)
    lost = [r for r in rails if not r.passed]
    assert [(r.name, r.value) for r in lost] == [("cart: hybrid / popularity", None)]


def test_groups_against_the_champion_compare_what_each_would_serve(figures):
    quarter = [r | {"value": r["value"] / 4, "high": r["high"] / 4, "bucket": NEWCOMERS} for r in figures.cold_start]
    worse = replace(figures, cold_start=quarter)
    old = replace(figures, cold_start=[r | {"bucket": NEWCOMERS} for r in figures.cold_start])
    rails = by_name(against_champion(worse, old, 0.8))
    lost = [name for name, rail in rails.items() if not rail.passed]
    assert lost == ["cart, newcomers / champion's recipe"]
    assert rails[lost[0]].value == pytest.approx(0.3 / 4 * 1.2 / 0.3)
    assert all(rail.passed for rail in against_champion(old, worse, 0.8))
    popular = replace(old, metrics=old.metrics | {"best": "popularity"})
    found = by_name(against_champion(old, popular, 0.8))["cart, newcomers / champion's recipe"]
    assert found.value == pytest.approx(0.36 / 0.1)
    assert "popularity" in found.text
