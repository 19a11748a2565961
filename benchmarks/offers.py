"""What offers are worth on orders that nobody learned from: cross-sell in the cart, up-sell, bundles.

    python -m benchmarks.offers [--parts cart,bundles] [--config FILE] [--set section.key=value] [--out DIR]

A part is a module of `benchmarks.offering`; by default all of them. Everything is learned before the config's cut, and
judged on the window after it; protocols: docs/metrics.md. Intervals draw customers. Prints a table per part; DIR gets
table.md and metrics.json (records). Exits with 1 where a bar is missed; the bars are those of Complete Journey's
December and are only held against the default config. Finished stages are reused: the first run trains (minutes).
"""

import argparse
import importlib
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import offering
from benchmarks.offering.part import Part
from recsys.config import load_config
from recsys.errors import InputError
from recsys.stages import write_json

DEFAULT = "configs/complete_journey.yaml"
NO_PARTS = ("__init__", "part")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--parts", default=",".join(known()), help="comma-separated; by default all")
    arguments.add_argument("--config", default=DEFAULT)
    arguments.add_argument("--set", action="append", default=[], dest="settings")
    arguments.add_argument("--out", type=Path, help="folder of the results; without it they are printed only")
    given = arguments.parse_args()
    config, now = load_config(given.config, given.settings), datetime.now(UTC)
    found: list[Part] = []
    for name in chosen(given.parts):
        found.append(importlib.import_module(f"benchmarks.offering.{name}").run(config, now))
        print("\n".join(found[-1].table) + "\n", flush=True)
    if given.out:
        write(found, given.out)
    missed = [bar for part in found for bar in part.missed]
    if given.config == DEFAULT and not given.settings and missed:
        sys.exit("missed: " + "; ".join(missed))


def known() -> list[str]:
    """Names of the parts."""
    files = Path(offering.__path__[0]).glob("[a-z]*.py")
    return sorted(file.stem for file in files if file.stem not in NO_PARTS)


def chosen(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in known()]
    if unknown or not names:
        raise InputError(f"--parts {text!r} names no part {unknown[:1]}; give some of {', '.join(known())}")
    return names


def write(found: list[Part], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "metrics.json", {"records": [row for part in found for row in part.records]})
    (out / "table.md").write_text("\n\n".join("\n".join(part.table) for part in found) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
