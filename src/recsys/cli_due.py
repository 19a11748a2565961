"""`recsys due`: the offers due on a date, or on each of a range, as files; `recsys offers-log`: what became of them."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

DATE = click.DateTime(["%Y-%m-%d"])


def add_to(main: click.Group, with_config: Callable[[Callable[..., None]], Callable[..., None]]) -> None:
    """Register the command; `with_config` adds --config, --set and --debug."""
    options = (
        click.option("--date", "day", type=DATE, help="The day; default: today, or the day after the last order."),
        click.option("--from", "first", type=DATE, help="First day of a range."),
        click.option("--to", "last", type=DATE, help="Last day of a range; default: the latest possible."),
        click.option("--kit", type=click.Choice(["auto", "now", "test"]), help="Default: moments.daily.kit."),
        click.option("--out", type=click.Path(path_type=Path), help="Folder; default: moments.daily.out."),
    )  # fmt: skip
    main.command(name="due")(with_config(_with(due, options)))
    main.command(name="offers-log")(with_config(_with(offers_log, options[1:3])))


def _with(command: Callable[..., None], options: Sequence[Callable[..., Any]]) -> Callable[..., None]:
    for option in reversed(options):
        command = option(command)
    return command


def due(
    config: str,
    settings: tuple[str, ...],
    day: datetime | None,
    first: datetime | None,
    last: datetime | None,
    kit: str | None,
    out: Path | None,
) -> None:
    """Write the offers due on a day, or on each day of a range: triggers, offers, silence; trains if need be."""
    if day and (first or last):
        raise click.UsageError("give --date, or --from and --to")
    from recsys.config import load_config
    from recsys.daily import of_day, publish_due
    from recsys.daily_summary import summary_table
    from recsys.progress import progress_bar
    from recsys.registry.terminal import console

    options = of_day(load_config(config, settings), kit, out)
    start, end = (one.date() if one else None for one in ((day or first), (day or last)))
    with progress_bar():
        folders = publish_due(options, start, end, lambda: datetime.now(UTC))
    console().print(summary_table(folders))


def offers_log(config: str, settings: tuple[str, ...], first: datetime | None, last: datetime | None) -> None:
    """Write a page about offers that were due: refused, shown, accepted, promised against taken."""
    from recsys.config import load_config
    from recsys.offer_log import log_table, publish_log
    from recsys.progress import progress_bar
    from recsys.registry.terminal import console

    start, end = (one.date() if one else None for one in (first, last))
    with progress_bar():
        folder = publish_log(load_config(config, settings), start, end, lambda: datetime.now(UTC))
    console().print(log_table(folder))
