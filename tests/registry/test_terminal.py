"""The closing table: fits 100 columns, loses nothing without colour, marks the best of each column."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from recsys.registry.terminal import closing_table


def printed(metrics: dict[str, Any], *, width: int = 100, model: str | None = "recsys version 7 (champion)") -> str:
    """As it looks when piped into a file."""
    console = Console(file=StringIO(), width=width)
    console.print(closing_table(metrics, report=Path("reports/today/report.html"), model=model))
    written = console.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(written, str)
    return written


def test_piped_it_fits_100_columns_and_holds_no_colour_codes(sample: Any) -> None:
    text = printed(sample.metrics())
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text


def test_values_intervals_and_places_are_there(sample: Any) -> None:
    text = printed(sample.metrics())
    lines = text.splitlines()
    row = next(i for i, line in enumerate(lines) if line.strip().startswith("hybrid "))
    assert lines[row].split() == ["hybrid", "30.3%*", "41.0%*", "5.2%*", "27.1%*", "32.5%*", "14.6%"]
    assert lines[row + 1].split()[0] == "29.0–31.6"
    assert "Next basket: hybrid 1.20 (1.15–1.25) times frequency, the best single model; better beyond chance" in text
    assert "Cart: hybrid 1.03 (0.98–1.07) times item_knn, the best single model; may be chance" in text
    assert "Model:  recsys version 7 (champion)" in text
    assert "Report: reports/today/report.html" in text
    assert "not registered" in printed(sample.metrics(), model=None)


def test_contenders_come_from_best_to_worst(sample: Any) -> None:
    lines = printed(sample.metrics()).splitlines()
    firsts = [float(line.split()[1].strip("*%")) for line in lines if "%" in line]
    assert len(firsts) == 9
    assert firsts == sorted(firsts, reverse=True)


def test_the_best_of_every_column_is_bold(sample: Any) -> None:
    console = Console(file=StringIO(), width=100, record=True, force_terminal=True, color_system="standard")
    console.print(closing_table(sample.metrics(), report=Path("r.html"), model=None))
    styled = console.export_text(styles=True)
    for best in ("30.3%*", "41.0%*", "5.2%*", "27.1%*", "32.5%*", "15.4%*"):
        assert f"\x1b[1m{best}" in styled
    assert "\x1b[1m29.1%" not in styled


def test_a_name_in_brackets_is_no_markup_and_gaps_are_dashes(sample: Any) -> None:
    content = sample.metrics()
    odd = {
        **content["records"][0],
        "contender": "[red]x[/red]",
        "segment": "all",
        "metric": "recall",
        "k": 10,
    }
    text = printed({**content, "records": [*content["records"], odd]})
    line = next(line for line in text.splitlines() if "[red]x" in line)
    assert line.split()[2:] == ["–"] * 5


@pytest.mark.parametrize("kind", ["single", "reference"])
def test_without_a_hybrid_there_is_no_ratio(sample: Any, kind: str) -> None:
    content = sample.metrics()
    records = [{**row, "kind": kind} for row in content["records"]]
    text = printed({**content, "records": records, "best": "frequency"})
    assert "times" not in text
    assert "Report:" in text


def test_groups_are_counted_and_the_lost_ones_named(sample: Any) -> None:
    rows = [
        {
            "task": "cart",
            "dimension": "cart size",
            "bucket": name,
            "ratio": r,
            "ratio_low": r - 0.1,
            "ratio_high": r + 0.1,
        }
        for name, r in (("1", 0.8), ("2–3", 1.0), ("4+", 1.3))
    ]
    text = printed(sample.metrics() | {"groups": rows})
    assert "Groups: better than the group's best single model beyond chance in 1 of 3" in text
    assert "worse beyond chance in 1: cart cart size 1" in text
    assert "Groups" not in printed(sample.metrics())
