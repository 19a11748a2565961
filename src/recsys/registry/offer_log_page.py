"""The page about what became of offers: due, refused, shown, accepted, promised against taken; one HTML file."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from recsys.registry.calibration_plots import accepted
from recsys.registry.figures import SLIM, WIDE, Plot
from recsys.registry.run_files import Row, number
from recsys.registry.wording import DASH, FILTERS, percent

PAGE = "report.html"
MEASURES = {
    "conversion": "Accepted and then bought / shown",
    "conversion_cross_sell": "the same of cross-sell",
    "conversion_upsell": "the same of up-sell",
    "attach_rate": "Orders with an accepted cross-sell / orders",
    "upsell_rate": "Customers with an accepted up-sell / customers shown one",
    "expansion_share": "Revenue of accepted offers / revenue of the orders",
}


def write_log_page(facts: Mapping[str, Any], folder: Path) -> list[str]:
    """report.html in `folder`, and plots/acceptance.png where anything was shown with a probability; their paths."""
    plots = _plots(facts["acceptance"])
    environment = Environment(
        loader=PackageLoader("recsys.registry"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(FILTERS | {"share": share, "figure": figure})
    drawn = [{"plot": p, "wide": Markup(p.svg(WIDE, "wide")), "slim": Markup(p.svg(SLIM, "slim"))} for p in plots]
    page = environment.get_template("offer_log.html.j2").render(facts=facts, figures=drawn, measures=MEASURES)
    (folder / PAGE).write_text(page, encoding="utf-8")
    (folder / "plots").mkdir()
    saved = [plot.save(folder / "plots" / f"{plot.key}.png") for plot in plots]
    return [PAGE, *(f"plots/{file.name}" for file in saved)]


def _plots(acceptance: Row) -> list[Plot]:
    if not acceptance["n"]:
        return []
    title = (
        f"Of {acceptance['n']:,} offers shown {percent(acceptance['observed'])} were accepted; their orders were said "
        f"to hold {percent(acceptance['predicted'])}"
    )
    note = (
        "The probability is that the next order holds the item, without any offer; what is accepted may lie above it "
        "or below. Bins of fewer than 10 offers are left out."
    )
    return [Plot(key="acceptance", section="acceptance", title=title, note=note, draw=partial(accepted, acceptance))]


def share(row: Row) -> str:
    """`12.0% (11.1–12.9)`; a dash where nothing was shown."""
    value, low, high = (number(row[name]) for name in ("value", "low", "high"))
    if value is None:
        return DASH
    bounds = "" if low is None or high is None else f" ({100 * low:.1f}–{100 * high:.1f})"
    return f"{percent(value)}{bounds}"


def figure(value: object) -> str:
    """`1,234.56`; a dash where it is unknown."""
    known = number(value)
    return DASH if known is None else f"{known:,.2f}"
