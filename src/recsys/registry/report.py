"""One self-contained page about one run: inline CSS, SVG and script, readable without any of the three."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from recsys.registry import commerce_page, findings, group_tables, run_plots, segment_findings, segment_plots
from recsys.registry.drift_findings import headline
from recsys.registry.drift_table import drift_notes, drift_rows
from recsys.registry.figures import SLIM, WIDE, Plot, plots_of
from recsys.registry.run_files import Row, RunFiles, load_run_files, number, segments_of, select, tasks_of
from recsys.registry.theme import looks
from recsys.registry.wording import (
    FILTERS,
    METRICS,
    amount,
    count,
    day,
    duration,
    interval,
    label,
    metric_name,
    percent,
    ratio_text,
    task_name,
    with_interval,
)


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One key figure of the header."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One number of a table: sorted by `value`, with a bar of `share` (0-1 of its column's largest)."""

    value: float | None
    text: str
    bounds: str
    share: float
    top: bool


def build_report(directory: Path, output: Path) -> Path:
    """Render the run in `directory` to the HTML file `output`, written whole or not at all.

    Raises InputError that names the file of the run that is missing or broken.
    """
    html = render(load_run_files(directory))
    output.parent.mkdir(parents=True, exist_ok=True)
    waiting = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    waiting.write_text(html, encoding="utf-8")
    os.replace(waiting, output)
    return output


def render(run: RunFiles) -> str:
    """The page as text. Everything from data is escaped; only our own SVG is not."""
    template = _environment().get_template("report.html.j2")
    return template.render(**_context(run))


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("recsys.registry"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    return environment


def _context(run: RunFiles) -> dict[str, Any]:
    style = looks(run.metrics["records"], run.best)
    compared = segment_plots.compared_rows(run)
    return {
        "run": run.run,
        "ingest": run.ingest,
        "metrics": run.metrics,
        "examples": [_example(example) for example in run.examples],
        "verdict": findings.verdict(run.metrics),
        "tiles": tiles(run),
        "figures": _figures(plots_of(run)),
        "style": style,
        "metric_names": _metrics_of(run),
        "table": metric_table(run),
        "reach": reach_table(run),
        "removed": run_plots.removed(run.ingest),
        "best": run.best,
        "choices": _choices(run),
        "segment_rows": select(run.segments),
        "losses": group_tables.lost_groups(compared),
        "losses_finding": segment_findings.losses_finding(compared) if compared else "",
        "cold_findings": segment_findings.cold_findings(run.cold_start),
        "cold_customers": group_tables.cold_customers(run),
        "cold_items": group_tables.cold_items(run),
        "cold_rows": [row for row in select(run.cold_start) if row["about"] == "customers"],
        "probabilities": group_tables.probabilities(run),
        "worth": commerce_page.worth_table(run),
        "shop": commerce_page.shop_table(run),
        "drift": {"rows": drift_rows(run.drift), "notes": drift_notes(run.drift), "headline": headline(run.drift)},
    }


def _figures(plots: list[Plot]) -> dict[str, list[dict[str, Any]]]:
    """Section → its figures, each drawn for a wide and for a narrow page."""
    drawn: dict[str, list[dict[str, Any]]] = {}
    for plot in plots:
        wide, slim = (Markup(plot.svg(w, s)) for w, s in ((WIDE, "wide"), (SLIM, "slim")))
        drawn.setdefault(plot.section, []).append({"plot": plot, "wide": wide, "slim": slim})
    return drawn


def tiles(run: RunFiles) -> list[Tile]:
    """Key figures: what won, by how much, on what data, how complete, how long."""
    ingest, seconds = run.ingest, sum(run.run["seconds"].values())
    failed = [check["name"] for check in ingest["checks"] if not check["passed"]]
    memory = number(run.run.get("peak_memory_mb"))
    shown = sum(c > 0 for c in run.coverage.get(run.best, {}).get("counts", []))
    known = run.run["known_items"]
    return [
        *_winner_tiles(run),
        Tile(name="Items shown", value=percent(shown / known if known else None),
             note=f"of {count(known)} known items"),
        Tile(name="Queries judged", value=count(sum(run.run["queries"].values())),
             note=_queries(run.run["queries"])),
        Tile(name="Customers", value=count(ingest["customers"]), note=f"{count(ingest['orders'])} orders"),
        Tile(name="Rows kept", value=percent(ingest["kept"] / ingest["read"] if ingest["read"] else None),
             note=f"{day(ingest['first'])} to {day(ingest['last'])}"),
        Tile(name="Data checks", value=f"{len(ingest['checks']) - len(failed)} of {len(ingest['checks'])}",
             note="all passed" if not failed else f"failed: {', '.join(map(label, failed))}"),
        Tile(name="Run time", value=duration(seconds), note=f"{memory:,.0f} MB at most" if memory else ""),
    ]  # fmt: skip


def _winner_tiles(run: RunFiles) -> list[Tile]:
    primary, baseline = run.primary, run.baseline(run.primary["task"])
    rows = select(run.metrics["records"], contender=run.best, **primary)
    paired = findings.paired_row(run.metrics, run.best, baseline, primary["task"], primary["segment"])
    name = f"{metric_name(primary['metric'], primary['k'])}, {task_name(primary['task']).lower()}"
    own = [
        Tile(
            name=name,
            value=amount(primary["metric"], r["value"]),
            note=f"interval {interval(primary['metric'], r)}",
        )
        for r in rows
    ]
    if paired is None or number(paired.get("ratio")) is None:
        return own
    whole = ratio_text(paired).partition(" ")
    versus = f"{whole[2].strip('()')} against {label(str(baseline))}"
    return [*own, Tile(name="Ratio to best single", value=f"{whole[0]}×", note=versus)]


def _queries(queries: Mapping[str, int]) -> str:
    return ", ".join(f"{task_name(task).lower()} {count(n)}" for task, n in queries.items())


def _metrics_of(run: RunFiles) -> list[str]:
    """Metrics that occur, the primary one first, then in the usual order."""
    found = {str(row["metric"]) for row in run.metrics["records"]}
    usual = [run.primary["metric"], *METRICS, *sorted(found)]
    return [name for name in dict.fromkeys(usual) if name in found]


def _choices(run: RunFiles) -> dict[str, list[str]]:
    """What the switches of the table offer."""
    records = run.metrics["records"]
    return {
        "task": tasks_of(records),
        "segment": segments_of(records),
        "k": [str(k) for k in sorted({int(row["k"]) for row in records if row["k"] is not None})],
    }


def metric_table(run: RunFiles) -> list[dict[str, Any]]:
    """One row per (task, segment, k, contender) with a cell per metric, the primary view first."""
    records, names = run.metrics["records"], _metrics_of(run)
    by_key: dict[tuple[str, str, Any, str], dict[str, Row]] = {}
    tops: dict[tuple[str, str, Any, str], float] = {}
    for row in select(records):
        view = (row["task"], row["segment"], row["k"])
        by_key.setdefault((*view, row["contender"]), {})[row["metric"]] = row
        tops[*view, row["metric"]] = max(tops.get((*view, row["metric"]), 0.0), row["value"])
    table = [
        {
            "task": task, "segment": segment, "k": k, "contender": contender,
            "cells": [_cell(cells.get(m), m, tops.get((task, segment, k, m), 0.0)) for m in names],
        }
        for (task, segment, k, contender), cells in by_key.items()
    ]  # fmt: skip
    wanted = (run.primary["task"], run.primary["segment"], run.primary["k"])
    tasks, segments = tasks_of(records), segments_of(records)
    return sorted(
        table,
        key=lambda r: (
            (r["task"], r["segment"], r["k"]) != wanted,
            tasks.index(r["task"]), segments.index(r["segment"]), r["k"] or 0, -(r["cells"][0].value or 0.0),
        ),
    )  # fmt: skip


def _cell(row: Row | None, metric: str, top: float) -> Cell:
    if row is None:
        return Cell(value=None, text=amount(metric, None), bounds="", share=0.0, top=False)
    value = float(row["value"])
    share = max(0.0, value / top) if top > 0 else 0.0
    return Cell(
        value=value,
        text=amount(metric, value),
        bounds=interval(metric, row),
        share=share,
        top=value == top > 0,
    )


def reach_table(run: RunFiles) -> list[dict[str, str]]:
    """Per contender: items shown, share of the shop, items that fill half the slots, novelty, diversity."""
    known = run.run["known_items"]
    rows = []
    for name, data in sorted(run.coverage.items(), key=lambda pair: -sum(c > 0 for c in pair[1]["counts"])):
        shown = sum(c > 0 for c in data["counts"])
        rows.append({
            "contender": name, "shown": count(shown), "share": percent(shown / known if known else None),
            "half": count(findings.half_of_slots(data["counts"])),
            **{metric: _whole_run(run, name, metric) for metric in ("novelty", "diversity")},
        })  # fmt: skip
    return rows


def _whole_run(run: RunFiles, contender: str, metric: str) -> str:
    """A list-wide metric with interval on all purchases at the primary k; a dash where not measured."""
    primary = run.primary
    where = {
        "contender": contender,
        "metric": metric,
        "segment": "all",
        "k": primary["k"],
        "task": primary["task"],
    }
    rows = select(run.metrics["records"], **where)
    return with_interval(rows[0]) if rows else amount(metric, None)


def _example(example: Row) -> dict[str, Any]:
    """An example with names for what was bought, and whether the list had it."""
    items = example["items"]
    known = [*example["history"], *example["cart"], *items]
    names = {str(row["item_id"]): str(row["name"] or row["item_id"]) for row in known}
    listed = {str(row["item_id"]) for row in items}
    names |= {str(item): str(name) for item, name in example.get("names", {}).items()}
    bought = [{"name": names.get(str(i), str(i)), "hit": str(i) in listed} for i in example["bought"]]
    likely = any(number(row.get("probability")) is not None for row in items)
    return {**example, "bought": bought, "hits": sum(b["hit"] for b in bought), "likely": likely}
