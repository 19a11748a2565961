"""Tables of the report about groups, cold start and probabilities: texts, row by row."""

from recsys.registry.run_files import Row, RunFiles, number, tasks_of
from recsys.registry.segment_findings import FEW, losses, standing_words
from recsys.registry.wording import DASH, amount, count, interval, label, percent, ratio_text, task_name


def lost_groups(compared: list[Row]) -> list[dict[str, str]]:
    """One row per group where the best single model's value is higher; `compared`: the hybrid's rows with a ratio."""
    return [
        {
            "group": f"{label(row['dimension'])} {row['bucket']}",
            "task": task_name(row["task"]),
            "n": count(row["n"]),
            "hybrid": amount(row["metric"], row["value"]),
            "bounds": interval(row["metric"], row),
            "ratio": ratio_text(row),
            "baseline": label(row["baseline"]),
            "verdict": standing_words(row),
        }
        for row in losses(compared)
    ]


def cold_customers(run: RunFiles) -> list[dict[str, str]]:
    """One row per task and group: the hybrid, the best single model of the group, and their ratio."""
    rows = [row for row in run.cold_start if "baseline" in row]
    return [_customer_row(run, row) for task in tasks_of(rows) for row in rows if row["task"] == task]


def _customer_row(run: RunFiles, row: Row) -> dict[str, str]:
    same = ("task", "bucket", "metric", "k")
    rival = [r for r in run.cold_start if r["contender"] == row["baseline"] and all(r[f] == row[f] for f in same)]
    few = row["n"] < FEW
    return {
        "group": str(row["bucket"]),
        "task": task_name(row["task"]),
        "n": count(row["n"]),
        "hybrid": amount(row["metric"], row["value"]),
        "hybrid_bounds": interval(row["metric"], row),
        "baseline": label(row["baseline"]) if rival and number(rival[0]["value"]) is not None else DASH,
        "single": amount(row["metric"], rival[0]["value"]) if rival else DASH,
        "single_bounds": interval(row["metric"], rival[0]) if rival else "",
        "ratio": ratio_text(row),
        "verdict": "too few to say" if few else standing_words(row),
    }


def cold_items(run: RunFiles) -> list[dict[str, str]]:
    """One row per task: never-sold items found by their words, beside a random list of the same pool."""
    return [
        {
            "task": task_name(row["task"]),
            "n": count(row["n"]),
            "bought": count(row["bought"]),
            "pool": count(row["pool"]),
            "value": amount(row["metric"], row["value"]),
            "bounds": interval(row["metric"], row),
            "expected": percent(row["expected"]),
        }
        for row in run.cold_start
        if row["about"] == "items"
    ]


def probabilities(run: RunFiles) -> list[dict[str, str]]:
    """Two rows per task: all candidates, and the first ranks of the lists."""
    rows = []
    for task in tasks_of({"task": task} for task in run.calibration):
        data = run.calibration[task]
        for rows_of, part in (("all candidates", data), ("first 10 of the list", data.get("listed"))):
            if part:
                rows.append({"task": task_name(task), "rows_of": rows_of} | _scores(part))
    return rows


def _scores(part: Row) -> dict[str, str]:
    skill = number(part.get("skill"))
    return {
        "n": count(part.get("n")),
        "predicted": percent(part.get("predicted")),
        "observed": percent(part.get("observed")),
        **{name: _small(part.get(name)) for name in ("brier", "brier_reference", "log_loss", "log_loss_reference")},
        "ece": percent(part.get("ece")),
        "skill": DASH if skill is None else f"{100 * skill:.1f}%",
    }


def _small(value: object) -> str:
    known = number(value)
    return DASH if known is None else f"{known:.4f}"
