"""What each feature group and each single model is worth to the hybrid: its recall@10 without them, one at a time.

    python -m benchmarks.ablation [--config FILE] [--set section.key=value] [--out DIR]
                                  [--groups NAME …] [--models NAME …]

Models, training rows and candidates are the same for all; only the trees are trained again, without the features of
one group (`recsys.ranking.features.GROUPS`) or those made of one model's scores (the score, its rank and its share of
the best). A model left out keeps proposing candidates: what is measured is its voice in the ranking. The three
features of the cart that read item_knn's cosines stay when item_knn is left out; the group `cart` has them.

The features are blanked (0 in every training row, so no tree can split on them) rather than named in `ranker.drop`,
where `popularity` means the group; for any other name both give the same trees.

Ratios are without / with everything, over the same queries and resamples; an interval below 1 is a loss. Intervals
draw queries, not seeds of the trees. DIR gets table.md and metrics.json. `--groups` or `--models` without names
leaves that half out; finished stages are reused.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from recsys import pipeline
from recsys.config import Config, as_dict, load_config
from recsys.data.histories import Floats
from recsys.data.splits import Queries, both_tasks
from recsys.errors import InputError
from recsys.evaluation.bootstrap import bootstrap_mean, paired_ratio
from recsys.evaluation.metrics import count_relevant, find_hits, ranking_metrics
from recsys.evaluation.protocols import HYBRID, SEGMENTS, TASKS, EvaluationOptions, contender_lists, in_segment, number
from recsys.ranking.base_models import OF_EITHER, SINGLES, BaseModels
from recsys.ranking.features import FEATURES, GROUPS
from recsys.ranking.hybrid import Hybrid
from recsys.ranking.training_rows import TrainingRows
from recsys.registry.run_files import select
from recsys.registry.wording import DASH, label, segment_name, task_name
from recsys.stages import write_json

K = 10
FIGURES = tuple((task, segment) for task in TASKS for segment in SEGMENTS)
Row = dict[str, Any]


@dataclass(frozen=True)
class Variant:
    """The hybrid without some features; `of` is everything, group or model."""

    of: str
    left_out: str
    features: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"without {self.of} {self.left_out}" if self.features else HYBRID


EVERYTHING = Variant("everything", "", ())


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--config", default="configs/complete_journey.yaml")
    arguments.add_argument("--set", action="append", default=[], dest="settings")
    arguments.add_argument("--out", type=Path, help="folder of the results; without it they are printed only")
    arguments.add_argument("--groups", nargs="*", default=list(GROUPS), help="feature groups; by default all")
    arguments.add_argument("--models", nargs="*", default=list(SINGLES), help="single models; by default all")
    given = arguments.parse_args()
    asked = variants(given.groups, given.models)
    found = ablate(load_config(given.config, given.settings), asked, datetime.now(UTC))
    if given.out:
        write(found, given.out)


def variants(groups: Sequence[str], models: Sequence[str]) -> list[Variant]:
    """Everything first, then without each group and each model, in the order given."""
    for option, names, known in (("--groups", groups, tuple(GROUPS)), ("--models", models, SINGLES)):
        for name in names:
            if name not in known:
                raise InputError(f"{option} {name!r} is unknown; give some of {', '.join(known)}")
    without = [Variant("group", g, GROUPS[g]) for g in groups] + [Variant("model", m, features_of(m)) for m in models]
    return [EVERYTHING, *without]


def features_of(model: str) -> tuple[str, ...]:
    """The ranker's features made of a single model's scores: of its one source, or of its two."""
    sources = (f"{model}_history", f"{model}_cart") if model in OF_EITHER else (model,)
    made = {f"{source}{of}" for source in sources for of in ("", "_rank", "_of_best")}
    return tuple(name for name in FEATURES if name in made)


def ablate(config: Config, asked: list[Variant], now: datetime) -> Row:
    """Train and judge every variant, the first of which has everything; the content of metrics.json."""
    ingested = pipeline.ingest_orders(config, now)
    matrices = pipeline.build_matrices(config, ingested)
    learned = [pipeline.learn_moment(config, matrices, name) for name in pipeline.training_moments(matrices)]
    models = BaseModels.load(pipeline.fit_models(config, matrices, pipeline.TEST) / "models")
    rows = TrainingRows.concatenate([TrainingRows.load(path / "rows.npz") for path in learned])
    data, orders = pipeline.load_moment(matrices, pipeline.TEST)
    tasks = both_tasks(orders, data)
    print("\n".join(heading(config.title, orders.height)), flush=True)
    found: Row = {"title": config.title, "k": K, "queries": orders.height, "recipe": as_dict(config),
                  "left_out": {v.name: list(v.features) for v in asked}, "records": [], "paired": []}  # fmt: skip
    base: dict[str, Floats] = {}
    for variant in asked:
        hybrid = Hybrid.fit(blanked(rows, variant.features), config.ranker)
        recalls = recall(models, hybrid, tasks)
        base = base or recalls
        found["records"] += records(variant, recalls, config.evaluation)
        found["paired"] += pairs(variant, recalls, base, config.evaluation) if variant.features else []
        print(table_line(found, variant.name), flush=True)
    return found


def blanked(rows: TrainingRows, names: tuple[str, ...]) -> TrainingRows:
    """The same rows with these features 0 throughout: LightGBM leaves constant columns out altogether."""
    if not names:
        return rows
    x = rows.x.copy()
    x[:, [FEATURES.index(name) for name in names]] = 0
    return replace(rows, x=x)


def recall(models: BaseModels, hybrid: Hybrid, tasks: dict[str, Queries]) -> dict[str, Floats]:
    """Recall@K of the hybrid per task: float64 (n_queries, segments); NaN where a segment has nothing relevant."""
    lists = contender_lists(models, hybrid, tasks, K, singles=())
    out: dict[str, Floats] = {}
    for task, queries in tasks.items():
        columns = []
        for segment in SEGMENTS:
            relevant = in_segment(queries, segment)
            hits = find_hits(lists[HYBRID, task, segment], relevant)
            columns.append(ranking_metrics(hits, count_relevant(relevant), (K,))["recall", K])
        out[task] = np.stack(columns, axis=1)
    return out


def records(variant: Variant, recalls: dict[str, Floats], options: EvaluationOptions) -> Iterator[Row]:
    """Recall@K with its interval per task and segment, keys as in the report's records."""
    for task, values in recalls.items():
        means = bootstrap_mean(values, options.resamples, options.level, options.seed)
        for at, segment in enumerate(SEGMENTS):
            yield {"contender": variant.name, "of": variant.of, "task": task, "segment": segment, "metric": "recall",
                   "k": K, "value": number(means.mean[at]), "low": number(means.low[at]),
                   "high": number(means.high[at]), "n": int(means.n[at])}  # fmt: skip


def pairs(
    variant: Variant, recalls: dict[str, Floats], base: dict[str, Floats], options: EvaluationOptions
) -> Iterator[Row]:
    """Recall@K without / with everything, over the same queries and resamples."""
    for task, values in recalls.items():
        ratio = paired_ratio(values, base[task], options.resamples, options.level, options.seed)
        for at, segment in enumerate(SEGMENTS):
            yield {"contender": variant.name, "of": variant.of, "baseline": HYBRID, "task": task, "segment": segment,
                   "metric": "recall", "k": K, "ratio": number(ratio.ratio[at]), "ratio_low": number(ratio.low[at]),
                   "ratio_high": number(ratio.high[at]), "n": int(ratio.n[at])}  # fmt: skip


def heading(title: str, queries: int) -> list[str]:
    """Title and head of the table."""
    heads = ["variant", *(f"{task_name(task)}, {segment_name(segment)}" for task, segment in FIGURES)]
    about = f"Recall@{K} over {queries:,} queries; its ratio to the hybrid with everything (interval)."
    return [f"# {title}: the hybrid without a group or a model", "", about, "", _line(heads), _line(["---"] * 7)]


def table_line(found: Row, name: str) -> str:
    """One variant: recall and, but for the hybrid with everything, ratio with interval."""
    cells = []
    for task, segment in FIGURES:
        here = {"contender": name, "task": task, "segment": segment}
        value = next((f"{r['value']:.4f}" for r in select(found["records"], **here)), DASH)
        ratios = (r for r in select(found["paired"], **here) if r["ratio"] is not None)
        cells.append("; ".join([value, *(_ratio(r) for r in ratios)]))
    return _line([f"**{name}**" if name == HYBRID else label(name), *cells])


def _ratio(row: Mapping[str, Any]) -> str:
    """Three decimals, since one group or model of many seldom moves more; no bounds with a single query."""
    bounds = (row["ratio_low"], row["ratio_high"])
    return f"{row['ratio']:.3f}" + ("" if None in bounds else " ({:.3f}–{:.3f})".format(*bounds))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def write(found: Row, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "metrics.json", found)
    lines = [*heading(found["title"], found["queries"]), *(table_line(found, name) for name in found["left_out"])]
    (out / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
