"""Figures of how well contenders recommend: values with intervals, ratios, depth, repeat against new."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from recsys.registry.findings import standing
from recsys.registry.run_files import Row, RunFiles, number, segments_of, select, tasks_of
from recsys.registry.theme import (
    INK,
    MUTED,
    NARROW,
    PAPER,
    Look,
    looks,
    panels,
    side_labels,
    value_axis,
)
from recsys.registry.wording import amount, label, metric_name, ratio_text, segment_name, task_name

_RATIO_TICKS = (0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.5, 2, 3, 5, 10, 20, 50, 100, 1000)


def primary_rows(run: RunFiles, task: str) -> list[Row]:
    """Records of one task at the primary metric and k, every segment and contender."""
    return select(run.metrics["records"], task=task, metric=run.primary["metric"], k=run.primary["k"])


def dots(run: RunFiles, task: str, width: float) -> Figure:
    """Dot and whisker per contender, a panel per segment, sorted by the value on all purchases."""
    rows = primary_rows(run, task)
    segments = segments_of(rows)
    order = _order(rows, segments[0])
    figure, axes = panels(width, 0.75 + 0.27 * len(order), len(segments))
    style = looks(run.metrics["records"], run.best)
    for ax, segment in zip(axes, segments, strict=True):
        named = [style[name] for name in order] if width < NARROW or segment == segments[0] else []
        _dot_panel(ax, select(rows, segment=segment), order, style, run.primary["metric"])
        _name_rows(ax, named, len(order))
        queries = max((number(r.get("n")) or 0 for r in rows if r["segment"] == segment), default=0)
        ax.set_title(segment_name(segment).capitalize() + (f", n = {queries:,.0f}" if queries else ""))
    axes[-1].set_xlabel(metric_name(run.primary["metric"], run.primary["k"]))
    return figure


def _order(rows: list[Row], segment: str) -> list[str]:
    """Contenders from best to worst on one segment; those not measured there come last."""
    values = {row["contender"]: float(row["value"]) for row in select(rows, segment=segment)}
    names = dict.fromkeys(str(row["contender"]) for row in rows)
    return sorted(names, key=lambda name: -values.get(name, -1.0))


def _dot_panel(ax: Axes, rows: list[Row], order: list[str], style: dict[str, Look], metric: str) -> None:
    for row in rows:
        look, y = style[row["contender"]], order.index(row["contender"])
        low, high = bounds(row)
        ax.plot(
            [low, high],
            [y, y],
            color=look.color,
            lw=3 if look.strong else 2,
            alpha=0.55,
            solid_capstyle="round",
        )
        ax.plot(row["value"], y, look.marker, color=look.color, ms=7.5 if look.strong else 5.5, clip_on=False)
        ax.annotate(
            amount(metric, row["value"]), (high, y), (6, 0), textcoords="offset points", va="center",
            fontsize=8, color=INK if look.strong else MUTED, fontweight=look.weight,
        )  # fmt: skip
    top = max((bounds(row)[1] for row in rows), default=1.0)
    ax.set_xlim(0, (top or 1.0) * 1.3)
    value_axis(ax, metric)


def _name_rows(ax: Axes, names: list[Look], rows: int) -> None:
    """Row labels from top to bottom, the strong one in its colour; none where the panel left has them."""
    ax.set_ylim(rows - 0.4, -0.6)
    ax.set_yticks(range(len(names)), [look.label for look in names])
    ax.grid(axis="y", visible=False)
    for text, look in zip(ax.get_yticklabels(), names, strict=True):
        text.set_fontweight(look.weight)
        text.set_color(look.color if look.strong else INK)


def bounds(row: Row) -> tuple[float, float]:
    """Interval of a record, or its value twice where it has none."""
    low, high = number(row.get("low")), number(row.get("high"))
    return (float(row["value"]) if low is None else low, float(row["value"]) if high is None else high)


def paired_rows(run: RunFiles) -> list[Row]:
    """Comparisons with the best single model of each task and segment, at the primary metric and k, with a ratio."""
    rows = select(run.metrics["paired"], metric=run.primary["metric"], k=run.primary["k"])
    return [r for r in rows if number(r.get("ratio")) is not None]


def forest(run: RunFiles, width: float) -> Figure:
    """Ratio to the best single model, log scale, line at 1; hollow where the interval includes 1."""
    rows, style = paired_rows(run), looks(run.metrics["records"], run.best)
    tasks = tasks_of(rows)
    heights = [0.5 + (0.27 if width >= NARROW else 0.4) * len(select(rows, task=task)) for task in tasks]
    figure = Figure(figsize=(width, sum(heights) + 0.5), layout="constrained")
    axes = figure.subplots(len(tasks), 1, squeeze=False, height_ratios=heights)[:, 0]
    limits, comma = ratio_limits(rows), ", " if width >= NARROW else ",\n"
    for ax, task in zip(axes, tasks, strict=True):
        chosen = select(rows, task=task)
        ordered = [r for s in segments_of(chosen) for r in select(chosen, segment=s)]
        forest_panel(ax, ordered, style, limits)
        names = [f"{segment_name(r['segment'])}{comma}against {label(str(r['baseline']))}" for r in ordered]
        ax.set_yticks(range(len(ordered)), names)
        ax.set_title(task_name(task))
    axes[-1].set_xlabel(f"times the {metric_name(run.primary['metric'], run.primary['k'])} of the best single model")
    return figure


def ratio_limits(rows: list[Row]) -> tuple[float, float]:
    """Whole of every interval and the line at 1, within 0.1 to 1000 and with room for the labels."""
    values = [number(row.get(name)) or 1.0 for row in rows for name in ("ratio", "ratio_low", "ratio_high")]
    low, high = max(0.1, min(0.95, *values)), min(1000.0, max(1.05, *values))
    return low / (high / low) ** 0.06, high * (high / low) ** 0.06


def forest_panel(
    ax: Axes, rows: list[Row], style: dict[str, Look], limits: tuple[float, float], ticks: int = 5
) -> None:
    ax.set_xscale("log")
    ax.set_xlim(*limits)
    ax.axvline(1, color=INK, lw=1.1, zorder=1)
    for y, row in enumerate(rows):
        look, sure = style[row["contender"]], standing(row) != "undecided"
        low, high = (max(limits[0], number(row.get(name)) or row["ratio"]) for name in ("ratio_low", "ratio_high"))
        ax.plot([low, high], [y, y], color=look.color, lw=2.5, alpha=0.55, solid_capstyle="round")
        face = look.color if sure else PAPER
        ax.plot(max(limits[0], row["ratio"]), y, look.marker, color=look.color, mfc=face, ms=7, mew=1.5)
        ax.annotate(
            ratio_text(row), (1.01, y), xycoords=("axes fraction", "data"), va="center", fontsize=8,
            color=INK if sure else MUTED, fontweight=look.weight, annotation_clip=False,
        )  # fmt: skip
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    ax.xaxis.set_major_locator(FixedLocator(_few_ticks(*limits, ticks)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))


def _few_ticks(low: float, high: float, most: int) -> list[float]:
    """Round ratios inside the limits, 1 always among them, at most about `most`."""
    inside = [tick for tick in _RATIO_TICKS if low <= tick <= high]
    step = max(1, -(-len(inside) // most))
    start = inside.index(1) % step if 1 in inside else 0
    return inside[start::step]


def by_k(run: RunFiles, width: float) -> Figure:
    """The primary metric against the length of the list, all purchases, a panel per task."""
    rows = select(run.metrics["records"], metric=run.primary["metric"], segment="all")
    style, tasks = looks(run.metrics["records"], run.best), tasks_of(rows)
    figure, axes = panels(width, 3.5, len(tasks))
    for ax, task in zip(axes, tasks, strict=True):
        _curve_panel(ax, select(rows, task=task), style)
        ax.set_title(task_name(task))
        ax.set_xlabel("length of the list (k)")
        value_axis(ax, run.primary["metric"], vertical=True, ticks=6)
    axes[0].set_ylabel(metric_name(run.primary["metric"]))
    return figure


def _curve_panel(ax: Axes, rows: list[Row], style: dict[str, Look]) -> None:
    ends: dict[str, tuple[float, float]] = {}
    for name in dict.fromkeys(str(row["contender"]) for row in rows):
        curve = sorted(select(rows, contender=name), key=lambda row: int(row["k"]))
        ks, values, look = [r["k"] for r in curve], [r["value"] for r in curve], style[name]
        if look.strong:
            low, high = zip(*(bounds(r) for r in curve), strict=True)
            ax.fill_between(ks, low, high, color=look.color, alpha=0.15, lw=0)
        ax.plot(ks, values, marker=look.marker, color=look.color, lw=2.4 if look.strong else 1.3, ms=4)
        ends[name] = (ks[-1], values[-1])
    ax.set_ylim(0, 1.06 * max(bounds(row)[1] for row in rows) or 1.0)
    ax.set_xticks(sorted({row["k"] for row in rows}))
    side_labels(ax, ends, style, gap=0.068)


def repeat_new(run: RunFiles, width: float) -> Figure:
    """Each contender at (value on repeat purchases, value on new ones), with both intervals as a cross."""
    tasks = [t for t in tasks_of(run.metrics["records"]) if _both(primary_rows(run, t))]
    style = looks(run.metrics["records"], run.best)
    figure, axes = panels(width, 3.5, len(tasks))
    for ax, task in zip(axes, tasks, strict=True):
        _cross_panel(ax, _both(primary_rows(run, task)), style)
        ax.set_title(task_name(task))
        ax.set_xlabel(f"{metric_name(run.primary['metric'], run.primary['k'])}, bought before")
        value_axis(ax, run.primary["metric"], ticks=5)
        value_axis(ax, run.primary["metric"], vertical=True, ticks=5)
    axes[0].set_ylabel("new to the customer")
    return figure


def _both(rows: list[Row]) -> dict[str, tuple[Row, Row]]:
    """Contender → its records on repeat and on new purchases, where it has both."""
    repeat, new = ({r["contender"]: r for r in select(rows, segment=s)} for s in ("repeat", "new"))
    return {name: (repeat[name], new[name]) for name in repeat if name in new}


def has_repeat_new(run: RunFiles) -> bool:
    return any(_both(primary_rows(run, task)) for task in tasks_of(run.metrics["records"]))


def _cross_panel(ax: Axes, pairs: dict[str, tuple[Row, Row]], style: dict[str, Look]) -> None:
    for name, (repeat, new) in pairs.items():
        look = style[name]
        ax.plot(bounds(repeat), [new["value"]] * 2, color=look.color, lw=1.6, alpha=0.5)
        ax.plot([repeat["value"]] * 2, bounds(new), color=look.color, lw=1.6, alpha=0.5)
        ax.plot(
            repeat["value"],
            new["value"],
            look.marker,
            color=look.color,
            ms=9 if look.strong else 6,
            clip_on=False,
        )
    ax.set_xlim(*_window([repeat for repeat, _ in pairs.values()]))
    ax.set_ylim(*_window([new for _, new in pairs.values()]))
    side_labels(ax, {n: (r["value"], w["value"]) for n, (r, w) in pairs.items()}, style, gap=0.068)


def _window(rows: list[Row]) -> tuple[float, float]:
    """Limits around all intervals; from zero, unless the values crowd together far from it."""
    low, high = min(bounds(row)[0] for row in rows), max(bounds(row)[1] for row in rows)
    room = 0.12 * (high - low) or 0.5
    return (low - room if low > 0.5 * high else 0.0, high + room)
