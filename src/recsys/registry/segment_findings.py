"""Sentences about groups: where the hybrid gains, and every group where it does not; cold start."""

from recsys.registry.findings import standing
from recsys.registry.run_files import Row, number
from recsys.registry.wording import DASH, count, label, opening, percent, ratio_text, task_name, with_interval

FEW = 30  # queries under which nothing is claimed
WHOLE = "whole history"  # the comparison of the cold-start groups


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
    text = f"{name} beats the group's best single model beyond chance in {better} of {len(rows)} groups"
    return f"{text}, and is worse in {worse}"


def losses(rows: list[Row]) -> list[Row]:
    """Every group in which the hybrid's value lies below the best single model's: beyond chance first, lowest first."""
    lost = [row for row in rows if standing(row) == "worse" or (number(row["ratio"]) or 0.0) < 1]
    return sorted(lost, key=lambda row: (standing(row) != "worse", float(row["ratio"])))


def losses_finding(rows: list[Row]) -> str:
    """How many groups are lost, and which beyond chance."""
    lost = losses(rows)
    if not lost:
        return "In no group does the best single model find more than the hybrid"
    sure = [f"{task_name(r['task']).lower()}, {label(r['dimension'])} {r['bucket']}" for r in lost if _worse(r)]
    text = f"In {len(lost)} of {len(rows)} groups the best single model finds more than the hybrid"
    return f"{text}, beyond chance in {len(sure)}{': ' + '; '.join(sure) if sure else ''}"


def _worse(row: Row) -> bool:
    return standing(row) == "worse"


def cold_findings(rows: list[Row]) -> list[str]:
    """One sentence per group of the cold start; too few queries are told instead of a figure."""
    told = [row for row in rows if ("baseline" in row or row["about"] == "items") and row["bucket"] != WHOLE]
    groups: dict[str, list[Row]] = {}
    for row in told:
        groups.setdefault(str(row["bucket"]), []).append(row)
    return [_cold_finding(bucket, own) for bucket, own in groups.items()]


def _cold_finding(bucket: str, rows: list[Row]) -> str:
    most = max(int(row["n"]) for row in rows)
    if most < FEW:
        few = f"{count(most)} {'order' if most == 1 else 'orders'} in the test, too few to say"
        return f"{opening(bucket)}: {few if most else 'none in the test'}."
    about_items = rows[0]["about"] == "items"
    parts = [_item_part(row) if about_items else _customer_part(row) for row in rows]
    return f"{opening(bucket)}: {'; '.join(parts)}."


def _customer_part(row: Row) -> str:
    found = f"{task_name(row['task']).lower()} {label(row['contender'])} {with_interval(row)}"
    if number(row.get("ratio")) is None:
        return f"{found}, where no single model finds anything"
    return f"{found}, {ratio_text(row)} times {label(row['baseline'])}, {standing_words(row)}"


def standing_words(row: Row) -> str:
    """What the interval of a ratio says."""
    if number(row.get("ratio")) is None:
        return DASH
    words = {"better": "better beyond chance", "worse": "worse beyond chance", "undecided": "may be chance"}
    return words[standing(row)]


def _item_part(row: Row) -> str:
    low, random = number(row["low"]), float(row["expected"])
    beyond = "better beyond chance" if low is not None and low > random else "may be chance"
    words = f"{task_name(row['task']).lower()} {with_interval(row)} by likeness of words"
    return f"{words}, {percent(random)} by a random list, {beyond}"
