"""Orders and catalogs straight from a database: a URI, a query, and passwords that no message repeats."""

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import polars as pl

from recsys.errors import InputError

DRIVERS = {
    "sqlite": "adbc_driver_sqlite",
    "postgresql": "adbc_driver_postgresql",
    "postgres": "adbc_driver_postgresql",
}


def is_database(path: str) -> bool:
    return path.split("://")[0] in DRIVERS and "://" in path


def expand_variables(text: str) -> tuple[str, list[str]]:
    """`${NAME}` replaced by the environment variable NAME; also the values put in, which are secret."""
    secrets: list[str] = []

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in os.environ:
            raise InputError(f"environment variable {name} named in {redact(text)!r} is not set; export it")
        secrets.append(os.environ[name])
        return os.environ[name]

    return re.sub(r"\$\{(\w+)\}", value, text), secrets


def redact(text: str, secrets: list[str] | None = None) -> str:
    """`text` with the password of every URI in it, and all `secrets`, replaced by ***."""
    for secret in sorted({s for raw in secrets or [] for s in (raw, unquote(raw)) if s}, key=len, reverse=True):
        text = text.replace(secret, "***")
    text = re.sub(r"(?<=://)([^/@\s:]*):[^/\s]*@", r"\1:***@", text)
    return re.sub(r"(?i)([?&](?:password|sslpassword|token|sig|signature)=)[^&\s'\"]*", r"\1***", text)


def redact_all(options: Any) -> Any:
    """Nested options with every password in their texts replaced by ***."""
    if isinstance(options, dict):
        return {key: redact_all(value) for key, value in options.items()}
    if isinstance(options, list | tuple):
        return [redact_all(value) for value in options]
    return redact(options) if isinstance(options, str) else options


def read_database(path: str, query: str, place: str) -> pl.DataFrame:
    """The rows of `query`, typed as the database types them. `place` names the option in errors."""
    if not query.strip():
        raise InputError(f"{place}.query is empty: {redact(path)} is a database, so say which rows to read")
    uri, secrets = expand_variables(path)
    if uri.startswith("sqlite://"):
        _require_sqlite_file(uri)
    password = urlsplit(uri).password if "@" in uri else None
    secrets += [password] if password else []
    try:
        return pl.read_database_uri(query, uri, engine="adbc")
    except ModuleNotFoundError:
        driver = DRIVERS[uri.split("://")[0]]
        raise InputError(f"{place}: reading {redact(path)} needs {driver}; pip install 'recsys[database]'") from None
    except Exception as error:  # the drivers raise classes of their own, and none is importable for sure
        # `from None`: the driver's own message may hold the whole URI
        reason = redact(str(error), secrets).strip()
        raise InputError(
            f"{place}: {redact(path)} did not answer {query!r}: {reason}; check URI and query, "
            "and CAST columns of mixed type"
        ) from None


def _require_sqlite_file(uri: str) -> None:
    """SQLite would create a missing file."""
    file = Path(uri.removeprefix("sqlite:///"))
    if not uri.startswith("sqlite:///") or not file.is_file():
        raise InputError(
            f"SQLite file {str(file)!r} does not exist (from {Path.cwd()}); "
            "write sqlite:///relative/path or sqlite:////absolute/path"
        )
