"""Figures of the groups of queries and items: the value per group, and the ratio to each group's best single model."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recsys.registry.quality_plots import bounds, forest_panel, ratio_limits
from recsys.registry.run_files import Row, RunFiles, number, select, tasks_of
from recsys.registry.theme import ACCENT, NARROW, Look, looks, panels, side_labels, value_axis
from recsys.registry.wording import label, metric_name, task_name


def segment_rows(run: RunFiles, dimension: str) -> list[Row]:
    """Records of one dimension at the primary metric and k; recall where the dimension knows no other metric."""
    rows = select(run.segments, dimension=dimension, k=run.primary["k"])
    return select(rows, metric=run.primary["metric"]) or select(rows, metric="recall")


def dimensions(run: RunFiles) -> list[str]:
    return list(dict.fromkeys(str(row["dimension"]) for row in run.segments))


def compared_rows(run: RunFiles) -> list[Row]:
    """The hybrid's records of every group, those with a ratio to the group's best single model."""
    rows = [row for dimension in dimensions(run) for row in segment_rows(run, dimension)]
    return [row for row in rows if number(row.get("ratio")) is not None]


def segment_forest(run: RunFiles, width: float) -> Figure:
    """Ratio to the best single model of each group, log scale, line at 1; hollow where the interval includes 1."""
    rows, style = compared_rows(run), looks(run.metrics["records"], run.best)
    tasks = tasks_of(rows)
    sizes = [len(select(rows, task=task)) for task in tasks]
    wide, ratios = width >= NARROW, [float(row["ratio"]) for row in rows]
    limits = ratio_limits([{"ratio": ratio * side} for ratio in ratios for side in (0.8, 1.25)])  # whole bars are text
    figure = Figure(figsize=(width, 1.0 + 0.24 * (sum(sizes) + 2 * len(sizes))), layout="constrained")
    axes = figure.subplots(len(tasks), 1, squeeze=False, height_ratios=[n + 1 for n in sizes])[:, 0]
    for ax, task in zip(axes, tasks, strict=True):
        chosen = select(rows, task=task)
        forest_panel(ax, chosen, style, limits, ticks=5 if wide else 3)
        names = [
            f"{label(r['dimension'])} {r['bucket']}" if wide or r.get("of") == "queries" else str(r["bucket"])
            for r in chosen
        ]
        ax.set_yticks(range(len(chosen)), names)
        ax.set_title(task_name(task))
    axes[-1].set_xlabel("times the best single model of the group")
    return figure


def by_segment(run: RunFiles, dimension: str, width: float) -> Figure:
    """Value with interval per bucket, a panel per task; the best contender in front, the others behind."""
    rows, style = segment_rows(run, dimension), looks(run.metrics["records"], run.best)
    if dimension == "category":
        return _by_category(rows, style, width)
    tasks = tasks_of(rows)
    figure, axes = panels(width, 3.0, len(tasks))
    for ax, task in zip(axes, tasks, strict=True):
        _bucket_panel(ax, select(rows, task=task), style)
        ax.set_title(task_name(task))
        ax.set_xlabel(label(dimension))
        value_axis(ax, rows[0]["metric"], vertical=True, ticks=5)
    axes[0].set_ylabel(metric_name(rows[0]["metric"], rows[0]["k"]))
    return figure


def _bucket_panel(ax: Axes, rows: list[Row], style: dict[str, Look]) -> None:
    buckets = list(dict.fromkeys(str(row["bucket"]) for row in rows))
    names = list(dict.fromkeys(str(row["contender"]) for row in rows))
    shifts = np.linspace(-0.12, 0.12, len(names)) if len(names) > 1 else np.zeros(1)
    ends: dict[str, tuple[float, float]] = {}
    for shift, name in zip(shifts, names, strict=True):
        look, own = style.get(name, Look(label=label(name), color=ACCENT)), select(rows, contender=name)
        xs = [buckets.index(str(row["bucket"])) + float(shift) for row in own]
        ax.plot(
            xs,
            [r["value"] for r in own],
            marker=look.marker,
            ms=7 if look.strong else 5,
            lw=1,
            color=look.color,
        )
        ax.vlines(xs, *zip(*(bounds(r) for r in own), strict=True), color=look.color, lw=2.2, alpha=0.5)
        ends[name] = (xs[-1], own[-1]["value"])
    sizes = {str(row["bucket"]): number(row.get("n")) for row in rows}
    ax.set_xticks(range(len(buckets)), [_tick(b, sizes[b]) for b in buckets])
    ax.set_ylim(0, 1.08 * max(bounds(row)[1] for row in rows) or 1.0)
    ax.grid(axis="x", visible=False)
    side_labels(ax, ends, style, gap=0.08)


def _tick(bucket: str, n: float | None) -> str:
    name = bucket.replace(", ", "\n")
    return f"{name}\nn = {n:,.0f}" if n else name


def _by_category(rows: list[Row], style: dict[str, Look], width: float) -> Figure:
    """Categories have no order, so they are rows: a dot per contender, the interval of the strong one."""
    tasks, buckets = tasks_of(rows), list(dict.fromkeys(str(row["bucket"]) for row in rows))
    figure, axes = panels(width, 1.2 + 0.3 * len(buckets), len(tasks))
    for at, (ax, task) in enumerate(zip(axes, tasks, strict=True)):
        for row in select(rows, task=task):
            name = str(row["contender"])
            look, y = style.get(name, Look(label=label(name), color=ACCENT)), buckets.index(str(row["bucket"]))
            if look.strong:
                ax.plot(bounds(row), [y, y], color=look.color, lw=3, alpha=0.4, solid_capstyle="round")
            named = look.label if y == 0 and at == 0 else None
            ax.plot(row["value"], y, look.marker, color=look.color, ms=7.5 if look.strong else 5, ls="", label=named)
        sizes = {str(r["bucket"]): number(r.get("n")) or 0 for r in select(rows, task=task)}
        names = [f"{b}, n = {sizes.get(b, 0):,.0f}" for b in buckets]
        ax.set_yticks(range(len(buckets)), names)
        ax.set_ylim(len(buckets) - 0.5, -0.5)
        ax.set_xlim(left=0)
        ax.set_title(task_name(task))
        ax.set_xlabel(metric_name(rows[0]["metric"], rows[0]["k"]))
        value_axis(ax, rows[0]["metric"], ticks=5)
    figure.legend(loc="outside lower center", ncols=7 if width >= NARROW else 3)
    return figure
