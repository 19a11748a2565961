"""The flow of offers due for real, against a server of the test session."""

from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from prefect.artifacts import Artifact

from flows.offers import offers
from recsys.daily_shop import prepare
from recsys.errors import InputError
from recsys.folders import damages
from tests.conftest import LENIENT, NOW

pytestmark = pytest.mark.usefixtures("server")
DAY = timedelta(days=1)


@pytest.fixture
def written(small_options, small_config, stages, tmp_path):
    """Config file of the small shop below tmp_path, and the latest day."""
    changes = LENIENT | {"run.store": str(stages), "moments.daily.out": f"{tmp_path}/due",
                         "moments.reorder": {"trees": 10, "moments": 2}}  # fmt: skip
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump(small_options(tmp_path, changes)))
    return str(tmp_path / "shop.yaml"), prepare(small_config(tmp_path, changes), None, None, NOW).days[0]


def test_the_flow_publishes_the_days_and_tells(written, tmp_path):
    config, last = written
    state = offers(config=config, first=last - DAY, return_state=True)
    assert state.is_completed(), state
    done = state.result()
    folders = [Path(folder) for folder in done["folders"]]
    assert [folder.name for folder in folders] == [f"date={last - DAY}", f"date={last}"]
    assert [damages(folder) for folder in folders] == [[], []]
    assert (tmp_path / "due" / "latest").resolve() == folders[1].resolve()
    artifact = Artifact.get("offers-due")
    assert artifact.flow_run_id == state.state_details.flow_run_id
    assert artifact.data.startswith(f"# {done['counts']['lists']:,} lists of offers due on {last}\n")
    assert f"| {last - DAY} |" in artifact.data
    assert "| customers, offered |" in artifact.data
    assert "`channels/email.parquet`" in artifact.data


def test_what_the_user_has_to_mend_is_not_tried_again(written):
    config, last = written
    state = offers(config=config, first=last + DAY, last=last + DAY, return_state=True)
    assert state.is_failed()
    with pytest.raises(InputError, match="nothing is known yet when"):
        state.result()
