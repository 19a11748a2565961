"""What lists are worth, in the report: a table of commerce measures, and what lists by value trade away."""

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from recsys.registry.run_files import Row, RunFiles, number, select, tasks_of
from recsys.registry.theme import ACCENT, INK, MUTED, panels
from recsys.registry.wording import DASH, count, opening, percent, task_name

MEASURES = ("attach_rate", "hits", "revenue", "margin", "priced", "slow_movers")
SHOP = {
    "items_per_order": "Items per order", "revenue_per_order": "Revenue per order",
    "revenue_per_customer": "Revenue per customer", "return_rate": "Returned, share of the value sold",
    "net_revenue_retention": "Net revenue retention", "expansion": "Expansion, share of the former revenue",
    "contraction": "Contraction", "churn": "Churn",
}  # fmt: skip
SHARES = frozenset({
    "attach_rate", "priced", "slow_movers", "return_rate", "net_revenue_retention", "expansion", "contraction", "churn",
})  # fmt: skip


def worth_table(run: RunFiles) -> list[dict[str, object]]:
    """Per task and list length the hybrid, the best single model of the task and popularity, a cell per measure."""
    rows = [row for row in run.commerce if row["of"] == "score"]
    table: list[dict[str, object]] = []
    for task in tasks_of(rows):
        names = dict.fromkeys(["hybrid", run.baseline(task), "popularity"])
        for k in sorted({int(row["k"]) for row in rows}):
            for name in names:
                mine = {row["measure"]: row for row in select(rows, task=task, k=k, contender=name)}
                if mine:
                    cells = [_cell(measure, mine.get(measure)) for measure in MEASURES]
                    table.append({"contender": name, "task": task_name(task), "k": count(k), "cells": cells})
    return table


def shop_table(run: RunFiles) -> list[dict[str, object]]:
    """What the shop took in the test window, a row per measure."""
    rows = [row for row in run.shop if number(row["value"]) is not None]
    return [{"name": SHOP[row["measure"]], "cell": _cell(str(row["measure"]), row)} for row in rows]


def _cell(measure: str, row: Row | None) -> dict[str, str]:
    if row is None:
        return {"text": DASH, "bounds": ""}
    low, high = number(row["low"]), number(row["high"])
    bounds = "" if low is None or high is None else f"{_text(measure, low)}–{_text(measure, high)}"
    return {"text": _text(measure, row["value"]), "bounds": bounds}


def _text(measure: str, value: object) -> str:
    known = number(value)
    if known is None:
        return DASH
    return percent(known) if measure in SHARES else f"{known:,.2f}"


def worths(run: RunFiles) -> list[str]:
    """price, margin: what lists by value were made of."""
    return sorted({str(row["of"]) for row in run.commerce if row["of"] != "score"}, reverse=True)


def curve(run: RunFiles, what: str, task: str, measure: str) -> list[Row]:
    """The rows of the longest lists of a task by weight, that of weight 0 first."""
    depth = max((int(row["k"]) for row in run.commerce), default=0)
    plain = select(run.commerce, contender="hybrid", task=task, k=depth, of="score", measure=measure)
    valued = select(run.commerce, contender="hybrid", task=task, k=depth, of=what, measure=measure)
    return plain + sorted(valued, key=lambda row: float(row["weight"]))


def value_finding(run: RunFiles, what: str) -> str:
    """What lists by value gain at most, task by task."""
    told = []
    for task in tasks_of(run.commerce):
        gains = curve(run, what, task, _gain(what))
        if len(gains) > 1 and gains[0]["value"]:
            gain = max(float(row["value"]) for row in gains) / float(gains[0]["value"]) - 1
            told.append(f"{task_name(task).lower()} {gain:+.0%} {_gain(what)}")
    return f"Lists by {what}, at most: {', '.join(told) or 'nothing was found'}"


def _gain(what: str) -> str:
    return "revenue" if what == "price" else "margin"


def trade_off(run: RunFiles, what: str, width: float) -> Figure:
    """Revenue or margin against attach rate, a dot per weight with its interval bars, a panel per task."""
    tasks = tasks_of(run.commerce)
    figure, axes = panels(width, 3.6, len(tasks))
    for ax, task in zip(axes, tasks, strict=True):
        gains, rates = curve(run, what, task, _gain(what)), curve(run, what, task, "attach_rate")
        points = [(r, g) for r, g in zip(rates, gains, strict=False) if r["weight"] == g["weight"]]
        ax.plot([r["value"] for r, _ in points], [g["value"] for _, g in points], color=ACCENT, lw=1, alpha=0.6)
        for rate, gain in points:
            strong = not rate["weight"]
            at = (float(rate["value"]), float(gain["value"]))
            wide, high = _bounds(rate, at[0]), _bounds(gain, at[1])
            ax.plot(wide, [at[1]] * 2, color=ACCENT, lw=2, alpha=0.25)
            ax.plot([at[0]] * 2, high, color=ACCENT, lw=2, alpha=0.25)
            ax.plot(*at, "o", color=ACCENT, ms=7.5 if strong else 5.5)
            ax.annotate(f"{rate['weight']:g}", at, (7, 6), textcoords="offset points", fontsize=8.5,
                        color=INK if strong else MUTED, fontweight="bold" if strong else "normal")  # fmt: skip
        depth = max(int(row["k"]) for row in run.commerce)
        ax.set_title(f"{task_name(task)}, lists of {depth}")
        ax.set_xlabel("attach rate")
        ax.xaxis.set_major_locator(MaxNLocator(4))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g}%"))
        ax.yaxis.set_major_locator(MaxNLocator(5))
        ax.tick_params(labelcolor=MUTED)
    axes[0].set_ylabel(f"{opening(_gain(what))} per order, in the shop's currency")
    return figure


def _bounds(row: Row, value: float) -> list[float]:
    """The interval, or the value alone where there is none."""
    low, high = number(row["low"]), number(row["high"])
    return [value if low is None else low, value if high is None else high]
