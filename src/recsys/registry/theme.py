"""One palette and one set of chart manners: drawn in light colours, as CSS variables on the page."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from io import StringIO
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from recsys.registry.run_files import Row
from recsys.registry.wording import PERCENT, label

INK, MUTED, GRID, PAPER = "#1d2733", "#5f6c7b", "#dfe4ea", "#fefefe"
ACCENT, ACCENT_TWO, ACCENT_SOFT, GREY = "#d55e00", "#e69f00", "#e3a57e", "#8b95a1"
# Okabe-Ito and Tol's muted set, ordered so that neighbours differ in lightness too
SINGLES = ("#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#882255", "#999933", "#44aa99", "#6f63bb")
GROUPS = ("#77aadd", "#44bb99", "#ee8866", "#aaaa00", "#ffaabb", "#99ddff", "#bbcc33", "#eedd88")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "h")
NARROW = 6.0  # inches; a narrower figure stacks its panels

_VARIABLES = {
    INK: "ink", MUTED: "muted", GRID: "grid", PAPER: "card",
    ACCENT: "accent", ACCENT_TWO: "accent-two", ACCENT_SOFT: "accent-soft", GREY: "grey",
    **{color: f"single-{i}" for i, color in enumerate(SINGLES)},
}  # fmt: skip

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans", "font.size": 9, "axes.titlesize": 9.5, "axes.labelsize": 9,
    "axes.titlelocation": "left", "axes.titleweight": "bold", "axes.titlecolor": INK, "axes.titlepad": 9,
    "axes.labelcolor": MUTED, "axes.edgecolor": GRID, "axes.facecolor": "none", "figure.facecolor": "none",
    "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False,
    "axes.grid": True, "axes.axisbelow": True, "grid.color": GRID, "grid.linewidth": 0.7, "text.color": INK,
    "xtick.color": GRID, "ytick.color": GRID, "xtick.labelcolor": MUTED, "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5, "ytick.labelsize": 9, "xtick.major.pad": 6, "ytick.major.pad": 7,
    "figure.constrained_layout.h_pad": 0.09, "figure.constrained_layout.w_pad": 0.09,
    "xtick.major.size": 0, "ytick.major.size": 0,
    "xtick.minor.size": 0, "ytick.minor.size": 0, "legend.frameon": False, "legend.fontsize": 8.5,
    "svg.fonttype": "none", "svg.hashsalt": "recsys",
    "text.parse_math": False,  # a name with two dollar signs is a name, not a formula
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Look:
    """How one contender is drawn in every figure. `strong` is the one the report is about."""

    label: str
    color: str
    marker: str = "o"
    strong: bool = False

    @property
    def variable(self) -> str:
        """Its colour as CSS, light or dark with the page."""
        return f"var(--{_VARIABLES[self.color]})"

    @property
    def weight(self) -> str:
        return "bold" if self.strong else "normal"


def looks(records: list[Row], best: str) -> dict[str, Look]:
    """One look per contender, by kind and order of first appearance, the same in every figure."""
    kinds = {str(row["contender"]): str(row["kind"]) for row in records}
    singles = [name for name, kind in kinds.items() if kind == "single"]
    return {
        name: Look(label=label(name), strong=name == best, **_paint(name, kind, singles, list(kinds), best))
        for name, kind in kinds.items()
    }


def _paint(name: str, kind: str, singles: list[str], names: list[str], best: str) -> dict[str, str]:
    if kind == "single":
        position = singles.index(name)
        return {"color": SINGLES[position % len(SINGLES)], "marker": MARKERS[position // len(SINGLES) % 8]}
    if kind == "hybrid":
        return {"color": ACCENT if name == best or best in singles else ACCENT_TWO}
    marker = MARKERS[names.index(name) % len(MARKERS)]
    return {"color": ACCENT_SOFT if kind == "ablation" else GREY, "marker": marker}


@contextmanager
def chart_style() -> Iterator[None]:
    """Our manners for figures made and saved inside; whatever was set before is set again after."""
    with rc_context(_STYLE):
        yield


def panels(width: float, height: float, n: int) -> tuple[Figure, list[Axes]]:
    """A figure of n panels, side by side when wide and stacked when narrow; `height` inches per row."""
    stacked = width < NARROW
    rows, columns = (n, 1) if stacked else (1, n)
    figure = Figure(figsize=(width, height * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    return figure, list(grid.ravel())


def value_axis(ax: Axes, metric: str, *, vertical: bool = False, ticks: int = 4) -> None:
    """Few round ticks from zero, as percent where the metric is a share."""
    axis = ax.yaxis if vertical else ax.xaxis
    axis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10]))
    axis.set_tick_params(labelcolor=MUTED)
    if metric in PERCENT:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g}%"))


def spread(positions: list[float], gap: float, low: float = 0.0, high: float = 1.0) -> list[float]:
    """Ascending positions moved as little upwards as keeps them `gap` apart, then back below `high`."""
    placed: list[float] = []
    for position in positions:
        placed.append(max(position, placed[-1] + gap if placed else low))
    for i in range(len(placed) - 1, -1, -1):
        ceiling = high if i == len(placed) - 1 else placed[i + 1] - gap
        placed[i] = min(placed[i], ceiling)
    return placed


def side_labels(ax: Axes, points: Mapping[str, tuple[float, float]], look: Mapping[str, Look], gap: float) -> None:
    """Names in a column right of the panel, each tied to its point; `gap` in shares of the panel's height."""
    bottom, top = ax.get_ylim()
    ordered = sorted(points, key=lambda name: points[name][1])
    heights = [(points[name][1] - bottom) / (top - bottom) for name in ordered]
    for name, height in zip(ordered, spread(heights, gap), strict=True):
        ax.annotate(
            look[name].label, xy=points[name], xytext=(1.05, height), textcoords=ax.transAxes, va="center",
            color=look[name].color, fontsize=8.5, fontweight=look[name].weight, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": look[name].color, "lw": 0.6, "alpha": 0.6,
                        "relpos": (0, 0.5), "patchA": None, "shrinkA": 3},  # cutting at the text's box takes long
        )  # fmt: skip


def to_svg(figure: Figure, key: str, alt: str) -> str:
    """Inline SVG whose ids start with `key`, whose colours follow the page, with no address in it."""
    buffer = StringIO()
    figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<!--.*?-->|<style[^>]*>.*?</style>|\sxmlns(:\w+)?=\"[^\"]*\"", "", text, flags=re.DOTALL)
    text = re.sub(r"<[^>]+>", lambda tag: _page_tag(tag[0], key), text)
    head, _, rest = text.partition(">")
    head = re.sub(r'\s(width|height)="[^"]*"', "", head).replace(
        "<svg", f'<svg role="img" aria-label="{escape(alt)}"', 1
    )
    return f"{head}>{rest}".strip()


def _page_tag(tag: str, key: str) -> str:
    """One tag with ids of its own, the page's font and colours, and no more decimals than a screen shows."""
    tag = re.sub(r'(\sid="|url\(#|href="#)', rf"\g<1>{key}-", tag)
    tag = re.sub(r"font-family: [^;\"]*", "font-family: inherit", tag)
    tag = re.sub(r"(\d\.\d{2})\d+", r"\1", tag)
    return re.sub(r"#[0-9a-f]{6}\b", lambda color: _page_color(color[0]), tag)


def _page_color(color: str) -> str:
    return f"var(--{_VARIABLES[color]})" if color in _VARIABLES else color
