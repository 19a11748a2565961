"""The scoring flow: `make score` runs it with Prefect's embedded server; a deployment runs it on a schedule."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact

from flows.embedded import RETRIED, Options, run_quietly
from flows.hooks import TOLD
from flows.limits import time_limit
from recsys.config import as_dict, load_config, read_config
from recsys.progress import step
from recsys.registry.terminal import console
from recsys.scoring import batch
from recsys.scoring.summary import of_customers, read_manifest, summary_markdown, summary_table


@task(**RETRIED)
def plan(options: Options, model: str | None, now: str) -> str:
    with step("plan"):
        return str(batch.plan(read_config(options), datetime.fromisoformat(now), model))


@task(**RETRIED)
def score_partitions(options: Options, planned: str, now: str) -> dict[str, Any]:
    with step("score partitions"):
        found, scored = batch.score_partitions(read_config(options), Path(planned), datetime.fromisoformat(now))
    return {"partitions": [str(path) for path in found], "scored_now": len(scored)}


@task(**RETRIED)
def publish(options: Options, planned: str, scored: dict[str, Any], now: str) -> str:
    partitions, started = [Path(path) for path in scored["partitions"]], datetime.fromisoformat(now)
    with step("publish"):
        return str(batch.publish_scores(read_config(options), Path(planned), partitions, scored["scored_now"], started,
                                        lambda: datetime.now(UTC)))  # fmt: skip


@flow(name="score", flow_run_name="score-{config}", **TOLD)
def score(
    config: str = "configs/complete_journey.yaml",
    settings: list[str] | None = None,
    model: str | None = None,
    customers: str | None = None,
    max_hours: float = 12.0,
) -> dict[str, Any]:
    """Plan who is asked for, score the partitions that are missing, publish them with exports; in `max_hours`."""
    with time_limit(max_hours):
        return score_all(config, settings, model, customers)


def score_all(config: str, settings: list[str] | None, model: str | None, customers: str | None) -> dict[str, Any]:
    """The stages of a scoring, one after the other."""
    options, now = as_dict(of_customers(load_config(config, settings or []), customers)), datetime.now(UTC).isoformat()
    planned = plan(options, model, now)
    scored = score_partitions(options, planned, now)
    folder = publish(options, planned, scored, now)
    tell(folder)
    return {"folder": folder, "counts": read_manifest(Path(folder))["counts"]}


def tell(folder: str) -> None:
    """The counts as a Markdown artifact on the flow run's page."""
    text = summary_markdown(read_manifest(Path(folder)), Path(folder))
    create_markdown_artifact(key="scoring", markdown=text, description="Result of the scoring")


def main() -> None:
    arguments = argparse.ArgumentParser(description="Run the scoring flow with Prefect's embedded server.")
    arguments.add_argument("--config", default="configs/complete_journey.yaml")
    arguments.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", dest="settings")
    arguments.add_argument("--model", help="MLflow model URI; default: the registered champion")
    arguments.add_argument("--customers", help="file of customer ids; default: scoring.customers")
    arguments.add_argument("--debug", action="store_true", help="show tracebacks")
    given = vars(arguments.parse_args())
    done = run_quietly(score, given.pop("debug"), **given)
    folder = Path(done["folder"])
    console().print(summary_table(read_manifest(folder), folder))


if __name__ == "__main__":
    main()
