"""The flow of offers due: `make due` runs it with Prefect's embedded server; a deployment runs it every morning."""

import argparse
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact

from flows.embedded import RETRIED, Options, run_quietly
from flows.hooks import TOLD
from flows.limits import time_limit
from recsys import daily, daily_shop
from recsys.config import as_dict, load_config, read_config
from recsys.daily_summary import summary_markdown, summary_table
from recsys.folders import MANIFEST
from recsys.pipeline import store
from recsys.registry.terminal import console
from recsys.stages import read_json, sweep


@task(**RETRIED)
def prepare(options: Options, first: str | None, last: str | None, now: str) -> dict[str, Any]:
    config, when = read_config(options), datetime.fromisoformat(now)
    daily.require_place(config)
    sweep(store(config), config.run.keep_days, when.timestamp())
    start, end = (date.fromisoformat(day) if day else None for day in (first, last))
    return asdict(daily_shop.prepare(config, start, end, when))


@task(**RETRIED)
def publish_days(options: Options, prepared: dict[str, Any]) -> list[str]:
    made = daily.publish_days(read_config(options), daily_shop.Prepared(**prepared))
    return [str(folder) for folder in made]


@flow(name="offers", flow_run_name="offers-{config}", **TOLD)
def offers(
    config: str = "configs/complete_journey.yaml",
    settings: list[str] | None = None,
    first: date | None = None,
    last: date | None = None,
    kit: str | None = None,
    max_hours: float = 12.0,
) -> dict[str, Any]:
    """Make ready what the days need, then publish the offers due on each; in `max_hours`. Without days: the latest."""
    with time_limit(max_hours):
        return offers_of_days(config, settings, first, last, kit)


def offers_of_days(
    config: str, settings: list[str] | None, first: date | None, last: date | None, kit: str | None
) -> dict[str, Any]:
    """The stages of a daily run, one after the other."""
    options = as_dict(daily.of_day(load_config(config, settings or []), kit))
    start, end = (day.isoformat() if day else None for day in (first, last))
    prepared = prepare(options, start, end, datetime.now(UTC).isoformat())
    folders = publish_days(options, prepared)
    tell(folders)
    return {"folders": folders, "counts": read_json(Path(folders[-1]) / MANIFEST)["counts"]}


def tell(folders: list[str]) -> None:
    """The counts as a Markdown artifact on the flow run's page."""
    text = summary_markdown([Path(folder) for folder in folders])
    create_markdown_artifact(key="offers-due", markdown=text, description="Offers due")


def main() -> None:
    arguments = argparse.ArgumentParser(description="Run the flow of offers due with Prefect's embedded server.")
    arguments.add_argument("--config", default="configs/complete_journey.yaml")
    arguments.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", dest="settings")
    arguments.add_argument("--from", dest="first", type=date.fromisoformat, help="first day; default: the last one")
    arguments.add_argument("--to", dest="last", type=date.fromisoformat, help="last day; default: the latest possible")
    arguments.add_argument("--kit", choices=["auto", "now", "test"], help="default: moments.daily.kit")
    arguments.add_argument("--debug", action="store_true", help="show tracebacks")
    given = vars(arguments.parse_args())
    done = run_quietly(offers, given.pop("debug"), **given)
    console().print(summary_table([Path(folder) for folder in done["folders"]]))


if __name__ == "__main__":
    main()
