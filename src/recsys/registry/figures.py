"""Every figure of a run: what it is called, what it says, how it is drawn; inline SVG or PNG files."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from recsys.registry import (
    calibration_plots,
    commerce_page,
    drift_findings,
    drift_plots,
    findings,
    quality_plots,
    run_plots,
    segment_findings,
    segment_plots,
)
from recsys.registry.run_files import Row, RunFiles, load_run_files, number, select, tasks_of
from recsys.registry.theme import PAPER, chart_style, to_svg

WIDE, SLIM = 10.4, 4.4  # inches; drawn at about 1040 and 400 pixels
PNG_DPI = 110


@dataclass(frozen=True, kw_only=True)
class Plot:
    """One figure: `title` says its finding, `note` how to read it, `draw` takes a width in inches."""

    key: str
    section: str
    title: str
    note: str
    draw: Callable[[float], Figure]

    def svg(self, width: float, suffix: str) -> str:
        with chart_style():
            return to_svg(self.draw(width), f"{self.key}-{suffix}", f"{self.title}. {self.note}")

    def save(self, path: Path) -> Path:
        """PNG on white with its title, written whole or not at all."""
        waiting = path.with_suffix(".tmp")
        with chart_style():
            figure = self.draw(WIDE)
            figure.suptitle(self.title, x=0.01, ha="left", fontweight="bold", fontsize=12)
            figure.savefig(waiting, format="png", dpi=PNG_DPI, facecolor=PAPER)
        os.replace(waiting, path)
        return path


def save_figures(directory: Path, output_dir: Path) -> list[Path]:
    """Write every figure of a run directory as `<key>.png`, 110 dots per inch; paths in reading order."""
    run = load_run_files(directory)
    output_dir.mkdir(parents=True, exist_ok=True)
    return [plot.save(output_dir / f"{plot.key}.png") for plot in plots_of(run)]


def plots_of(run: RunFiles) -> list[Plot]:
    """The figures this run has data for, in reading order."""
    return [
        *_task_plots(run),
        *_comparison_plots(run),
        *_segment_plots(run),
        *_ranker_plots(run),
        *_drift_plots(run),
        *_run_plots(run),
    ]


def _task_plots(run: RunFiles) -> list[Plot]:
    note = "Dots are values, bars their intervals. Sorted by all purchases."
    return [
        Plot(
            key=f"values-{i}", section="values", title=findings.task_finding(run, task), note=note,
            draw=partial(quality_plots.dots, run, task),
        )
        for i, task in enumerate(tasks_of(run.metrics["records"]))
        if quality_plots.primary_rows(run, task)
    ]  # fmt: skip


def _comparison_plots(run: RunFiles) -> list[Plot]:
    found: list[Plot] = []
    paired = quality_plots.paired_rows(run)
    if paired:
        found.append(Plot(
            key="ratios", section="ratios", title=findings.paired_finding(paired, run.best),
            note="Same queries, compared one by one. Right of the line is better; a hollow dot's interval "
            "includes 1." + findings.without_ratio(run),
            draw=partial(quality_plots.forest, run),
        ))  # fmt: skip
    if select(run.metrics["records"], metric=run.primary["metric"], segment="all"):
        found.append(Plot(
            key="depth", section="depth", title=findings.depth_finding(run),
            note="All purchases. The shaded band is the interval of the best contender.",
            draw=partial(quality_plots.by_k, run),
        ))  # fmt: skip
    if quality_plots.has_repeat_new(run):
        found.append(Plot(
            key="repeat-new", section="repeat-new", title=findings.repeat_new_finding(run),
            note="Right: finds what the customer buys again. Up: finds what is new to the customer.",
            draw=partial(quality_plots.repeat_new, run),
        ))  # fmt: skip
    return found


def _segment_plots(run: RunFiles) -> list[Plot]:
    chosen = {d: segment_plots.segment_rows(run, d) for d in segment_plots.dimensions(run)}
    compared = segment_plots.compared_rows(run)
    forest = Plot(
        key="segments-ratios", section="segments", title=segment_findings.forest_finding(compared),
        note="Each group against its own best single model. A hollow dot's interval includes 1; of many intervals at "
        "95%, one in forty lies wholly below 1 by chance.",
        draw=partial(segment_plots.segment_forest, run),
    )  # fmt: skip
    return ([forest] if compared else []) + [
        Plot(
            key=f"segments-{i}", section="segments",
            title=segment_findings.segment_finding(rows, run.best, dimension),
            note=_segment_note(rows), draw=partial(segment_plots.by_segment, run, dimension),
        )
        for i, (dimension, rows) in enumerate(chosen.items())
        if rows
    ]  # fmt: skip


def _segment_note(rows: list[Row]) -> str:
    if any(row.get("of") == "items" for row in rows):
        return (
            "Bars are intervals. Recall of the relevant items of the group, in the list of all items; n counts the "
            "queries with such an item."
        )
    return "Bars are intervals; n counts the queries of a group."


def _ranker_plots(run: RunFiles) -> list[Plot]:
    found: list[Plot] = []
    if any((number(row["gain"]) or 0) > 0 for row in run.importances):
        found.append(Plot(
            key="importance", section="ranker", title=findings.importance_finding(run.importances),
            note="Gain is what a feature's splits took off the ranker's loss; correlated features share it.",
            draw=partial(run_plots.importance, run),
        ))  # fmt: skip
    if any(sum(data["counts"]) for data in run.coverage.values()):
        found.append(Plot(
            key="reach", section="reach", title=findings.coverage_finding(run),
            note="The further right a curve rises, the more of the shop is shown; it ends at its last item.",
            draw=partial(run_plots.reach, run),
        ))  # fmt: skip
    if run.calibration:
        found.append(Plot(
            key="reliability", section="reliability", title=findings.calibration_finding(run.calibration),
            note="On the dashed line a probability means what it says. Both scales are logarithmic; bars are "
            "intervals, a triangle stands where nothing was bought, larger dots stand for more rows.",
            draw=partial(calibration_plots.reliability, run),
        ))  # fmt: skip
    return found + _commerce_plots(run)


def _commerce_plots(run: RunFiles) -> list[Plot]:
    return [
        Plot(
            key=f"value-{what}", section="worth", title=commerce_page.value_finding(run, what),
            note="One list per weight of the worth: 0 is the list as it stands, 1 the order by probability × "
            f"{what}. Bars are intervals of both sides.",
            draw=partial(commerce_page.trade_off, run, what),
        )
        for what in commerce_page.worths(run)
    ]  # fmt: skip


def _drift_plots(run: RunFiles) -> list[Plot]:
    """Only where there was an accepted run to compare with."""
    found: list[Plot] = []
    orders, lists = (drift_plots.charts_of(run.drift, part) for part in ("orders", "lists"))
    if orders:
        found.append(Plot(
            key="drift-daily", section="drift", title=drift_findings.daily_finding(run.drift),
            note="A pale last bar is a day that is not over yet.", draw=partial(drift_plots.daily, run.drift),
        ))  # fmt: skip
    if "categories" in orders:
        found.append(Plot(
            key="drift-orders", section="drift", title=drift_findings.check_finding(run.drift, "category_mix"),
            note="Categories by size; the longer the line between two dots, the more a category moved.",
            draw=partial(drift_plots.orders, run.drift),
        ))  # fmt: skip
    if lists:
        found.append(Plot(
            key="drift-lists", section="drift", title=drift_findings.check_finding(run.drift, "list_overlap"),
            note="The same sampled customers asked both models; lists of ten.",
            draw=partial(drift_plots.lists, run.drift),
        ))  # fmt: skip
    return found


def _run_plots(run: RunFiles) -> list[Plot]:
    twice = sum(rule["rows"] for rule in run.ingest["rules"]) > run.ingest["rejected"]
    intake = Plot(
        key="intake", section="data", title=findings.ingest_finding(run.ingest),
        note=f"A refused row counts {'under each rule it breaks' if twice else 'once'}.",
        draw=partial(run_plots.intake, run),
    )  # fmt: skip
    if not run.run["seconds"]:
        return [intake]
    times = Plot(
        key="times", section="times", title=findings.seconds_finding(run.run["seconds"]),
        note="Wall-clock time of each stage.", draw=partial(run_plots.stage_times, run),
    )  # fmt: skip
    return [intake, times]
