"""The results of a rolling origin as Markdown: ratios per window, then every contender over the windows."""

from collections.abc import Iterable

from benchmarks.windows.pooling import BEST_OF_EACH, POOLED, Row
from recsys.evaluation.protocols import HYBRID
from recsys.registry.run_files import select
from recsys.registry.wording import DASH, label, metric_name, ratio_text, segment_name, task_name

OVER = (("mean", "mean"), ("sd", "standard deviation"), ("min", "least"), ("max", "largest"))  # of `spread`


def table(found: Row) -> str:
    parts = [f"# {found['title']}: {len(found['windows'])} test windows", _windows(found)]
    for metric in dict.fromkeys(row["metric"] for row in found["paired"]):
        parts += [_ratios(found, metric), _values(found, metric)]
    return "\n\n".join(parts) + "\n"


def _windows(found: Row) -> str:
    rows = [(w["cut"], w["end"], f"{w['queries']:,}", w["train_moments"]) for w in found["windows"]]
    return _markdown(("window from", "up to, excluded", "queries", "training moments"), rows)


def _ratios(found: Row, metric: str) -> str:
    """Windows down, task and segment across; intervals of 95% or what the config says."""
    pairs, spreads = select(found["paired"], metric=metric), select(found["spread_of_ratios"], metric=metric)
    asked = list(dict.fromkeys((r["task"], r["segment"]) for r in pairs))
    one = [r for r in select(pairs, window=POOLED) if r["baseline"] != BEST_OF_EACH]
    each = select(pairs, window=POOLED, baseline=BEST_OF_EACH)
    cuts = [w["cut"] for w in found["windows"]]
    rows = [
        *((cut, *(_ratio(select(pairs, window=cut), at) for at in asked)) for cut in cuts),
        *((f"{name} of the windows", *(_decimals(_one(spreads, at)[key], 2) for at in asked)) for key, name in OVER),
        ("pooled, against one single model", *(_ratio(one, at) for at in asked)),
        (f"pooled, against the {BEST_OF_EACH}", *(ratio_text(_one(each, at)) for at in asked)),
    ]
    heads = [f"{task_name(task)}, {segment_name(segment)}" for task, segment in asked]
    title = f"## {metric_name(metric, found['k'])}: hybrid / best single model"
    return f"{title}\n\n{_markdown(('window', *heads), rows)}"


def _ratio(rows: list[Row], at: tuple[str, str]) -> str:
    row = _one(rows, at)
    return f"{ratio_text(row)} {label(row['baseline'])}"


def _one(rows: list[Row], at: tuple[str, str]) -> Row:
    return select(rows, task=at[0], segment=at[1])[0]


def _values(found: Row, metric: str) -> str:
    """Contenders down, from best to worst within a task and segment."""
    pooled = select(found["records"], metric=metric, window=POOLED)
    rows = []
    for task, segment in dict.fromkeys((r["task"], r["segment"]) for r in pooled):
        here = select(pooled, task=task, segment=segment)
        for row in sorted(here, key=lambda r: -(r["value"] or 0.0)):
            what = {name: row[name] for name in ("contender", "task", "segment", "metric")}
            over = select(found["spread"], **what)[0]
            name = f"**{label(HYBRID)}**" if row["contender"] == HYBRID else label(row["contender"])
            bounds = f"{_decimals(row['value'])} ({_decimals(row['low'])}{DASH}{_decimals(row['high'])})"
            numbers = (_decimals(over[key]) for key, _ in OVER)
            rows.append((task_name(task), segment_name(segment), name, *numbers, bounds))
    title = f"## {metric_name(metric, found['k'])} over the windows"
    heads = ("task", "segment", "contender", *(name for _, name in OVER), "pooled")
    return f"{title}\n\n{_markdown(heads, rows)}"


def _decimals(value: float | None, n: int = 4) -> str:
    return DASH if value is None else f"{value:.{n}f}"


def _markdown(heads: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
