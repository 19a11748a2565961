"""Batch scoring with a registered model: the model's own answers, nothing done twice, mistakes in one line."""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
from mlflow import MlflowClient

from recsys.errors import InputError
from recsys.hashing import KEY_VARIABLE, hash_id
from recsys.registry.loaded import find_model, recommender_of, without_password
from recsys.scoring import batch, workers
from recsys.scoring.asking import ROWS, _requests, ask, asked_elsewhere, request_text
from recsys.scoring.exports import FILES
from recsys.scoring.partitions import customers_of
from recsys.scoring.summary import read_manifest, summary_markdown
from recsys.stages import alive
from tests.scoring.conftest import WHEN, clock

FACTS = ("personal", "cart", "popular")


def rows_in(folder):
    return pl.read_parquet(folder / "partitions" / "*.parquet")


def customers_in(folder):
    return pl.read_parquet(folder / "customers.parquet")


def predicted(champion, ids, options):
    """The model's answers to a table of thousands of rows at once, as rows of the served contract."""
    answers = champion.predict(pd.DataFrame({"customer_id": ids, "options": [json.dumps(options)] * len(ids)}))
    recommender = recommender_of(champion)
    names = dict(zip(recommender.items.ids, recommender.names, strict=True))
    return pl.DataFrame(
        [
            (who, rank, item, names[item], *values, answer["fallback"], answer["model_version"], WHEN)
            for who, answer in zip(ids, answers.to_dict("records"), strict=True)
            for rank, (item, *values) in enumerate(
                zip(*(answer[name] for name in ("item_ids", "scores", "probabilities", "reasons", "reason_codes")),
                    strict=True), 1)
        ],
        schema=ROWS, orient="row",
    )  # fmt: skip


def assert_same(found, wanted):
    """Equal but for the last digits of floats, which depend on who is asked beside whom."""
    numbers = ("score", "probability")
    assert found.drop(numbers).equals(wanted.drop(numbers))
    for name in numbers:
        assert (found[name] - wanted[name]).abs().max() < 1e-5


def test_the_files_hold_what_the_model_answers(scored, champion):
    config, folder = scored
    known = sorted(recommender_of(champion).customers.ids)
    rows = rows_in(folder)
    assert_same(rows, predicted(champion, known, {"k": 5}))
    assert rows.schema == ROWS
    assert rows["customer_id"].unique(maintain_order=True).to_list() == known
    sizes = [pl.read_parquet(file).height for file in sorted((folder / "partitions").iterdir())]
    assert len(sizes) >= 3
    assert max(sizes) <= config.scoring.partition_rows


def test_the_manifest_says_by_which_model_on_which_data(scored, trained, champion):
    config, folder = scored
    manifest = read_manifest(folder)
    version = MlflowClient(config.registry.tracking_uri).get_model_version_by_alias("recsys", "champion")
    assert manifest["model"]["asked"] == "models:/recsys@champion"
    assert (manifest["model"]["version"], manifest["model"]["run_id"]) == (str(version.version), version.run_id)
    run = MlflowClient(config.registry.tracking_uri).get_run(version.run_id)
    assert manifest["data_digest"] == run.data.tags["data_digest"] != ""
    assert manifest["config"]["k"] == 5
    assert manifest["counts"]["customers"] == manifest["counts"]["listed"] == len(recommender_of(champion).customers)
    assert set(manifest["counts"]["fallback"]) <= set(FACTS)
    assert f"| rows | {manifest['counts']['rows']:,} |" in summary_markdown(manifest, folder)
    assert trained.config.registry.tracking_uri not in json.dumps(manifest)


def test_thousands_of_rows_can_be_asked_at_once(champion):
    """MLflow's schema check included; the answers are those of the rows alone."""
    ids = [f"new-{n}" for n in range(3000)]
    table = pl.DataFrame({"customer_id": ids, "shown_id": ids, "known": False})
    asked = ask(champion, table, request_text(3, {}), WHEN)
    assert asked.rows.height == 9000
    assert set(asked.rows["fallback"]) == {"popular"}
    assert asked.rows.drop("customer_id", "score", "probability").unique().height == 3, "nobody is like nobody"


def test_answers_given_elsewhere_become_the_same_tables(scored, champion):
    """In any order; where one is lost, or given twice, that is no empty list."""
    table = customers_of(next(Path(scored[0].run.store, "score-plan").iterdir()), 0)
    answers = pl.from_pandas(champion.predict(_requests(table["customer_id"].to_list(), request_text(5, {}))))
    answers = answers.insert_column(0, table["customer_id"])
    here = ask(champion, table, request_text(5, {}), WHEN)
    there = asked_elsewhere(champion, table, answers.reverse(), request_text(5, {}), WHEN)
    assert_same(there.rows, here.rows)
    assert there.customers.equals(here.customers)
    n = table.height
    for wrong, count in ((answers[1:], n - 1), (pl.concat([answers, answers[:1]]), n + 1)):
        with pytest.raises(InputError, match=f"{count} answers came back for {n} customers; run again"):
            asked_elsewhere(champion, table, wrong, request_text(5, {}), WHEN)


def test_a_second_run_does_nothing_again(scored, monkeypatch):
    config, folder = scored
    before = {file: file.stat().st_mtime_ns for file in folder.rglob("*")}
    monkeypatch.setattr(batch, "score_missing", None)  # would be an error if it were called
    assert batch.score(config, clock) == folder
    assert {file: file.stat().st_mtime_ns for file in folder.rglob("*")} == before


def test_other_exports_score_nothing_and_other_options_do(scored, scoring_config, tmp_path):
    store = Path(scored[0].run.store)
    finished = set((store / "score").iterdir())

    def again(**changes):
        other = scoring_config(tmp_path, **changes)
        planned = batch.plan(other_store(other, store), WHEN)
        return batch.score_partitions(other_store(other, store), planned, WHEN)

    places, scored_now = again(exports=["csv"])
    assert (set(places), scored_now) == (finished, [])
    places, scored_now = again(k=4)
    assert set(places) & finished == set()
    assert scored_now == places


def other_store(config, store):
    return replace(config, run=replace(config.run, store=str(store)))


def test_a_damaged_partition_is_scored_again(scored, scoring_config, tmp_path):
    config, _ = scored
    other = scoring_config(tmp_path)
    shutil.copytree(config.run.store, other.run.store)
    planned = batch.plan(other, WHEN)
    places, scored_now = batch.score_partitions(other, planned, WHEN)
    assert scored_now == []
    (places[1] / "rows.parquet").write_bytes(b"half")
    again, scored_now = batch.score_partitions(other, planned, WHEN)
    assert (again, scored_now) == (places, [places[1]])


def test_a_list_of_customers_known_and_unknown(scored, scoring_config, champion, tmp_path):
    known = recommender_of(champion).customers.ids[:2]
    strange = ["=1+1", "../../../etc/passwd", 'say "hi"\nthere', "😀", "-5", "x/y"]
    (tmp_path / "ids.csv").write_text(
        "customer_id,note\n"
        + "".join('"' + one.replace('"', '""') + '",x\n' for one in (*strange, *known, "😀"))
        + ",y\n"
    )
    config = scoring_config(tmp_path, customers=f"{tmp_path}/ids.csv")
    folder = batch.score(config, clock)
    manifest = read_manifest(folder)
    assert manifest["counts"]["customers"] == 9
    assert manifest["counts"]["unknown_listed"] == 6
    assert manifest["counts"]["fallback"]["popular"] >= 6
    assert manifest["counts"]["set_aside"] == {"no_id": 1}
    assert manifest["repeated_ids"] == 1
    assert manifest["guarded_in_csv"]["customer_ids"] == 2
    rows = rows_in(folder)
    assert set(rows["customer_id"]) == {*strange, *known}
    same = pl.col("customer_id").is_in(list(known))
    assert_same(rows.filter(same), rows_in(scored[1]).filter(same))
    objects = [json.loads(line) for line in (folder / "exports" / FILES["jsonl"]).read_text().split("\n")[:-1]]
    assert {found["customer_id"] for found in objects} == {*strange, *known}
    names = {p.relative_to(tmp_path).parts[0] for p in tmp_path.rglob("*")}
    assert names <= {"ids.csv", "scores", "store"}, "no id becomes a path"


def test_unknown_customers_are_set_aside_on_request(scoring_config, champion, tmp_path):
    (tmp_path / "ids.txt").write_text(f"nobody\n{recommender_of(champion).customers.ids[0]}\n")
    config = scoring_config(tmp_path, customers=f"{tmp_path}/ids.txt", unknown="set_aside")
    told = customers_in(batch.score(config, clock))
    assert told.select("outcome", "reason", "known").rows() == [("listed", "", True), ("set_aside", "unknown", False)]
    assert told["customer_id"][1] == "nobody"
    (tmp_path / "ids.txt").write_text("nobody\n")
    with pytest.raises(InputError, match=r"none of the 1 customers of .*ids\.txt can be asked for"):
        batch.score(config, clock)


def test_empty_lists_say_why(scoring_config, champion, tmp_path):
    ids = recommender_of(champion).customers.ids[:3]
    (tmp_path / "ids.txt").write_text("\n".join(ids))
    listed = {"customers": f"{tmp_path}/ids.txt"}
    floor = batch.score(scoring_config(tmp_path, request={"min_probability": 0.999}, **listed), clock)
    assert read_manifest(floor)["counts"]["empty"] == {"below_min_probability": 3}
    assert read_manifest(floor)["counts"]["rows"] == 0
    wide = (floor / "exports" / FILES["wide"]).read_text().splitlines()
    assert len(wide) == 1, "the header alone"
    barred = {"only": ["no such item"], "min_probability": 0.1}
    none = batch.score(scoring_config(tmp_path, request=barred, **listed), clock)
    assert read_manifest(none)["counts"]["empty"] == {"nothing_allowed": 3}


def test_request_options_are_the_served_ones(scored, scoring_config, champion, tmp_path):
    ids = list(recommender_of(champion).customers.ids[:4])
    (tmp_path / "ids.txt").write_text("\n".join(ids))
    options = {"owned": "exclude", "exclude": rows_in(scored[1])["item_id"][:3].to_list()}
    config = scoring_config(tmp_path, request=options, k=7, customers=f"{tmp_path}/ids.txt")
    assert_same(rows_in(batch.score(config, clock)), predicted(champion, ids, {"k": 7, **options}))


def test_hashed_ids_hide_ids_everywhere_but_in_the_store(scoring_config, champion, tmp_path, monkeypatch):
    ids, key = list(recommender_of(champion).customers.ids[:5]), "a secret of 22 letters"
    (tmp_path / "ids.txt").write_text("\n".join([*ids, "very-strange-id"]))
    config = scoring_config(tmp_path, hash_ids=True, unknown="set_aside", customers=f"{tmp_path}/ids.txt")
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    with pytest.raises(InputError, match=KEY_VARIABLE):
        batch.score(config, clock)
    monkeypatch.setenv(KEY_VARIABLE, key)
    folder = batch.score(config, clock)
    hidden = {hash_id(one, key.encode()) for one in ids}
    assert set(rows_in(folder)["customer_id"]) == hidden
    assert set(customers_in(folder)["customer_id"]) == hidden | {hash_id("very-strange-id", key.encode())}
    for file in (file for file in folder.rglob("*") if file.is_file()):
        assert b"very-strange-id" not in file.read_bytes()
    for file in (file for file in tmp_path.rglob("*") if file.is_file()):
        assert key.encode() not in file.read_bytes(), file
    clear = predicted(champion, ids, {"k": 5}).with_columns(
        pl.col("customer_id").map_elements(lambda one: hash_id(one, key.encode()), pl.String)
    )
    assert_same(rows_in(folder), clear.sort("customer_id", "rank"))
    monkeypatch.setenv(KEY_VARIABLE, key[::-1])
    assert batch.score(config, clock) != folder, "another key, other files"


@pytest.mark.parametrize(
    ("changes", "model", "said"),
    [
        ({}, "models:/none@champion", "there is no model models:/none@champion in sqlite:.*make train"),
        ({}, "models:/recsys@nothing", "there is no model models:/recsys@nothing"),
        ({}, "models:/recsys/99", "there is no model models:/recsys/99"),
        ({}, "no/such/folder", "there is no model no/such/folder"),
        ({}, "nonsense:/x", "there is no model nonsense:/x"),
        ({"customers": "none.txt"}, None, r"scoring\.customers none\.txt: No such file"),
        ({"customers": "."}, None, r"scoring\.customers \.: Is a directory"),
        ({"k": 501}, None, r"the model refuses scoring\.k and scoring\.request .*options\.k is 501.*1 to 500"),
        ({"request": {"kk": 1}}, None, "options has unknown key 'kk'"),
        ({"request": {"owned": "perhaps"}}, None, "options.owned"),
        ({"request": {"k": 3}}, None, r"scoring\.request holds k = 3; set scoring\.k"),
        ({"out": "/dev/null/scores"}, None, r"cannot write to scoring\.out /dev/null/scores"),
    ],
)
def test_mistakes_are_said_in_one_line_before_anything_is_scored(scoring_config, tmp_path, changes, model, said):
    config = scoring_config(tmp_path, **changes)
    with pytest.raises(InputError, match=said) as caught:
        batch.score(config, clock, model)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "store" / "score").exists()


def test_a_model_can_be_named_by_version_and_by_folder(scored):
    config, _ = scored
    by_alias, by_version = find_model(config.registry), find_model(config.registry, "models:/recsys/1")
    assert by_alias.source == by_version.source == "models:/recsys/1"
    copy = next(Path(config.run.store).glob("score-model/*/**/MLmodel")).parent
    by_folder = find_model(config.registry, str(copy))
    assert (by_folder.uuid, by_folder.run_id) == (by_alias.uuid, by_alias.run_id)
    assert by_folder.name == by_folder.version == ""


def test_passwords_in_a_tracking_uri_are_not_shown():
    assert without_password("postgresql://me:secret@host/db") == "postgresql://***@host/db"
    assert without_password("sqlite:///mlflow.db") == "sqlite:///mlflow.db"


def test_a_worker_that_dies_is_named_and_others_end(tmp_path):
    """The plan is missing, so the worker ends with an error of its own; the message says how to go on."""
    jobs = [
        {"store": str(tmp_path), "planned": str(tmp_path), "at": at, "scored_at": WHEN.isoformat()} for at in (0, 1)
    ]
    with pytest.raises(workers.WorkerError, match="ended with code 1 on partition 0; what is finished is kept"):
        list(workers.scored_by(2, jobs))


def test_a_worker_ends_with_its_parent():
    code = ("import sys, time; from recsys.scoring.workers import Worker; "
            "print(Worker().process.pid, flush=True); time.sleep(60)")  # fmt: skip
    env = os.environ | {"PYTHONPATH": str(Path(batch.__file__).parents[2])}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=env) as parent:
        child = int(parent.stdout.readline())
        parent.kill()
    until = time.monotonic() + 60
    while alive(child) and time.monotonic() < until:
        time.sleep(0.1)
    assert not alive(child)
