"""The closing words of a run in the terminal: who found how much, the hybrid's gain, where things are."""

import sys
from pathlib import Path

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from recsys.registry.findings import best_hybrid, paired_row, standing
from recsys.registry.run_files import Row, number, segments_of, select, tasks_of
from recsys.registry.wording import DASH, amount, interval, metric_name, ratio_text, task_name


def closing_table(metrics: Row, *, report: Path, model: str | None) -> RenderableType:
    """Contenders by task and segment at the primary metric and k, the best of each column bold.

    `metrics` is the content of metrics.json. Fits 100 columns; without colour nothing is lost.
    """
    return Group(_table(metrics), *_gains(metrics), *_groups(metrics), *_places(report, model))


def _table(metrics: Row) -> Table:
    primary = metrics["primary"]
    rows = select(metrics["records"], metric=primary["metric"], k=primary["k"])
    columns = [(t, s) for t in tasks_of(rows) for s in segments_of(select(rows, task=t))]
    tops = {c: max(float(r["value"]) for r in select(rows, task=c[0], segment=c[1])) for c in columns}
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), title=_title(primary), title_justify="left")
    table.add_column("contender", no_wrap=True, vertical="top")
    for task, segment in columns:
        heading = f"{task_name(task).lower()} {segment}".replace(" ", "\n")  # a word a line keeps columns slim
        table.add_column(Text(heading), justify="right", no_wrap=True)
    for contender in _ranked(metrics, rows):
        cells = [_cell(select(rows, contender=contender, task=t, segment=s), tops[t, s]) for t, s in columns]
        style = "bold" if contender == metrics["best"] else ""
        table.add_row(Text(contender, style=style), *cells)
    return table


def _title(primary: Row) -> str:
    return f"{metric_name(primary['metric'], primary['k'])} on held-out baskets, interval below each value"


def _ranked(metrics: Row, rows: list[Row]) -> list[str]:
    """Contenders by the primary figure, the best first; those without it last."""
    primary = metrics["primary"]
    own = {r["contender"]: float(r["value"]) for r in select(rows, task=primary["task"], segment=primary["segment"])}
    return sorted(dict.fromkeys(str(r["contender"]) for r in rows), key=lambda name: -own.get(name, -1.0))


def _cell(found: list[Row], top: float) -> Text:
    if not found:
        return Text(DASH, style="dim")
    row = found[0]
    metric = str(row["metric"])
    best = row["value"] == top > 0
    value = amount(metric, row["value"]) + ("*" if best else " ")
    return Text.assemble((value, "bold" if best else ""), (f"\n{interval(metric, row)} ", "dim"))


def _gains(metrics: Row) -> list[Text]:
    """A line per task: the hybrid as a multiple of the best single model."""
    primary, hybrid = metrics["primary"], best_hybrid(metrics)
    if hybrid is None:
        return []
    lines = [Text("* best of its column", style="dim"), Text()]
    for task in tasks_of(metrics["records"]):
        baseline = metrics["baseline_best_single"].get(task)
        row = paired_row(metrics, hybrid, baseline, task, primary["segment"])
        if row is not None:
            lines.append(_gain(row, f"{task_name(task)}: {hybrid} ", str(baseline)))
    return lines


def _gain(row: Row, opening: str, baseline: str) -> Text:
    words = {"better": "better beyond chance", "worse": "worse beyond chance", "undecided": "may be chance"}
    colors = {"better": "green", "worse": "red", "undecided": "yellow"}
    side = standing(row)
    line = Text(opening).append(f"{ratio_text(row)} times", style="bold")
    return line.append(f" {baseline}, the best single model; ").append(words[side], style=colors[side])


def _groups(metrics: Row) -> list[Text]:
    """A line on the groups of queries and items, where the run compared any: won, lost, and lost where."""
    rows = [row for row in metrics.get("groups", []) if number(row.get("ratio")) is not None]
    if not rows:
        return []
    better = sum(standing(row) == "better" for row in rows)
    lines = [Text(f"Groups: better than the group's best single model beyond chance in {better} of {len(rows)}")]
    lost = [f"{task_name(r['task']).lower()} {r['dimension']} {r['bucket']}" for r in rows if standing(r) == "worse"]
    return lines + (
        [Text(f"        worse beyond chance in {len(lost)}: {'; '.join(lost)}", style="red")] if lost else []
    )


def _places(report: Path, model: str | None) -> list[Text]:
    return [
        Text(),
        Text.assemble("Model:  ", model or "not registered", overflow="fold"),
        Text.assemble("Report: ", str(report), overflow="fold"),
    ]


def model_line(registered: Row) -> str:
    """URI, version and reason of what a training registered, and its guardrails on a line below."""
    decision = registered["decision"]
    passed, lost = decision["passed"], decision["failed"]
    said = f"{registered['uri']} (version {registered['version']}: {registered['reason']})"
    rails = f"guardrails passed: {passed} of {passed + len(lost)}; numbers: recsys models, decision.md of the run"
    return f"{said}\n        {rails}"


def intake_table(intake: Row) -> RenderableType:
    """What became of the order rows, and the sufficiency verdict."""
    rows = Table(title=f"{intake['read']:,} rows read", title_justify="left")
    rows.add_column("what became of them")
    rows.add_column("rows", justify="right")
    rows.add_row("kept", f"{intake['kept']:,}")
    rows.add_row("merged into another line of the order", f"{intake['merged_lines']:,}")
    rows.add_row("returns matched to their purchase", f"{intake['returns_matched']:,}")
    for rule in intake["rules"]:
        rows.add_row(f"refused: {rule['rule']}", f"{rule['rows']:,}")
    checks = Table(title="is it enough?", title_justify="left")
    for column in ("check", "value", "needed", "passed"):
        checks.add_column(column, justify="left" if column == "check" else "right")
    for check in intake["checks"]:
        passed = Text("yes") if check["passed"] else Text("NO", style="bold red")
        checks.add_row(check["name"], f"{check['value']:,.6g}", f"{check['threshold']:,.6g}", passed)
    return Group(rows, checks)


def console() -> Console:
    """Standard output; where it is no terminal, wide enough for the tables."""
    return Console() if sys.stdout.isatty() else Console(width=100)
