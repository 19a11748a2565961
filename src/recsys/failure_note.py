"""What a failed run leaves behind: one page with what failed, where, and what to do, as Markdown and as JSON."""

import errno
import json
import os
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType

from recsys.data.databases import redact
from recsys.errors import InputError

RUNBOOK = "docs/runbook.md"
FOLDER = "failures"  # below run.reports
KEEP = 50  # notes of the latest failures
LONGEST = 2000  # characters of an error's text in a note
NOTE = re.compile(r"\d{8}T\d{6}-[a-z-]+-[0-9a-f]{8}\.(?:md|json)")

# kind of failure → what to do first; each is a section of the runbook
REMEDIES = {
    "disk full": "Free space, then run again; finished stages are kept.",
    "out of memory": "See what else ran on the machine, then run again or lower the sizes in the config.",
    "bad orders": "The message names the file, the value and the remedy. Mend it, then run again.",
    "wrong configuration": "The message names the option and the remedy. Mend it, then run again.",
    "store locked or corrupt": "See who holds the MLflow store and whether it is whole, then run again.",
    "champion missing or bad": "The message says why. Promote a version by hand, or train; then run again.",
    "timed out": "See at which stage the time went, then run again: finished stages are kept.",
    "run crashed": "The process ended without a word. Look for its killer, then run again: finished stages are kept.",
    "run cancelled": "Somebody or a rule of the schedule ended it. Nothing to do unless it was wanted.",
    "anything else": "Read the run's log, run again once by hand, then ask a developer.",
}


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One failed run. `stage` and `error` are empty where nobody could say."""

    flow: str
    run: str  # its name
    run_id: str
    state: str  # failed, timed out, crashed, cancelled …
    at: datetime
    stage: str = ""
    error: str = ""  # type and message, secrets replaced
    kind: str = "anything else"  # a key of REMEDIES
    config: str = ""
    settings: tuple[str, ...] = ()

    @property
    def remedy(self) -> str:
        return REMEDIES[self.kind]

    @property
    def runbook(self) -> str:
        return f"{RUNBOOK}#{self.kind.replace(' ', '-')}"

    @property
    def headline(self) -> str:
        """The failure in one line, for logs and messages."""
        where = f" at stage {self.stage}" if self.stage else ""
        return f"{self.flow} {self.state}{where} ({self.kind}): see {self.runbook}"


def kind_of(error: BaseException | None, state: str, message: str, stage: str = "") -> str:
    """The key of REMEDIES that fits an error, or only a state and its message where the process could not say."""
    if "cancel" in state.lower():
        return "run cancelled"
    if state == "TimedOut":
        return "timed out"
    causes = list(chain(error))
    text = " ".join([message, *map(str, causes)])
    if any(getattr(e, "errno", None) == errno.ENOSPC for e in causes) or "no space left" in text.lower():
        return "disk full"
    if any(isinstance(e, MemoryError) for e in causes) or "signal 9" in text or "SIGKILL" in text:
        return "out of memory"
    if _is_store(causes, text):
        return "store locked or corrupt"
    if any(isinstance(e, InputError) and "has no champion" in str(e) for e in causes):
        return "champion missing or bad"
    if any(isinstance(e, InputError) for e in causes):
        return "bad orders" if stage.startswith("ingest") else "wrong configuration"
    return "run crashed" if state == "Crashed" else "anything else"


def _is_store(causes: list[BaseException], text: str) -> bool:
    told = ("database is locked", "database disk image is malformed", "file is not a database")
    return any(isinstance(e, sqlite3.DatabaseError) for e in causes) or any(said in text for said in told)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from, outermost first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def stage_in(error: BaseException | None, tasks: set[str]) -> str:
    """The innermost function of an error's traceback whose name is one of `tasks`; "" if there is none."""
    found = ""
    for one in chain(error):
        for name in _functions(one.__traceback__):
            found = name if name in tasks else found
        if found:
            break
    return found


def _functions(traceback: TracebackType | None) -> Iterator[str]:
    while traceback is not None:
        yield traceback.tb_frame.f_code.co_name
        traceback = traceback.tb_next


def described(error: BaseException | None, message: str, secrets: list[str]) -> str:
    """Type and text of an error, else the state's message; no secrets, not longer than a page."""
    text = f"{type(error).__name__}: {error}" if error else message
    return redact(" ".join(text.split()), secrets)[:LONGEST]


def secrets_of(config: str, settings: tuple[str, ...], names: tuple[str, ...]) -> list[str]:
    """Values of the environment variables `names` and of all that the config or a setting mentions as ${NAME}."""
    try:
        text = Path(config).read_text(encoding="utf-8")
    except (OSError, ValueError):
        text = ""
    mentioned = re.findall(r"\$\{(\w+)\}", " ".join([text, *settings]))
    return [value for name in (*names, *mentioned) if (value := os.environ.get(name))]


def write_note(folder: Path, failure: Failure) -> Path:
    """Write <time>-<flow>-<run>.md and .json into `folder`; returns the .md. Older notes than KEEP go."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{failure.at:%Y%m%dT%H%M%S}-{re.sub('[^a-z]+', '-', failure.flow.lower())}-{failure.run_id[:8]}"
    _write(folder / f"{name}.json", json.dumps(as_json(failure), indent=1, ensure_ascii=False))
    _write(folder / f"{name}.md", as_markdown(failure))
    notes = sorted({file.stem for file in folder.iterdir() if NOTE.fullmatch(file.name)})
    for old in notes[:-KEEP]:
        for ending in (".md", ".json"):
            (folder / f"{old}{ending}").unlink(missing_ok=True)
    return folder / f"{name}.md"


def _write(file: Path, text: str) -> None:
    """Under another name first: a full disk leaves no half page."""
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        fresh.write_text(text, encoding="utf-8")
        os.replace(fresh, file)
    finally:
        fresh.unlink(missing_ok=True)


def as_json(failure: Failure) -> dict[str, object]:
    """Plain values for the note and for messages."""
    return asdict(failure) | {
        "at": failure.at.isoformat(), "settings": list(failure.settings), "remedy": failure.remedy,
        "runbook": failure.runbook, "text": failure.headline,
    }  # fmt: skip


def as_markdown(failure: Failure) -> str:
    """The page for people."""
    lines = [
        f"# {failure.flow} {failure.state}: {failure.kind}",
        "",
        f"- when: {failure.at:%Y-%m-%d %H:%M:%S} UTC",
        f"- run: {failure.run} ({failure.run_id})",
        f"- stage: {failure.stage or 'not known'}",
        f"- config: {failure.config or 'the default'}"
        + "".join(f", set {redact(setting)}" for setting in failure.settings),
        "",
        "## What happened",
        "",
        failure.error or "Nobody could say; the log of the run is the best witness.",
        "",
        "## What to do",
        "",
        f"{failure.remedy} Step by step: {failure.runbook}",
        "",
        "The champion moves at the end of the stage `register` and nowhere else: after a failure before that,",
        "the model that answered yesterday still answers.",
        "",
    ]
    return "\n".join(lines)
