"""What a daily run did, for people: a table in the terminal, Markdown on the flow run's page."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from recsys.folders import MANIFEST
from recsys.stages import read_json

NAMES = {
    "by_trigger": "due by {}", "by_outcome": "of these {}", "refused": "refused by {}", "by_channel": "offers, {}",
    "by_rule": "offers dropped by {}", "customers": "customers, {}",
}  # fmt: skip


def lines(manifest: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What to say and its number: what was due, offers, refusals, customers, events."""
    counts, events = manifest["counts"], manifest["events"]
    for group, words in NAMES.items():
        for name, n in counts[group].items():
            yield words.format(name.replace("_", " ")), f"{n:,}"
    yield "events known when the day began", f"{events['known']:,}"
    yield "events of later", f"{events['not_yet']:,}"
    for rule, n in events["set_aside"].items():
        yield f"events set aside, {rule.replace('_', ' ')}", f"{n:,}"


def kit_words(manifest: dict[str, Any]) -> str:
    """Which kit served the date, and whether it was ahead of it."""
    kit = manifest["kit"]
    ahead = ", AHEAD OF THE DATE: it knew later orders" if kit["ahead"] else ""
    return f"kit {kit['name']}, learned from orders before {kit['until']}{ahead}"


def summary_table(folders: Sequence[Path]) -> Table:
    """The counts of one day, or a row per day of several."""
    if len(folders) > 1:
        return _of_days(folders)
    manifest = read_json(folders[0] / MANIFEST)
    table = Table(title=f"offers due on {manifest['date']}; {kit_words(manifest)}", title_justify="left",
                  caption=f"files: {folders[0]}", caption_justify="left")  # fmt: skip
    table.add_column("what")
    table.add_column("number", justify="right")
    for what, number in lines(manifest):
        table.add_row(what, number)
    return table


def _of_days(folders: Sequence[Path]) -> Table:
    table = Table(title="offers due", title_justify="left", caption=f"files: {folders[0].parent}",
                  caption_justify="left")  # fmt: skip
    for name in HEAD:
        table.add_column(name, justify="left" if name in ("date", "kit") else "right")
    for row in rows(folders):
        table.add_row(*row)
    return table


HEAD = ("date", "due", "lists", "offers", "dropped", "customers", "kit")


def rows(folders: Sequence[Path]) -> Iterator[tuple[str, ...]]:
    """A row of HEAD for each day."""
    for folder in folders:
        manifest = read_json(folder / MANIFEST)
        counts, kit = manifest["counts"], manifest["kit"]
        numbers = [counts[name] for name in ("due", "lists", "offers", "dropped")]
        offered, ahead = counts["customers"].get("offered", 0), " (ahead)" if kit["ahead"] else ""
        yield (
            manifest["date"], *(f"{n:,}" for n in (*numbers, offered)), kit["name"] + ahead
        )  # fmt: skip


def summary_markdown(folders: Sequence[Path]) -> str:
    """The same for the flow run's page, with the files of the last day."""
    last = read_json(folders[-1] / MANIFEST)
    files = [f"| `{f['path']}` | {f['rows']:,} | {f['bytes']:,} |" for f in last["files"]]
    return "\n".join([
        f"# {last['counts']['lists']:,} lists of offers due on {last['date']}",
        f"- folder: `{folders[-1]}`", f"- {kit_words(last)}",
        *([f"- no reorders: {last['kit']['no_reorder']}"] if last["kit"]["no_reorder"] else []), "",
        f"| {' | '.join(HEAD)} |", "| --- " * len(HEAD) + "|", *(f"| {' | '.join(row)} |" for row in rows(folders)), "",
        "| what | number |", "| --- | ---: |", *(f"| {what} | {number} |" for what, number in lines(last)), "",
        "| file | rows | bytes |", "| --- | ---: | ---: |", *files,
    ])  # fmt: skip
