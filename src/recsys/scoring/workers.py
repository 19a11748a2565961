"""Processes that score partitions beside each other, each with a model of its own.

    parent                      worker (python -m recsys.scoring.workers)
    job as a line of JSON  ──▶  stdin   → score the partition
    {"done": directory}    ◀──  stdout
    ends, or is killed     ──▶  stdin closes → the worker ends at once, within a partition too

Nothing is pickled between them, and no worker outlives its parent to compete with the next run.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from recsys.errors import InputError
from recsys.hashing import KEY_VARIABLE

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
Job = dict[str, Any]


class WorkerError(RuntimeError):
    """A worker process ended within a partition; what others finished is kept."""


def scored_by(workers: int, jobs: list[Job]) -> Iterator[Path]:
    """Finished directories of the jobs, in order, by so many processes; they end with the iteration."""
    own, started, over = threading.local(), [], threading.Event()

    def do(job: Job) -> Path:
        if not hasattr(own, "worker"):
            own.worker = Worker()
            started.append(own.worker)
            if over.is_set():
                own.worker.process.kill()
        worker: Worker = own.worker
        return worker.do(job)

    pool = ThreadPoolExecutor(min(workers, len(jobs)))
    try:
        yield from pool.map(do, jobs)
    finally:
        over.set()
        for worker in started:
            worker.process.kill()
        pool.shutdown(cancel_futures=True)
        for worker in started:
            worker.close()


class Worker:
    """One process."""

    def __init__(self) -> None:
        source = str(Path(__file__).parents[2])
        env = {name: value for name, value in os.environ.items() if name != KEY_VARIABLE} | ONE_THREAD
        env["PYTHONPATH"] = os.pathsep.join(filter(None, (source, env.get("PYTHONPATH"))))
        words = [sys.executable, "-m", "recsys.scoring.workers"]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def do(self, job: Job) -> Path:
        """Have one partition scored; InputError as the worker says, WorkerError where it says nothing more."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        answer = ""
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(job) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        if not answer:
            raise WorkerError(
                f"a scoring process ended with code {self.process.wait()} on partition {job['at']}; what is finished "
                "is kept, run again; if memory was short (code -9), set scoring.workers to 1"
            )
        said = json.loads(answer)
        if "refused" in said:
            raise InputError(said["refused"])
        return Path(said["done"])

    def close(self) -> None:
        """Wait for the killed process and close its pipes."""
        with suppress(BrokenPipeError):
            self.process.communicate()


def main() -> None:
    """Read jobs until standard input closes."""
    from recsys.registry.loaded import load_model
    from recsys.scoring.partitions import model_folder, run_job

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    jobs: queue.Queue[Job] = queue.Queue()
    threading.Thread(target=_read, args=(jobs,), daemon=True).start()
    model, folder = None, None
    while True:
        job = jobs.get()
        try:
            if folder != (wanted := model_folder(Path(job["planned"]))):
                model, folder = load_model(wanted), wanted
            said = {"done": str(run_job(job, model))}
        except InputError as error:
            said = {"refused": str(error)}
        answers.write(json.dumps(said) + "\n")
        answers.flush()


def _read(jobs: "queue.Queue[Job]") -> None:
    """Jobs into the queue; the process ends where they do."""
    for line in sys.stdin:
        jobs.put(json.loads(line))
    os._exit(0)


if __name__ == "__main__":
    main()
