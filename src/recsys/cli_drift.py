"""`recsys drift`: what the latest run found against the last accepted one, or the orders compared right now."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click


def add_to(main: click.Group, with_config: Callable[..., Any], load: Callable[[str, tuple[str, ...]], Any]) -> None:
    """Register the command; `load` makes the Config of --config and --set."""

    @main.command()
    @with_config
    @click.option("--check", is_flag=True, help="Ingest and compare the orders now, without training; fails on a stop.")
    @click.option("--all", "every", is_flag=True, help="Also the checks that are ok.")
    def drift(config: str, settings: tuple[str, ...], check: bool, every: bool) -> None:
        """Print how the latest run's orders and recommendations compare with the last accepted ones."""
        from recsys import watch
        from recsys.registry.drift_findings import headline
        from recsys.registry.drift_table import drift_table
        from recsys.registry.terminal import console

        options, stopped = load(config, settings), None
        if check:
            try:
                _compare(options)
            except watch.DriftError as error:
                stopped = error
        found = watch.latest(options)
        console().print(drift_table(found, every=every))
        click.echo(headline(found))
        if stopped:
            raise stopped


def _compare(options: Any) -> None:
    from recsys import pipeline, watch
    from recsys.progress import progress_bar, step

    with progress_bar(2):
        with step("ingest orders"):
            ingested = pipeline.ingest_orders(options, datetime.now(UTC))
        with step("compare orders"):
            watch.watch_orders(options, ingested)
