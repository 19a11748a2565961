"""Which features are a model's, that blanked features are dropped ones, and a small run with two variants."""

import itertools
import shutil
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from benchmarks.ablation import EVERYTHING, FIGURES, K, ablate, blanked, features_of, variants, write
from recsys import pipeline
from recsys.errors import InputError
from recsys.ranking.base_models import SINGLES, SOURCES
from recsys.ranking.features import FEATURES, GROUPS
from recsys.ranking.hybrid import Hybrid
from recsys.ranking.training_rows import TrainingRows
from recsys.registry.run_files import select
from recsys.stages import read_json

NOW = datetime(2024, 9, 1, tzinfo=UTC)


def test_every_source_is_of_exactly_one_model():
    for source in SOURCES:
        assert sum(source in features_of(model) for model in SINGLES) == 1, source


def test_no_feature_is_of_two_models_and_none_is_forgotten():
    made = list(itertools.chain.from_iterable(map(features_of, SINGLES)))
    assert len(made) == len(set(made))
    ranked = {name for name in FEATURES if name.endswith(("_rank", "_of_best"))}
    assert set(made) == ranked | set(SOURCES)
    assert features_of("popularity") == ("popularity", "popularity_rank"), "not the whole group of that name"


def test_variants_are_everything_first_then_groups_and_models():
    found = variants(["cart"], ["item_knn"])
    assert [v.name for v in found] == ["hybrid", "without group cart", "without model item_knn"]
    assert found[0] == EVERYTHING
    assert found[1].features == GROUPS["cart"]
    assert len(variants(tuple(GROUPS), SINGLES)) == 1 + len(GROUPS) + len(SINGLES)


@pytest.mark.parametrize(("groups", "models", "option"), [(["carts"], [], "--groups"), ([], ["cart"], "--models")])
def test_unknown_names_are_refused(groups, models, option):
    with pytest.raises(InputError, match=rf"{option} 'carts?' is unknown; give some of "):
        variants(groups, models)


# A small run.


@pytest.fixture(scope="module")
def ablated(small_config, stages, tmp_path_factory):
    config = small_config(tmp_path_factory.mktemp("ablated"))
    shutil.copytree(stages, config.run.store)
    return config, ablate(config, variants(["habit"], ["als"]), NOW)


def test_the_run_judges_with_everything_what_evaluate_judges(ablated):
    """The hybrid with everything is the pipeline's own, so its recall is that of metrics.json."""
    config, found = ablated
    matrices = pipeline.build_matrices(config, pipeline.ingest_orders(config, NOW))
    learned = [pipeline.learn_moment(config, matrices, name) for name in pipeline.training_moments(matrices)]
    fitted = pipeline.fit_models(config, matrices, pipeline.TEST)
    evaluated = pipeline.evaluate(config, matrices, fitted, pipeline.blend(config, learned))
    theirs = read_json(evaluated / "metrics.json")["records"]
    for task, segment in FIGURES:
        what = {"contender": "hybrid", "task": task, "segment": segment, "metric": "recall", "k": K}
        ours = select(found["records"], **what)[0]
        assert [ours[key] for key in ("value", "n", "low", "high")] == pytest.approx(
            [select(theirs, **what)[0][key] for key in ("value", "n", "low", "high")]
        )


def test_ratios_are_without_over_with(ablated):
    _, found = ablated
    assert len(found["paired"]) == 2 * len(FIGURES)
    for row in found["paired"]:
        here = {"task": row["task"], "segment": row["segment"]}
        without = select(found["records"], contender=row["contender"], **here)[0]["value"]
        assert row["ratio"] == pytest.approx(without / select(found["records"], contender="hybrid", **here)[0]["value"])
        assert row["ratio_low"] <= row["ratio"] <= row["ratio_high"]
    assert {row["ratio"] for row in found["paired"]} != {1.0}, "something was left out"


def test_blanked_features_are_dropped_features(ablated):
    """Same trees as with `ranker.drop`, for a group and for a model's features."""
    config, _ = ablated
    files = sorted((pipeline.store(config) / "learn").glob("*/rows.npz"))
    rows = TrainingRows.concatenate([TrainingRows.load(file) for file in files])
    for names, drop in ((GROUPS["habit"], ("habit",)), (features_of("als"), features_of("als"))):
        ours = Hybrid.fit(blanked(rows, names), config.ranker)
        theirs = Hybrid.fit(rows, replace(config.ranker, drop=drop))
        assert sum(ours.importances()[name] for name in names) == 0
        for name in ours.boosters:
            np.testing.assert_array_equal(ours.output(name, rows.x), theirs.output(name, rows.x))


def test_the_run_writes_a_table(ablated, tmp_path):
    _, found = ablated
    write(found, tmp_path / "new" / "folder")
    lines = (tmp_path / "new" / "folder" / "table.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert [row.split(" | ")[0] for row in rows[2:]] == [
        "| **hybrid**",
        "| without group habit",
        "| without model als",
    ]
    assert {row.count("|") for row in rows} == {8}
    pair = select(found["paired"], contender="without model als", task="cart", segment="new")[0]
    assert f"{pair['ratio']:.3f} ({pair['ratio_low']:.3f}–{pair['ratio_high']:.3f}) |" in rows[-1]
    assert read_json(tmp_path / "new" / "folder" / "metrics.json") == found
