"""Figures of the comparison with the last accepted run: orders a day, categories and prices, lists."""

from datetime import date
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from recsys.registry.run_files import Row
from recsys.registry.theme import ACCENT, GREY, MUTED, NARROW, SINGLES, panels, value_axis
from recsys.registry.wording import count, label

THEN, NOW = GREY, ACCENT
WIDE_RANGE = 100  # times from the smallest to the largest value: a logarithmic axis beyond
NAME = 24  # characters of a category's name
SCOPES = {"new": "new orders", "history": "the same days now", "whole": "all orders now"}


def charts_of(drift: Row, part: str) -> dict[str, Any]:
    found: dict[str, Any] = drift.get("parts", {}).get(part, {}).get("charts", {})
    return found


def daily(drift: Row, width: float) -> Figure:
    """Orders a day; those after the accepted run's last day in the accent colour, an unfinished last day pale."""
    charts = charts_of(drift, "orders")
    days = [date.fromisoformat(day) for day in charts["daily"]]
    values = list(charts["daily"].values())
    since, whole = date.fromisoformat(charts["accepted"]), date.fromisoformat(charts["whole_until"])
    figure, (ax,) = panels(width, 2.5, 1)
    colors = [THEN if day <= since else NOW for day in days]
    alphas = [1.0 if day < whole else 0.4 for day in days]
    for at, (value, color, alpha) in enumerate(zip(values, colors, alphas, strict=True)):
        ax.bar(at, value, color=color, alpha=alpha, width=0.8)
    step = max(1, round(len(days) / (5 if width < NARROW else 9)))
    ax.set_xticks(range(0, len(days), step), [f"{day:%d %b}" for day in days[::step]])
    ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.tick_params(axis="y", labelcolor=MUTED)
    ax.grid(axis="x", visible=False)
    ax.set_ylabel("orders a day")
    _legend(figure, {f"in the accepted run, to {since}": THEN, "since then": NOW})
    return figure


def orders(drift: Row, width: float) -> Figure:
    """Lines by category, and quantiles of the unit prices, accepted beside now."""
    charts = charts_of(drift, "orders")
    height = 0.9 + 0.26 * len(charts["categories"])
    figure, (left, right) = panels(width, max(2.8, height), 2)
    pairs(left, charts["categories"], "the lines")
    left.set_title("Lines by category")
    _quantiles(right, charts["price_quantiles"], charts["prices"])
    right.set_title("Unit prices")
    right.set_ylabel("unit price")
    _legend(figure, {"accepted": THEN, SCOPES[charts["scope"]]: NOW})
    return figure


def lists(drift: Row, width: float) -> Figure:
    """Listed items by category, quantiles of the probabilities, and how much the lists of a customer overlap."""
    charts = charts_of(drift, "lists")
    figure, (left, middle, right) = panels(width, max(2.8, 0.9 + 0.26 * len(charts["categories"])), 3)
    pairs(left, charts["categories"], "the listed items")
    left.set_title("Listed items by category")
    then, now = charts["probabilities"]
    levels = [(at + 1) / (len(then) + 1) for at in range(len(then))]
    _quantiles(middle, levels, list(zip(then, now, strict=True)))
    middle.set_title("Probabilities")
    middle.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g}%"))
    middle.set_ylabel("probability of a listed item")
    _overlap(right, charts["overlap"])
    _legend(figure, {"accepted": THEN, "now": NOW})
    return figure


def pairs(ax: Axes, parts: list[dict[str, Any]], of: str) -> None:
    """Two dots a row, accepted and now, joined by a line."""
    ys = np.arange(len(parts))
    then, now = ([part[side] for part in parts] for side in ("accepted", "now"))
    ax.hlines(ys, then, now, color=MUTED, lw=1.2, alpha=0.6)
    ax.plot(then, ys, "o", color=THEN, ms=6)
    ax.plot(now, ys, "o", color=NOW, ms=6)
    ax.set_yticks(ys, [_short(part["name"]) for part in parts])
    ax.set_ylim(len(parts) - 0.4, -0.6)
    ax.set_xlim(left=0)
    ax.grid(axis="y", visible=False)
    value_axis(ax, "recall", ticks=3)
    ax.set_xlabel(f"share of {of}")


def _quantiles(ax: Axes, levels: list[float], values: list[Any]) -> None:
    """Two curves over the share of lines or items that lie below."""
    known = [(q, a, b) for q, (a, b) in zip(levels, values, strict=True) if a is not None and b is not None]
    if not known:
        ax.text(0.5, 0.5, "none", transform=ax.transAxes, ha="center", color=MUTED)
        return
    xs, then, now = zip(*known, strict=True)
    ax.plot(xs, then, color=THEN, marker="o", ms=4, lw=1.6)
    ax.plot(xs, now, color=NOW, marker="o", ms=4, lw=1.6)
    if min(*then, *now) > 0 and max(*then, *now) > WIDE_RANGE * min(*then, *now):
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.3g}"))
        ax.yaxis.set_minor_formatter(FuncFormatter(lambda _value, _at: ""))
    value_axis(ax, "recall", ticks=4)
    ax.tick_params(axis="y", labelcolor=MUTED)
    ax.set_xlabel("share that lies below")


def _overlap(ax: Axes, counts: list[int]) -> None:
    """Customers by Jaccard@10 of their two lists, in tenths."""
    ax.bar(np.arange(len(counts)) / 10 + 0.05, counts, width=0.085, color=SINGLES[0])
    ax.set_title("Overlap of lists")
    ax.set_xlim(0, 1)
    ax.set_xlabel("Jaccard@10: 0 nothing, 1 all in common")
    ax.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    ax.tick_params(axis="y", labelcolor=MUTED)
    ax.tick_params(axis="x", labelcolor=MUTED)
    ax.grid(axis="x", visible=False)
    ax.set_ylabel(f"of {count(sum(counts))} customers")


def _legend(figure: Figure, names: dict[str, str]) -> None:
    handles = [figure.axes[0].plot([], [], "o", color=color, ms=7, label=name)[0] for name, color in names.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)


def _short(name: str) -> str:
    text = label(str(name))
    return text if len(text) <= NAME else f"{text[: NAME - 1]}…"
