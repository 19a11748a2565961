"""The logged model as a serving team gets it: its size, its speed, its answers here and in a process of its own."""

import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from typing import Any

import mlflow
import numpy as np

from recsys.registry import golden as gold
from recsys.registry.golden import Golden
from recsys.registry.guardrails import Guardrail, at_most
from recsys.registry.options import GateOptions
from recsys.registry.served import REQUIREMENTS

TRAINING_ONLY = ("recsys", "flows", "polars", "implicit", "prefect", "sklearn", "optuna", "dataframely", "matplotlib",
                 "sparse_dot_topn", "pydantic_settings")  # fmt: skip
WARM = 3  # requests before the timed ones
ROUNDS = 3  # of timing, while a round is too slow
FRESH = Path(__file__).with_name("fresh.py")


@dataclass(frozen=True)
class Reloaded:
    """Measured on the files of a logged model. `here`, `fresh`: faults of its answers; none is as it should be."""

    size_mb: float
    p50_ms: float
    p99_ms: float
    here: list[str]
    fresh: list[str] | None  # None = not asked for
    fresh_seconds: float = math.nan

    def guardrails(self, options: GateOptions) -> list[Guardrail]:
        """Size, speed, golden requests, and the reload where the options ask for it."""
        said = f"{options.requests} requests of one row, one after the other"
        out = [
            at_most("size of the model, MB", self.size_mb, options.max_size_mb, "all files of the logged model"),
            at_most("one request, median ms", self.p50_ms, options.max_p50_ms, said),
            at_most("one request, 99th percentile ms", self.p99_ms, options.max_p99_ms, said),
            _faultless("golden requests after the reload", self.here),
        ]
        if self.fresh is not None:
            out.append(_faultless("reload in a fresh process", self.fresh))
        return out


def _faultless(name: str, faults: list[str]) -> Guardrail:
    return at_most(name, float(len(faults)), 0, "; ".join(faults)[:500] or "no faults")


def reload(uri: str, golden: Golden, options: GateOptions) -> Reloaded:
    """Load the model by its URI and measure it; a model that does not load is a fault, not an error."""
    try:
        folder = Path(mlflow.artifacts.download_artifacts(uri))
        model = mlflow.pyfunc.load_model(str(folder))
        answers = gold.plain(model.predict(gold.frame(golden.requests)))
    except Exception as error:  # whatever is wrong with the files or the served code
        return Reloaded(math.inf, math.inf, math.inf, [f"does not load: {error}"], None)
    p50, p99 = speed(model, golden, options)
    fresh, seconds = in_a_fresh_process(folder, golden, options) if options.fresh_process else (None, math.nan)
    return Reloaded(
        size_mb=sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 1e6,
        p50_ms=p50,
        p99_ms=p99,
        here=gold.faults(golden, answers),
        fresh=fresh,
        fresh_seconds=seconds,
    )


def speed(model: Any, golden: Golden, options: GateOptions) -> tuple[float, float]:
    """Median and 99th percentile of one request, ms. A round that is too slow is timed again: the machine may be busy.

    The best round counts, since other programs only ever add time.
    """
    best = (math.inf, math.inf)
    for _ in range(ROUNDS):
        times = timed(model, golden, options.requests)
        best = min(best, (float(np.quantile(times, 0.5)), float(np.quantile(times, 0.99))), key=lambda pair: pair[1])
        if best[0] <= options.max_p50_ms and best[1] <= options.max_p99_ms:
            break
    return best


def timed(model: Any, golden: Golden, n: int) -> list[float]:
    """Milliseconds of n requests of one row each, the golden ones in turn, without those that are refused."""
    rows = [gold.frame([request]) for request in golden.requests if not request["refused"]]
    out = []
    for at in range(WARM + n):
        began = time.perf_counter()
        model.predict(rows[at % len(rows)])
        out.append(1e3 * (time.perf_counter() - began))
    return out[WARM:]


def in_a_fresh_process(folder: Path, golden: Golden, options: GateOptions) -> tuple[list[str], float]:
    """Faults of the answers of a process that can import the serving set alone, and its seconds until it was loaded."""
    requests = [{c: r[c] for c in ("customer_id", "basket", "options")} for r in golden.requests]
    asked = json.dumps({"model": str(folder.absolute()), "refused": refused_modules(), "requests": requests})
    with tempfile.TemporaryDirectory() as home:
        env = {"PATH": os.defpath, "HOME": home, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
               "MLFLOW_DISABLE_TELEMETRY": "true", "OPENBLAS_NUM_THREADS": "1"}  # fmt: skip
        try:
            done = subprocess.run(
                [sys.executable, "-I", str(FRESH)], input=asked, capture_output=True, text=True, check=False,
                cwd=home, env=env, timeout=options.fresh_seconds,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return [f"does not load within registry.gate.fresh_seconds = {options.fresh_seconds:g}"], math.nan
    if done.returncode:
        return [f"does not load: {' '.join(done.stderr.split())[-300:]}"], math.nan
    said = json.loads(done.stdout.splitlines()[-1])
    return gold.faults(golden, said["answers"]), float(said["seconds"])


@cache
def refused_modules() -> list[str]:
    """Top-level modules installed here that the requirements of a served model do not bring along.

    Whole MLflow is installed here; it looks for its own dependencies where mlflow-skinny, the requirement, does not.
    """
    served = set(_closure((*REQUIREMENTS, "mlflow")))
    beyond = {module for module, owners in packages_distributions().items()
              if not served & {_canonical(owner) for owner in owners}}  # fmt: skip
    return sorted(beyond | set(TRAINING_ONLY))


def _closure(names: tuple[str, ...]) -> Iterator[str]:
    """The distributions of these names and all that they need, extras left out."""
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = _canonical(waiting.pop())
        if name in seen:
            continue
        seen.add(name)
        yield name
        try:
            needed = requires(name) or []
        except PackageNotFoundError:  # for another platform or Python
            continue
        waiting += [re.split(r"[^\w.-]", line)[0] for line in needed if "extra ==" not in line]


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
