"""One Prefect server for all tests of flows; it takes seconds to start."""

import pytest
from prefect.testing.utilities import prefect_test_harness


@pytest.fixture(scope="session")
def server():
    with prefect_test_harness(server_startup_timeout=120):
        yield
