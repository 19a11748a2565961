"""The small shop's registered champion, and configurations that score with it."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlflow
import pytest

from recsys.config import Config
from recsys.registry.loaded import find_model, load_model
from recsys.scoring import batch

WHEN = datetime(2024, 9, 1, 3, tzinfo=UTC)


def clock() -> datetime:
    return WHEN


@pytest.fixture(scope="session")
def scoring_config(trained, small_config) -> Callable[..., Config]:
    """Makes a configuration that scores below `home` with the trained champion; 120 customers in 3 partitions."""

    def make(home: Path, **changes: Any) -> Config:
        registry = trained.config.registry
        small = {"k": 5, "partition_rows": 200, "workers": 1, "out": f"{home}/scores"}
        at = {"tracking_uri": registry.tracking_uri, "artifacts": registry.artifacts}
        return small_config(home, {f"scoring.{name}": value for name, value in (small | changes).items()}
                            | {f"registry.{name}": value for name, value in at.items()})  # fmt: skip

    return make


@pytest.fixture(scope="session")
def champion(trained) -> Any:
    """The loaded champion, asked as users ask it."""
    registry = trained.config.registry
    return load_model(Path(mlflow.artifacts.download_artifacts(artifact_uri=find_model(registry).source)))


@pytest.fixture(scope="session")
def scored(scoring_config, tmp_path_factory) -> tuple[Config, Path]:
    """All customers scored by two processes: the configuration and the published folder."""
    config = scoring_config(tmp_path_factory.mktemp("scored"), workers=2)
    return config, batch.score(config, clock)
