"""The page about pair rules: the five steps with what each dropped, the pairs by name, the figures; one HTML file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from recsys.registry.affinity_plots import affinity_plots, weightiest
from recsys.registry.figures import SLIM, WIDE, Plot
from recsys.registry.run_files import Row, number
from recsys.registry.wording import DASH, FILTERS

SHOWN = 25  # pairs of a level named on the page
BARS = {
    "min_joint": "fewer joint orders than {value:,}",
    "min_customers": "fewer customers behind them than {value:,}",
    "min_support": "support below {value:.3%}",
    "min_lift": "lift below {value:g}",
    "max_q": "may be chance (Fisher, false discovery rate above {value:.0%} of all possible pairs)",
    "min_adjusted_low": "size of orders explains it (lower bound of the size-adjusted lift below {value:g})",
    "min_taste_low": "customers' own tastes explain it (lower bound of the taste lift below {value:g})",
    "max_taste_q": "may be taste and chance (false discovery rate above {value:.0%})",
}
BY_HAND = {
    "a_then_b": "by hand: if the first, then the second",
    "b_then_a": "by hand: if the second, then the first",
    "both_ways": "by hand, both ways",
}
FLAGS = {
    "seasonal": "Season", "promotion": "Promotion", "one_store": "One store", "few_customers": "Few customers",
}  # fmt: skip


def write_page(facts: Mapping[str, Any], tables: Mapping[str, Sequence[Row]], folder: Path) -> list[str]:
    """report.html and plots/*.png in `folder`; their paths. `tables`: level → rows of its published pairs."""
    plots = {level: affinity_plots(level, rows) for level, rows in tables.items()}
    levels = [_level(level, tables[level["level"]], plots[level["level"]]) for level in facts["levels"]]
    environment = Environment(
        loader=PackageLoader("recsys.registry"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(FILTERS | {"times": times})
    page = environment.get_template("affinity.html.j2").render(facts=facts, levels=levels, flag_names=FLAGS)
    (folder / "report.html").write_text(page, encoding="utf-8")
    (folder / "plots").mkdir()
    saved = [plot.save(folder / "plots" / f"{plot.key}.png") for drawn in plots.values() for plot in drawn]
    return ["report.html", *(f"plots/{file.name}" for file in saved)]


def _level(facts: Mapping[str, Any], rows: Sequence[Row], plots: Sequence[Plot]) -> dict[str, Any]:
    dropped = [{**step, "why": bar_text(step["bar"], facts["bars"])} for step in facts["dropped"]]
    figures = [{"plot": p, "wide": Markup(p.svg(WIDE, "wide")), "slim": Markup(p.svg(SLIM, "slim"))} for p in plots]
    shown = sorted(weightiest(rows), key=lambda row: row["by_hand"] is None)[:SHOWN]
    return {**facts, "dropped": dropped, "rows": [{**row, "says": said(row)} for row in shown], "figures": figures}


def bar_text(bar: str, bars: Mapping[str, Any]) -> str:
    """Why a pair was dropped."""
    return BARS[bar].format(value=bars["max_q" if bar == "max_taste_q" else bar])


def said(row: Row) -> list[str]:
    """What a pair may be instead of an affinity, and the hand that wrote it, in words."""
    out = []
    if row.get("by_hand"):
        out.append(BY_HAND[row["by_hand"]])
    if row.get("seasonal"):
        share = f"{row['season_share']:.0%} of its joint orders, {row['season_of_all']:.0%} of all"
        out.append(f"season {row['season']}: {share}; lift left within months {times(row['season_lift'])}")
    if row.get("promotion"):
        share = f"{row['promotion_share']:.0%} of its joint orders, {row['promotion_of_all']:.0%} of all"
        out.append(f"promotion weeks: {share}; lift at usual prices {times(row['usual_lift'])}")
    if row.get("one_store"):
        share = f"{row['store_share']:.0%} of its joint orders, {row['store_of_all']:.0%} of all"
        out.append(f"store {row['store']}: {share}")
    if row.get("few_customers"):
        out.append(f"few customers: {row['top_customer_share']:.0%} of its joint orders are one customer's")
    return out


def times(value: object) -> str:
    """`3.2`, `1,234`; a dash where there is no number."""
    known = number(value)
    return DASH if known is None else f"{known:.2f}" if known < 10 else f"{known:,.0f}"
