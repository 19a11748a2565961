"""The command line: whatever a user can mend is said in one line, with value, place and remedy."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import mlflow
import polars as pl
import pytest
import yaml
from click.testing import CliRunner

from recsys.cli import main
from recsys.config import base_yaml
from recsys.errors import InputError

ROOT = Path(__file__).parents[1]
ITEMS = "item_id,name\na,Apple\nb,Bread\n"
STEP = re.compile(r"[a-z][a-z0-9 -]+ {2,}(\d+\.\d s|kept)")
HEADER = "order_id,customer_id,item_id,ordered_at,quantity,unit_price\n"


def python(*words, cwd):
    """A process of its own, in a folder of its own."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    env |= {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"}  # the checkout under test, wherever the package lies
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, timeout=240, check=False, cwd=cwd, env=env
    )


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def the_error(done) -> str:
    """The one line on standard error, below the lines of finished steps."""
    assert done.exit_code == 1, done.output
    line, *others = [line for line in done.stderr.split("\n")[:-1] if not STEP.fullmatch(line)]
    assert line.startswith("error: "), done.output
    assert others == []
    assert line in done.stderr.splitlines()[-1]
    return line


@pytest.fixture
def written(small_options, tmp_path):
    """Writes a config of the small shop with changes; everything below tmp_path."""

    def write(**changes):
        options = small_options(tmp_path, {name.replace("__", "."): value for name, value in changes.items()})
        (tmp_path / "shop.yaml").write_text(yaml.safe_dump(options))
        return tmp_path / "shop.yaml"

    return write


@pytest.fixture
def orders(tmp_path, written):
    """Writes a CSV of orders and a config that reads it."""

    def write(text, **changes):
        (tmp_path / "orders.csv").write_text(text)
        (tmp_path / "items.csv").write_text(ITEMS)
        paths = {"data__orders__path": f"{tmp_path}/orders.csv", "data__catalog__path": f"{tmp_path}/items.csv"}
        return written(**paths | changes)

    return write


def lines_of(customers, items, days=100):
    rows = (
        f"o{day},{customers[day % len(customers)]},{items[day % len(items)]},2024-01-01T10:00:00,1,2.5\n".replace(
            "2024-01-01", f"2024-{1 + day // 28:02}-{1 + day % 28:02}"
        )
        for day in range(days)
    )
    return HEADER + "".join(rows)


def test_help_is_quick_because_it_imports_nothing_heavy():
    code = """
import sys
from click.testing import CliRunner
from recsys.cli import main
done = CliRunner().invoke(main, ["--help"])
print(done.exit_code, *{"polars", "mlflow", "prefect", "numpy", "implicit", "lightgbm", "optuna"} & set(sys.modules))
print(done.output)
"""
    done = python("-c", code, cwd=ROOT)
    first, *said = done.stdout.splitlines()
    assert first == "0", "nothing heavy"
    for command in ("config", "ingest", "train", "evaluate", "report", "tune", "recommend", "score", "synth"):
        assert any(line.split()[:1] == [command] for line in said), command
    assert run("--version").output.startswith("recsys")


def test_a_config_is_read_without_what_only_training_needs():
    heavy = {"lightgbm", "sklearn", "mlflow", "prefect", "implicit", "scipy.optimize", "scipy.stats"}
    code = f"import sys, recsys.config; print([*{heavy} & set(sys.modules)])"
    assert python("-c", code, cwd=ROOT).stdout.strip() == "[]"


def test_config_prints_every_option():
    assert run("config").output == base_yaml()


@pytest.mark.parametrize("command", ["ingest", "train", "evaluate", "report", "tune", "recommend", "score"])
def test_every_command_refuses_a_config_that_is_none(command, tmp_path):
    assert "there is no config file" in the_error(run(command, "--config", tmp_path / "none.yaml"))


def test_wrong_keys_and_settings_are_named(written):
    assert "unknown key 'ranker.tres'; did you mean 'ranker.trees'?" in the_error(
        run("train", "--config", written(ranker__tres=5))
    )
    assert "ranker.trees = 0; give a value from 1" in the_error(
        run("train", "--config", written(), "--set", "ranker.trees=0")
    )


def test_missing_files_are_named(written, tmp_path):
    config = written(data__orders__path=f"{tmp_path}/none.csv")
    line = the_error(run("train", "--config", config))
    assert f"data.orders.path '{tmp_path}/none.csv': no such file" in line
    assert "data.catalog.path" in the_error(run("train", "--config", written(data__catalog__path="none.csv")))
    assert "data.orders.path is empty" in the_error(run("train", "--config", written(data__orders__path="")))


def test_missing_columns_are_named_with_those_that_exist(orders):
    line = the_error(run("train", "--config", orders("order_id,sku,ordered_at,quantity\n1,a,2024-01-01,1\n")))
    assert "item_id" in line
    assert "sku" in line
    renamed = orders(lines_of("abc", "ab"), data__orders__columns={"item_id": "item", "order_id": "order_id"})
    assert "no column 'item'" in the_error(run("train", "--config", renamed))


@pytest.mark.parametrize(("text", "said"), [("", "is empty (0 bytes)"), (HEADER, "has no rows")])
def test_empty_files_are_named(orders, text, said):
    line = the_error(run("train", "--config", orders(text)))
    assert said in line
    assert "orders.csv" in line


@pytest.mark.parametrize(
    ("text", "said", "rule"),
    [
        (lines_of(["c"], "abcdefghij"), "customers is 1, needs at least 50", None),
        (lines_of("cdefgh", ["a"]), "items is 1, needs at least 20", None),
        (HEADER + "o1,c,a,2024-01-01,-1,2.5\n" * 30, "rejected_share is 1, needs at most 0.5", "unmatched_return"),
        (HEADER + "nonsense\n" * 30, "rejected_share is 1", "field_count"),
    ],
    ids=["one customer", "one item", "all rejected", "all broken"],
)
def test_too_little_is_said_with_numbers_before_any_training(orders, tmp_path, text, said, rule):
    line = the_error(run("train", "--config", orders(text)))
    assert "not enough to learn from" in line
    assert said in line
    assert "data.sufficiency" in line
    assert {p.name for p in (tmp_path / "store").iterdir()} <= {"ingest", "refused"}, "no later stage"
    assert not list((tmp_path / "store" / "ingest").iterdir())
    refused = tmp_path / "store" / "refused" / "rejected.parquet"
    assert str(refused) in line
    assert set(pl.read_parquet(refused)["rule"]) == ({rule} if rule else set())


NO_FLOOR = {
    f"data__sufficiency__min_{name}": 0
    for name in ("customers", "repeat_customers", "items", "orders", "orders_per_customer", "lines", "span_days",
                 "queries")
} | {"data__sufficiency__max_rejected_share": 1.0}  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        lines_of(["c"], "abcdefghij"),
        lines_of("cdefgh", ["a"]),
        HEADER + "o1,c,a,2024-01-01,-1,2.5\n" * 30,
        HEADER + "o1,c,a,2024-01-01,1,2.5\n",
        lines_of([""], "abcdefghij"),
    ],
    ids=["one customer", "one item", "all rejected", "one row", "guests only"],
)
def test_without_thresholds_it_is_still_one_line(orders, text):
    """Whoever lowers every threshold gets a model or a clear error, never a traceback."""
    done = run("train", "--config", orders(text, **NO_FLOOR))
    assert done.exit_code == 0 or the_error(done), done.output


def test_a_store_and_reports_that_cannot_be_written_are_named(written, tmp_path):
    (tmp_path / "file").touch()
    assert "cannot write to run.store" in the_error(run("ingest", "--config", written(run__store=f"{tmp_path}/file")))


def test_debug_shows_the_traceback_wherever_it_stands(tmp_path):
    for words in (["--debug", "train"], ["train", "--debug"]):
        done = run(*words, "--config", tmp_path / "none.yaml")
        assert isinstance(done.exception, InputError)
        assert "error: " not in done.output


def test_the_real_command_says_it_in_one_line(tmp_path):
    (tmp_path / "c.yaml").write_text("data: {orders: {path: none.csv}, catalog: {path: none.csv}}")
    done = python("-m", "recsys.cli", "train", "--config", "c.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: data.orders.path 'none.csv': no such file")


def test_the_flow_says_it_in_one_line_too(tmp_path):
    done = python("-m", "flows.train", "--config", "none.yaml", cwd=tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: there is no config file none.yaml")


def test_ingest_tells_what_became_of_the_rows(written):
    done = run("ingest", "--config", written())
    assert done.exit_code == 0, done.output
    assert "rows read" in done.output
    assert "is it enough?" in done.output
    folder = Path(done.output.split("refused rows: ")[1].replace("\n", "").strip())
    assert pl.read_parquet(folder / "orders.parquet").height > 1000


def test_recommend_answers_from_the_registered_champion(trained, written):
    config = trained.config.registry
    file = written(registry__tracking_uri=config.tracking_uri, registry__artifacts=config.artifacts)
    words = ["recommend", "--config", file]
    done = run(*words, "--customer", "00001", "--options", '{"k": 3}')
    assert done.exit_code == 0, done.output
    assert "from: personal" in done.output
    assert "from: popular" in run(*words).output
    assert "k" in the_error(run(*words, "--options", '{"k": -3}'))
    assert "no_such" in the_error(run(*words, "--model", "models:/no_such@champion"))


OLDER = """
import mlflow, pandas as pd

class Older(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return pd.DataFrame({"item_ids": [["1"]], "scores": [[1.0]], "error": [""]})

mlflow.models.set_model(Older())
"""


def test_recommend_says_that_a_model_is_older(trained, written, tmp_path):
    (tmp_path / "older.py").write_text(OLDER)
    mlflow.pyfunc.save_model(tmp_path / "older", python_model=tmp_path / "older.py", model_config={"version": "1"})
    config = written(registry__tracking_uri=trained.config.registry.tracking_uri)
    line = the_error(run("recommend", "--config", config, "--model", tmp_path / "older"))
    assert "older answers without fallback, model_version, offers, probabilities" in line


def test_recommend_before_any_training_says_what_to_run(trained, written):
    names = {"registry__tracking_uri": trained.config.registry.tracking_uri, "registry__model_name": "none"}
    line = the_error(run("recommend", "--config", written(**names)))
    assert "the registered model 'none'" in line
    assert "has no champion: it has no version; run make train first" in line


def test_synth_writes_a_shop_once(tmp_path):
    done = run("synth", tmp_path / "shop", "--customers", "5", "--seed", "3")
    assert done.exit_code == 0, done.output
    assert pl.read_parquet(tmp_path / "shop" / "orders" / "*.parquet")["customer_id"].n_unique() >= 5
    assert json.dumps(str(tmp_path / "shop")).strip('"') in the_error(run("synth", tmp_path / "shop"))
