"""Figures of how a run came about: what the ranker uses, reach, data kept, time spent."""

from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from recsys.registry.findings import group_sums
from recsys.registry.run_files import Row, RunFiles
from recsys.registry.theme import (
    ACCENT,
    GREY,
    GRID,
    GROUPS,
    MUTED,
    NARROW,
    SINGLES,
    Look,
    looks,
    panels,
    value_axis,
)
from recsys.registry.wording import count, duration, label, percent

_TOP_FEATURES = 15
_CURVE_POINTS = 60


def importance(run: RunFiles, width: float) -> Figure:
    """Share of the ranker's gain: by group, and of its leading features in their group's colour."""
    sums = group_sums(run.importances)
    colors = {group: GROUPS[i % len(GROUPS)] for i, group in enumerate(sums)}
    top = sorted(run.importances, key=lambda row: -row["gain"])[:_TOP_FEATURES]
    figure = Figure(figsize=(width, 0.7 + 0.25 * len(top)), layout="constrained")
    if width < NARROW:
        figure.set_figheight(1.4 + 0.25 * (len(top) + len(sums)))
        groups, features = figure.subplots(2, 1, height_ratios=(len(sums) + 1, len(top) + 1))
    else:
        groups, features = figure.subplots(1, 2, width_ratios=(0.8, 1.2))
    _bars(groups, {label(g): share for g, share in sums.items()}, list(colors.values()), percent)
    _bars(
        features,
        {label(r["feature"]): r["gain"] for r in top},
        [colors[str(r["group"])] for r in top],
        percent,
    )
    groups.set_title("By group of features")
    features.set_title(f"The {len(top)} leading of {len(run.importances)} features")
    for ax in (groups, features):
        value_axis(ax, "coverage")
        ax.set_xlabel("share of the total gain")
    return figure


def _bars(ax: Axes, values: Mapping[str, float], colors: list[str], write: Callable[[float], str]) -> None:
    """Horizontal bars from top to bottom, each with its value written at its end."""
    ys = range(len(values))
    ax.barh(ys, list(values.values()), color=colors, height=0.66)
    for y, value in zip(ys, values.values(), strict=True):
        ax.annotate(write(value), (value, y), (4, 0), textcoords="offset points", va="center", fontsize=8, color=MUTED)
    ax.set_yticks(ys, list(values))
    ax.set_ylim(len(values) - 0.4, -0.6)
    ax.set_xlim(0, 1.22 * max(values.values(), default=0) or 1)
    ax.grid(axis="y", visible=False)


def concentration(counts: list[int]) -> tuple[list[float], list[float]]:
    """Cumulative share of slots (y) held by the x most shown items; x from 1 to all shown, in log steps."""
    shown = np.sort(np.asarray([c for c in counts if c > 0], dtype=np.float64))[::-1]
    if not len(shown):
        return [], []
    shares = np.cumsum(shown) / shown.sum()
    steps = np.unique(np.geomspace(1, len(shown), _CURVE_POINTS).round().astype(int))
    return steps.astype(float).tolist(), shares[steps - 1].tolist()


def reach(run: RunFiles, width: float) -> Figure:
    """Share of all slots held by the x most shown items; a curve ends with a dot where its items end."""
    style = looks(run.metrics["records"], run.best)
    figure, (ax,) = panels(width, 3.6 if width >= NARROW else 4.6, 1)
    widest = sorted(run.coverage, key=lambda name: -sum(c > 0 for c in run.coverage[name]["counts"]))
    for name in widest:
        _reach_curve(ax, run.coverage[name]["counts"], style.get(name, Look(label=label(name), color=GREY)))
    ax.set_xscale("log")
    ax.set_xlim(1, max(10, run.run["known_items"]))
    ax.set_ylim(0, 1.04)
    ax.xaxis.set_major_locator(LogLocator(10))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"], color=MUTED)
    ax.set_xlabel(f"most shown items, of {count(run.run['known_items'])} known (log scale)")
    ax.set_ylabel("share of all recommendation slots")
    if width < NARROW:
        figure.legend(loc="outside lower center", ncols=2)
    else:
        figure.legend(loc="outside right center")
    return figure


def _reach_curve(ax: Axes, counts: list[int], look: Look) -> None:
    xs, ys = concentration(counts)
    if not xs:
        return
    entry = f"{look.label}, {count(xs[-1])} items"
    ax.plot(
        xs, ys, color=look.color, lw=2.6 if look.strong else 1.3, marker=look.marker, markevery=[len(xs) - 1],
        ms=8 if look.strong else 5.5, label=entry, zorder=3 if look.strong else 2, clip_on=False,
    )  # fmt: skip


def removed(ingest: Row) -> dict[str, int]:
    """Rows read but not kept as rows of their own, by what became of them; the rest, if any, is named so."""
    parts = {
        "merged lines": int(ingest.get("merged_lines", 0)),
        "matched returns": int(ingest.get("returns_matched", 0)),
        "rejected": int(ingest["rejected"]),
    }
    rest = int(ingest["read"]) - int(ingest["kept"]) - sum(parts.values())
    return {name: rows for name, rows in {**parts, "otherwise left out": max(0, rest)}.items() if rows}


def intake(run: RunFiles, width: float) -> Figure:
    """One bar from read to kept, and below it the refused rows by rule on a scale of their own."""
    parts, rules = removed(run.ingest), sorted(run.ingest["rules"], key=lambda rule: -rule["rows"])
    bars = {label(rule["rule"]): rule["rows"] for rule in rules if rule["rows"]}
    figure = Figure(figsize=(width, 1.9 + 0.27 * len(bars)), layout="constrained")
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=[1.3, 0.27 * len(bars) + 0.6])[:, 0]
    _stack(upper.subplots(), {"kept": int(run.ingest["kept"]), **parts}, int(run.ingest["read"]), width)
    if bars:
        ax = lower.subplots()
        _bars(ax, bars, [GREY] * len(bars), count)
        ax.set_title("Rows refused, by rule")
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    return figure


def _stack(ax: Axes, parts: dict[str, int], read: int, width: float) -> None:
    left, colors = 0, (SINGLES[0], SINGLES[3], GREY, ACCENT, SINGLES[2])
    fixed = dict(zip(("kept", "merged lines", "matched returns", "rejected"), colors, strict=False))
    for name, rows in parts.items():
        share = percent(rows / read if read else 0)
        ax.barh(
            0,
            rows,
            left=left,
            color=fixed.get(name, colors[4]),
            height=0.5,
            label=f"{name} {count(rows)} ({share})",
        )
        left += rows
    ax.set(xlim=(0, max(read, left, 1)), ylim=(-0.4, 0.4), yticks=[])
    ax.grid(visible=False)
    ax.set_xticks([])
    ax.set_title(f"{count(read)} rows read")
    ax.spines["bottom"].set_visible(False)
    ax.legend(loc="upper left", bbox_to_anchor=(-0.01, 0.06), ncols=1 if width < NARROW else 5, borderpad=0)


def stage_times(run: RunFiles, width: float) -> Figure:
    """Seconds per stage, in the order in which they ran."""
    seconds = {label(stage): float(value) for stage, value in run.run["seconds"].items()}
    figure, (ax,) = panels(width, 0.55 + 0.25 * len(seconds), 1)
    longest = max(seconds.values())
    _bars(ax, seconds, [SINGLES[0] if v == longest else GREY for v in seconds.values()], duration)
    ax.set_xlabel("seconds")
    ax.axvline(0, color=GRID, lw=1)
    return figure
