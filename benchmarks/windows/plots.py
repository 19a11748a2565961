"""Small multiples of a rolling origin: windows across, a row per task, a column per segment."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from benchmarks.windows.pooling import BEST_OF_EACH, POOLED, Row
from recsys.evaluation.protocols import HYBRID
from recsys.registry.figures import Plot
from recsys.registry.findings import standing
from recsys.registry.run_files import number, select
from recsys.registry.theme import ACCENT, INK, MUTED, PAPER, Look, looks, side_labels, value_axis
from recsys.registry.wording import label, metric_name, segment_name, task_name

METRIC = "recall"
ROW_HEIGHT = 3.0  # inches
LABELS = 4  # days under a panel that do not touch


def save_plots(found: Row, out: Path) -> list[Path]:
    """ratios.png and values.png."""
    name = metric_name(METRIC, found["k"])
    pairs = [r for r in select(found["paired"], metric=METRIC) if r["window"] != POOLED]
    above, below = (sum(standing(r) == side for r in pairs) for side in ("better", "worse"))
    beyond = f"above 1 beyond chance in {above} of {len(pairs)} comparisons, below in {below}"
    drawn = {
        "ratios": (f"{name} of hybrid / best single model: {beyond}", lambda width: ratios(found, width)),
        "values": (f"{name} in every window", lambda width: values(found, width)),
    }
    return [
        Plot(key=key, section="rolling", title=title, note="", draw=draw).save(out / f"{key}.png")
        for key, (title, draw) in drawn.items()
    ]


def ratios(found: Row, width: float) -> Figure:
    """Dot and whisker per window, hollow where the interval holds 1; band: pooled over all windows."""
    rows = [r for r in select(found["paired"], metric=METRIC) if r["baseline"] != BEST_OF_EACH]
    cuts = [w["cut"] for w in found["windows"]]
    figure, axes = _grid(rows, width)
    for (task, segment), ax in axes.items():
        here = select(rows, task=task, segment=segment)
        _pooled_band(ax, select(here, window=POOLED)[0], len(cuts))
        for at, cut in enumerate(cuts):
            _whisker(ax, at, select(here, window=cut)[0])
        ax.axhline(1, color=INK, lw=1.1, zorder=1)
        ax.set_ylim(*_limits(here))
        ax.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
        _window_axis(ax, cuts, (task, segment))
    dots = f"Dot and whisker: ratio and {_level(found)} interval of a window, hollow where it holds 1."
    _caption(figure, f"First day of the test window. {dots} Line and band: all windows pooled.")
    return figure


def _level(found: Row) -> str:
    return f"{100 * found['recipe']['evaluation']['level']:g}%"


def _caption(figure: Figure, text: str) -> None:
    figure.supxlabel(text, x=0.01, ha="left", fontsize=8.5, color=MUTED)


def _grid(rows: list[Row], width: float) -> tuple[Figure, dict[tuple[str, str], Axes]]:
    tasks, segments = (list(dict.fromkeys(r[name] for r in rows)) for name in ("task", "segment"))
    figure = Figure(figsize=(width, ROW_HEIGHT * len(tasks) + 0.5), layout="constrained")
    grid = figure.subplots(len(tasks), len(segments), squeeze=False)
    return figure, {(t, s): grid[i][j] for i, t in enumerate(tasks) for j, s in enumerate(segments)}


def _pooled_band(ax: Axes, row: Row, n: int) -> None:
    low, ratio, high = (number(row[name]) for name in ("ratio_low", "ratio", "ratio_high"))
    if low is None or ratio is None or high is None:
        return
    ax.axhspan(low, high, color=ACCENT, alpha=0.12, lw=0)
    ax.axhline(ratio, color=ACCENT, lw=1, alpha=0.6)
    ax.annotate(
        f"pooled {ratio:.2f}\nvs {label(row['baseline'])}", (n - 0.5, ratio), (5, 0), textcoords="offset points",
        va="center", fontsize=8, color=ACCENT, annotation_clip=False,
    )  # fmt: skip


def _whisker(ax: Axes, at: int, row: Row) -> None:
    low, ratio, high = (number(row[name]) for name in ("ratio_low", "ratio", "ratio_high"))
    if ratio is None:
        return
    ax.vlines(at, ratio if low is None else low, ratio if high is None else high, color=ACCENT, lw=2.2, alpha=0.6)
    face = PAPER if standing(row) == "undecided" else ACCENT
    ax.plot(at, ratio, "o", color=ACCENT, mfc=face, ms=6, mew=1.5)


def _limits(rows: list[Row]) -> tuple[float, float]:
    """All intervals and the line at 1, with room above and below."""
    found = [number(r[name]) for r in rows for name in ("ratio", "ratio_low", "ratio_high")]
    known = [value for value in found if value is not None] + [0.95, 1.05]
    room = 0.08 * (max(known) - min(known))
    return min(known) - room, max(known) + room


def _window_axis(ax: Axes, cuts: list[str], at: tuple[str, str]) -> None:
    ax.set_xlim(-0.5, len(cuts) - 0.5)
    step = -(-len(cuts) // LABELS)
    said = [cut[5:] if (len(cuts) - 1 - at) % step == 0 else "" for at, cut in enumerate(cuts)]
    ax.set_xticks(range(len(cuts)), said)
    ax.grid(axis="x", visible=False)
    ax.set_title(f"{task_name(at[0])}, {segment_name(at[1])}")
    ax.tick_params(axis="y", labelcolor=MUTED)


def values(found: Row, width: float) -> Figure:
    """Every contender's figure by window; the hybrid in front with its interval."""
    rows = [r for r in select(found["records"], metric=METRIC) if r["window"] != POOLED]
    style, cuts = looks(rows, HYBRID), [w["cut"] for w in found["windows"]]
    figure, axes = _grid(rows, width)
    for (task, segment), ax in axes.items():
        ends: dict[str, tuple[float, float]] = {}
        here = select(rows, task=task, segment=segment)
        for name in sorted(style, key=lambda one: one == HYBRID):
            own = [r for r in select(here, contender=name) if r["value"] is not None]
            if own:
                ends[name] = _line(ax, own, cuts, style[name])
        ax.set_ylim(0, 1.06 * max(r["high"] or r["value"] or 0.0 for r in here) or 1.0)
        value_axis(ax, METRIC, vertical=True, ticks=5)
        _window_axis(ax, cuts, (task, segment))
        side_labels(ax, ends, style, gap=0.08)
    _caption(figure, f"First day of the test window. Whisker: {_level(found)} interval of the hybrid over queries.")
    return figure


def _line(ax: Axes, rows: list[Row], cuts: list[str], look: Look) -> tuple[float, float]:
    """Draws one contender; returns its last point."""
    xs, ys = [cuts.index(r["window"]) for r in rows], [r["value"] for r in rows]
    if look.strong:
        low, high = ([r[name] if r[name] is not None else r["value"] for r in rows] for name in ("low", "high"))
        ax.vlines(xs, low, high, color=look.color, lw=2.2, alpha=0.5)
    ax.plot(xs, ys, marker=look.marker, color=look.color, lw=2.2 if look.strong else 1.2, ms=5.5 if look.strong else 4)
    return xs[-1], ys[-1]
