"""The contract over real serving, `mlflow models serve` on loopback; what was judged is what is served."""

import json
import math
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from click.testing import CliRunner

from recsys.cli import main
from recsys.data.splits import both_tasks
from recsys.data.store import load_train_data
from recsys.evaluation.protocols import contender_lists
from recsys.registry.serve import ENVIRONMENT, champion_uri, serve_command, serve_environment
from tests.serving.conftest import ROOT, free_port
from tests.serving.hostile import Hostile
from tests.test_docs import fences

COLUMNS = ["customer_id", "basket", "options"]


@pytest.fixture(scope="module")
def rows(judged, small_shop) -> list[list]:
    """Hostile requests that JSON can hold, and the plain ones."""
    hostile = Hostile(small_shop.data, np.random.default_rng(5))
    found = [list(hostile.sound() if at % 2 else hostile.broken()) for at in range(400)]
    found = [[[*b] if isinstance(b, tuple | np.ndarray) and np.ndim(b) == 1 else b for b in row] for row in found]
    plain = [[judged.recommender.customers.ids[0], [], None], [None, ["P0001"], '{"k": 3}'], [None, None, None]]
    return plain + [row for row in found if as_json(row) and "\\ud800" not in ascii([row[0], row[2]])]


def as_json(row: list) -> bool:
    try:
        return len(json.dumps(row, allow_nan=False)) < 200_000
    except (TypeError, ValueError):
        return False


def test_the_same_answers_as_in_process_to_the_last_digit(server, judged, rows):
    assert len(rows) > 200
    here = judged.model.predict(pd.DataFrame(rows, columns=COLUMNS, dtype=object)).to_dict("records")
    records = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    split = {"columns": COLUMNS, "data": rows}
    assert server.ask({"dataframe_records": records}) == here
    assert server.ask({"dataframe_split": split}) == here
    assert {bool(answer["error"]) for answer in here} == {True, False}
    assert list(here[0]) == ["item_ids", "scores", "probabilities", "reasons", "reason_codes", "offers",
                             "why_none", "fallback", "model_version", "error"]  # fmt: skip


def test_rows_may_leave_columns_out(server, rows):
    records = [{"customer_id": rows[0][0]}, {"basket": ["P0001"], "options": '{"k": 3}'}, {"options": None, "more": 1}]
    whole = server.ask({"dataframe_records": [dict(zip(COLUMNS, row, strict=True)) for row in rows[:3]]})
    assert server.ask({"dataframe_records": records}) == whole
    assert [answer["fallback"] for answer in whole] == ["personal", "cart", "popular"]


def test_callers_at_the_same_time_get_their_own_answers(server, rows):
    bodies = [{"dataframe_records": [dict(zip(COLUMNS, row, strict=True))]} for row in rows[:24]]
    alone = [server.ask(body) for body in bodies]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(server.ask, bodies)) == alone


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 400),
        ("{", 400),
        ("[]", 400),
        ('"x"', 400),
        ("{}", 400),
        (b"\xff\xfe", 400),
        ({"rows": []}, 400),
        ({"dataframe_records": {"customer_id": "1"}}, 400),
        ({"dataframe_records": [{}]}, 400),
        ({"dataframe_records": [{"customer": "1"}]}, 400),
        ({"dataframe_records": [1, 2]}, 400),
        ({"dataframe_records": []}, 400),
        ({"dataframe_split": {"columns": ["customer_id"], "data": [["1", "2"]]}}, 400),
        ({"dataframe_split": {"columns": ["customer_id"] * 2, "data": [["1", "2"]] * 2}}, 400),
        ({"dataframe_split": {"columns": ["customer_id"] * 2, "data": [["1", "2"]]}}, 400),
        ({"dataframe_split": {"columns": ["customer_id"], "data": []}}, 200),
        ('{"dataframe_records": [{"customer_id": NaN, "basket": NaN, "options": NaN}, {"basket": [NaN]}]}', 200),
        ("[" * 100_000, 500),  # MLflow's own reader gives up; the server does not
        ('{"dataframe_records": [{"customer_id": ' + "9" * 5000 + "}]}", 500),
        (
            {"dataframe_records": [{"customer_id": "x" * 5_000_000, "basket": ["x" * 5_000_000, *["P0001"] * 9999]}]},
            200,
        ),
    ],
)
def test_bad_tables_are_refused_and_the_server_goes_on(server, body, status):
    assert server.post(body)[0] == status
    assert server.ask({"dataframe_records": [{"customer_id": ""}]})[0]["fallback"] == "popular"


def test_other_content_types_are_refused(server):
    assert server.post("<x/>", "text/xml")[0] == 415


# --- no skew


@pytest.mark.parametrize("task", ["next_basket", "cart"])
def test_the_judged_fit_served_finds_the_evaluated_lists(server, judged, trained, task):
    """The evaluation's queries over HTTP: its lists, and out of them its recall per query."""
    stages = judged.finished
    data, asked = (
        load_train_data(stages.matrices / "test" / "data"),
        pl.read_parquet(stages.matrices / "test" / "asked.parquet"),
    )
    tasks = both_tasks(asked, data)
    ids, cart, relevant = data.items.ids, tasks[task].histories.cart, tasks[task].relevant
    rows = [
        [customer, [ids[i] for i in row.indices], '{"k": 10}']
        for customer, row in zip(asked["customer_id"], cart, strict=True)
    ]
    found = [answer["item_ids"] for answer in server.ask({"dataframe_split": {"columns": COLUMNS, "data": rows}})]

    here = judged.recommender
    lists = contender_lists(here.models, here.hybrid, tasks, 10, singles=())["hybrid", task, "all"]
    assert found == [[ids[i] for i in row if i >= 0] for row in lists]

    judged_values = pl.read_parquet(trained.report / "per_query.parquet")
    assert judged_values["order_id"].to_list() == asked["order_id"].to_list()
    bought = [{ids[i] for i in row.indices} for row in relevant]
    recall = [len(want & set(got)) / len(want) if want else math.nan for got, want in zip(found, bought, strict=True)]
    np.testing.assert_allclose(judged_values[f"hybrid|{task}|all|recall|10"].to_numpy(), recall, rtol=1e-6)


# --- make serve and the README


def test_the_readmes_curl_is_answered(server, judged):
    """As it stands, but for the port and the shop's own ids in place of the demonstration data's."""
    blocks = fences((ROOT / "README.md").read_text(), "sh")
    words = shlex.split(next(block for block in blocks if block.startswith("curl")))
    assert "http://127.0.0.1:5001/invocations" in words
    assert words[words.index("-H") + 1] == "Content-Type: application/json"
    text, here = words[words.index("-d") + 1], judged.recommender
    for theirs, ours in (("1082185", here.items.ids[3]), ("995242", here.items.ids[9]), ("1", here.customers.ids[0])):
        assert f'"{theirs}"' in text
        text = text.replace(f'"{theirs}"', f'"{ours}"')
    body = json.loads(text)
    answers = server.ask(body)
    assert len(answers) == len(body["dataframe_records"])
    assert [answer["error"] for answer in answers] == [""] * len(answers)
    assert [len(answer["item_ids"]) for answer in answers] == [5, 3, 4]
    assert [answer["fallback"] for answer in answers] == ["personal", "personal", "cart"]


def test_make_serve_serves_the_champion_with_one_worker(trained, monkeypatch):
    done = subprocess.run(
        ["make", "-n", "-o", ".venv/ready", "serve", "PORT=5099", "CONFIG=shop.yaml"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "recsys serve --config shop.yaml" in done.stdout
    assert "--port 5099" in done.stdout
    assert champion_uri(trained.config.registry) == "models:/recsys@champion"
    words = serve_command("models:/recsys@champion", "127.0.0.1", 5001)
    assert words[1:6] == ["-m", "mlflow", "models", "serve", "--model-uri"]
    assert words[words.index("--workers") + 1] == "1"
    assert words[words.index("--env-manager") + 1] == "local"
    environment = serve_environment(trained.config.registry)
    assert environment.items() >= ENVIRONMENT.items()
    assert environment["OPENBLAS_NUM_THREADS"] == "1"
    assert (environment["OMP_WAIT_POLICY"], environment["PANDAS_FUTURE_INFER_STRING"]) == ("passive", "0")
    assert environment["RECSYS_THREADS"] in ("1", "2")
    monkeypatch.setenv("RECSYS_THREADS", "7")
    assert serve_environment(trained.config.registry)["RECSYS_THREADS"] == "7"
    assert environment["PATH"].split(":")[0] == str(Path(sys.executable).parent)
    assert environment["MLFLOW_TRACKING_URI"] == trained.config.registry.tracking_uri


def test_without_a_champion_or_a_port_it_says_so_in_one_line(trained, server, tmp_path):
    def said(*words: str) -> str:
        done = CliRunner().invoke(main, ["serve", "--config", str(ROOT / "configs/base.yaml"), *words])
        assert done.exit_code == 1
        assert done.stderr.count("\n") == 1
        return done.stderr

    uri = trained.config.registry.tracking_uri
    free = ["--port", str(free_port())]
    none = said("--set", f"registry.tracking_uri=sqlite:///{tmp_path}/no.db", *free)
    assert f"error: no model 'recsys' is registered: there is no store {tmp_path}/no.db; run make train first" in none
    assert not list(tmp_path.iterdir())
    other = said("--set", f"registry.tracking_uri={uri}", "--set", "registry.model_name=another", *free)
    assert "the registered model 'another'" in other
    assert "has no champion: it has no version; run make train first" in other
    taken = said("--model", "models:/recsys@champion", "--port", server.url.rpartition(":")[2])
    assert "choose another port, e.g. make serve PORT=5002" in taken
