"""Figures: they show the numbers they were given, in stable colours, and leave matplotlib as it was."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.registry import calibration_plots, quality_plots, run_plots, segment_plots
from recsys.registry.figures import SLIM, WIDE, plots_of, save_figures
from recsys.registry.run_files import RunFiles, load_run_files
from recsys.registry.theme import SINGLES, chart_style, looks, spread


@pytest.fixture(scope="module")
def run(sample: Any, tmp_path_factory: pytest.TempPathFactory) -> RunFiles:
    return load_run_files(sample.write(tmp_path_factory.mktemp("figures")))


def test_png_files_have_the_promised_size_and_nothing_else_lies_about(sample: Any, tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    paths = save_figures(sample.small(tmp_path / "run"), tmp_path / "out")
    assert [p.name for p in paths] == [
        "values-0.png", "ratios.png", "depth.png", "repeat-new.png", "intake.png", "times.png",
    ]  # fmt: skip
    assert sorted(paths) == sorted((tmp_path / "out").iterdir())
    for path in paths:
        content = path.read_bytes()
        assert content.startswith(b"\x89PNG")
        assert int.from_bytes(content[16:20], "big") == round(WIDE * 110)
    assert dict(mpl.rcParams) == before


def test_importing_figures_never_touches_pyplot() -> None:
    code = "import sys, recsys.registry.figures; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_whole_run_has_every_figure(run: RunFiles) -> None:
    assert [plot.key for plot in plots_of(run)] == [
        "values-0", "values-1", "ratios", "depth", "repeat-new", "segments-ratios", "segments-0", "segments-1",
        "segments-2", "importance", "reach", "reliability", "intake", "times",
    ]  # fmt: skip


def test_titles_say_findings(run: RunFiles) -> None:
    titles = {plot.key: plot.title for plot in plots_of(run)}
    assert titles["values-0"] == "Next basket: hybrid 30.3%, ahead of hybrid without cart 29.1%"
    assert titles["ratios"] == "Hybrid beats the best single model in 2 of 5 comparisons and loses in 1"
    assert titles["segments-2"] == "By cart size: hybrid leads in 3 of 3 groups"
    assert titles["segments-ratios"] == (
        "Hybrid beats the group's best single model beyond chance in 2 of 17 groups, and is worse in 5"
    )
    assert titles["intake"] == "98.1% of 1,469,307 rows read were kept; 1 of 3 checks failed"
    assert titles["times"] == "4 min 50 s in all; train ranker took 25.8%"


def test_depth_title_names_the_shorter_list(sample: Any, tmp_path: Path) -> None:
    content = sample.metrics()
    for row in content["records"]:
        if row["contender"] == "hybrid" and row["metric"] == "recall" and row["segment"] == "all":
            row["value"] = {5: 0.26, 10: 0.3, 20: 0.4}[row["k"]]
    found = plots_of(load_run_files(sample.small(tmp_path, metrics=content)))
    title = next(plot.title for plot in found if plot.key == "depth")
    assert title == "5 recommendations of hybrid find what frequency needs 10 for"


def test_dots_stand_at_the_values_sorted_from_the_best(run: RunFiles) -> None:
    with chart_style():
        figure = quality_plots.dots(run, "next_basket", WIDE)
    panel = figure.axes[0]
    names = [text.get_text() for text in panel.get_yticklabels()]
    dots = {line.get_ydata()[0]: line.get_xdata()[0] for line in panel.lines if len(line.get_xdata()) == 1}
    rows = [r for r in quality_plots.primary_rows(run, "next_basket") if r["segment"] == "all"]
    assert {names[y]: x for y, x in dots.items()} == {r["contender"].replace("_", " "): r["value"] for r in rows}
    assert [dots[y] for y in sorted(dots)] == sorted(dots.values(), reverse=True)


def test_forest_is_hollow_exactly_where_the_interval_includes_one(run: RunFiles) -> None:
    rows = quality_plots.paired_rows(run)
    with chart_style():
        figure = quality_plots.forest(run, WIDE)
    dots = [line for ax in figure.axes for line in ax.lines if len(line.get_xdata()) == 1]
    hollow = {line.get_xdata()[0] for line in dots if line.get_markerfacecolor() != line.get_color()}
    assert len(dots) == len(rows)
    assert hollow == {r["ratio"] for r in rows if r["ratio_low"] <= 1 <= r["ratio_high"]}
    assert hollow


def test_huge_and_zero_ratios_stay_inside_the_panel(sample: Any, tmp_path: Path) -> None:
    content = sample.metrics()
    for row, ratio in zip(content["paired"], (0.0, 40.0, 1.0), strict=False):
        row.update(ratio=ratio, ratio_low=ratio * 0.5, ratio_high=ratio * 2)
    found = load_run_files(sample.write(tmp_path, metrics=content))
    with chart_style():
        figure = quality_plots.forest(found, SLIM)
        figure.draw_without_rendering()
    low, high = figure.axes[0].get_xlim()
    xs = [x for line in figure.axes[0].lines for x in line.get_xdata()]
    assert 0 < low <= min(xs) <= max(xs) <= high


def test_narrow_figures_stack_their_panels(run: RunFiles) -> None:
    with chart_style():
        slim, wide = (quality_plots.dots(run, "cart", width) for width in (SLIM, WIDE))
    assert [ax.get_subplotspec().rowspan.start for ax in slim.axes] == [0, 1, 2]
    assert [ax.get_subplotspec().rowspan.start for ax in wide.axes] == [0, 0, 0]


def test_svg_is_the_same_every_time_and_its_ids_are_its_own(run: RunFiles) -> None:
    plot = next(plot for plot in plots_of(run) if plot.key == "times")
    first = plot.svg(SLIM, "slim")
    assert first == plot.svg(SLIM, "slim")
    assert first.startswith("<svg ")
    assert 'id="times-slim-' in first
    assert "var(--ink)" in first
    assert "xmlns" not in first


def test_each_contender_has_one_look_and_only_the_best_is_strong(run: RunFiles) -> None:
    style = looks(run.metrics["records"], "hybrid")
    again = looks(list(reversed(run.metrics["records"])), "hybrid")
    singles = [r["contender"] for r in run.metrics["records"] if r["kind"] == "single"]
    assert len({(style[name].color, style[name].marker) for name in singles}) == len(set(singles))
    assert [name for name, look in style.items() if look.strong] == ["hybrid"]
    assert set(style) == set(again)
    assert style["hybrid"].color not in SINGLES


def test_many_singles_differ_by_marker_when_colours_run_out() -> None:
    rows = [{"contender": f"m{i}", "kind": "single"} for i in range(20)]
    style = looks(rows, "m0")
    assert len({(look.color, look.marker) for look in style.values()}) == 20


def test_concentration_known_answer() -> None:
    xs, ys = run_plots.concentration([5, 3, 2, 0])
    assert xs == [1, 2, 3]
    assert ys == pytest.approx([0.5, 0.8, 1.0])
    assert run_plots.concentration([0, 0]) == ([], [])


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=300))
def test_concentration_rises_to_one_and_lies_above_the_diagonal(counts: list[int]) -> None:
    xs, ys = run_plots.concentration(counts)
    if not any(counts):
        assert xs == []
        return
    assert ys[-1] == pytest.approx(1)
    assert np.all(np.diff(ys) > 0)
    assert np.all(np.asarray(ys) >= np.asarray(xs) / xs[-1] - 1e-9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_spread_labels_keep_their_order_and_distance(positions: list[float]) -> None:
    placed = spread(sorted(positions), gap=0.05)
    assert np.all(np.diff(placed) >= 0.05 - 1e-9)
    assert placed[-1] <= 1 + 1e-9
    assert placed[0] >= -1e-9


def test_rows_removed_add_up_to_read_less_kept(sample: Any) -> None:
    ingest = sample.ingest()
    assert sum(run_plots.removed(ingest).values()) == ingest["read"] - ingest["kept"]
    assert run_plots.removed({"read": 10, "kept": 6, "rejected": 1}) == {
        "rejected": 1,
        "otherwise left out": 3,
    }


def test_the_groups_forest_has_a_dot_per_compared_group(run: RunFiles) -> None:
    rows = segment_plots.compared_rows(run)
    with chart_style():
        figure = segment_plots.segment_forest(run, WIDE)
    dots = [line for ax in figure.axes for line in ax.lines if len(line.get_xdata()) == 1]
    assert sorted(line.get_xdata()[0] for line in dots) == sorted(r["ratio"] for r in rows)
    assert [len(ax.get_yticks()) for ax in figure.axes] == [7, 10]


def test_categories_are_rows_and_sizes_are_columns(run: RunFiles) -> None:
    with chart_style():
        rows, columns = (segment_plots.by_segment(run, d, WIDE) for d in ("category", "orders before"))
    assert [t.get_text() for t in rows.axes[0].get_yticklabels()] == [
        "Dairy, n = 2,200", "Household & garden, n = 900", "other, n = 400",
    ]  # fmt: skip
    assert [t.get_text() for t in columns.axes[0].get_xticklabels()] == [
        "1\nn = 350", "2–4\nn = 1,120", "5–19\nn = 2,980", "20+\nn = 1,700",
    ]  # fmt: skip


def test_groups_of_items_show_recall_where_another_metric_is_primary(sample: Any, tmp_path: Path) -> None:
    content = sample.metrics()
    content["primary"]["metric"] = "ndcg"
    found = load_run_files(sample.write(tmp_path, metrics=content))
    assert {r["metric"] for r in segment_plots.segment_rows(found, "category")} == {"recall"}


def test_reliability_is_logarithmic_and_marks_what_nobody_bought(run: RunFiles) -> None:
    with chart_style():
        figure = calibration_plots.reliability(run, WIDE)
        figure.draw_without_rendering()
    ax = figure.axes[0]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0.001%", "0.01%", "0.1%", "1%", "10%", "100%"]
    dots, none, *_ = ax.collections
    assert (len(dots.get_offsets()), len(none.get_offsets())) == (11, 1)
    assert none.get_offsets()[0][1] == ax.get_ylim()[0]
    np.testing.assert_allclose(dots.get_offsets()[:, 1], 0.8 * dots.get_offsets()[:, 0])


def test_reliability_of_an_older_run_has_no_intervals_and_is_drawn(sample: Any, tmp_path: Path) -> None:
    bins = [{"predicted": 0.2, "observed": 0.3, "n": 40}, {"predicted": 0.0, "observed": 0.0, "n": 900}]
    old = {"cart": {"bins": bins, "brier": 0.1, "brier_reference": 0.2}}
    found = load_run_files(sample.small(tmp_path, calibration=old))
    with chart_style():
        figure = calibration_plots.reliability(found, SLIM)
        figure.draw_without_rendering()
    dots = [point for c in figure.axes[0].collections for point in np.asarray(c.get_offsets()).tolist()]
    assert [0.2, 0.3] in dots
