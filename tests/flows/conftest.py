"""One Prefect server for all tests of flows, which takes seconds to start; processes that look like a run's."""

import os
import subprocess
import sys

import pytest
from prefect.testing.utilities import prefect_test_harness


@pytest.fixture(scope="session")
def server():
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def sleeping():
    """Starts a Python process that sleeps, with the words on its command line and the names in its environment."""
    running = []

    def start(*words, **names):
        code = "print('here', flush=True); import time; time.sleep(600)"
        process = subprocess.Popen(
            [sys.executable, "-c", code, *words], env=os.environ | names, stdout=subprocess.PIPE, text=True
        )
        running.append(process)
        assert process.stdout.readline() == "here\n"
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()
