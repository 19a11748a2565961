"""Wall time, CPU time and peak memory of a whole `make train` run in a fresh directory.

    python -m benchmarks.train_time [--config FILE]

Runs the flow as `make train` does, in an empty folder, so that nothing is reused; peak memory is the largest
resident set of the process that trains (Prefect's embedded server is a process of its own and stated apart).
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--config", default="configs/complete_journey.yaml")
    config = Path(arguments.parse_args().config).resolve()
    root = Path(__file__).resolve().parents[1]
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")},
            "PREFECT_HOME": f"{folder}/.prefect",
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
            "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PYTHONPATH": str(root),
        }
        started = time.monotonic()
        command = [sys.executable, "-m", "flows.train", "--config", str(config)]
        done = subprocess.run(command, cwd=folder, env=environment, check=False)
        wall = time.monotonic() - started
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak = used.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    print(f"wall {wall:.0f} s, CPU {used.ru_utime + used.ru_stime:.0f} s, peak memory {peak:.0f} MB")
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
