"""What a model must show before it serves, whatever else rises: each with value, threshold and one sentence.

Groups of few queries have wide intervals, so a group fails only where even the upper end of its ratio lies below the
threshold. Where a single model won the evaluation and serves, it is not held to the best single model of every group:
by the primary metric it is the best there is; popularity and the champion still bind it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from recsys.evaluation.cold_start import NEWCOMERS, NONE, TRULY_ONE
from recsys.evaluation.protocols import HYBRID, TASKS, kind_of
from recsys.evaluation.segments import THIRDS
from recsys.registry.options import GateOptions
from recsys.registry.run_files import Row, number, select
from recsys.registry.wording import label, task_name

Groups = dict[str, list[Row]]  # name → a row per contender
CUSTOMERS = {NEWCOMERS: "newcomers", NONE: "customers as if they were new", TRULY_ONE: "customers of one order"}


@dataclass(frozen=True)
class Guardrail:
    """`passed`: value ≥ threshold, or ≤ where `bound` says so; `value` is None where nothing could be measured."""

    name: str
    value: float | None
    threshold: float
    passed: bool
    text: str
    bound: str = "at least"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Figures:
    """What the evaluation of one recipe found, as its stage wrote it."""

    metrics: dict[str, Any]
    coverage: dict[str, Any]
    segments: list[dict[str, Any]]
    cold_start: list[dict[str, Any]]
    known_items: int

    @property
    def best(self) -> str:
        """The contender that serves."""
        return str(self.metrics["best"])

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def at_least(name: str, value: float | None, threshold: float, text: str) -> Guardrail:
    return Guardrail(name, value, threshold, value is not None and value >= threshold, text)


def at_most(name: str, value: float | None, threshold: float, text: str) -> Guardrail:
    return Guardrail(name, value, threshold, value is not None and value <= threshold, text, "at most")


def of_figures(figures: Figures, options: GateOptions) -> list[Guardrail]:
    """Floors of the judged fit, and its groups against the best single model of each."""
    out = [*floors(figures, options), *task_floors(figures, options)]
    if figures.best == HYBRID:
        out += [_of_single(name, rows, options.min_of_group) for name, rows in groups(figures).items()]
    return out


def floors(figures: Figures, options: GateOptions) -> list[Guardrail]:
    """The primary metric, and the share of the known items that the lists of ten show."""
    shown = len(figures.coverage[figures.best]["counts"])
    primary = float(figures.metrics["primary_value"])
    covered = shown / max(figures.known_items, 1)
    return [
        at_least("primary metric", primary, options.min_primary, f"{label(figures.best)} reaches {primary:.4f}"),
        at_least("coverage at 10", covered, options.min_coverage,
                 f"{shown:,} of {figures.known_items:,} items are listed for somebody"),
    ]  # fmt: skip


def task_floors(figures: Figures, options: GateOptions) -> Iterator[Guardrail]:
    """In each task, what serves against popularity, and the hybrid against the best single model."""
    for task in TASKS:
        rows = {r["contender"]: r for r in _primary_rows(figures, task, str(figures.metrics["primary"]["segment"]))}
        against = {"popularity": options.min_of_popularity}
        if figures.best == HYBRID and rows:
            against |= {_best_single(list(rows.values()))["contender"]: options.min_of_single}
        for baseline, threshold in against.items():
            name = f"{label(task)}: {label(figures.best)} / {label(baseline)}"
            ours, theirs = (number(rows.get(c, {}).get("value")) for c in (figures.best, baseline))
            if ours is None or theirs is None:
                yield at_least(name, None, threshold, "not measured: the evaluation has no such figure")
            elif theirs == 0:
                yield Guardrail(name, None, threshold, True, f"{label(baseline)} finds nothing")
            else:
                yield at_least(name, ours / theirs, threshold, f"{ours:.4f} against {theirs:.4f}")


def groups(figures: Figures) -> Groups:
    """The groups that an average can hide, each with a row per contender."""
    out: Groups = {}
    for task in TASKS:
        where = task_name(task).lower()
        paired = {(r["contender"], r["baseline"]): r for r in figures.metrics["paired"]
                  if (r["task"], r["segment"]) == (task, "new") and _is_primary(figures, r)}  # fmt: skip
        ratios = {contender: {key: row[key] for key in ("baseline", "ratio", "ratio_high")}
                  for (contender, _), row in paired.items()}  # fmt: skip
        new: list[Row] = [{**r, **ratios.get(str(r["contender"]), {})} for r in _primary_rows(figures, task, "new")]
        out[f"{where}, items new to the customer"] = new
        for bucket, said in CUSTOMERS.items():
            out[f"{where}, {said}"] = select(figures.cold_start, about="customers", task=task, bucket=bucket)
        tail = [r for r in select(figures.segments, dimension="item popularity", task=task, metric="recall")
                if str(r["bucket"]).startswith(THIRDS[-1])]  # fmt: skip
        out[f"{where}, rarely sold items"] = tail
    return out


def against_champion(new: Figures, old: Figures, threshold: float) -> list[Guardrail]:
    """The same groups against the champion's recipe; upper end of ours / its value, since groups are not paired."""
    theirs, out = groups(old), []
    for group, rows in groups(new).items():
        name = f"{group} / champion's recipe"
        ours = next((r for r in rows if r["contender"] == new.best), None)
        other = next((r for r in theirs[group] if r["contender"] == old.best), None)
        out.append(_ratio(name, ours, other, threshold, None))
    return out


def _of_single(group: str, rows: list[Row], threshold: float) -> Guardrail:
    ours = next((r for r in rows if r["contender"] == HYBRID), None)
    baseline = _best_single(rows) if ours else None
    paired = ours is not None and baseline is not None and ours.get("baseline") == baseline["contender"]
    upper = number((ours or {}).get("ratio_high")) if paired else None
    return _ratio(f"{group} / best single model", ours, baseline, threshold, upper)


def _ratio(name: str, ours: Row | None, theirs: Row | None, threshold: float, upper: float | None) -> Guardrail:
    """Passed unless the upper end of ours / theirs lies below the threshold; nothing measured is nothing lost."""
    if ours is None or theirs is None:
        return Guardrail(name, None, threshold, True, "nobody asked of this group")
    value, base = float(ours["value"]), float(theirs["value"])
    if base == 0:
        return Guardrail(name, None, threshold, True, f"{label(str(theirs['contender']))} finds nothing here")
    high = number(ours.get("high"))
    upper = upper if upper is not None else high / base if high is not None else None
    if upper is None:
        return Guardrail(name, None, threshold, True, f"{ours['n']} query says nothing of spread")
    against = f"{value / base:.3f} × {label(str(theirs['contender']))} on {ours['n']:,} queries, at best {upper:.3f} ×"
    return Guardrail(name, upper, threshold, upper >= threshold, against)


def _best_single(rows: list[Row]) -> Row:
    singles = [r for r in rows if kind_of(str(r["contender"])) == "single"]
    return min(singles, key=lambda r: (-float(r["value"]), r["contender"]))


def _primary_rows(figures: Figures, task: str, segment: str) -> list[Row]:
    rows = select(figures.metrics["records"], task=task, segment=segment)
    return [r for r in rows if _is_primary(figures, r)]


def _is_primary(figures: Figures, row: Mapping[str, Any]) -> bool:
    primary = figures.metrics["primary"]
    return (row["metric"], row["k"]) == (primary["metric"], primary["k"])
