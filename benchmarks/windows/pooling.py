"""What several windows say together: spread of their figures, and figures over all their queries at once.

A judged window is a frame with one row per query: `window`, `customer_id`, and one column
"contender|task|segment|metric|k" per figure, NaN where the query was not asked.
"""

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import polars as pl

from recsys.evaluation.bootstrap import bootstrap_mean, paired_ratio
from recsys.evaluation.protocols import HYBRID, EvaluationOptions, best_single, kind_of, number

Row = dict[str, Any]
POOLED = "pooled"
BEST_OF_EACH = "best of each window"
FIGURE = ("contender", "task", "segment", "metric", "k")


def figures(queries: pl.DataFrame, metrics: Sequence[str], k: int) -> list[tuple[str, str, str, str, int]]:
    """(contender, task, segment, metric, k) of the columns that are wanted."""
    split = [tuple(name.split("|")) for name in queries.columns if name.count("|") == 4]
    return [(c, t, s, m, k) for c, t, s, m, at in split if m in metrics and at == str(k)]


def customers(queries: pl.DataFrame) -> np.ndarray:
    """int64 (n_queries,): the customer as a code, the same in every window."""
    return queries["customer_id"].rank("dense").cast(pl.Int64).to_numpy()


def pooled_records(
    queries: pl.DataFrame, wanted: Sequence[tuple[str, str, str, str, int]], options: EvaluationOptions
) -> list[Row]:
    """Mean over the queries of all windows, its interval over customers: a customer's queries are drawn together."""
    table = queries.select("|".join(map(str, figure)) for figure in wanted).to_numpy()
    means = bootstrap_mean(table, options.resamples, options.level, options.seed, customers(queries))
    return [
        {"window": POOLED, **dict(zip(FIGURE, figure, strict=True)), "kind": kind_of(figure[0]),
         "value": number(means.mean[at]), "low": number(means.low[at]), "high": number(means.high[at]),
         "n": int(means.n[at])}
        for at, figure in enumerate(wanted)
    ]  # fmt: skip


def pooled_pairs(
    queries: pl.DataFrame, windows: Sequence[Row], pooled: Sequence[Row], options: EvaluationOptions
) -> list[Row]:
    """The hybrid against two baselines per task, segment and metric, over the queries of all windows.

    One is the single model that is best over all windows together. The other is no model that one could have
    chosen: in every window the single model that is best there (`windows`: the records of each).
    """
    out = []
    for figure in [r for r in pooled if r["contender"] == HYBRID]:
        what = (figure["task"], figure["segment"], figure["metric"], figure["k"])
        ours = queries[_column(HYBRID, what)].to_numpy()
        one = best_single(list(pooled), *what)
        baselines = {one: queries[_column(one, what)].to_numpy(), BEST_OF_EACH: _best_of_each(queries, windows, what)}
        for name, theirs in baselines.items():
            given = (options.resamples, options.level, options.seed, customers(queries))
            ratio = paired_ratio(ours, theirs, *given)
            out.append(
                {"window": POOLED, "contender": HYBRID, "baseline": name, **dict(zip(FIGURE[1:], what, strict=True)),
                 "ratio": number(ratio.ratio[0]), "ratio_low": number(ratio.low[0]),
                 "ratio_high": number(ratio.high[0]), "n": int(ratio.n[0])}
            )  # fmt: skip
    return out


def _best_of_each(queries: pl.DataFrame, windows: Sequence[Row], what: tuple[str, str, str, int]) -> np.ndarray:
    values = np.full(queries.height, np.nan)
    for window in queries["window"].unique():
        best = best_single([r for r in windows if r["window"] == window], *what)
        rows = (queries["window"] == window).to_numpy()
        values[rows] = queries[_column(best, what)].to_numpy()[rows]
    return values


def _column(contender: str, what: tuple[str, str, str, int]) -> str:
    return "|".join(map(str, (contender, *what)))


def spread(rows: Iterable[Row], by: Sequence[str], value: str) -> list[Row]:
    """Mean, standard deviation (divided by windows - 1), least and largest over the windows, each window one figure.

    A window without a figure (null) is left out; `windows` counts the others. With fewer than two the standard
    deviation is null.
    """
    found: dict[tuple[Any, ...], list[float]] = {}
    for row in rows:
        values = found.setdefault(tuple(row[name] for name in by), [])
        values += [row[value]] if row[value] is not None else []
    return [
        {**dict(zip(by, key, strict=True)), "windows": len(v),
         "mean": statistics.mean(v) if v else None, "sd": statistics.stdev(v) if len(v) > 1 else None,
         "min": min(v, default=None), "max": max(v, default=None)}
        for key, v in found.items()
    ]  # fmt: skip
