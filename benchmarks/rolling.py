"""Rolling origin: the hybrid and every single model over several test windows, per window, spread and pooled.

    python -m benchmarks.rolling --out DIR [--windows 6] [--every-days 28] [--config FILE] [--set section.key=value]

The last window is the config's own, each other one as long and 28 days further back. In each window everything
is fitted anew on what lies before it, with nothing re-chosen; stages that are finished already are reused. Needs
about as long per window as `recsys evaluate`. DIR gets metrics.json, table.md, ratios.png and values.png.

Pooled figures are over the queries of all windows. The same customers come again in every window, so their
intervals draw customers, not queries; those of one window have one query per customer.
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.windows.origins import Window, at_window, windows
from benchmarks.windows.plots import save_plots
from benchmarks.windows.pooling import FIGURE, Row, figures, pooled_pairs, pooled_records, spread
from benchmarks.windows.tables import table
from recsys import pipeline
from recsys.config import Config, as_dict, load_config
from recsys.data.checked_store import read_checked
from recsys.errors import InputError
from recsys.progress import progress_bar, step
from recsys.stages import read_json, write_json

METRICS = ("recall", "ndcg")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--config", default="configs/complete_journey.yaml")
    arguments.add_argument("--set", action="append", default=[], dest="settings")
    arguments.add_argument("--windows", type=int, default=6)
    arguments.add_argument("--every-days", type=int, default=28)
    arguments.add_argument("--k", type=int, default=10, help="length of the lists, one of evaluation.ks")
    arguments.add_argument("--out", required=True, type=Path, help="folder of the results")
    given = arguments.parse_args()
    config = load_config(given.config, given.settings)
    with progress_bar(given.windows):
        found = roll(config, given.windows, given.every_days, given.k, datetime.now(UTC))
    write(found, given.out)
    print((given.out / "table.md").read_text(encoding="utf-8"))


def roll(config: Config, n: int, every_days: int, k: int, now: datetime) -> Row:
    """Judge every window and say what they show together; the content of metrics.json."""
    if k not in config.evaluation.ks:
        raise InputError(f"--k {k} is not one of evaluation.ks = {list(config.evaluation.ks)}")
    ingested = pipeline.ingest_orders(config, now)
    rolled = windows(read_checked(ingested / "checked").orders, config, n, every_days)
    judged = []
    for window in rolled:
        with step(f"window {window.name}"):
            judged.append(judge(at_window(config, window), ingested, window, k))
    queries = pl.concat([frame for _, frame in judged])
    each = [facts for facts, _ in judged]
    records = [row for facts in each for row in facts.pop("records")]
    pairs = [row for facts in each for row in facts.pop("paired")]
    pooled = pooled_records(queries, figures(queries, METRICS, k), config.evaluation)
    return {
        "title": config.title, "k": k, "recipe": as_dict(config), "windows": each,
        "records": records + pooled,
        "paired": pairs + pooled_pairs(queries, records, pooled, config.evaluation),
        "spread": spread(records, (*FIGURE, "kind"), "value"),
        "spread_of_ratios": spread(pairs, FIGURE, "ratio"),
    }  # fmt: skip


def judge(config: Config, ingested: Path, window: Window, k: int) -> tuple[Row, pl.DataFrame]:
    """Facts, records and pairs of one window, and its figures per query."""
    matrices = pipeline.build_matrices(config, ingested)
    learned = [pipeline.learn_moment(config, matrices, name) for name in pipeline.training_moments(matrices)]
    fitted, blended = pipeline.fit_models(config, matrices, pipeline.TEST), pipeline.blend(config, learned)
    evaluated = pipeline.evaluate(config, matrices, fitted, blended)
    metrics = read_json(evaluated / "metrics.json")
    queries = pl.read_parquet(evaluated / "per_query.parquet")
    facts = {
        "cut": window.name, "end": f"{window.end:%Y-%m-%d}", "queries": queries.height,
        "train_moments": len(learned),
        "records": of_window(metrics["records"], window, k),
        "paired": of_window(metrics["paired"], window, k),
    }  # fmt: skip
    return facts, queries.with_columns(window=pl.lit(window.name))


def of_window(rows: list[Row], window: Window, k: int) -> list[Row]:
    """Recall and nDCG at k, with the window's name."""
    return [{"window": window.name, **row} for row in rows if row["metric"] in METRICS and row["k"] == k]


def write(found: dict[str, Any], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "metrics.json", found)
    (out / "table.md").write_text(table(found), encoding="utf-8")
    save_plots(found, out)


if __name__ == "__main__":
    main()
