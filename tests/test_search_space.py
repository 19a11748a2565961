"""The search space is read against the config; whatever is wrong in it is said with name, value and remedy."""

from dataclasses import replace

import pytest

from recsys.config import Config, read_config
from recsys.errors import InputError
from recsys.search_space import read_space, value_of, with_values
from recsys.tune_options import default_space


def space(entries, **sections):
    return read_space(read_config({"tune": {"space": entries}, **sections}))


def test_the_default_space_holds_the_defaults_well_inside():
    """It is data: whoever renames an option or moves a default finds this test."""
    dimensions = read_space(Config())
    assert [d.name for d in dimensions] == list(default_space())
    for d in dimensions:
        assert d.own == value_of(read_config({}), d.name)
        entry = default_space()[d.name]
        assert d.own in entry["choices"] if d.choices else entry["low"] < d.own < entry["high"], d.name


def test_ranges_take_the_options_own_kind_and_are_widened_to_its_value():
    trees, rate, als = space(
        {
            "ranker.trees": {"low": 10, "high": 50},
            "models.als.alpha": {"low": 20, "high": 40, "log": True},
            "models.als.factors": {"choices": [16, 32, 16]},
        }
    )
    assert (trees.low, trees.high, trees.kind, trees.log) == (10, 100, int, False), "100 trees are the default"
    assert (rate.low, rate.high, rate.kind, rate.log) == (10.0, 40.0, float, True)
    assert als.choices == ("16", "32", "64")
    assert (als.value("32"), als.found()) == (32, "64")


def test_only_options_that_training_rows_do_not_depend_on_are_cheap():
    entries = {
        name: {"low": 1, "high": 9}
        for name in ("ranker.trees", "ranker.min_leaf", "ranker.per_cart_source", "models.user_knn.k")
    }
    assert [d.learns for d in space(entries)] == [False, False, True, True]
    assert [d.learns for d in space({"ranker.negatives": {"low": 0.1, "high": 0.2}})] == [True]


def test_floats_are_tried_with_four_digits_within_their_range():
    (d,) = space({"ranker.learning_rate": {"low": 0.0199999, "high": 0.2}})
    assert d.value(0.123456) == 0.1235
    assert d.value(0.0199999) == 0.02
    assert d.value(0.19999999) == 0.2
    (own,) = space({"ranker.learning_rate": {"low": 0.01, "high": 0.2}}, ranker={"learning_rate": 0.0123456})
    assert own.value(own.found()) == 0.0123456, "the config's own value stays as it is"


def test_choices_may_be_anything_that_the_option_takes():
    own = ["rank_xendcg", "binary"]
    (d,) = space({"ranker.objectives": {"choices": [["binary"], own]}})
    assert [d.value(c) for c in d.choices] == [["binary"], own]
    changed = with_values(Config(), {"ranker.objectives": d.value(d.choices[0]), "models.als.damping": "none"})
    assert (changed.ranker.objectives, changed.models.als.damping) == (("binary",), "none")
    assert replace(changed, ranker=Config().ranker).models.frequency == read_config({}).models.frequency


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({}, r"tune\.space is empty: .* give options, e\.g\. \{ranker\.trees"),
        ({"ranker.tres": {"low": 1, "high": 2}}, r"unknown key 'ranker\.tres'; did you mean 'ranker\.trees'\?"),
        ({"models.alps.alpha": {"low": 1, "high": 2}}, r"unknown key 'models\.alps'; did you mean 'models\.als'\?"),
        ({"ranker.trees.x": {"low": 1, "high": 2}}, r"unknown key 'ranker\.trees\.x'; trees holds a value"),
        ({"models.als": {"low": 1, "high": 2}}, r"holds 'models\.als', a section; name one of its options"),
        ({"ranker": {"trees": {"low": 1, "high": 2}}}, r"holds 'ranker'; give dotted options of models and ranker"),
        ({"split.window_days": {"low": 7, "high": 28}}, r"holds 'split\.window_days'; give dotted options"),
        ({"ranker.seed": {"low": 1, "high": 2}}, r"'ranker\.seed', which is no hyperparameter; leave it out"),
        ({"models.als.seed": {"low": 1, "high": 2}}, r"'models\.als\.seed', which is no hyperparameter"),
        ({"ranker.trees": {"low": 9, "high": 3}}, r"ranker\.trees: low = 9 is not below high = 3; give low < high"),
        ({"ranker.trees": {"low": 3, "high": 3}}, r"low = 3 is not below high = 3"),
        ({"ranker.trees": {"low": 3}}, r"ranker\.trees: high = None; give a number"),
        ({"ranker.trees": {"low": True, "high": 3}}, r"low = True; give a number"),
        ({"ranker.trees": {"low": 3, "high": float("inf")}}, r"high = inf; give a number"),
        ({"ranker.trees": {"low": 0, "high": 3}}, r"tune\.space: ranker\.trees = 0; give a value from 1"),
        ({"ranker.trees": {"low": 1.5, "high": 3}}, r"tune\.space: ranker\.trees = 1\.5: .*integer"),
        ({"ranker.trees": {"low": 1, "high": 3, "log": "yes"}}, r"log = 'yes'; give true or false"),
        ({"models.als.alpha": {"low": 0, "high": 3, "log": True}}, r"alpha reaches down to 0, which has no logarithm"),
        ({"ranker.trees": {"low": 1, "high": 3, "step": 2}}, r"ranker\.trees holds 'step'; give low and high"),
        ({"ranker.trees": {}}, r"ranker\.trees has neither or both; give low and high"),
        ({"ranker.trees": {"low": 1, "high": 3, "choices": [1]}}, r"ranker\.trees has neither or both"),
        ({"ranker.trees": {"choices": []}}, r"choices = \[\]; give a list of values"),
        ({"ranker.trees": {"choices": 5}}, r"choices = 5; give a list of values"),
        ({"ranker.trees": {"choices": [5, "many"]}}, r"ranker\.trees = 'many'"),
        ({"models.als.damping": {"low": 1, "high": 2}}, r"models\.als\.damping = 1: .*'log' or 'none'"),
    ],
)  # fmt: skip
def test_mistakes_are_named(entries, said):
    with pytest.raises(InputError, match=said) as caught:
        space(entries)
    assert "\n" not in str(caught.value)


def test_an_own_value_of_zero_has_no_logarithm():
    with pytest.raises(InputError, match=r"regularization reaches down to 0, which has no logarithm"):
        space({"models.als.regularization": {"low": 1, "high": 3, "log": True}}, models={"als": {"regularization": 0}})
