"""Sentences that say what the numbers found: the verdict, and the title of every figure."""

from collections.abc import Mapping
from typing import Literal

from recsys.registry.run_files import Row, RunFiles, number, select
from recsys.registry.wording import (
    amount,
    count,
    duration,
    label,
    metric_name,
    opening,
    percent,
    ratio_text,
    segment_name,
    task_name,
    with_interval,
)

Standing = Literal["better", "worse", "undecided"]


def standing(paired: Row) -> Standing:
    """Which side of 1 the whole interval of a paired ratio lies on."""
    low, high = number(paired.get("ratio_low")), number(paired.get("ratio_high"))
    if low is not None and low > 1:
        return "better"
    if high is not None and high < 1:
        return "worse"
    return "undecided"


def paired_row(metrics: Row, contender: str, baseline: str | None, task: str, segment: str) -> Row | None:
    """The comparison of two contenders at the primary metric and k, if the run made it."""
    primary = metrics["primary"]
    rows = select(
        metrics["paired"],
        contender=contender, baseline=baseline, task=task, segment=segment,
        metric=primary["metric"], k=primary["k"],
    )  # fmt: skip
    return rows[0] if rows else None


def best_hybrid(metrics: Row) -> str | None:
    """The hybrid to compare: the winner where it is one, else the first hybrid of the run."""
    hybrids = list(dict.fromkeys(str(r["contender"]) for r in metrics["records"] if r["kind"] == "hybrid"))
    return str(metrics["best"]) if metrics["best"] in hybrids else next(iter(hybrids), None)


def verdict(metrics: Row) -> str:
    """One plain sentence: who won, by which figure, against whom, and whether chance could have done it."""
    primary, best = metrics["primary"], str(metrics["best"])
    rows = select(metrics["records"], contender=best, **primary)
    reached = _reached(primary, rows[0]) if rows else "was named best"
    baseline = metrics["baseline_best_single"].get(primary["task"])
    if baseline == best:
        return f"The single model {label(best)} {reached}, and no hybrid is better."
    paired = paired_row(metrics, best, baseline, primary["task"], primary["segment"])
    return f"{opening(best)} {reached}{_against(baseline, paired)}."


def _reached(primary: Row, row: Row) -> str:
    if primary["metric"] != "recall":
        return f"reaches {metric_name(primary['metric'], primary['k'])} {with_interval(row)}{_where(primary)}"
    bought = {"all": "what is bought", "repeat": "repeat purchases", "new": "first purchases"}
    what = bought.get(primary["segment"], segment_name(primary["segment"]))
    place = {"next_basket": "in the next basket", "cart": "in the rest of the cart"}
    where = place.get(primary["task"], f"in {label(primary['task'])}")
    return f"finds {with_interval(row)} of {what} {where} with {primary['k']} recommendations"


def _where(primary: Row) -> str:
    return f" ({task_name(primary['task']).lower()}, {segment_name(primary['segment'])})"


def _against(baseline: object, paired: Row | None) -> str:
    if baseline is None or paired is None or number(paired.get("ratio")) is None:
        return "; the run holds no paired comparison with a single model"
    ends = {
        "better": "the interval excludes 1, so chance does not explain the gain",
        "worse": "the whole interval lies below 1, so it is worse",
        "undecided": "the interval includes 1, so this may be chance",
    }
    ratio, end = ratio_text(paired), ends[standing(paired)]
    return f", {ratio} times the best single model, {label(str(baseline))}; {end}"


def task_finding(run: RunFiles, task: str) -> str:
    """Who leads a task on all purchases, and how far ahead of the runner-up."""
    primary = run.primary
    rows = select(run.metrics["records"], task=task, segment="all", metric=primary["metric"], k=primary["k"])
    ranked = sorted((r for r in rows if r["kind"] != "reference"), key=lambda r: -r["value"])
    if len(ranked) < 2:
        return f"{task_name(task)}: {metric_name(primary['metric'], primary['k'])}"
    first, second = (f"{label(r['contender'])} {amount(primary['metric'], r['value'])}" for r in ranked[:2])
    return f"{task_name(task)}: {first}, ahead of {second}"


def paired_finding(rows: list[Row], best: str) -> str:
    """In how many comparisons the best contender's whole interval lies above 1."""
    own = [row for row in rows if row["contender"] == best]
    if not own:
        return "Every comparison with the best single model"
    won = sum(standing(row) == "better" for row in own)
    lost = sum(standing(row) == "worse" for row in own)
    text = f"{opening(best)} beats the best single model in {won} of {len(own)} comparisons"
    return text + (f" and loses in {lost}" if lost else "")


def without_ratio(run: RunFiles) -> str:
    """Where the best single model found nothing, so that no multiple of it exists."""
    primary = run.primary
    rows = [
        f"{task_name(r['task']).lower()}, {segment_name(r['segment'])}"
        for r in select(run.metrics["paired"], metric=primary["metric"], k=primary["k"])
        if number(r.get("ratio")) is None
    ]
    return f" No ratio where the best single model finds nothing: {'; '.join(dict.fromkeys(rows))}." if rows else ""


def depth_finding(run: RunFiles) -> str:
    """How short a list of the best contender finds what the best single model needs the whole list for."""
    primary, baseline = run.primary, run.baseline(run.primary["task"])
    rows = select(run.metrics["records"], task=primary["task"], segment="all", metric=primary["metric"])
    curves: dict[str, dict[int, float]] = {}
    for row in rows:
        curves.setdefault(row["contender"], {})[row["k"]] = row["value"]
    goal = curves.get(str(baseline), {}).get(primary["k"])
    enough = [k for k, value in sorted(curves.get(run.best, {}).items()) if goal is not None and value >= goal]
    if goal is not None and baseline != run.best and enough and enough[0] < primary["k"]:
        single = label(str(baseline))
        return f"{enough[0]} recommendations of {label(run.best)} find what {single} needs {primary['k']} for"
    own = sorted(curves.get(run.best, {}).items())
    ends = [f"{amount(primary['metric'], value)} at {k}" for k, value in (own[:1] + own[1:][-1:])]
    return f"{metric_name(primary['metric'])} of {label(run.best)} by length of the list: {', '.join(ends)}"


def repeat_new_finding(run: RunFiles) -> str:
    """Who finds most repeat purchases and who most new ones in the primary task."""
    primary = run.primary
    leaders = [_leader(run, segment) for segment in ("repeat", "new")]
    if None in leaders:
        return "Repeat and new purchases"
    repeat, new = (label(str(name)) for name in leaders)
    if repeat == new:
        return f"{task_name(primary['task'])}: {repeat} leads on repeat and on new purchases alike"
    return f"{task_name(primary['task'])}: {repeat} finds most repeat purchases, {new} most new ones"


def _leader(run: RunFiles, segment: str) -> str | None:
    primary = {**run.primary, "segment": segment}
    rows = [r for r in select(run.metrics["records"], **primary) if r["kind"] != "reference"]
    return max(rows, key=lambda r: float(r["value"]))["contender"] if rows else None


def group_sums(importances: list[Row]) -> dict[str, float]:
    """Share of the total gain per feature group, largest first."""
    sums: dict[str, float] = {}
    for row in importances:
        sums[str(row["group"])] = sums.get(str(row["group"]), 0.0) + float(row["gain"])
    return dict(sorted(sums.items(), key=lambda pair: -pair[1]))


def importance_finding(importances: list[Row]) -> str:
    group, share = next(iter(group_sums(importances).items()))
    return f"The ranker leans most on {label(group)}: {percent(share)} of its gain"


def half_of_slots(counts: list[int]) -> int:
    """How many of the most shown items fill half of all slots; 0 for empty lists."""
    total, seen = sum(counts), 0
    for position, shown in enumerate(counts, start=1):
        seen += shown
        if 2 * seen >= total > 0:
            return position
    return 0


def coverage_finding(run: RunFiles) -> str:
    counts = run.coverage.get(run.best, {}).get("counts", [])
    shown = sum(c > 0 for c in counts)
    text = f"{opening(run.best)} shows {count(shown)} of {count(run.run['known_items'])} items"
    return f"{text}; half of its slots go to {count(half_of_slots(counts))} of them"


def calibration_finding(calibration: Mapping[str, Row]) -> str:
    """How much of the reference's Brier score the probabilities take off, or add."""
    parts = [_skill(task, data) for task, data in calibration.items()]
    return "Error of the probabilities (Brier score) against the reference: " + ", ".join(parts)


def _skill(task: str, data: Row) -> str:
    brier, reference = float(data["brier"]), float(data["brier_reference"])
    if reference <= 0:
        return f"{task_name(task).lower()} {brier:.4f}"
    gain = 1 - brier / reference
    return f"{percent(abs(gain))} {'lower' if gain >= 0 else 'higher'} ({task_name(task).lower()})"


def ingest_finding(ingest: Row) -> str:
    failed = [check for check in ingest["checks"] if not check["passed"]]
    share = percent(ingest["kept"] / ingest["read"]) if ingest["read"] else percent(0)
    checks = f"{len(failed)} of {len(ingest['checks'])} checks failed" if failed else "every check passed"
    return f"{share} of {count(ingest['read'])} rows read were kept; {checks}"


def seconds_finding(seconds: Mapping[str, float]) -> str:
    total = sum(seconds.values())
    longest = max(seconds, key=lambda stage: seconds[stage])
    return f"{duration(total)} in all; {label(longest)} took {percent(seconds[longest] / total if total else 0)}"
