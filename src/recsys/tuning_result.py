"""What a search found: best trial against the config's own values, how much of the gain may be luck, tuned.yaml."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from recsys.config import Config, as_dict
from recsys.errors import InputError
from recsys.evaluation.bootstrap import Ratio, paired_ratio
from recsys.evaluation.protocols import TASKS
from recsys.registry.wording import metric_name, plain, task_name
from recsys.search_space import with_values
from recsys.validation_moments import Judged


@dataclass(frozen=True)
class Trial:
    """A finished trial; `by_moment` is empty where its values were refused, for the `reason`."""

    number: int
    options: dict[str, Any]
    by_moment: list[float]
    seconds: float
    reason: str = ""

    @property
    def value(self) -> float:
        return float(np.mean(self.by_moment)) if self.by_moment else float("nan")


@dataclass(frozen=True)
class Outcome:
    """Trial 0 (the config's own values) and the best one, on the same validation queries.

    ratio   best / own over all queries of all moments, interval over customers
    honest  per moment: the value of the trial that was best on the other moments / own; empty with one moment
    """

    config: Config
    tuned: Config
    moments: list[str]
    trials: list[Trial]
    best: Trial
    queries: int
    ratio: float
    low: float
    high: float
    honest: list[float]

    def changed(self) -> dict[str, tuple[Any, Any]]:
        """Options that the best trial changes: own and best value."""
        own = self.trials[0].options
        return {name: (own[name], value) for name, value in self.best.options.items() if value != own[name]}

    def metrics(self) -> dict[str, float]:
        """Figures for the parent run; what could not be computed is left out."""
        found = {"own_value": self.trials[0].value, "tuned_value": self.best.value, "trials": float(len(self.trials))}
        found |= {"ratio": self.ratio, "ratio_low": self.low, "ratio_high": self.high}
        found |= {"ratio_left_out": float(np.mean(self.honest))} if self.honest else {}
        return {name: value for name, value in found.items() if np.isfinite(value)}


def outcome(
    config: Config, moments: list[str], trials: list[Trial], best: Trial, own: Judged, tuned: Judged
) -> Outcome:
    """Compare the best trial with the first."""
    ratio, queries = _ratio(config, own, tuned)
    return Outcome(
        config, with_values(config, best.options), moments, trials, best, queries,
        float(ratio.ratio[0]), float(ratio.low[0]), float(ratio.high[0]), left_out(trials),
    )  # fmt: skip


def _ratio(config: Config, own: Judged, tuned: Judged) -> tuple[Ratio, int]:
    """Paired bootstrap over all (moment, task, query) rows, the rows of a customer drawn together."""
    both = pl.concat([
        ours.join(theirs, on=["customer_id", "order_id"], suffix="_own", maintain_order="left").select(
            "customer_id", "order_id", ours=task, theirs=f"{task}_own"
        )
        for ours, theirs in zip(tuned.tables, own.tables, strict=True)
        for task in TASKS if task in ours.columns
    ])  # fmt: skip
    o = config.evaluation
    groups = both["customer_id"].rank("dense").to_numpy().astype(np.int64)
    ratio = paired_ratio(both["ours"].to_numpy(), both["theirs"].to_numpy(), o.resamples, o.level, o.seed, groups)
    return ratio, both["order_id"].n_unique()


def left_out(trials: list[Trial]) -> list[float]:
    """Per moment: the trial that was best on the other moments, judged here, over the first trial judged here.

    The moment had no say in the choice, only in what the sampler proposed, so it flatters this gain less. NaN where
    the first trial found nothing.
    """
    held = [t for t in trials if t.by_moment]
    table = np.array([t.by_moment for t in held])
    if table.shape[1] < 2:
        return []
    others = (table.sum(axis=1, keepdims=True) - table) / (table.shape[1] - 1)
    chosen = table[others.argmax(axis=0), np.arange(table.shape[1])]
    return [float(a / b) if b > 0 else float("nan") for a, b in zip(chosen, table[0], strict=True)]


def write_tuned(found: Outcome, file: Path) -> Path:
    """The whole config of the best trial as YAML that names only what differs from the defaults; written at once."""
    lines = [
        f"# Written by `recsys tune`: the best of {len(found.trials)} trials on moments before the test.",
        *(f"# {name}: {plain(own)} -> {plain(best)}" for name, (own, best) in found.changed().items()),
        *([] if found.changed() else ["# No trial was better than the config's own values; nothing is changed."]),
        yaml.safe_dump(different(as_dict(found.tuned), as_dict(Config())), sort_keys=False, allow_unicode=True),
    ]
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text("\n".join(lines), encoding="utf-8")
        os.replace(fresh, file)
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror}; name another file with --out") from None
    return file


def different(given: dict[str, Any], base: dict[str, Any]) -> dict[str, Any]:
    """What `given` says otherwise than `base`; mappings that `base` has empty or other keys in are kept whole."""
    out: dict[str, Any] = {}
    for key, value in given.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict) and set(value) == set(base[key]):
            inner = different(value, base[key])
            out |= {key: inner} if inner else {}
        elif key not in base or value != base[key]:
            out[key] = value
    return out


def tuning_table(found: Outcome, file: Path) -> RenderableType:
    """The closing words: best and own values by moment, what changed, and how far to trust it."""
    o = found.config.evaluation
    task = "mean of both tasks" if o.primary_task == "both" else task_name(o.primary_task).lower()
    title = (
        f"{metric_name(o.primary_metric, o.primary_k)} on moments before the test, {task}, {o.primary_segment} items"
    )
    return Group(
        Text(title), _values_table(found), *([_options_table(found)] if found.changed() else []), *_verdict(found, file)
    )


def _values_table(found: Outcome) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("moment")
    for name in ("config", f"best (trial {found.best.number})", "ratio"):
        table.add_column(name, justify="right")
    own = found.trials[0]
    rows = [
        *zip(found.moments, own.by_moment, found.best.by_moment, strict=True),
        ("mean", own.value, found.best.value),
    ]
    for name, ours, best in rows:
        table.add_row(name, f"{ours:.4f}", f"{best:.4f}", f"{best / ours:.3f}" if ours > 0 else "–")
    return table


def _options_table(found: Outcome) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("option")
    for name in ("config", "best"):
        table.add_column(name, justify="right")
    for name, (own, best) in found.changed().items():
        table.add_row(name, plain(own), plain(best))
    return table


def _verdict(found: Outcome, file: Path) -> list[Text]:
    n, level = len(found.trials), found.config.evaluation.level
    refused = sum(not t.by_moment for t in found.trials)
    said = (
        f"{n} trial{'s' if n > 1 else ''}"
        + (f", {refused} of them refused" if refused else "")
        + f", {found.queries:,} orders asked."
    )
    if not found.changed():
        return [Text(f"{said} None was better than the config's own values."), _place(file)]
    chance = "more than chance among these queries" if found.low > 1 else "may be chance"
    lines = [
        Text(said),
        Text(f"Best / config: {found.ratio:.3f} ({found.low:.3f}–{found.high:.3f}, {level:.0%} interval); {chance}."),
        Text(f"The best of {n} is flattered by having been chosen on these queries."),
    ]
    if found.honest:
        each = ", ".join(f"{ratio:.3f}" for ratio in found.honest)
        lines.append(Text(f"Chosen without a moment, judged on it: {np.mean(found.honest):.3f} times ({each})."))
    return [*lines, Text("The test has seen none of this. Judge there before you use it:"), _place(file)]


def _place(file: Path) -> Text:
    return Text(f"  recsys evaluate --config {file}", overflow="fold")
