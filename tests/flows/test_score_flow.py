"""The scoring flow for real, against a server of the test session."""

from pathlib import Path

import polars as pl
import pytest
import yaml
from prefect.artifacts import Artifact

from flows.score import score
from recsys.errors import InputError
from recsys.folders import damages

pytestmark = pytest.mark.usefixtures("server")


@pytest.fixture
def written(trained, small_options, tmp_path):
    """Config file that scores with the champion of the small shop below tmp_path."""
    registry = trained.config.registry
    changes = {
        "registry.tracking_uri": registry.tracking_uri, "registry.artifacts": registry.artifacts,
        "scoring.out": f"{tmp_path}/scores", "scoring.workers": 1, "scoring.partition_rows": 300,
    }  # fmt: skip
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump(small_options(tmp_path, changes)))
    return str(tmp_path / "shop.yaml")


def test_the_flow_scores_publishes_and_tells(written, tmp_path):
    state = score(config=written, settings=["scoring.k=3"], return_state=True)
    assert state.is_completed(), state
    done = state.result()
    folder = Path(done["folder"])
    assert (tmp_path / "scores" / "latest").resolve() == folder.resolve()
    assert damages(folder) == []
    rows = pl.read_parquet(folder / "partitions" / "*.parquet")
    assert done["counts"]["rows"] == rows.height == 3 * done["counts"]["listed"] > 300
    artifact = Artifact.get("scoring")
    assert artifact.flow_run_id == state.state_details.flow_run_id
    assert artifact.data.startswith(f"# {done['counts']['listed']:,} customers scored by recsys version 1\n")
    assert f"| rows | {rows.height:,} |" in artifact.data
    assert "`exports/recommendations.jsonl`" in artifact.data


def test_what_the_user_has_to_mend_is_not_tried_again(written):
    state = score(config=written, model="models:/none@champion", return_state=True)
    assert state.is_failed()
    with pytest.raises(InputError, match="there is no model models:/none@champion"):
        state.result()
