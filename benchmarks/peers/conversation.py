"""How a peer is asked: one JSON line in, one JSON line out, so that timings of all peers can be interleaved.

Runs in the peer's environment: NumPy and the standard library only.
"""

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

KS = (10, 20)
Data = dict[str, np.ndarray]  # list_query, list_item, list_rank; query, item


def converse(version: str, load: Callable[[Data], Any], measure: Callable[[Any], dict[str, float]]) -> None:
    """Answer until the input ends.

    `load` turns the arrays of a file into the peer's own input format (not timed); `measure` computes every
    metric at every k, keys as "recall@10" (timed).
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the peer prints is no answer
    loaded: dict[str, Any] = {}
    print(json.dumps({"version": version}), file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            if asked["file"] not in loaded:
                with np.load(asked["file"]) as file:
                    loaded[asked["file"]] = load({name: file[name] for name in file.files})
            gc.collect()
            started = time.perf_counter()
            values = measure(loaded[asked["file"]])
            answer = {"seconds": time.perf_counter() - started, "values": {k: float(v) for k, v in values.items()}}
        except Exception as error:  # whatever a peer says of its input is its answer
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)
