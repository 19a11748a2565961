"""What a run needs of memory, worked out from the size of its input, so that too little is said at the start.

    history of m rows     BASE + m · PER_ROW      read, checked and cut into moments (the most of all stages)
    block of n queries    n · items · PER_SCORE   asked at once; n follows from the budget

`python -m benchmarks.scale` measures PER_ROW; PER_SCORE is counted: 12 sources, ranks and masks, 4 bytes each.
"""

import os
from pathlib import Path

from recsys.errors import InputError

GB = 1e9  # bytes
BASE = 0.6 * GB  # the process, its libraries, a catalog
PER_ROW = 165.0  # bytes of an order line at the peak of its reading
PER_SCORE = 100.0  # bytes of one query and item: the scores of all sources, and what is made of them
BLOCKS = 0.15  # of the budget, for the blocks of all workers
USABLE = 0.8  # of the machine's memory, where no budget is given
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of a container


def budget(memory_gb: float | None) -> float:
    """Bytes that a run may use: `run.memory_gb`, or four fifths of what the machine or the container has."""
    return memory_gb * GB if memory_gb is not None else USABLE * machine_bytes()


def machine_bytes() -> float:
    """Memory of the machine, or of the container where that has less."""
    known = [float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))]
    for file in LIMITS:
        text = Path(file).read_text().strip() if Path(file).is_file() else ""
        known += [float(text)] if text.isdigit() else []
    return min(known)


def needed(rows: int) -> float:
    """Bytes at the peak of a training on so many order lines."""
    return BASE + rows * PER_ROW


def require_memory(rows: int, memory_gb: float | None) -> None:
    """InputError where a history of so many rows does not fit the budget."""
    allowed = budget(memory_gb)
    if needed(rows) > allowed:
        told = "run.memory_gb" if memory_gb is not None else f"{USABLE:.0%} of this machine's memory"
        raise InputError(
            f"{rows:,} order rows need about {needed(rows) / GB:.1f} GB, {told} is {allowed / GB:.1f} GB: at most "
            f"{max(0, int((allowed - BASE) / PER_ROW)):,} rows fit. Raise run.memory_gb on a larger machine, or export "
            "a shorter period; docs/scale.md says what each size needs"
        )


def block_size(items: int, memory_gb: float | None, most: int, workers: int = 2) -> int:
    """Queries asked at once: `most`, fewer where the scores of so many items would outgrow the budget's share."""
    return max(1, min(most, int(BLOCKS * budget(memory_gb) / workers / (max(items, 1) * PER_SCORE))))
