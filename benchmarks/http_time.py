"""Time of one request over HTTP to the served champion, p50 and p99, beside the same request in process.

    python -m benchmarks.http_time [--tracking-uri sqlite:///mlflow.db] [--requests 100]

`mlflow models serve` is started as `make serve` starts it: loopback, one worker, one BLAS thread. One connection is
kept and one request is under way at a time; each is asked over HTTP, then in process, so that whatever else the machine
does meets both alike. The first requests of each kind warm both up and are not counted. Fails where the two answers
differ. Then CLIENTS ask at the same time, each over a connection of its own, by customer and cart. Run with
what `recsys serve` sets (`benchmarks.request_time`); it inherits another RECSYS_THREADS.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any

import mlflow
import numpy as np
import pandas as pd

from benchmarks.request_time import KINDS, request, tell
from recsys.registry.options import RegistryOptions
from recsys.registry.serve import champion_uri, serve_command, serve_environment

HOST = "127.0.0.1"
WARM_UP = 20  # requests of each kind
CLIENTS = 4
PATIENCE = 120.0  # seconds for the server to answer


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--tracking-uri", default="sqlite:///mlflow.db")
    arguments.add_argument("--model")
    arguments.add_argument("--requests", type=int, default=100)
    given = arguments.parse_args()
    options = RegistryOptions(tracking_uri=given.tracking_uri)
    uri = given.model or champion_uri(options)
    mlflow.set_tracking_uri(options.tracking_uri)
    with served(options, uri) as connection:
        model = mlflow.pyfunc.load_model(uri)
        measure(connection, model, given.requests)
        crowd(connection.port, model.unwrap_python_model().recommender, given.requests)


@contextmanager
def served(options: RegistryOptions, uri: str) -> Iterator[HTTPConnection]:
    """A kept connection to the scoring server of a model; the server and its children end with it."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        serve_command(uri, HOST, port), env=serve_environment(options), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        connection = HTTPConnection(HOST, port, timeout=60)
        _wait(connection, process)
        yield connection
        connection.close()
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def _wait(connection: HTTPConnection, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            connection.request("GET", "/ping")
            connection.getresponse().read()
            return
        except OSError:
            connection.close()
            if process.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.2)


def measure(connection: HTTPConnection, model: Any, requests: int) -> None:
    """The same requests over HTTP and in process, in turn."""
    known, rng = model.unwrap_python_model().recommender, np.random.default_rng(0)
    for kind in KINDS:
        over_http, in_process = [], []
        for _ in range(WARM_UP + requests):
            row = request(known, kind, rng)
            before = time.perf_counter()
            told = ask(connection, row)
            between = time.perf_counter()
            here = model.predict(pd.DataFrame([row]))
            after = time.perf_counter()
            over_http.append((between - before) * 1e3)
            in_process.append((after - between) * 1e3)
            assert told == here.to_dict("records"), row
        tell(f"{kind} over HTTP", over_http[WARM_UP:])
        tell(f"{kind} in process", in_process[WARM_UP:])


def crowd(port: int, known: Any, requests: int) -> None:
    """CLIENTS that ask `requests` times each at the same time: answers a second, and how long one waits."""

    def client(number: int) -> list[float]:
        rng, connection, took = np.random.default_rng(number), HTTPConnection(HOST, port, timeout=60), []
        for _ in range(requests):
            row = request(known, "both", rng)
            before = time.perf_counter()
            ask(connection, row)
            took.append((time.perf_counter() - before) * 1e3)
        connection.close()
        return took

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(client, range(CLIENTS)))  # warms up
        began = time.perf_counter()
        took = np.concatenate(list(pool.map(client, range(CLIENTS))))
    tell(f"{CLIENTS} clients", list(took))
    print(f"{CLIENTS} clients: {len(took) / (time.perf_counter() - began):.0f} answers/s")


def ask(connection: HTTPConnection, row: dict[str, Any]) -> list[dict[str, Any]]:
    """The answer to one row, read and parsed, as a shop would."""
    body = json.dumps({"dataframe_records": [row]})
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status == 200, text[:500]
    rows: list[dict[str, Any]] = json.loads(text)["predictions"]
    return rows


if __name__ == "__main__":
    main()
