"""How the MLflow store, its champion and its runs are: read with the standard library, without importing MLflow."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from urllib.parse import unquote

from recsys.data.databases import redact
from recsys.data.manifest import MANIFEST, verify_manifest
from recsys.errors import InputError
from recsys.health import Finding, Level, Patient, answers, megabytes
from recsys.processes import died


def _database(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=2)


def registry(patient: Patient) -> Iterator[Finding]:
    options = patient.config.registry
    uri = options.tracking_uri
    if not uri.startswith("sqlite:///"):
        yield from _remote_registry(uri)
        return
    file = Path(uri.removeprefix("sqlite:///"))
    if not file.is_file():
        yield Finding("mlflow store", "warn", f"no {file} yet", "recsys train makes it")
        return
    try:
        yield from _local_registry(file, patient)
    except sqlite3.DatabaseError as error:  # locked, damaged or no database
        yield Finding("mlflow store", "fail", f"{file}: {error}", "docs/runbook.md#store-locked-or-corrupt")


def _local_registry(file: Path, patient: Patient) -> Iterator[Finding]:
    ready, have = Path(f"{file}.ready"), version("mlflow")
    made = ready.read_text().strip() if ready.is_file() else "another version"
    with closing(_database(file)) as database:
        database.execute("SELECT version_num FROM alembic_version").fetchone()
        level: Level = "ok" if made == have else "warn"
        said = f"{file}: {megabytes(file):,.1f} MB, schema of MLflow {made}, installed is {have}"
        yield Finding(
            "mlflow store", level, said, "" if level == "ok" else "the next recsys train brings it up to date"
        )
        yield from _champion(database, patient)
        yield from _running(database, patient)


def _remote_registry(uri: str) -> Iterator[Finding]:
    address = re.match(r"https?://([^/:@]+|[^@]+@[^/:]+)(?::(\d+))?", uri)
    if not address:
        yield Finding("mlflow store", "ok", f"{redact(uri)} (a database; asked by recsys train)")
        return
    host, port = address[1].rpartition("@")[2], int(address[2] or (443 if uri.startswith("https") else 80))
    reached = answers(host, port)
    said = f"{redact(uri)} {'answers' if reached else 'does not answer'}"
    yield Finding(
        "mlflow store",
        "ok" if reached else "fail",
        said,
        "" if reached else "start it (make ui), or mend registry.tracking_uri",
    )


def _champion(database: sqlite3.Connection, patient: Patient) -> Iterator[Finding]:
    name = patient.config.registry.model_name
    row = database.execute(
        "SELECT v.version, v.creation_time, v.source, v.storage_location FROM registered_model_aliases a "
        "JOIN model_versions v ON v.name = a.name AND v.version = a.version WHERE a.name = ? AND a.alias = 'champion'",
        (name,),
    ).fetchone()
    if row is None:
        yield _no_champion(database, name)
        return
    number, made, source, location = row
    days = (patient.now - datetime.fromtimestamp(made / 1000, UTC)).total_seconds() / 86_400
    folder = _artifacts(database, str(location or source))
    said = f"{name} version {number}, {days:,.1f} days old"
    if folder is None:
        yield Finding("champion", "ok", f"{said}; its files are elsewhere and were not looked at")
    elif not folder.is_dir():
        yield Finding("champion", "fail", f"{said}; its files are not at {folder}", "restore them, or recsys train")
    else:
        yield from _whole(said, folder)


def _no_champion(database: sqlite3.Connection, name: str) -> Finding:
    """What the gate, or a person, made of the latest version."""
    latest = database.execute("SELECT max(version) FROM model_versions WHERE name = ?", (name,)).fetchone()[0]
    if latest is None:
        return Finding("champion", "warn", f"model {name} has none", "recsys train registers the first")
    query = "SELECT key, value FROM model_version_tags WHERE name = ? AND version = ?"
    tags = dict(database.execute(query, (name, latest)).fetchall())
    decision = tags.get("decision", "its training was killed or still runs")
    said = f"model {name} has none; version {latest}: {decision}"
    return Finding("champion", "fail", said, f"recsys promote {latest}, or recsys train")


def _artifacts(database: sqlite3.Connection, location: str) -> Path | None:
    """Folder of a model version on this machine."""
    if location.startswith("models:/"):
        model = location.removeprefix("models:/")
        row = database.execute("SELECT artifact_location FROM logged_models WHERE model_id = ?", (model,)).fetchone()
        location = str(row[0]) if row else ""
    location = unquote(location.removeprefix("file://"))
    return Path(location) if location.startswith("/") else None


def _whole(said: str, folder: Path) -> Iterator[Finding]:
    """Every file of the recommender is the one that was packaged."""
    inside = next(iter(folder.rglob(MANIFEST)), None)
    if inside is None:
        yield Finding(
            "champion", "warn", f"{said}; packaged without digests", "recsys train registers one with digests"
        )
        return
    try:
        verify_manifest(inside.parent)
    except InputError as error:
        yield Finding(
            "champion", "fail", f"{said}; {error}", "recsys rollback to the version before it, or recsys train"
        )
    else:
        yield Finding("champion", "ok", f"{said}; all files are as packaged")


def _running(database: sqlite3.Connection, patient: Patient) -> Iterator[Finding]:
    rows = database.execute(
        "SELECT r.run_uuid, t.key, t.value FROM runs r JOIN experiments e ON e.experiment_id = r.experiment_id "
        "LEFT JOIN tags t ON t.run_uuid = r.run_uuid AND t.key LIKE 'recsys.owner.%' "
        "WHERE r.status = 'RUNNING' AND r.lifecycle_stage = 'active' AND e.name = ?",
        (patient.config.registry.experiment,),
    ).fetchall()
    owners: dict[str, dict[str, str]] = {}
    for run, key, value in rows:
        owners.setdefault(run, {}).update({str(key).removeprefix("recsys.owner."): value} if key else {})
    dead = sorted(run for run, owner in owners.items() if died(owner))
    said = f"{len(owners)} running, {len(dead)} of dead processes" + (f", e.g. {dead[0]}" if dead else "")
    yield Finding("mlflow runs", "warn" if dead else "ok", said, "recsys doctor --mend" if dead else "")
