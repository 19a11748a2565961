"""The judged fit of the small shop, logged as a model of its own and served by `mlflow models serve` on loopback."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml

from recsys import pipeline, training
from recsys.config import as_dict
from recsys.finish import Finished
from recsys.offer_kits import package_offers
from recsys.registry import served, tracking
from recsys.serving.recommender import Recommender
from tests.conftest import NOW

ROOT = Path(__file__).parents[2]
CHECKOUT = os.pathsep.join([str(ROOT / "src"), str(ROOT)])


@dataclass(frozen=True)
class Judged:
    """What the evaluation judged: the finished stages, and the hybrid of the judged fit as a logged model."""

    finished: Finished
    recommender: Recommender
    uri: str
    model: Any


@dataclass(frozen=True)
class Server:
    """A scoring server and the model behind it."""

    url: str
    process: subprocess.Popen[str]

    def post(self, body: Any, content_type: str = "application/json") -> tuple[int, str]:
        """Status and text; `body` is JSON already where it is str or bytes."""
        text = body if isinstance(body, str | bytes) else json.dumps(body)
        data = text.encode() if isinstance(text, str) else text
        request = urllib.request.Request(f"{self.url}/invocations", data, {"Content-Type": content_type})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def ask(self, body: Any) -> list[dict[str, Any]]:
        status, text = self.post(body)
        assert status == 200, text[:500]
        rows: list[dict[str, Any]] = json.loads(text)["predictions"]
        return rows


@pytest.fixture(scope="session")
def judged(trained, tmp_path_factory) -> Judged:
    """Logged to an experiment of its own in the store of `trained`."""
    config = trained.config
    done = training.judge(config, NOW)
    kit = package_offers(config, done.ingested, done.matrices, done.learned, done.judged, pipeline.TEST)
    packaged = pipeline.package(config, done.matrices, done.judged, done.blended, done.evaluated, kit, pipeline.TEST)
    recommender = replace(Recommender.load(packaged / "recommender"), contender="hybrid")
    folder = tmp_path_factory.mktemp("judged")
    recommender.save(folder / "recommender")
    tracking.connect(replace(config.registry, experiment="judged", artifacts=str(folder / "artifacts")))
    example = served.example_rows(recommender.customers.ids[0], list(recommender.items.ids[:2]))
    with tracking.training_run("judged", {}) as run_id:
        uri = served.log_model(folder / "recommender", example, run_id).model_uri
    model = mlflow.pyfunc.load_model(uri)
    tracking.connect(config.registry)  # the experiment of the other tests
    return Judged(done, recommender, uri, model)


@pytest.fixture(scope="session")
def server(judged, trained, tmp_path_factory) -> Iterator[Server]:
    """`recsys serve`, which becomes `mlflow models serve`, in a folder where nothing of ours lies."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "shop.yaml").write_text(yaml.safe_dump({"registry": as_dict(trained.config)["registry"]}))
    port = free_port()
    words = [sys.executable, "-m", "recsys.cli", "serve", "--config", "shop.yaml", "--port", str(port)]
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [*words, "--model", judged.uri], cwd=folder, env={**os.environ, "PYTHONPATH": CHECKOUT}, text=True,
            stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            wait_for(f"http://127.0.0.1:{port}/ping", process, folder / "log.txt")
            yield Server(f"http://127.0.0.1:{port}", process)
        finally:
            process.terminate()
            process.wait(60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[str], log: Path, seconds: float = 240) -> None:
    """Until the server answers; fails with its own words where it ends."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
    raise AssertionError(log.read_text())
