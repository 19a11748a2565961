"""What lies in the registry after a training, who may read it, and which version gets which alias."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import mlflow
import pytest
import yaml

from recsys import finish, training
from recsys.config import as_dict
from recsys.errors import InputError
from recsys.registry import champions, tracking
from recsys.registry.log_training import git_commit
from recsys.registry.options import RegistryOptions
from recsys.registry.orphans import PREFIX, owner_tags
from recsys.registry.promotion import Comparison
from recsys.registry.register import SETTLED, register
from recsys.registry.served import REQUIREMENTS
from recsys.registry.tracking import flatten

pytestmark = pytest.mark.long

NOW = datetime(2024, 9, 1, tzinfo=UTC)
WORSE, BETTER = Comparison(0.9, 0.8, 0.95, 100), Comparison(1.1, 1.05, 1.2, 100)
NOT_THERE = ("recsys", "polars", "implicit", "prefect", "sklearn", "dataframely", "sparse_dot_topn", "flows")


@pytest.fixture
def client(trained):
    return tracking.connect(trained.config.registry)


@pytest.fixture
def run(client, trained):
    return client.get_run(trained.registered["run_id"])


@pytest.fixture(scope="module")
def downloaded(trained, tmp_path_factory) -> Path:
    """The champion's files, the way another machine gets them."""
    tracking.connect(trained.config.registry)
    folder = tmp_path_factory.mktemp("champion")
    return Path(mlflow.artifacts.download_artifacts(trained.registered["uri"], dst_path=str(folder)))


@pytest.fixture(scope="module")
def handed_over(trained):
    """The same training as the registry sees it, to be registered under other names."""
    return finish.handed_over(trained.config, training.judge(trained.config, NOW), NOW)


@pytest.fixture
def options_of(trained):
    """Options of a registered model of its own in the store of `trained`, without the process of its own."""

    def make(name, **gate):
        options = trained.config.registry
        return replace(options, model_name=name, gate=replace(options.gate, fresh_process=False, **gate))

    return make


def test_the_champion_answers_where_nothing_of_this_repository_is(trained, tmp_path):
    """By alias, in a process that cannot import the package nor any library of training, and reads no pickle."""
    code = """
import json, sys
sys.modules.update(dict.fromkeys(sys.argv[3].split(",")))
import mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(sys.argv[2])
customer, items = model.input_example["customer_id"][0], model.input_example["basket"][1]
asked = pd.DataFrame({
    "customer_id": [customer, None, customer, None, "nobody"],
    "basket": [None, items, items, None, ["no such item"]],
    "options": [None, '{"k": 3}', None, None, None],
})
print(json.dumps([[customer, list(items)], model.predict(asked).to_dict("records")]))
"""
    config = trained.config.registry
    done = subprocess.run(
        [sys.executable, "-c", code, config.tracking_uri, "models:/recsys@champion", ",".join(NOT_THERE)],
        capture_output=True, text=True, timeout=180, check=False, cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (_, items), answers = json.loads(done.stdout.splitlines()[-1])
    assert [a["fallback"] for a in answers] == ["personal", "cart", "personal", "popular", "popular"]
    assert [len(a["item_ids"]) for a in answers] == [10, 3, 10, 10, 10]
    assert {a["error"] for a in answers} == {""}
    assert {a["model_version"] for a in answers} == {trained.registered["run_id"]}
    assert not set(items) & {*answers[1]["item_ids"], *answers[2]["item_ids"]}
    assert answers[3]["item_ids"] == answers[4]["item_ids"] != answers[0]["item_ids"]
    assert all(len(a["reasons"]) == len(a["scores"]) == len(a["item_ids"]) for a in answers)


def test_no_pickle_is_among_the_files(downloaded):
    files = [f for f in downloaded.rglob("*") if f.is_file() and f.parent.name != "__pycache__"]  # made by loading
    assert {f.suffix for f in files} <= {".npy", ".npz", ".json", ".txt", ".py", ".yaml", ".yml", ""}
    assert {f.name for f in files if not f.suffix} <= {"MLmodel", "registered_model_meta"}
    assert not [f for f in files if f.read_bytes()[:1] == b"\x80"], "how a pickle begins"


def test_the_model_needs_five_libraries_in_exact_versions(downloaded):
    lines = (downloaded / "requirements.txt").read_text().split()
    assert lines == [f"{name}=={version(name)}" for name in REQUIREMENTS]
    assert set(REQUIREMENTS) == {"numpy", "scipy", "lightgbm", "pandas", "mlflow-skinny"}


def test_the_model_has_a_signature_and_an_example(downloaded):
    card = yaml.safe_load((downloaded / "MLmodel").read_text())
    columns = json.loads(card["signature"]["inputs"])
    assert [(c["name"], c["required"]) for c in columns] == [
        ("customer_id", False), ("basket", False), ("options", False),
    ]  # fmt: skip
    assert len(json.loads(card["signature"]["outputs"])) == 10
    example = (downloaded / card["saved_input_example_info"]["artifact_path"]).read_text()
    assert "NaN" not in example
    assert list(card["flavors"]) == ["python_function"]


def test_the_parent_run_holds_params_metrics_data_and_tags(client, run, trained):
    read = {name: options for name, options in as_dict(trained.config).items() if name not in ("tune", "scoring")}
    wanted = {name: str(value)[:500] for name, value in flatten(read).items()}
    assert run.data.params == wanted | {"version": run.info.run_id, "warm": "True"}, (
        "MLflow adds what the model is told"
    )
    assert run.info.status == "FINISHED"
    found = json.loads((trained.report / "metrics.json").read_text())
    assert run.data.metrics["primary"] == pytest.approx(found["primary_value"])
    best = {f"{r['task']}_{r['segment']}_{r['metric']}_at_{r['k']}": r["value"] for r in found["records"]
            if r["contender"] == found["best"] and r["value"] is not None}  # fmt: skip
    assert {k: v for k, v in run.data.metrics.items() if k != "primary"} == pytest.approx(best)
    facts = json.loads((trained.report / "run.json").read_text())
    assert run.data.tags["data_digest"] == facts["data_digest"]
    assert run.data.tags["git_commit"].rstrip("+") == git_commit().rstrip("+"), "+: a file was changed meanwhile"
    (data,) = run.inputs.dataset_inputs
    assert data.dataset.digest == facts["data_digest"][:36]
    held = {a.path for a in client.list_artifacts(run.info.run_id)}
    assert held >= {"report", "config.json", "recipe.json", "environment.txt", "decision.md", "decision.json"}
    pages = {a.path for a in client.list_artifacts(run.info.run_id, "report")}
    assert {"report/report.html", "report/metrics.json", "report/figures"} <= pages
    packages = mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/environment.txt")
    assert f"lightgbm=={version('lightgbm')}" in packages


def test_every_contender_has_a_child_run(client, run, trained):
    children = client.search_runs([run.info.experiment_id], f"tags.mlflow.parentRunId = '{run.info.run_id}'")
    found = json.loads((trained.report / "metrics.json").read_text())["records"]
    assert {c.info.run_name for c in children} == {r["contender"] for r in found}
    for child in children:
        mine = [r for r in found if r["contender"] == child.info.run_name and r["value"] is not None]
        assert child.data.tags["kind"] == mine[0]["kind"]
        assert len(child.data.metrics) == len(mine)
        assert child.data.metrics["cart_new_ndcg_at_5"] == pytest.approx(
            next(
                r["value"] for r in mine if (r["task"], r["segment"], r["metric"], r["k"]) == ("cart", "new", "ndcg", 5)
            )
        )


def test_the_gate_measured_the_logged_model(client, run, trained):
    """Every kind of guardrail, on the run as JSON, as a page and as tags; the model was loaded in a fresh process."""
    decision = mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/decision.json")
    assert decision == trained.registered["decision"]
    rails = {g["name"]: g for g in decision["guardrails"]}
    assert {"primary metric", "coverage at 10", "size of the model, MB", "one request, median ms",
            "one request, 99th percentile ms", "golden requests after the reload", "reload in a fresh process",
            "next basket: hybrid / popularity", "cart, items new to the customer / best single model",
            "next basket, customers as if they were new / best single model"} <= set(rails)  # fmt: skip
    assert all(g["passed"] for g in rails.values())
    assert 0 < rails["one request, median ms"]["value"] <= rails["one request, 99th percentile ms"]["value"]
    assert 0.1 < rails["size of the model, MB"]["value"] < 20
    page = mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/decision.md")
    assert page.startswith("# Promoted: the first version that passed the guardrails")
    version = client.get_model_version("recsys", "1")
    for tags in (run.data.tags, version.tags):
        assert (tags["decision"], tags["outcome"]) == (decision["reason"], "champion")
    assert version.tags["data_until"].startswith("2024-07")
    assert version.tags["trained_at"] == NOW.isoformat()
    report = (trained.report / "report.html").read_text(encoding="utf-8")
    assert "the first version that passed the guardrails" in report
    assert "reload in a fresh process" in report


def test_aliases_follow_the_recipe_rule(client, handed_over, options_of):
    """Five trainings one after the other, in a registered model of their own."""
    asked = []

    def step(key, recipe, compared=None, **gate):
        def compare(old):
            asked.append(old)
            return compared

        new = replace(handed_over, key=key, recipe=recipe)
        done = register(new, options_of("rule", **gate), compare)
        assert done["uri"] == f"models:/rule@{done['alias']}"
        return done["alias"], champions.serving(client, "rule")

    assert step("a", {"r": 1}) == ("champion", 1)
    assert step("b", {"r": 1}) == ("champion", 2)
    assert asked == [], "the same recipe is not compared"
    assert step("c", {"r": 2}, WORSE) == ("challenger", 2)
    assert step("d", {"r": 3}, BETTER) == ("champion", 4)
    assert asked == [{"r": 1}, {"r": 1}], "the champion's recipe is what is compared with"
    assert step("e", {"r": 3}, min_primary=0.99) == ("challenger", 4)
    assert client.get_model_version_by_alias("rule", "challenger").version == 5
    assert champions.history(client, "rule") == [1, 2, 4]

    again = register(replace(handed_over, key="b", recipe={"r": 1}), options_of("rule"), lambda _: BETTER)
    assert (again["version"], again["alias"], again["uri"]) == (2, "", "models:/rule/2"), "it is champion no more"
    assert champions.serving(client, "rule") == 4


def test_a_champion_that_changed_meanwhile_is_decided_against_anew(client, handed_over, options_of):
    """While the third training compares, somebody makes version 1 the champion again."""
    options, asked = options_of("moved"), []
    for key, recipe in (("a", {"r": 1}), ("b", {"r": 2})):
        register(replace(handed_over, key=key, recipe=recipe), options, lambda _: BETTER)
    assert champions.serving(client, "moved") == 2

    def compare(old):
        asked.append(old)
        if len(asked) == 1:
            champions.promote(client, "moved", 1)
            return BETTER
        return WORSE

    done = register(replace(handed_over, key="c", recipe={"r": 3}), options, compare)
    assert asked == [{"r": 2}, {"r": 1}]
    assert (done["alias"], done["decision"]["against"]) == ("challenger", 1)
    assert champions.serving(client, "moved") == 1, "what was better than version 2 did not replace version 1"


def test_a_registration_that_was_killed_is_finished_by_the_next_run(client, handed_over, options_of):
    options, mine = options_of("killed"), replace(handed_over, key="k")

    def again():
        return register(mine, options, lambda _: WORSE)

    def timeless(done):  # the same but for what was measured anew
        return {k: v for k, v in done.items() if k != "decision"}

    first = again()
    client.delete_registered_model_alias("killed", "champion")
    for name in ("decision", "outcome", SETTLED):  # before it was decided
        client.delete_model_version_tag("killed", "1", name)
    assert timeless(again()) == timeless(first)
    client.delete_registered_model_alias("killed", "champion")
    client.delete_model_version_tag("killed", "1", SETTLED)  # decided, the alias not moved
    assert timeless(again()) == timeless(first)
    client.delete_model_version_tag("killed", "1", SETTLED)  # the alias moved
    assert again()["alias"] == "champion"
    assert champions.history(client, "killed") == [1]
    assert len(client.search_model_versions("name = 'killed'")) == 1


def test_a_champion_whose_recipe_cannot_be_refit_stops_no_training(client, handed_over, options_of):
    options = options_of("other")
    first = register(replace(handed_over, key="x", recipe={"r": 1}), options, lambda _: BETTER)

    def refuse(old):
        raise InputError(f"unknown key in {old}")

    done = register(replace(handed_over, key="y", recipe={"r": 2}), options, refuse)
    assert done["alias"] == "challenger"
    assert "cannot be refit: unknown key in {'r': 1}; compare by hand" in done["reason"]
    assert champions.serving(client, "other") == first["version"]


def test_what_a_killed_training_left_is_marked_and_nothing_else(client, run, handed_over, options_of):
    experiment = run.info.experiment_id
    dead = owner_tags() | {f"{PREFIX}started": "1"}  # the number is alive, but not that process
    parent = client.create_run(experiment, tags=dead).info.run_id
    child = client.create_run(experiment, tags=dead | {"mlflow.parentRunId": parent}).info.run_id
    other = client.create_run(experiment, tags={"study": "of somebody"}).info.run_id
    model = client.create_logged_model(experiment, name="half", source_run_id=parent).model_id
    register(replace(handed_over, key="z"), options_of("after"), lambda _: BETTER)
    assert [client.get_run(r).info.status for r in (parent, child, other)] == ["FAILED", "FAILED", "RUNNING"]
    assert client.get_logged_model(model).status == "FAILED"
    assert client.get_run(run.info.run_id).info.status == "FINISHED"
    client.set_terminated(other)


def test_two_processes_may_make_a_fresh_store_at_once(tmp_path):
    """This one and another, both when all that they import is there."""
    code = """
import sys, mlflow
from recsys.registry.options import RegistryOptions
from recsys.registry.orphans import PREFIX, owner_tags
from recsys.registry.tracking import connect, training_run

def log(home):
    connect(RegistryOptions(tracking_uri=f"sqlite:///{home}/deep/mlflow.db", artifacts=f"{home}/artifacts"))
    with training_run("one", {"a": "b"}) as run:
        mlflow.log_metric("x", 1.0)
    return run
"""
    words = [sys.executable, "-c", f"{code}\nprint('ready', flush=True)\nprint(log(sys.argv[1]))", str(tmp_path)]
    other = subprocess.Popen(words, stdout=-1, stderr=-1, text=True)
    assert other.stdout.readline() == "ready\n", other.communicate()
    names = {}
    exec(code, names)
    mine = names["log"](str(tmp_path))
    said, wrong = other.communicate(timeout=180)
    assert other.returncode == 0, wrong
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/deep/mlflow.db")
    (experiment,) = (e for e in client.search_experiments() if e.name == "recsys")
    assert {r.info.run_id for r in client.search_runs([experiment.experiment_id])} == {mine, said.strip()}
    assert not list((tmp_path / "deep").glob("*fresh*"))


def test_a_store_that_is_none_is_refused(tmp_path):
    (tmp_path / "mlflow.db").write_text("this is no database, though long enough to be looked at" * 20)
    with pytest.raises(InputError, match=r"cannot use the store sqlite:////.*mlflow\.db: .*name another"):
        tracking.connect(RegistryOptions(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db"))
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot write to registry\.tracking_uri .*: .*exists"):
        tracking.connect(RegistryOptions(tracking_uri=f"sqlite:///{tmp_path}/file/mlflow.db"))


def test_another_shop_is_no_champion_to_replace(handed_over, small_config, mlflow_store, tmp_path):
    options = small_config(mlflow_store(tmp_path)).registry
    register(replace(handed_over, key="mine"), options, lambda _: BETTER)
    with pytest.raises(InputError, match=r"is of .* this training is of 'another shop'.*registry\.model_name"):
        register(replace(handed_over, key="theirs", name="another shop"), options, lambda _: BETTER)


def test_the_report_names_the_version_that_it_led_to(trained):
    facts = json.loads((trained.report / "run.json").read_text())
    assert (facts["registered"]["name"], facts["registered"]["version"]) == ("recsys", trained.registered["version"])
