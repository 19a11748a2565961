"""The comparison with the last accepted run as a table: in the terminal and in the report."""

from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from recsys.registry.run_files import Row, number
from recsys.registry.wording import DASH, label

STYLES = {"ok": "green", "warn": "yellow", "stop": "bold red"}
SCOPES = {
    "new": "new orders",
    "history": "days of the accepted run",
    "whole": "all orders",
    "lists": "recommendations",
}
ORDER = ("stop", "warn", "ok")


def drift_rows(drift: Row) -> list[dict[str, Any]]:
    """Every check of every part as words, the hardest verdicts first, else in the order of the checks."""
    checks = [check for part in drift.get("parts", {}).values() for check in part["checks"]]
    rows = [
        {
            "name": label(c["name"]),
            "option": f"monitoring.{c['name']}",
            "scope": SCOPES.get(c["scope"], c["scope"]),
            "verdict": c["verdict"],
            **{key: short(c[key]) for key in ("value", "warn", "stop")},
            "text": c["text"],
            "remedy": c["remedy"],
        }
        for c in checks
    ]
    return sorted(rows, key=lambda row: ORDER.index(row["verdict"]))


def drift_notes(drift: Row) -> list[str]:
    """What could not be compared, each said once."""
    return list(dict.fromkeys(note for part in drift.get("parts", {}).values() for note in part["notes"]))


def short(value: Any) -> str:
    """A number with three digits that matter, a dash for none."""
    known = number(value)
    return DASH if known is None else f"{known:.3g}"


def drift_table(drift: Row, every: bool = True) -> RenderableType:
    """Table of the checks (without `every` only those that warn or stop), and what was not compared."""
    rows = [row for row in drift_rows(drift) if every or row["verdict"] != "ok"]
    parts: list[RenderableType] = [Text(note, style="dim") for note in drift_notes(drift)]
    if not rows:
        return Group(*parts)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    for name, side in (("check", "left"), ("of", "left"), ("value", "right"), ("warn", "right"), ("stop", "right")):
        table.add_column(name, justify=side, vertical="top")  # type: ignore[arg-type]
    table.add_column("verdict", vertical="top")
    table.add_column("what was found", vertical="top", ratio=1)
    for row in rows:
        said = row["text"] + (f"\n→ {row['remedy']}" if row["remedy"] else "")
        cells = (row["name"], row["scope"], row["value"], row["warn"], row["stop"])
        table.add_row(*map(Text, cells), Text(row["verdict"], style=STYLES[row["verdict"]]), Text(said))
    return Group(table, *parts)
