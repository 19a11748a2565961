"""The reliability plot: what was promised against what was bought, readable where probabilities are tiny."""

from math import ceil, floor, log10
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from recsys.registry.run_files import Row, RunFiles, number, tasks_of
from recsys.registry.theme import ACCENT, MUTED, SINGLES, panels
from recsys.registry.wording import task_name

LOWEST = 1e-5  # a smaller share is drawn there
FEW_ROWS = 10  # a bin of fewer is in the table of numbers only


def reliability(run: RunFiles, width: float) -> Figure:
    """Observed against predicted share per bin on logarithmic scales, all candidates and the listed ones."""
    tasks = tasks_of({"task": task} for task in run.calibration)
    figure, axes = panels(width, 4.2, len(tasks))
    for ax, task in zip(axes, tasks, strict=True):
        _panel(ax, task_name(task), run.calibration[task], ("all candidates", "first 10 of the list"))
    axes[0].set_ylabel("bought in fact")
    return figure


def accepted(data: Row, width: float) -> Figure:
    """The same of offers that were shown: accepted against predicted, all of them and the first of each list."""
    figure, (ax,) = panels(width, 4.2, 1)
    _panel(ax, "Shown offers", data, ("all offers", "first of its list"))
    ax.set_ylabel("accepted in fact")
    return figure


def _panel(ax: Axes, title: str, data: Row, names: tuple[str, str]) -> None:
    every, listed = _bins(data), _bins(data.get("listed") or {"bins": []})
    start, end = _limits(every + listed)
    ax.plot([start, end], [start, end], color=MUTED, lw=1, ls=(0, (4, 3)), zorder=1)
    _series(ax, every, start, ACCENT, names[0])
    _series(ax, listed, start, SINGLES[0], names[1])
    ax.set_title(f"{title}: Brier {data['brier']:.4f}, reference {data['brier_reference']:.4f}")
    ax.set_xlabel("predicted probability")
    _scales(ax, start, end)
    ax.legend(loc="upper left")


def _bins(data: Row) -> list[Row]:
    return [b for b in data["bins"] if number(b["observed"]) is not None and b["n"] >= FEW_ROWS]


def _limits(bins: list[Row]) -> tuple[float, float]:
    """Whole decades around all that is above 0."""
    shares = [float(b[name]) for b in bins for name in ("predicted", "observed") if b[name] > 0]
    return 10.0 ** floor(log10(max(LOWEST, min(shares, default=0.1)))), 10.0 ** ceil(log10(max(shares, default=1.0)))


def _series(ax: Axes, bins: list[Row], start: float, color: str, name: str) -> None:
    """Dots with interval bars; where nothing was bought, a triangle on the lower edge."""
    if not bins:
        return
    most = max(b["n"] for b in bins)
    some, none = [b for b in bins if b["observed"] > 0], [b for b in bins if b["observed"] <= 0]
    at: dict[str, Any] = {"color": color, "clip_on": False, "zorder": 3}
    for b in bins:
        low, high = number(b.get("low")), number(b.get("high"))
        if low is not None and high is not None and high > start:
            ax.plot([max(start, b["predicted"])] * 2, [max(start, low), high], color=color, lw=2, alpha=0.4)
    xs, ys = [max(start, b["predicted"]) for b in some], [max(start, b["observed"]) for b in some]
    ax.plot(xs, ys, color=color, lw=1, alpha=0.6)
    ax.scatter(xs, ys, s=[10 + 45 * (b["n"] / most) ** 0.5 for b in some], lw=0, label=name, **at)
    ax.scatter([max(start, b["predicted"]) for b in none], [start] * len(none), s=22, marker="v", lw=0, **at)


def _scales(ax: Axes, start: float, end: float) -> None:
    decades = [10.0**e for e in range(round(log10(start)), round(log10(end)) + 1)]
    ax.set(xscale="log", yscale="log", xlim=(start, end), ylim=(start, end))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(FixedLocator(decades))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.5g}%"))
        axis.set_tick_params(labelcolor=MUTED)
