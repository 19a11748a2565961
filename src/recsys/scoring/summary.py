"""What a scoring did, for people: a table in the terminal, Markdown on the flow run's page."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.table import Table

from recsys.config import Config
from recsys.folders import MANIFEST


def of_customers(config: Config, customers: str | None) -> Config:
    """The configuration with another file of customer ids, where one is given."""
    return config if customers is None else replace(config, scoring=replace(config.scoring, customers=customers))


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a published folder."""
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return manifest


def lines(manifest: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What to say and its number: customers by outcome, rows, files."""
    counts = manifest["counts"]
    yield "customers asked", f"{counts['customers']:,}"
    for fallback, n in counts["fallback"].items():
        yield f"with a list, {fallback}", f"{n:,}"
    yield "of these not known to the model", f"{counts['unknown_listed']:,}"
    for outcome in ("empty", "set_aside", "errors"):
        for reason, n in counts[outcome].items():
            yield f"{outcome.replace('_', ' ')}: {reason}", f"{n:,}"
    yield "ids given more than once", f"{manifest['repeated_ids']:,}"
    yield "rows", f"{counts['rows']:,}"
    parts = manifest["partitions"]
    yield "partitions (scored by the run that published them)", f"{parts['all']:,} ({parts['scored_by_this_run']:,})"
    guarded = manifest["guarded_in_csv"]
    yield "ids with an apostrophe in CSV: customers, items", f"{guarded['customer_ids']:,}, {guarded['item_ids']:,}"


def model_name(manifest: dict[str, Any]) -> str:
    """Name and version, or the URI of a model without them."""
    model = manifest["model"]
    return f"{model['name']} version {model['version']}" if model["name"] else str(model["asked"])


def summary_table(manifest: dict[str, Any], folder: Path) -> Table:
    """Counts, model and place."""
    table = Table(title=f"scored by {model_name(manifest)}", title_justify="left", caption=f"files: {folder}",
                  caption_justify="left")  # fmt: skip
    table.add_column("what")
    table.add_column("number", justify="right")
    for what, number in lines(manifest):
        table.add_row(what, number)
    return table


def summary_markdown(manifest: dict[str, Any], folder: Path) -> str:
    """The same for the flow run's page, with the files."""
    counted = [f"| {what} | {number} |" for what, number in lines(manifest)]
    files = [f"| `{f['path']}` | {f['rows']:,} | {f['bytes']:,} |" for f in manifest["files"]]
    return "\n".join([
        f"# {manifest['counts']['listed']:,} customers scored by {model_name(manifest)}",
        f"- folder: `{folder}`", f"- data digest: `{manifest['data_digest']}`", "",
        "| what | number |", "| --- | ---: |", *counted, "",
        "| file | rows | bytes |", "| --- | ---: | ---: |", *files,
    ])  # fmt: skip
