"""kill -9 at random moments of a batch scoring, then the same command again: the content of an undisturbed run.

One project folder, one registered model. Each trial scores into folders of its own, is killed once (the whole process
group, or the parent alone, whose workers must end by themselves), and is run again to the end.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
import yaml

from recsys.folders import damages
from recsys.scoring.summary import read_manifest

pytestmark = pytest.mark.crash
ROOT = Path(__file__).parents[2]
KILLS = 20
SETTINGS = {"k": 5, "partition_rows": 40, "workers": 2, "exports": ["csv", "jsonl"]}  # 8 customers in a partition


@pytest.fixture(scope="module")
def shop(trained, small_options, tmp_path_factory):
    """Config file of the small shop whose champion is registered already."""
    home, registry = tmp_path_factory.mktemp("scoring"), trained.config.registry
    changes = {f"scoring.{name}": value for name, value in SETTINGS.items()}
    changes |= {"registry.tracking_uri": registry.tracking_uri, "registry.artifacts": registry.artifacts}
    (home / "shop.yaml").write_text(yaml.safe_dump(small_options(home, changes)))
    return home / "shop.yaml"


def start(config: Path, home: Path) -> subprocess.Popen[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "MLFLOW_"))}
    env |= {"PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT))), "MLFLOW_DISABLE_TELEMETRY": "true"}
    words = ["-m", "recsys.cli", "score", "--config", str(config)]
    words += ["--set", f"scoring.out={home}/scores", "--set", f"run.store={home}/store"]
    return subprocess.Popen(
        [sys.executable, *words], env=env, text=True, start_new_session=True, cwd=home,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate(timeout=180)
    assert process.returncode == 0, said
    return said


def content(home: Path) -> pl.DataFrame:
    """Published rows but for the moment at which they were scored."""
    return pl.read_parquet(home / "scores" / "latest" / "partitions" / "*.parquet").drop("scored_at")


def workers_of(home: Path) -> list[int]:
    """Processes that score into this folder: all whose working directory it is."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").resolve() == home.resolve() and b"recsys.scoring.workers" in (
                entry / "cmdline"
            ).read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def undisturbed(shop, tmp_path_factory):
    """Content and seconds of a whole run."""
    home = tmp_path_factory.mktemp("undisturbed")
    began = time.monotonic()
    finish(start(shop, home))
    return content(home), time.monotonic() - began


def test_killed_and_run_again(shop, undisturbed, tmp_path):
    """20 kills from one seed over the whole run; each folder is killed until it is done, so kills follow kills too."""
    wanted, took = undisturbed
    rng, kills, reused, trial = random.Random(11), 0, 0, 0
    while kills < KILLS:
        home = tmp_path / f"trial-{trial}"
        home.mkdir(exist_ok=True)
        process = start(shop, home)
        try:
            process.wait(timeout=rng.uniform(0.15, 1.0) * took)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL) if kills % 2 else process.kill()
            kills += 1
        process.communicate()
        assert_nothing_half(home)
        finished = {p.name for p in home.glob("store/score/[0-9a-f]*")}
        if (home / "scores" / "latest").exists() or kills % 4 == 0:  # done, or killed often enough
            finish(start(shop, home))
            assert content(home).equals(wanted)
            manifest = read_manifest(home / "scores" / "latest")
            assert manifest["partitions"]["scored_by_this_run"] <= manifest["partitions"]["all"] - len(finished) or (
                len(finished) == manifest["partitions"]["all"]
            )
            reused += len(finished)
            assert_nothing_half(home, over=True)
            trial += 1
    assert reused > 0, "no kill came after the first partition: kill later"


def assert_nothing_half(home: Path, over: bool = False) -> None:
    """What a reader finds is whole; after a finished run no hidden remains and no process is left."""
    for done in home.glob("scores/[0-9]*"):
        assert damages(done) == [], done
    for partition in home.glob("store/score/[0-9a-f]*"):
        assert (partition / "facts.json").is_file(), partition
    until = time.monotonic() + 30
    while workers_of(home) and time.monotonic() < until:
        time.sleep(0.1)
    assert workers_of(home) == []
    if over:
        hidden = [*home.glob("store/*/.*"), *home.glob("scores/.*")]
        assert [file.name for file in hidden if file.name != ".lock"] == []
