"""`recsys doctor` tells a sound place from a broken one, and mends what killed runs left."""

import json
import os
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from recsys.cli import main
from recsys.config import as_dict, read_config
from recsys.doctor import examine
from recsys.errors import UnavailableError
from recsys.registry.orphans import PREFIX
from recsys.registry.tracking import connect

NOW = datetime(2026, 12, 1, tzinfo=UTC)
ROOT = Path(__file__).parents[1]


def found(config, home: Path = ROOT) -> dict[str, tuple[str, str]]:
    return {f.check: (f.level, f.said) for f in examine(config, NOW, home)}


@pytest.fixture
def dead() -> int:
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    return int(gone.stdout)


def test_a_trained_shop_is_well(trained):
    said = found(trained.config)
    assert not [name for name, (level, _) in said.items() if level == "fail"]
    assert said["champion"][0] == "ok"
    assert "version 1" in said["champion"][1]
    assert "all files are as packaged" in said["champion"][1]
    assert said["mlflow runs"] == ("ok", "0 running, 0 of dead processes")
    assert said["data.orders"][1].startswith("1 files")


def test_a_damaged_champion_fails_and_says_which_file(trained):
    # other tests register models beside the champion; all are damaged, the champion's is named
    files = {f: f.read_text() for f in Path(trained.config.registry.artifacts).rglob("recommender/items.json")}
    try:
        for file, before in files.items():
            file.write_text(before.replace("1", "2", 1))
        level, said = found(trained.config)["champion"]
    finally:
        for file, before in files.items():
            file.write_text(before)
    assert level == "fail"
    assert "changed: items.json" in said


def test_nothing_is_there(small_config, tmp_path, monkeypatch):
    monkeypatch.delenv("NOT_SET_HERE", raising=False)
    config = small_config(tmp_path, {"data.orders.path": "postgresql://u:${NOT_SET_HERE}@db/shop"})
    said = found(config, tmp_path)
    assert said["data.orders"] == ("fail", "postgresql://u:***@db/shop (not asked); NOT_SET_HERE not set")
    assert said["mlflow store"][0] == "warn"
    assert said["packages"][0] == "warn"
    assert not list(tmp_path.iterdir()), "looking writes nothing"


def test_other_versions_are_named(small_config, tmp_path):
    (tmp_path / "requirements.lock").write_text(
        "numpy==0.1\nnumpy==0.2 ; python_version < '3'\nno-such-package==1\npolars>=1\n# a comment\n"
    )
    level, said = found(small_config(tmp_path), tmp_path)["packages"]
    assert level == "warn"
    assert "instead of ==0.1" in said
    assert "no-such-package is missing" in said
    assert "0.2" not in said


def test_a_check_that_breaks_is_a_finding(small_config, tmp_path):
    (tmp_path / "mlflow.db").touch()
    (tmp_path / "mlflow.db.ready").write_bytes(b"\xff")
    level, said = found(small_config(tmp_path))["registry"]
    assert level == "fail"
    assert "UnicodeDecodeError" in said


def test_a_store_that_is_locked_or_none_fails_with_the_runbooks_section(small_config, mlflow_store, tmp_path):
    config = small_config(mlflow_store(tmp_path))
    held = sqlite3.connect(tmp_path / "mlflow.db")
    held.execute("begin exclusive")
    assert found(config)["mlflow store"] == ("fail", f"{tmp_path}/mlflow.db: database is locked")
    held.rollback()
    held.close()
    assert found(config)["mlflow store"][0] == "ok"
    (tmp_path / "mlflow.db").write_text("no database, but text" * 100)
    assert found(config)["mlflow store"] == ("fail", f"{tmp_path}/mlflow.db: file is not a database")
    with pytest.raises(UnavailableError, match=r"file is not a database; see docs/runbook\.md#store-locked"):
        connect(config.registry)


def test_mending_removes_what_dead_processes_left(small_options, tmp_path, dead):
    config = read_config(small_options(tmp_path))
    client = connect(config.registry)
    place = client.get_experiment_by_name(config.registry.experiment).experiment_id
    host = os.uname().nodename
    tags = {f"{PREFIX}host": host, f"{PREFIX}pid": str(dead), f"{PREFIX}started": "1"}
    run = client.create_run(place, tags=tags).info.run_id
    key = "0123456789abcdef0123"
    gone = [tmp_path / "store/fit" / f".{key}.{dead}", tmp_path / "reports" / f".20240101T000000-abcdef.{dead}"]
    kept = [
        tmp_path / "store/fit" / f".{key}.{os.getpid()}",
        tmp_path / "store/fit" / key,
        tmp_path / "reports/.mine.1",
    ]
    for folder in (*gone, *kept):
        folder.mkdir(parents=True)
    said = found(config)
    assert said["leftovers"][0] == said["mlflow runs"][0] == "warn"
    assert said["leftovers"][1].startswith("2 half-made")

    file = tmp_path / "config.json"  # JSON is YAML
    file.write_text(json.dumps(as_dict(config)))
    done = CliRunner().invoke(main, ["doctor", "--config", str(file), "--mend", "--json"])
    assert done.exit_code == 0, done.output
    lines = {(f["check"], f["level"]) for f in json.loads(done.stdout)}
    assert {("mend", "ok"), ("leftovers", "ok"), ("mlflow runs", "ok")} <= lines
    assert not [folder for folder in gone if folder.exists()]
    assert all(folder.exists() for folder in kept)
    assert client.get_run(run).info.status == "FAILED"


def test_exit_code_and_lines(small_options, tmp_path):
    file = tmp_path / "config.json"
    file.write_text(json.dumps(small_options(tmp_path) | {"data": {"orders": {"path": "nothing.csv"}}}))
    done = CliRunner().invoke(main, ["doctor", "--config", str(file)])
    assert done.exit_code == 1
    line = next(line for line in done.stdout.splitlines() if "data.orders" in line)
    assert line.startswith("fail")
    assert "→ --set data.orders.path=" in line
    broken = CliRunner().invoke(main, ["doctor", "--config", str(tmp_path / "none.yaml")])
    assert broken.exit_code == 1
    assert broken.stdout.startswith("fail  config")
