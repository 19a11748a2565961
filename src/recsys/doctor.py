"""`recsys doctor`: can this machine train and serve with this configuration, and what is to be done if not.

Every check is a function from a `Patient` to findings; a check that itself fails is a finding too. Nothing is written
unless `mend` is asked for, and nothing heavy is imported: MLflow's database is read with the standard library.
"""

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from ctypes.util import find_library
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement

from recsys.config import Config, load_config
from recsys.data.databases import is_database, redact
from recsys.data.sources import REMOTE, find_files
from recsys.errors import InputError
from recsys.health import Check, Finding, Level, Patient, answers, megabytes
from recsys.leftovers import leftovers, remove_leftovers
from recsys.processes import usable_cores
from recsys.store_health import registry

SHOWN = 5
FREE_GB = 1.0  # a run on an empty store needs no more on the demonstration data
PORTS = {5000: "make ui", 4200: "make ui-prefect", 5001: "make serve"}


def examine(config: Config, now: datetime, home: Path | None = None) -> list[Finding]:
    """The findings of all checks, in their order."""
    patient = Patient(config, now, home or Path.cwd())
    findings: list[Finding] = []
    for check in CHECKS:
        name = check.__name__.strip("_").replace("_", " ")
        try:
            findings += check(patient)
        except Exception as error:  # the next check may still say what is wrong
            said = redact(" ".join(f"{type(error).__name__}: {error}".split()))[:300]
            findings.append(Finding(name, "fail", said, "mend what the message names, then ask again"))
    return findings


def mended(config: Config) -> list[Finding]:
    """Remove what killed runs left on disk, and end their MLflow runs; what was done."""
    gone = remove_leftovers(config)
    done = [Finding("mend", "ok", f"removed {path}") for path in gone]
    uri = config.registry.tracking_uri
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).is_file():
        return done
    from recsys.registry.orphans import end_orphaned_runs  # imports MLflow, which takes seconds
    from recsys.registry.register import quiet
    from recsys.registry.tracking import connect

    with quiet():
        ended = end_orphaned_runs(connect(config.registry), config.registry.experiment)
    return done + [Finding("mend", "ok", f"MLflow run {run} of a dead process is now FAILED") for run in ended]


def print_findings(
    file: str, settings: Sequence[str], now: datetime, *, mend: bool = False, as_json: bool = False
) -> int:
    """Examine and print; returns the exit code: 1 where something fails, else 0."""
    try:
        config = load_config(file, settings)
        findings = [Finding("config", "ok", file)]
    except InputError as error:
        findings = [Finding("config", "fail", str(error), "mend the config file or --set")]
    else:
        findings += mended(config) if mend else []
        findings += examine(config, now)
    if as_json:
        sys.stdout.write(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=1) + "\n")
    else:
        for finding in findings:
            remedy = f"  → {finding.remedy}" if finding.remedy else ""
            sys.stdout.write(f"{finding.level:5} {finding.check:14} {finding.said}{remedy}\n")
    return int(any(finding.level == "fail" for finding in findings))


def _python(_: Patient) -> Iterator[Finding]:
    given = ".".join(map(str, sys.version_info[:3]))
    fits = (3, 11) <= sys.version_info[:2] < (3, 15)
    yield Finding("python", "ok" if fits else "fail", given, "" if fits else "use Python 3.11 to 3.14")


def _packages(patient: Patient) -> Iterator[Finding]:
    lock = patient.home / "requirements.lock"
    if not lock.is_file():
        yield Finding("packages", "warn", f"no {lock.name} in {patient.home}", "start in the project's folder")
        return
    pins = [line for line in lock.read_text(encoding="utf-8").splitlines() if "==" in line and line[0].isalnum()]
    wrong = [said for line in pins if (said := _unlike(Requirement(line)))]
    more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    if wrong:
        yield Finding("packages", "warn", ", ".join(wrong[:SHOWN]) + more, "make setup")
    else:
        yield Finding("packages", "ok", "as in requirements.lock")


def _unlike(pin: Requirement) -> str:
    """What is installed instead of the pinned version; "" where it fits, or is not for this system."""
    if pin.marker and not pin.marker.evaluate({"extra": ""}):
        return ""
    try:
        have = version(pin.name)
    except PackageNotFoundError:
        return f"{pin.name} is missing"
    return "" if pin.specifier.contains(have, prereleases=True) else f"{pin.name} {have} instead of {pin.specifier}"


def _threads(_: Patient) -> Iterator[Finding]:
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY")
    told = ", ".join(f"{name}={os.environ[name]}" for name in names if name in os.environ) or "none set"
    cores = usable_cores()
    asked = os.environ.get("OMP_NUM_THREADS", "1")
    many = asked.isdigit() and int(asked) > cores
    remedy = f"export OMP_NUM_THREADS={cores}" if many else ""
    yield Finding("threads", "warn" if many else "ok", f"{cores} cores; {told}; ALS takes one BLAS thread", remedy)
    if sys.platform == "linux" and not find_library("gomp"):
        yield Finding("libgomp", "fail", "libgomp.so.1 is not found", "apt-get install libgomp1")
    else:
        yield Finding("libgomp", "ok", "found" if sys.platform == "linux" else "not needed on this system")


def _data(patient: Patient) -> Iterator[Finding]:
    data = patient.config.data
    for name, source in (("orders", data.orders), ("catalog", data.catalog)):
        if name == "catalog" and data.catalog.from_orders:
            continue
        place, path = f"data.{name}", source.path
        if is_database(path) or path.startswith(REMOTE):
            unset = [n for n in re.findall(r"\$\{(\w+)\}", path) if n not in os.environ]
            said = f"{redact(path)} (not asked)" + (f"; {', '.join(unset)} not set" if unset else "")
            yield Finding(place, "fail" if unset else "ok", said, f"export {unset[0]}=…" if unset else "")
            if "@" in path and redact(path) != path and not re.search(r":\$\{\w+\}@", path):
                yield Finding(place, "warn", "a password stands in the config", "write ${NAME} and export NAME")
            continue
        try:
            files = find_files(path, place)
        except InputError as error:
            yield Finding(place, "fail", str(error), f"--set {place}.path=…")
            continue
        size = sum(Path(file.at).stat().st_size for file in files)
        unreadable = [file.name for file in files if not os.access(file.at, os.R_OK)]
        if unreadable:
            yield Finding(place, "fail", f"{unreadable[0]} may not be read", "give this user the right to read it")
        else:
            yield Finding(place, "ok", f"{len(files)} files, {size / 1e6:,.1f} MB")


def _store(patient: Patient) -> Iterator[Finding]:
    run = patient.config.run
    for name, path in (("run.store", Path(run.store)), ("run.reports", Path(run.reports))):
        there = next(p for p in (path, *path.absolute().parents) if p.exists())
        if not os.access(there, os.W_OK):
            yield Finding(name, "fail", f"{there} may not be written", f"free it, or --set {name}=…")
        else:
            yield Finding(name, "ok", f"{path}: {megabytes(path):,.0f} MB")
    there = next(p for p in (Path(run.store), *Path(run.store).absolute().parents) if p.exists())
    free, need = shutil.disk_usage(there).free / 1e9, max(FREE_GB, 2 * _largest_run(Path(run.store)) / 1e3)
    level: Level = "ok" if free > need else "fail" if free < need / 4 else "warn"
    remedy = "" if level == "ok" else "free the disk, lower run.keep_days, or set run.store"
    yield Finding("disk", level, f"{free:,.1f} GB free; a run may take {need:,.1f} GB", remedy)


def _largest_run(store: Path) -> float:
    """MB of the largest stage of each kind together: about what one more run writes."""
    total = 0.0
    for kind in store.iterdir() if store.is_dir() else ():
        if kind.is_dir():
            total += max((megabytes(stage) for stage in kind.iterdir()), default=0.0)
    return total


def _leftovers(patient: Patient) -> Iterator[Finding]:
    found = leftovers(patient.config)
    if found:
        said = f"{len(found)} half-made things of dead processes, e.g. {found[0]}"
        yield Finding("leftovers", "warn", said, "recsys doctor --mend")
    else:
        yield Finding("leftovers", "ok", "none")


def _prefect(patient: Patient) -> Iterator[Finding]:
    url, profile = os.environ.get("PREFECT_API_URL"), os.environ.get("PREFECT_PROFILE")
    home = os.environ.get("PREFECT_HOME") or (".prefect" if (patient.home / "prefect.toml").is_file() else "~/.prefect")
    if url:
        address = re.match(r"https?://(?:[^@/]*@)?([^/:]+)(?::(\d+))?", url)
        port = int(address[2] or (443 if url.startswith("https") else 80)) if address else 0
        if not address or not answers(address[1], port):
            yield Finding(
                "prefect",
                "fail",
                f"PREFECT_API_URL {redact(url)} does not answer",
                "start it, or unset PREFECT_API_URL",
            )
            return
    said = f"home {home}; " + (f"server {redact(url)}" if url else "its own server during a run")
    remedy = "make train ignores it; unset PREFECT_PROFILE for other commands" if profile else ""
    yield Finding("prefect", "warn" if profile else "ok", said + (f"; profile {profile}" if profile else ""), remedy)


def _ports(_: Patient) -> Iterator[Finding]:
    busy = [f"{port} ({use})" for port, use in PORTS.items() if answers("127.0.0.1", port)]
    yield Finding("ports", "ok", f"in use: {', '.join(busy)}" if busy else "all free: " + ", ".join(map(str, PORTS)))


CHECKS: tuple[Check, ...] = (_python, _packages, _threads, _data, _store, _leftovers, registry, _prefect, _ports)
