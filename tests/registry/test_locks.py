"""The registry's lock: who waits is told so, waits no longer than told, and a dead holder holds nothing."""

import logging
import subprocess
import sys

import pytest

from recsys.errors import InputError
from recsys.registry.locks import lock_file, registry_lock
from recsys.registry.options import RegistryOptions

HOLD = "import filelock, sys, time\nwith filelock.FileLock(sys.argv[1]): print('held', flush=True); time.sleep(600)"


def test_a_living_holder_is_waited_for_and_a_killed_one_is_not(tmp_path, caplog):
    options = RegistryOptions(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock_file(options))], stdout=subprocess.PIPE, text=True
    )  # fmt: skip
    try:
        assert holder.stdout.readline() == "held\n"
        with (
            caplog.at_level(logging.WARNING),
            pytest.raises(InputError, match=r"mlflow\.db\.registry\.lock is held by another process"),
            registry_lock(options, soon=0.1, long=0.3),
        ):
            pass
        assert "another process registers a model" in caplog.text
    finally:
        holder.kill()
        holder.communicate()
    assert lock_file(options).exists(), "the file stays and means nothing"
    with registry_lock(options, soon=1, long=0):
        pass
