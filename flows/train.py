"""The training flow: `make train` runs it with Prefect's embedded server; a deployment runs it on a schedule."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact

from flows.embedded import RETRIED, Options, run_embedded
from flows.hooks import TOLD
from flows.limits import time_limit
from recsys import finish, pipeline, watch
from recsys.config import as_dict, load_config, read_config
from recsys.offer_kits import offers_of_model
from recsys.progress import step
from recsys.registry.drift_findings import told
from recsys.registry.findings import verdict
from recsys.stages import read_json, sweep


@task(**RETRIED)
def ingest_orders(options: Options, now: str) -> str:
    config = read_config(options)
    sweep(pipeline.store(config), config.run.keep_days, datetime.fromisoformat(now).timestamp())
    with step("ingest orders"):
        return str(pipeline.ingest_orders(config, datetime.fromisoformat(now)))


@task(**RETRIED)
def watch_orders(options: Options, orders: str) -> str:
    with step("compare orders"):
        return str(watch.watch_orders(read_config(options), Path(orders)))


@task(**RETRIED)
def watch_lists(options: Options, orders: str, model: str) -> str:
    with step("compare lists"):
        return str(watch.watch_lists(read_config(options), Path(orders), Path(model)))


@task(**RETRIED)
def build_matrices(options: Options, orders: str) -> str:
    with step("build matrices"):
        return str(pipeline.build_matrices(read_config(options), Path(orders)))


@task(**RETRIED, task_run_name="learn-{moment}")
def learn(options: Options, matrices: str, moment: str) -> str:
    with step(f"learn {moment}"):
        return str(pipeline.learn_moment(read_config(options), Path(matrices), moment))


@task(**RETRIED)
def blend(options: Options, learned: list[str]) -> str:
    with step("blend"):
        return str(pipeline.blend(read_config(options), [Path(p) for p in learned]))


@task(**RETRIED, task_run_name="fit-{moment}")
def fit_models(options: Options, matrices: str, moment: str) -> str:
    with step(f"fit {moment}"):
        return str(pipeline.fit_models(read_config(options), Path(matrices), moment))


@task(**RETRIED)
def evaluate(options: Options, matrices: str, judged: str, ranker: str) -> str:
    with step("evaluate"):
        return str(pipeline.evaluate(read_config(options), Path(matrices), Path(judged), Path(ranker)))


@task(**RETRIED)
def make_offers(options: Options, orders: str, matrices: str, learned: list[str], deployed: str) -> str | None:
    moments = [Path(p) for p in learned]
    with step("make offers"):
        made = offers_of_model(
            read_config(options), Path(orders), Path(matrices), moments, Path(deployed), pipeline.NOW
        )
    return str(made) if made else None


@task(**RETRIED)
def package_model(
    options: Options, matrices: str, deployed: str, ranker: str, evaluation: str, offers: str | None
) -> str:
    fitted, blended, judged = Path(deployed), Path(ranker), Path(evaluation)
    kit = Path(offers) if offers else None
    with step("package"):
        return str(pipeline.package(read_config(options), Path(matrices), fitted, blended, judged, kit, pipeline.NOW))


@task(**RETRIED)
def register(options: Options, stages: dict[str, Any], now: str) -> dict[str, Any]:
    with step("register"):
        return finish.register_model(read_config(options), _finished(stages), datetime.fromisoformat(now))


@task(**RETRIED)
def report(options: Options, stages: dict[str, Any], registered: dict[str, Any], now: str) -> str:
    config, when = read_config(options), datetime.fromisoformat(now)
    with step("report"):
        return str(finish.write_report(config, _finished(stages), when, registered))


def _finished(stages: dict[str, Any]) -> finish.Finished:
    learned, watched = [Path(p) for p in stages["learned"]], {k: Path(p) for k, p in stages["watched"].items()}
    single = {k: Path(v) for k, v in stages.items() if v is not None and k not in ("learned", "watched")}
    return finish.Finished(learned=learned, watched=watched, **single)


@flow(name="train", flow_run_name="train-{config}", **TOLD)
def train(
    config: str = "configs/complete_journey.yaml", settings: list[str] | None = None, max_hours: float = 12.0
) -> dict[str, Any]:
    """Ingest orders, build matrices, train the models, blend them, evaluate, register the best; in `max_hours`."""
    with time_limit(max_hours):
        return train_all(config, settings)


def train_all(config: str, settings: list[str] | None) -> dict[str, Any]:
    """The stages of a training, one after the other."""
    options, now = as_dict(load_config(config, settings or [])), datetime.now(UTC).isoformat()
    orders = ingest_orders(options, now)
    watched = {watch.ORDERS: watch_orders(options, orders)}
    matrices = build_matrices(options, orders)
    learned = [learn(options, matrices, moment) for moment in pipeline.training_moments(Path(matrices))]
    ranker = blend(options, learned)
    judged = fit_models(options, matrices, pipeline.TEST)
    evaluation = evaluate(options, matrices, judged, ranker)
    deployed = fit_models(options, matrices, pipeline.NOW)
    offers = make_offers(options, orders, matrices, learned, deployed)
    model = package_model(options, matrices, deployed, ranker, evaluation, offers)
    watched[watch.LISTS] = watch_lists(options, orders, model)
    stages = {"ingested": orders, "matrices": matrices, "learned": learned, "blended": ranker, "judged": judged,
              "deployed": deployed, "evaluated": evaluation, "packaged": model, "offers": offers,
              "watched": watched}  # fmt: skip
    registered = register(options, stages, now)
    page = report(options, stages, registered, now)
    tell(evaluation, page, registered)
    return {"report": page, **registered}


def tell(evaluation: str, page: str, registered: dict[str, Any]) -> None:
    """The result as a Markdown artifact on the flow run's page."""
    metrics = read_json(Path(evaluation) / "metrics.json")
    lines = [
        "# " + verdict(metrics),
        f"- registered: **{registered['name']} version {registered['version']}** as `{registered['alias']}`: "
        f"{registered['reason']}",
        f"- report: `{page}/report.html`",
        *(f"- {line}" for line in told(read_json(Path(page) / "drift.json"))),
        "", "| contender | task | recall@10 | low | high |", "| --- | --- | --- | --- | --- |",
        *(
            f"| {r['contender']} | {r['task']} | {r['value']:.4f} | {r['low']:.4f} | {r['high']:.4f} |"
            for r in metrics["records"]
            if (r["segment"], r["metric"], r["k"]) == ("all", "recall", 10) and r["low"] is not None
        ),
    ]  # fmt: skip
    create_markdown_artifact(key="training", markdown="\n".join(lines), description="Result of the training")


if __name__ == "__main__":
    run_embedded(train, "Run the training flow with Prefect's embedded server.")
