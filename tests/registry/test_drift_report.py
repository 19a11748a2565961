"""The section Drift: every check with its numbers, the hardest first; nothing said where nothing was compared."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recsys.registry.drift_findings import headline, told
from recsys.registry.drift_table import drift_rows, drift_table
from recsys.registry.figures import SLIM, WIDE, plots_of
from recsys.registry.report import build_report, render
from recsys.registry.run_files import load_run_files


def check(name: str, verdict: str, scope: str = "new") -> dict[str, Any]:
    return {"name": name, "scope": scope, "value": 2.0, "warn": 1.4, "stop": None, "verdict": verdict,
            "text": f"{name} <moved>", "remedy": "" if verdict == "ok" else "look"}  # fmt: skip


def mixed(*names: str) -> list[dict[str, Any]]:
    return [{"name": n, "accepted": 1 / (at + 2), "now": 1 / (at + 3)} for at, n in enumerate(names)]


@pytest.fixture
def drift() -> dict[str, Any]:
    days = {f"2025-12-{day:02}": 40 + day % 7 for day in range(1, 31)}
    orders = {"daily": days, "accepted": "2025-12-23", "whole_until": "2025-12-30", "scope": "new",
              "categories": mixed("Dairy", "A category with a name far too long for a chart", "$5 & more"),
              "price_quantiles": [0.1, 0.5, 0.9], "prices": [[1.0, 2.0], [3.0, 6.0], [None, 9.0]]}  # fmt: skip
    lists = {"overlap": [0, 1, 2, 9, 30, 40, 30, 9, 2, 1], "categories": mixed("Dairy"), "popularity": mixed("head"),
             "probabilities": [[0.1, 0.2, 0.3], [0.1, 0.25, 0.3]]}  # fmt: skip
    return {"verdict": "stop", "accepted": True, "parts": {
        "orders": {"reference": "version 3 of recsys", "notes": ["one note", "one note"], "charts": orders,
                   "checks": [check("volume", "ok"), check("category_mix", "warn"), check("price_level", "stop")]},
        "lists": {"reference": "version 3 of recsys", "notes": [], "charts": lists,
                  "checks": [check("list_overlap", "ok", "lists")]},
    }}  # fmt: skip


def test_the_page_tells_every_check_the_hardest_first(sample: Any, drift: dict[str, Any], tmp_path: Path) -> None:
    page = build_report(sample.small(tmp_path / "run", drift=drift), tmp_path / "r.html").read_text()
    assert '<section id="drift">' in page
    assert "Against version 3 of recsys: 2 of 4 checks ok, 1 warn, 1 stop, accepted by hand" in page
    assert "price_level &lt;moved&gt;" in page
    assert page.index("price_level &lt;") < page.index('<th scope="row" title="monitoring.category_mix"')
    assert page.count("One note.") == 1
    assert 'id="drift-daily-wide' in page or "drift-daily-wide" in page
    assert [row["verdict"] for row in drift_rows(drift)] == ["stop", "warn", "ok", "ok"]


def test_a_run_without_comparison_says_so_or_nothing(sample: Any, tmp_path: Path) -> None:
    run = load_run_files(sample.small(tmp_path / "run"))
    assert 'id="drift"' not in render(run)
    first = {"orders": {"reference": None, "checks": [], "charts": {}, "notes": ["the first run"]}}
    page = render(replace(run, drift={"verdict": "ok", "accepted": False, "parts": first}))
    assert "Nothing to compare with" in page
    assert "The first run." in page
    assert [p.key for p in plots_of(run)] == [p.key for p in plots_of(replace(run, drift={"parts": first}))]


@pytest.mark.parametrize("width", [WIDE, SLIM])
def test_figures_show_what_they_were_given(sample: Any, drift: dict[str, Any], tmp_path: Path, width: float) -> None:
    plots = {p.key: p for p in plots_of(replace(load_run_files(sample.small(tmp_path)), drift=drift))}
    assert [key for key in plots if key.startswith("drift")] == ["drift-daily", "drift-orders", "drift-lists"]
    bars = plots["drift-daily"].draw(width).axes[0].patches
    assert [bar.get_height() for bar in bars] == list(drift["parts"]["orders"]["charts"]["daily"].values())
    assert len({bar.get_facecolor() for bar in bars}) == 3, "accepted, new, unfinished"
    left, right = plots["drift-orders"].draw(width).axes[:2]
    assert left.get_yticklabels()[1].get_text() == "A category with a name …"
    assert [line.get_ydata().tolist() for line in right.lines[:2]] == [[1.0, 3.0], [2.0, 6.0]]
    assert sum(bar.get_height() for bar in plots["drift-lists"].draw(width).axes[2].patches) == 124
    assert "Category_mix <moved>: warn" in plots["drift-orders"].title


def test_sentences_for_artifacts_and_terminals(drift: dict[str, Any]) -> None:
    lines = told(drift)
    assert lines[0].startswith("drift: Against version 3 of recsys")
    assert lines[1:] == ["**stop** Price level (new): price_level <moved>; look",
                         "**warn** Category mix (new): category_mix <moved>; look"]  # fmt: skip
    assert headline({"parts": {}}) == "Nothing to compare with"
    assert drift_table(drift, every=False) is not None
