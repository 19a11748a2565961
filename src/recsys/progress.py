"""Progress of the stages in the terminal: a bar for people, plain lines where nobody looks."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

_active: ContextVar[Progress | None] = ContextVar("progress", default=None)


@contextmanager
def progress_bar(steps: int | None = None) -> Iterator[None]:
    """Show the steps taken inside; `steps` is their number where it is known."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        bar.add_task("starting", total=steps)
        token = _active.set(bar)
        try:
            yield
        finally:
            _active.reset(token)


@contextmanager
def step(name: str) -> Iterator[None]:
    """One step: its name while it runs, a line with its seconds when it took longer than a blink."""
    bar = _active.get()
    started = time.monotonic()
    if bar:
        bar.update(bar.task_ids[0], description=name)
    yield
    if bar:
        bar.advance(bar.task_ids[0])
        took = time.monotonic() - started
        bar.console.print(f"{name:<28} {took:6.1f} s" if took > 0.05 else f"{name:<28}   kept", highlight=False)


def note(line: str) -> None:
    """A line of its own beside the bar, for a step whose outcome is worth saying."""
    bar = _active.get()
    if bar:
        bar.advance(bar.task_ids[0])
        bar.console.print(line, highlight=False)
