"""`recsys score` from the command line."""

import pytest
import yaml
from click.testing import CliRunner

from recsys.cli import main


@pytest.fixture
def run(trained, small_options, tmp_path):
    """Runs the command with a config file of the small shop, all below tmp_path."""
    registry = trained.config.registry
    changes = {
        "registry.tracking_uri": registry.tracking_uri, "registry.artifacts": registry.artifacts,
        "scoring.out": f"{tmp_path}/scores", "scoring.workers": 1,
    }  # fmt: skip
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump(small_options(tmp_path, changes)))
    return lambda *words: CliRunner().invoke(main, ["score", "--config", f"{tmp_path}/shop.yaml", *map(str, words)])


def the_error(done) -> str:
    assert done.exit_code == 1, done.output
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return line


def test_a_list_is_scored_told_and_checked(run, tmp_path):
    (tmp_path / "ids.txt").write_text("00001\nnobody\n")
    done = run("--customers", tmp_path / "ids.txt", "--set", "scoring.k=3", "--model", "models:/recsys/1")
    assert done.exit_code == 0, done.output
    assert "scored by recsys version 1" in done.stdout
    assert "with a list, popular" in done.stdout
    assert "every file is as the manifest says" in run("--check", tmp_path / "scores" / "latest").stdout
    (tmp_path / "scores" / "latest" / "exports" / "recommendations.csv").write_text("half")
    line = the_error(run("--check", tmp_path / "scores" / "latest"))
    assert "exports/recommendations.csv holds other bytes; run recsys score again" in line


def test_mistakes_are_one_line(run, tmp_path):
    assert "there is no model models:/none@champion" in the_error(run("--model", "models:/none@champion"))
    assert "No such file" in the_error(run("--customers", tmp_path / "none.csv"))
    assert "scoring.k = 0; give a value from 1" in the_error(run("--set", "scoring.k=0"))
    assert "scoring.exports.0 = 'xml'" in the_error(run("--set", "scoring.exports=[xml]"))
    assert "manifest.json is missing" in the_error(run("--check", tmp_path))
