"""The training flow for real, against a server of the test session."""

import json
from pathlib import Path

import mlflow
import pytest
import yaml
from prefect import flow, task
from prefect.artifacts import Artifact

from flows.train import RETRIED, train
from recsys.errors import InputError, UnavailableError

pytestmark = pytest.mark.usefixtures("server")


@pytest.fixture
def written(trained, small_options, tmp_path):
    """Config file of the small shop, everything below tmp_path but the MLflow store, which takes seconds to make."""
    file = tmp_path / "shop.yaml"
    changes = {"registry.tracking_uri": trained.config.registry.tracking_uri, "registry.model_name": "flow"}
    file.write_text(yaml.safe_dump(small_options(tmp_path, changes)))
    return str(file)


def test_the_flow_trains_registers_and_tells(written, tmp_path):
    state = train(config=written, settings=["evaluation.examples=1"], return_state=True)
    assert state.is_completed(), state
    done = state.result()
    assert (done["version"], done["alias"], done["uri"]) == (1, "champion", "models:/flow@champion")
    report = Path(done["report"])
    assert (tmp_path / "reports" / "latest").resolve() == report.resolve()
    assert len(json.loads((report / "examples.json").read_text())) >= 1
    model = mlflow.pyfunc.load_model(done["uri"])
    assert set(model.predict(model.input_example)["error"]) == {""}
    artifact = Artifact.get("training")
    assert artifact.flow_run_id == state.state_details.flow_run_id
    assert artifact.data.startswith("# ")
    assert "**flow version 1** as `champion`" in artifact.data
    assert f"{report}/report.html" in artifact.data
    assert artifact.data.count("| hybrid |") == 2


def test_what_the_user_has_to_mend_is_not_tried_again(written):
    settings = ["data.orders.path=nowhere.csv"]
    state = train(config=written, settings=settings, return_state=True)
    assert state.is_failed()
    with pytest.raises(InputError, match=r"nowhere\.csv.*no such file"):
        state.result()


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (OSError("disk"), 3), (ConnectionError("gone"), 3), (RuntimeError("server"), 3),
        (UnavailableError("locked"), 3), (InputError("wrong file"), 1), (ValueError("a bug"), 1),
        (KeyError("a bug"), 1),
    ],
    ids=lambda given: type(given).__name__,
)  # fmt: skip
def test_only_outside_reasons_are_tried_again(error, attempts):
    tried = []

    @task(**RETRIED | {"retry_delay_seconds": 0})
    def fail():
        tried.append(error)
        raise error

    @flow
    def once():
        fail()

    assert once(return_state=True).is_failed()
    assert len(tried) == attempts
