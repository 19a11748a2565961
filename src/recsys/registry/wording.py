"""How names and numbers are written for people; shared by report, figures and terminal."""

from collections.abc import Callable

from recsys.registry.run_files import Row, number

DASH = "–"
PERCENT = frozenset({"recall", "precision", "hit_rate", "coverage"})
METRICS = {
    "recall": "Recall",
    "precision": "Precision",
    "ndcg": "nDCG",
    "hit_rate": "Hit rate",
    "mrr": "MRR",
    "map": "MAP",
    "coverage": "Coverage",
    "novelty": "Novelty",
    "diversity": "Diversity",
}
TASK_NAMES = {"next_basket": "Next basket", "cart": "Cart"}
SEGMENT_NAMES = {"all": "all purchases", "repeat": "bought before", "new": "new to the customer"}


def label(name: str) -> str:
    """A contender, feature or rule as people read it: underscores are spaces."""
    return name.replace("_", " ")


def opening(name: str) -> str:
    """A name at the start of a sentence; the rest of it keeps its case."""
    return label(name)[:1].upper() + label(name)[1:]


def plain(value: object) -> str:
    """A number of unknown kind with at most four digits that matter; anything else as text."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def task_name(task: str) -> str:
    return TASK_NAMES.get(task, label(task).capitalize())


def segment_name(segment: str) -> str:
    return SEGMENT_NAMES.get(segment, label(segment))


def metric_name(metric: str, k: object = None) -> str:
    """`recall`, 10 → `Recall@10`."""
    name = METRICS.get(metric, label(metric))
    return name if k is None else f"{name}@{k}"


def amount(metric: str, value: object, unit: bool = True) -> str:
    """Shares as percent with one decimal, other metrics with three; a dash where there is no number."""
    known = number(value)
    if known is None:
        return DASH
    if metric in PERCENT:
        return f"{100 * known:.1f}{'%' if unit else ''}"
    return f"{known:.2f}" if abs(known) >= 10 else f"{known:.3f}"


def interval(metric: str, row: Row) -> str:
    """`30.1–32.3`, without its unit; empty where the row has no interval."""
    if number(row.get("low")) is None or number(row.get("high")) is None:
        return ""
    return f"{amount(metric, row['low'], unit=False)}–{amount(metric, row['high'], unit=False)}"


def with_interval(row: Row) -> str:
    """`31.2% (30.1–32.3)` of one metric record."""
    metric = str(row["metric"])
    bounds = interval(metric, row)
    return amount(metric, row["value"]) + (f" ({bounds})" if bounds else "")


def ratio_text(row: Row) -> str:
    """`1.18 (1.12–1.24)` of one paired record; a dash where the baseline found nothing."""
    ratio, low, high = (number(row.get(name)) for name in ("ratio", "ratio_low", "ratio_high"))
    if ratio is None:
        return DASH
    return f"{ratio:.2f}" + (f" ({low:.2f}–{high:.2f})" if low is not None and high is not None else "")


def count(value: object) -> str:
    """`1,234,567`."""
    known = number(value)
    return DASH if known is None else f"{known:,.0f}"


def percent(value: object) -> str:
    """A share between 0 and 1 with as many decimals as it takes to tell 99.98% from all."""
    known = number(value)
    if known is None:
        return DASH
    near_an_end = 0 < known < 0.001 or 0.999 < known < 1
    return f"{100 * known:.3f}%" if near_an_end else f"{100 * known:.1f}%"


def duration(seconds: object) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    known = number(seconds)
    if known is None:
        return DASH
    if known < 10:
        return f"{known:.1f} s"
    whole = round(known)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def day(moment: object) -> str:
    """The date of an ISO moment."""
    return str(moment)[:10] if moment else DASH


FILTERS: dict[str, Callable[..., str]] = {
    "label": label,
    "task_name": task_name,
    "segment_name": segment_name,
    "metric_name": metric_name,
    "amount": amount,
    "interval": interval,
    "ratio_text": ratio_text,
    "count": count,
    "percent": percent,
    "plain": plain,
    "duration": duration,
    "day": day,
}
