"""A search on the small shop: what it may see, what it tries, what a killed one leaves, what it says."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import numpy as np
import optuna
import polars as pl
import pytest
import yaml
from click.testing import CliRunner
from filelock import FileLock

import recsys
from recsys import pipeline
from recsys.cli import main
from recsys.config import Config, as_dict, load_config, read_config
from recsys.errors import InputError
from recsys.ranking.features import GROUPS
from recsys.search_space import value_of, with_values
from recsys.tuning import tune
from recsys.tuning_result import Trial, different, left_out
from recsys.validation_moments import judge_recipe, validation_moments

pytestmark = pytest.mark.long
NOW = datetime(2024, 9, 1, tzinfo=UTC)
CUT, END = datetime(2024, 6, 21, tzinfo=UTC), datetime(2024, 7, 19, tzinfo=UTC)  # of the test
SPACE = {
    "ranker.trees": {"low": 5, "high": 40},
    "ranker.learning_rate": {"low": 0.02, "high": 0.4, "log": True},
    "models.user_knn.k": {"choices": [10, 20, 40]},
}
SEARCH = {
    "split.cut": CUT.isoformat(),
    "split.end": END.isoformat(),
    "ranker": {
        "trees": 2,
        "leaves": 7,
        "min_leaf": 20,
        "per_cart_source": 30,
        "per_history_source": 30,
        "threads": 1,
        "negatives": 0.3,
    },  # a poor start: something better is found in a few trials
    "tune": {"space": SPACE, "trials": 4, "models_every": 3, "minutes": 10, "seed": 3},
}


@pytest.fixture(scope="module")
def home(mlflow_store, tmp_path_factory):
    """Makes project folders that hold an empty MLflow store."""
    return lambda: mlflow_store(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def config(small_config, home) -> Config:
    return small_config(home(), SEARCH)


@pytest.fixture(scope="module")
def found(config):
    """Four trials in one go."""
    return tune(config, NOW)


def test_the_first_trial_is_the_config_and_most_keep_the_best_models(config, found):
    own = {name: value_of(config, name) for name in SPACE}
    assert found.trials[0].options == own
    assert [t.number for t in found.trials] == [0, 1, 2, 3]
    for n in (1, 2):
        best = max(found.trials[:n], key=lambda t: t.value)
        assert found.trials[n].options["models.user_knn.k"] == best.options["models.user_knn.k"], n
    assert len({json.dumps(t.options) for t in found.trials}) == 4
    assert all(2 <= t.options["ranker.trees"] <= 40 for t in found.trials)
    assert found.best == max(found.trials, key=lambda t: t.value)
    assert found.best.value == pytest.approx(np.mean(found.best.by_moment))


def test_tuned_yaml_is_the_config_with_the_best_values(config, found):
    file = Path(config.run.reports) / "tuned.yaml"
    tuned = load_config(file)
    assert tuned == found.tuned == with_values(read_config(as_dict(config)), found.best.options)
    assert file.read_text().count("\n# ") == len(found.changed())
    written = yaml.safe_load(file.read_text())
    assert "models" in written
    assert "validation" not in written["data"], "only what differs from the defaults"
    assert not list(file.parent.glob(".*")), "nothing half-written"


def test_the_gain_is_that_of_the_same_queries(config, found):
    """Ratio of the means over all (moment, task, query) values of the two recipes."""
    validations = validation_moments(config, pipeline.ingest_orders(config, NOW))
    judged = [judge_recipe(with_values(config, t.options), validations) for t in (found.best, found.trials[0])]
    means = [pl.concat(j.tables).select("next_basket", "cart").to_numpy().mean() for j in judged]
    assert found.ratio == pytest.approx(means[0] / means[1])
    assert found.low <= found.ratio <= found.high
    assert found.queries == sum(table.height for table in judged[0].tables)


def test_stages_of_other_trials_are_gone(config, found):
    """Of models and rankers, only what the first and the best trial were made of is kept, for both moments."""
    recipes = {found.trials[0].options["models.user_knn.k"], found.best.options["models.user_knn.k"]}
    n = len({json.dumps(t.options) for t in (found.trials[0], found.best)})
    held = {name: len(list(pipeline.store(config).glob(f"{name}/[0-9a-f]*"))) for name in ("fit", "trial")}
    assert held == {"fit": 2 * len(recipes), "trial": 2 * n}


def runs_of(config: Config) -> tuple[list, list]:
    """Parents and children in MLflow."""
    client = mlflow.MlflowClient(config.registry.tracking_uri)
    (experiment,) = (e for e in client.search_experiments() if e.name == config.registry.experiment)
    runs = client.search_runs([experiment.experiment_id])
    children = [r for r in runs if "mlflow.parentRunId" in r.data.tags]
    return [r for r in runs if r not in children], sorted(children, key=lambda r: int(r.data.tags["trial"]))


def test_trials_are_child_runs_of_one_parent(config, found):
    (parent,), children = runs_of(config)
    assert parent.info.run_name == "tune a small shop"
    assert {c.data.tags["mlflow.parentRunId"] for c in children} == {parent.info.run_id}
    assert {r.info.status for r in (parent, *children)} == {"FINISHED"}
    for trial, child in zip(found.trials, children, strict=True):
        assert child.data.params == {name: str(value) for name, value in trial.options.items()}
        assert child.data.metrics["value"] == pytest.approx(trial.value)
        assert child.data.metrics["value_moment_2"] == pytest.approx(trial.by_moment[1])
    assert parent.data.metrics["tuned_value"] == pytest.approx(found.best.value)
    assert parent.data.metrics["own_value"] == pytest.approx(found.trials[0].value)
    assert parent.data.params["moments"] == ", ".join(found.moments)
    client = mlflow.MlflowClient(config.registry.tracking_uri)
    assert [a.path for a in client.list_artifacts(parent.info.run_id)] == ["tuned.yaml"]


def tried(outcome) -> list:
    return [(t.options, t.by_moment) for t in outcome.trials]


def study_of(config: Config) -> optuna.Study:
    storage = optuna.storages.RDBStorage(f"sqlite:///{config.run.store}/tune.db")
    (name,) = optuna.get_all_study_names(storage)
    return optuna.load_study(storage=storage, study_name=name)


def states_of(config: Config) -> list[str]:
    study = study_of(config)
    states = [t.state.name for t in study.trials]
    study._storage._backend.engine.dispose()
    return states


def test_a_killed_search_goes_on_where_it_was(small_options, found, home):
    """SIGKILL in the middle; the same command once more finds what an undisturbed search finds, trial for trial."""
    project = home()
    options = small_options(project, SEARCH)
    (project / "shop.yaml").write_text(yaml.safe_dump(options))
    words = [sys.executable, "-m", "recsys.cli", "tune", "--config", "shop.yaml"]
    env = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONPATH": str(Path(recsys.__file__).parents[1])}
    process = subprocess.Popen(words, cwd=project, env=env, stdout=-3, stderr=-1)
    said = []
    while not (said and said[-1].startswith(b"trial 1 ")) and (line := process.stderr.readline()):
        said.append(line)
    time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.stderr.close()
    assert process.wait(timeout=30) == -signal.SIGKILL, said
    config = read_config(options)
    before = states_of(config)
    assert 2 <= before.count("COMPLETE") < 4

    again = tune(config, NOW)
    assert tried(again) == tried(found)
    assert states_of(config).count("COMPLETE") == 4
    (parent,), children = runs_of(config)
    assert parent.info.status == "FINISHED"
    assert [int(c.data.tags["trial"]) for c in children] == [0, 1, 2, 3]
    assert {c.info.status for c in children} == {"FINISHED"}


def test_what_a_killed_call_left_open_is_closed(small_config, found, home):
    """A trial that runs for ever, one that waits, a child run that is half logged."""
    config = small_config(home(), SEARCH)
    assert tried(tune(replace(config, tune=replace(config.tune, trials=2)), NOW)) == tried(found)[:2]
    study = study_of(config)
    study.enqueue_trial({"ranker.trees": 7})
    study.ask()
    study.enqueue_trial({"ranker.trees": 8})
    assert [t.state.name for t in study.trials[2:]] == ["RUNNING", "WAITING"]
    study._storage._backend.engine.dispose()
    (parent,), (_, last) = runs_of(config)
    client = mlflow.MlflowClient(config.registry.tracking_uri)
    client.update_run(last.info.run_id, "RUNNING")
    client.update_run(parent.info.run_id, "RUNNING")

    assert tried(tune(config, NOW)) == tried(found)
    assert states_of(config) == ["COMPLETE", "COMPLETE", "FAIL", "FAIL", "COMPLETE", "COMPLETE"]
    (parent,), children = runs_of(config)
    assert [(c.data.tags["trial"], c.info.status) for c in children] == [(str(n), "FINISHED") for n in range(4)]
    assert parent.info.status == "FINISHED"


def test_another_seed_tries_other_values_in_a_study_of_its_own(config, found, small_config, home):
    project = home()
    shutil.copytree(config.run.store, project / "store")
    again = small_config(project, SEARCH)
    other = tune(replace(again, tune=replace(again.tune, seed=4, trials=2)), NOW)
    assert tried(other)[0] == tried(found)[0]
    assert tried(other)[1] != tried(found)[1]


def test_a_finished_study_only_tells_again(config, found):
    done = CliRunner().invoke(
        main,
        [
            "tune",
            "--config",
            str(Path(config.run.reports) / "tuned.yaml"),
            "--set",
            "ranker.trees=15",
            "--set",
            "tune.trials=1",
            "--out",
            f"{config.run.store}/x.yaml",
        ],
    )
    assert done.exit_code == 0, done.output
    assert "recsys evaluate --config" in done.output.replace("\n", "")

    def finished():
        return {(path, path.stat().st_ino) for path in pipeline.store(config).glob("*/[0-9a-f]*")}

    before = finished()
    assert tried(tune(config, NOW)) == tried(found)
    assert finished() <= before, "nothing is built"


def test_time_bounds_the_search_but_never_the_first_trial(small_config, home):
    """A clock that runs 40 s a look. A trial takes two looks, and one asks whether there is time for it."""
    config = small_config(home(), SEARCH | {"tune": SEARCH["tune"] | {"minutes": 0}})
    assert len(tune(config, NOW).trials) == 1
    ticks = iter(range(0, 10_000, 40))
    config = replace(config, tune=replace(config.tune, minutes=4))
    looks = tune(config, NOW, clock=lambda: float(next(ticks)))
    assert len(looks.trials) == 3, (
        "looks at 0 (start), 40 80 120, 160 200 240: more than 40 s for the next are not left"
    )


def test_values_that_a_library_refuses_end_their_trial_only(small_config, home):
    """A ranker without any feature cannot be trained."""
    space = {"ranker.drop": {"choices": [list(GROUPS), []]}}
    config = small_config(home(), SEARCH | {"tune": {"space": space, "trials": 4, "validation_moments": 1}})
    found = tune(config, NOW)
    refused = [t for t in found.trials if not t.by_moment]
    assert refused
    assert {json.dumps(t.options["ranker.drop"]) for t in refused} == {json.dumps(list(GROUPS))}
    assert all("LightGBMError" in t.reason for t in refused)
    assert found.best.number == 0
    assert (found.honest, found.ratio) == ([], 1.0)
    _, children = runs_of(config)
    assert [c.info.status == "FAILED" for c in children] == [not t.by_moment for t in found.trials]
    assert "nothing is changed" in (Path(config.run.reports) / "tuned.yaml").read_text()


def test_one_search_at_a_time_and_something_to_search(config):
    with FileLock(Path(config.run.store) / "tune.lock"), pytest.raises(InputError, match="another search works"):
        tune(config, NOW)
    with pytest.raises(InputError, match=r"tune\.space is empty"):
        tune(replace(config, tune=replace(config.tune, space={})), NOW)


def test_stores_that_are_none_are_named(small_config, tmp_path):
    config = small_config(tmp_path, SEARCH)
    Path(config.run.store).mkdir()
    (Path(config.run.store) / "tune.db").write_text("no database, though long enough to be looked at" * 20)
    with pytest.raises(InputError, match=r"Optuna 4\..* cannot use .*tune\.db: .*move it away"):
        tune(config, NOW)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot write to run\.store .*file"):
        tune(replace(config, run=replace(config.run, store=str(tmp_path / "file"))), NOW)


def trial(number, *by_moment):
    return Trial(number, {}, list(by_moment), 1.0)


def test_the_gain_left_out_is_worked_by_hand():
    """Best on moment 2 is trial 1, worth .3 / .2 on the first; best on that is trial 2, worth .1 / .4 on moment 2."""
    trials = [trial(0, 0.2, 0.4), trial(1, 0.3, 0.5), trial(2, 0.6, 0.1), trial(3)]
    assert left_out(trials) == pytest.approx([1.5, 0.25])
    assert left_out([trial(0, 0.2), trial(1, 0.3)]) == []
    assert left_out([trial(0, 0.2, 0.4)]) == [1.0, 1.0]
    assert np.isnan(left_out([trial(0, 0.0, 0.4)])[0])


def test_only_what_differs_is_written():
    base = {"a": 1, "b": {"c": 2, "d": {}}, "e": {"x": 1}}
    assert different(base, base) == {}
    assert different({**base, "b": {"c": 3, "d": {"k": 1}}}, base) == {"b": {"c": 3, "d": {"k": 1}}}
    assert different({**base, "e": {"y": 1}}, base) == {"e": {"y": 1}}, "a mapping of other keys is kept whole"
