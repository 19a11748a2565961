"""Table, plot and files of a comparison."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recsys.evaluation.protocols import SEGMENTS, PerQuery
from recsys.registry.theme import INK, MUTED, Look, chart_style, looks, value_axis
from recsys.registry.wording import DASH, METRICS, amount, segment_name
from recsys.registry.wording import task_name as written

Row = dict[str, Any]
COLUMNS = {"next_item": ("hit_rate", "mrr")}  # metrics in the table; of the other tasks:
USUAL = ("recall", "ndcg", "hit_rate")


def task_name(task: str) -> str:
    return written(task)


def of(records: Sequence[Row], **wanted: Any) -> list[Row]:
    return [row for row in records if all(row[key] == value for key, value in wanted.items())]


def table(records: Sequence[Row], paired: Sequence[Row], ks: Sequence[int], notes: Sequence[str]) -> str:
    """Markdown: what was done, then one table per task and segment, best first; intervals at the first k."""
    lines = ["# Comparison", "", *(f"- {note}" for note in notes)]
    for task in dict.fromkeys(row["task"] for row in records):
        for segment in SEGMENTS:
            rows = of(records, task=task, segment=segment)
            if any(row["n"] and row["metric"] in METRICS for row in rows):
                lines += _segment_table(rows, of(paired, task=task, segment=segment), task, segment, ks)
    return "\n".join(lines) + "\n"


def _segment_table(rows: list[Row], paired: list[Row], task: str, segment: str, ks: Sequence[int]) -> Iterator[str]:
    columns = [(metric, k) for k in ks for metric in COLUMNS.get(task, USUAL)]
    first, first_k = columns[0]
    cells = {(row["contender"], row["metric"], row["k"]): row for row in rows}
    n = max(row["n"] for row in of(rows, metric=first, k=first_k))
    yield from ("", f"## {task_name(task)}, {segment_name(segment)} (n = {n:,})", "")
    heads = [f"{METRICS[metric]}@{k}" for metric, k in columns]
    yield f"| contender | kind | {' | '.join(heads)} | hybrid / contender, {heads[0]} |"
    yield "| --- | --- |" + " ---: |" * (len(columns) + 1)
    ratio = {row["baseline"]: row for row in of(paired, metric=first, k=first_k)}
    for name in order_of(rows, first, first_k):
        values = [_value(cells[name, metric, k], k == first_k) for metric, k in columns]
        kind = cells[name, first, first_k]["kind"]
        yield f"| {name} | {kind} | {' | '.join(values)} | {_ratio(ratio.get(name))} |"


def order_of(rows: Sequence[Row], metric: str, k: int) -> list[str]:
    """Contenders from best to worst; those without a value last."""
    found = of(rows, metric=metric, k=k)
    return [
        row["contender"] for row in sorted(found, key=lambda row: -(row["value"] if row["value"] is not None else -1))
    ]


def _value(row: Row, with_interval: bool) -> str:
    if row["value"] is None:
        return DASH
    bounds = f" [{row['low']:.4f}, {row['high']:.4f}]" if with_interval and row["low"] is not None else ""
    return f"{row['value']:.4f}{bounds}"


def _ratio(row: Mapping[str, Any] | None) -> str:
    if row is None or row["ratio"] is None:
        return DASH
    if row["ratio_low"] is None or row["ratio_high"] is None:
        return f"{row['ratio']:.3f}"
    return f"{row['ratio']:.3f} [{row['ratio_low']:.3f}, {row['ratio_high']:.3f}]"


def plot(records: list[Row], k: int, file: Path) -> None:
    """Value and interval per contender: a row of panels per task, a panel per segment; grey = reference."""
    tasks, segments = ([*dict.fromkeys(row[key] for row in records)] for key in ("task", "segment"))
    style = looks(records, "hybrid")
    with chart_style():
        figure = Figure(figsize=(10, (0.9 + 0.24 * len(style)) * len(tasks)), layout="constrained", facecolor="white")
        grid = figure.subplots(len(tasks), len(segments), squeeze=False)
        for axes, task in zip(grid, tasks, strict=True):
            metric = COLUMNS.get(task, USUAL)[0]
            order = order_of(of(records, task=task, segment="all"), metric, k)
            for ax, segment in zip(axes, segments, strict=True):
                rows = of(records, task=task, segment=segment, metric=metric, k=k)
                _panel(ax, rows, order, style, metric)
                ax.set_title(f"{task_name(task)}, {segment_name(segment)}\n{METRICS[metric]}@{k}, n = {_most(rows):,}")
                ax.set_yticklabels([style[name].label for name in order] if ax is axes[0] else [])
        figure.savefig(file, dpi=150)


def _most(rows: list[Row]) -> int:
    return max((int(row["n"]) for row in rows), default=0)


def _panel(ax: Axes, rows: list[Row], order: list[str], style: Mapping[str, Look], metric: str) -> None:
    top = 0.0
    for row in rows:
        if row["value"] is None:
            continue
        look, y = style[row["contender"]], order.index(row["contender"])
        low, high = (row["value"] if row[end] is None else row[end] for end in ("low", "high"))
        top = max(top, high)
        ax.plot([low, high], [y, y], color=look.color, lw=3 if look.strong else 2, alpha=0.55, solid_capstyle="round")
        ax.plot(row["value"], y, look.marker, color=look.color, ms=7 if look.strong else 5, clip_on=False)
        ax.annotate(
            amount(metric, row["value"]), (high, y), (6, 0), textcoords="offset points", va="center",
            fontsize=8, color=INK if look.strong else MUTED, fontweight=look.weight,
        )  # fmt: skip
    ax.set_xlim(0, (top or 1.0) * 1.35)
    ax.set_ylim(len(order) - 0.4, -0.6)
    ax.set_yticks(range(len(order)))
    ax.grid(axis="y", visible=False)
    value_axis(ax, metric, ticks=3)


def write(out: Path, found: Row, text: str, per_query: Mapping[str, pl.DataFrame]) -> None:
    """table.md, plot.png, metrics.json, and one Parquet file per task with every value of every query."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "table.md").write_text(text, encoding="utf-8")
    content = json.dumps(found, ensure_ascii=False, allow_nan=False)
    (out / "metrics.json").write_text(content, encoding="utf-8")
    for task, values in per_query.items():
        values.write_parquet(out / f"per_query-{task}.parquet")


def query_values(values: PerQuery, task: str, asked: pl.DataFrame) -> pl.DataFrame:
    """One row per query of a task: customer_id, order_id, and a column "contender|segment|metric|k" each."""
    names = [f"{c}|{segment}|{metric}|{k}" for c, t, segment, metric, k in values.columns if t == task]
    return asked.select("customer_id", "order_id").hstack(pl.DataFrame(values.values[task], schema=names))
