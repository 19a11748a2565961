"""Sentences about groups: where the hybrid gains, and every group where it does not; cold start."""

from collections.abc import Iterable

from recsys.registry.findings import standing
from recsys.registry.run_files import Row, number
from recsys.registry.wording import DASH, count, label, opening, ratio_text, task_name, with_interval

FEW = 30  # queries under which nothing is claimed


def segment_finding(rows: list[Row], best: str, dimension: str) -> str:
    """In how many groups the best contender has the highest value."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["task"], row["bucket"]), []).append(row)
    won = sum(max(g, key=lambda r: float(r["value"]))["contender"] == best for g in groups.values())
    return f"By {label(dimension)}: {label(best)} leads in {won} of {len(groups)} groups"


def forest_finding(rows: list[Row]) -> str:
    """In how many groups the hybrid is better or worse than the group's best single model, beyond chance."""
    if not rows:
        return "The hybrid against the best single model of each group"
    better, worse = (sum(standing(row) == side for row in rows) for side in ("better", "worse"))
    name = opening(str(rows[0]["contender"]))
    return f"{name} beats the group's best single model beyond chance in {better} of {len(rows)} groups; worse in {worse}"


def losses(rows: list[Row]) -> list[str]:
    """Every group that the hybrid loses: first beyond chance, then those where only its value is lower."""
    sure = [row for row in rows if standing(row) == "worse"]
    below = [row for row in rows if standing(row) != "worse" and (number(row["ratio"]) or 0.0) < 1]
    if not sure and not below:
        return ["In no group does the best single model find more."]
    return [
        _loss(sure, "Worse beyond chance", "Worse beyond chance: no group."),
        _loss(below, "Lower value, may be chance", "Lower value within chance: no group."),
    ]


def _loss(rows: list[Row], start: str, none: str) -> str:
    return f"{start}: {'; '.join(_named(row) for row in rows)}." if rows else none


def _named(row: Row) -> str:
    where = f"{task_name(row['task']).lower()}, {label(row['dimension'])} {row['bucket']}"
    return f"{where}: {ratio_text(row)} times {label(row['baseline'])}, n = {count(row['n'])}"


def cold_findings(rows: Iterable[Row]) -> list[str]:
    """One sentence per group and task of the cold start; too few queries are told instead of a figure."""
    told = [row for row in rows if "baseline" in row or row["about"] == "items"]
    return [_item_finding(row) if row["about"] == "items" else _customer_finding(row) for row in told]


def _customer_finding(row: Row) -> str:
    where = f"{opening(row['bucket'])}, {task_name(row['task']).lower()}"
    if row["n"] < FEW or number(row["value"]) is None:
        return f"{where}: {_few(row['n'])}"
    found = f"{where}: {label(row['contender'])} finds {with_interval(row)}"
    if number(row.get("ratio")) is None:
        return f"{found}; no single model finds anything."
    return f"{found}, {ratio_text(row)} times {label(row['baseline'])}, the best single model; {standing_words(row)}."


def standing_words(row: Row) -> str:
    """What the interval of a ratio says."""
    if number(row.get("ratio")) is None:
        return DASH
    words = {"better": "better beyond chance", "worse": "worse beyond chance", "undecided": "may be chance"}
    return words[standing(row)]


def _item_finding(row: Row) -> str:
    where = f"{opening(row['bucket'])}, {task_name(row['task']).lower()}"
    if row["n"] < FEW or number(row["value"]) is None:
        return f"{where}: {_few(row['n'])}"
    low, random = number(row["low"]), float(row["expected"])
    beyond = "beyond chance" if low is not None and low > random else "may be chance"
    found = f"likeness of words finds {with_interval(row)} of the {count(row['bought'])} purchases of such items"
    return f"{where}: {found}; a random list of the {count(row['pool'])} would find {100 * random:.2g}%; {beyond}."


def _few(n: int) -> str:
    return "none in the test." if not n else f"{count(n)} {'query' if n == 1 else 'queries'}, too few to say."
