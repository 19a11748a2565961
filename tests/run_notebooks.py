"""Run every notebook from its first cell to its last, each in an empty directory; any failing cell fails the run.

`python -m tests.run_notebooks [name …]` takes parts of file names; without any it runs all of them.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
CELL_SECONDS = 300  # a cell that takes longer hangs


def run_notebook(file: Path) -> str | None:
    """None, or what failed: cell, its first line and the error."""
    notebook: NotebookNode = nbformat.reads(file.read_text(encoding="utf-8"), as_version=4)  # type: ignore[no-untyped-call]
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            kernel_name="python3",
            resources={"metadata": {"path": folder}},
            extra_arguments=["--log-level=ERROR"],  # else each kernel warns that its loopback port is not encrypted
        )
        try:
            client.execute(env=os.environ | {"TMPDIR": folder})  # what a notebook writes goes with the folder
        except (CellExecutionError, CellTimeoutError, DeadKernelError, RuntimeError) as error:
            return f"{_failing_cell(notebook)}\n{error}"
    return None


def _failing_cell(notebook: NotebookNode) -> str:
    """The last code cell that was begun: cells run in order and stop at the first failure."""
    begun = [at for at, cell in enumerate(notebook.cells) if cell.cell_type == "code" and "execution" in cell.metadata]
    if not begun:
        return "before the first cell"
    return f"cell {begun[-1] + 1}: {notebook.cells[begun[-1]].source.splitlines()[0]}"


def chosen(parts: list[str]) -> list[Path]:
    """Notebooks whose names hold any of the parts, all without parts; sorted."""
    files = sorted(NOTEBOOKS.glob("*.ipynb"))
    return [file for file in files if not parts or any(part in file.name for part in parts)]


def main(parts: list[str]) -> int:
    """Exit code: 0 where every notebook ran, else 1."""
    files, failed = chosen(parts), []
    for file in files:
        started = time.monotonic()
        problem = run_notebook(file)
        print(f"{file.name:<40} {time.monotonic() - started:6.1f} s  {'failed' if problem else 'passed'}", flush=True)
        if problem:
            failed.append(file.name)
            print(f"{file.name}, {problem}", file=sys.stderr, flush=True)
    if failed or not files:
        print(f"failed: {', '.join(failed) or f'no notebook matches {parts} in {NOTEBOOKS}'}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
