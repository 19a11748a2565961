"""What the processes of the crash tests do: register a training whose model was packaged before, or move the alias.

They are forked from a server that has imported everything, so that a trial costs a registration and no start-up.
"""

import logging
import pickle
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from recsys.registry import champions, tracking
from recsys.registry.by_hand import promote_version, roll_back
from recsys.registry.locks import registry_lock
from recsys.registry.log_training import Training
from recsys.registry.promotion import Comparison
from recsys.registry.register import quiet, register

NOW = datetime(2024, 9, 2, tzinfo=UTC)
BETTER = Comparison(1.1, 1.05, 1.2, 100)


def ready() -> None:
    """Nothing; the first process shows that the server has imported everything."""


def registers(home: Path, key: str, log: Path) -> None:
    """Register the packaged training under a key and a recipe of its own; says what it logged and that it finished."""
    logging.basicConfig(filename=log, force=True)
    training, options = handed(home)
    with quiet():
        done = register(replace(training, key=key, recipe={"r": key}), options, lambda _: BETTER)
    (home / f"done-{key}").write_text(str(done["version"]))


def moves(home: Path, began: Path) -> None:
    """Promote the version that does not serve and step back, again and again, until it is killed."""
    _, options = handed(home)
    client, name = tracking.connect(options), options.model_name
    began.touch()
    while True:
        other = 3 - champions.serving(client, name)
        promote_version(options, other, who="eva", now=NOW, force=True, why="a trial")
        with registry_lock(options):
            champions.step_back(client, name, champions.before(client, name, other))


def once(home: Path) -> None:
    """One promotion and one rollback, to the end."""
    _, options = handed(home)
    client = tracking.connect(options)
    other = 3 - champions.serving(client, options.model_name)
    promote_version(options, other, who="eva", now=NOW, force=True, why="once")
    assert champions.serving(client, options.model_name) == other
    roll_back(options, who="eva", now=NOW)
    assert champions.serving(client, options.model_name) == 3 - other


def handed(home: Path):
    training, options = pickle.loads((home / "training.pickle").read_bytes())
    assert isinstance(training, Training)
    return training, options


def wait_for(file: Path, seconds: float = 300) -> None:
    until = time.monotonic() + seconds
    while not file.exists():
        assert time.monotonic() < until, f"{file} did not come"
        time.sleep(0.01)
