"""What docs/security.md promises, as far as one test can hold it; other promises name their tests there."""

import ast
import json
import logging
import re
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from recsys import finish, pipeline
from recsys.config import read_config
from recsys.customer_privacy import hash_example, hash_rejected, hash_table
from recsys.data.databases import redact_all
from recsys.data.sources import find_files
from recsys.errors import InputError
from recsys.hashing import KEY_VARIABLE, hash_id

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*ROOT.glob("src/**/*.py"), *ROOT.glob("flows/**/*.py")])
PICKLERS = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "_pickle"}
NOW = datetime(2024, 9, 1, tzinfo=UTC)
KEY = b"a key of the tests"
HOSTILE = ["../x", "a/../../x", "/etc/passwd", "a\0b", "x" * 5_000, "CON", "nul.txt", "", ".", "..", "a/b", "a\\b"]
HOSTILE += ["m'--", "m:1", "m\n"]


@pytest.mark.parametrize("file", SOURCES, ids=lambda f: f.relative_to(ROOT).as_posix())
def test_nothing_pickled_is_read_or_written(file):
    """NumPy itself refuses pickles unless told otherwise."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", None) or ""}
            assert not {name.split(".")[0] for name in names} & PICKLERS, f"line {node.lineno}"
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert isinstance(node.value, ast.Constant), f"line {node.value.lineno}"
            assert node.value.value is False, f"line {node.value.lineno}"


def test_no_server_is_told_to_listen_beyond_loopback():
    told = re.compile(r"--host[ =]+(\S+)")
    files = [ROOT / "Makefile", *ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*.yaml"), *SOURCES]
    hosts = [host.strip("`'\",)") for file in files for host in told.findall(file.read_text(encoding="utf-8"))]
    assert len(hosts) >= 2
    assert set(hosts) <= {"127.0.0.1", "localhost"}
    server = re.compile(r"^\t.*(?:mlflow (?:ui|server)|models serve|prefect server start).*$", re.MULTILINE)
    started = server.findall((ROOT / "Makefile").read_text())
    assert all(re.search(r"--host 127\.0\.0\.1", line) for line in started)


@pytest.mark.parametrize("name", HOSTILE, ids=lambda n: repr(n[:12]))
@pytest.mark.parametrize("option", ["model_name", "experiment"])
def test_names_of_stores_are_plain(option, name):
    with pytest.raises(InputError, match=f"registry.{option} = .*give a plain name"):
        read_config({"registry": {option: name}})


def test_ordinary_names_are_taken():
    for name in ("recsys", "my shop 2", "shop-eu_1.0", "7"):
        assert read_config({"registry": {"model_name": name}}).registry.model_name == name


@pytest.mark.parametrize("path", ["a\0b", "x" * 5_000, "no/such/../../file.csv", "~nobody-of-that-name/x"])
def test_a_path_that_cannot_be_is_named(path):
    with pytest.raises(InputError, match=r"data\.orders\.path"):
        find_files(path, "data.orders")


def test_a_title_leads_to_no_path(small_config, tmp_path):
    """Folders are named by time and content; only what the config names as a folder is one."""
    for title in HOSTILE:
        config = small_config(tmp_path, {"title": title})
        assert pipeline.ingest_orders(config, NOW).parent == tmp_path / "store" / "ingest"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["store"]


def test_a_password_in_the_config_is_in_no_stage_param_or_error(small_config, tmp_path, caplog):
    uri = "postgresql://reader:hunter2secret@127.0.0.1:9/shop"
    config = small_config(tmp_path, {"data.orders.path": uri, "data.orders.query": "select 1"})
    caplog.set_level(logging.DEBUG)
    with pytest.raises(InputError) as error:
        pipeline.ingest_orders(config, NOW)
    assert "hunter2secret" not in str(error.value) + caplog.text
    assert "hunter2secret" not in json.dumps(redact_all({"a": [uri], "b": {"c": (uri,)}}))


def test_a_trained_run_holds_no_password_of_its_config(trained, small_config):
    home = Path(trained.config.run.store).parent
    uri = "postgresql://reader:hunter2secret@127.0.0.1:9/shop"
    config = small_config(home, {"data.catalog.path": uri, "notes": ["see s3://key:hunter2secret@bucket"]})
    finished = _finished(trained)
    handed = finish.handed_over(config, finished, NOW)
    assert "reader:***@" in json.dumps(handed.config)
    assert "hunter2secret" not in json.dumps([handed.config, handed.recipe, handed.figures.metrics])


def _finished(trained) -> finish.Finished:
    """The stages of the trained shop, as the store has them."""
    store = Path(trained.config.run.store)
    one = {name: next(p for p in (store / name).iterdir() if not p.name.startswith("."))
           for name in ("ingest", "matrices", "blend", "fit", "evaluate", "package")}  # fmt: skip
    fits = (one["blend"], one["fit"], one["fit"], one["evaluate"], one["package"])
    return finish.Finished(one["ingest"], one["matrices"], [], *fits)


def test_hashed_customers_are_in_no_table_example_or_refused_row():
    table = pl.DataFrame({"customer_id": ["c-17", None, "c-17"], "x": [1, 2, 3]})
    hashed = hash_table(table, KEY)
    assert hashed["customer_id"].to_list() == [hash_id("c-17", KEY), None, hash_id("c-17", KEY)]
    example = hash_example({"title": "Customer c-17, before an order", "customer_id": "c-17"}, KEY)
    assert "c-17" not in json.dumps(example)
    columns = ("source", "source_row", "rule", "column", "value", "raw")
    rows = [
        ("a.csv", 2, "zero_price", "price", "0", '{"who":"c-17","price":"0"}'),
        ("a.csv", 3, "order_of_two_customers", "who", "c-17", '{"who":"c-17","price":"1"}'),
        ("a.csv", 4, "field_count", None, "c-17,oops", '{"line":"c-17,oops"}'),
    ]
    refused = hash_rejected(pl.DataFrame(rows, schema=columns, orient="row"), ["who"], KEY)
    assert "c-17" not in str(refused.to_dicts())
    assert refused["value"].to_list()[:2] == ["0", hash_id("c-17", KEY)]
    assert json.loads(refused["raw"][0]) == {"who": hash_id("c-17", KEY), "price": "0"}
    assert refused.drop("value", "raw").equals(pl.DataFrame(rows, schema=columns, orient="row").drop("value", "raw"))


def test_a_report_with_hashed_customers_names_none(trained, monkeypatch, tmp_path):
    monkeypatch.setenv(KEY_VARIABLE, KEY.decode())
    finished = _finished(trained)
    known = pl.read_parquet(finished.evaluated / "per_query.parquet")["customer_id"].drop_nulls().unique().to_list()
    given = json.loads(json.dumps(pipeline.as_dict(trained.config)))
    given["run"] |= {"hash_customers": True, "reports": str(tmp_path)}
    config = read_config(given)
    report = finish.write_report(config, finished, NOW)
    shown = pl.read_parquet(report / "per_query.parquet")["customer_id"].drop_nulls().unique().to_list()
    assert len(shown) == len(known)
    assert not set(shown) & set(known)
    for example in json.loads((report / "examples.json").read_text()):
        assert example["customer_id"] not in known
        assert example["title"].startswith(f"Customer {example['customer_id']}")
    assert finish.handed_over(config, finished, NOW).example[0] not in known
    monkeypatch.delenv(KEY_VARIABLE)
    with pytest.raises(InputError, match=KEY_VARIABLE):
        finish.write_report(config, finished, NOW)
