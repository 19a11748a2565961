"""`recsys due`: the offers due on a date, or on each of a range, as files."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click

DATE = click.DateTime(["%Y-%m-%d"])


def add_to(main: click.Group, with_config: Callable[[Callable[..., None]], Callable[..., None]]) -> None:
    """Register the command; `with_config` adds --config, --set and --debug."""
    options = (
        click.option("--date", "day", type=DATE, help="The day; default: today, or the day after the last order."),
        click.option("--from", "first", type=DATE, help="First day of a range."),
        click.option("--to", "last", type=DATE, help="Last day of a range; default: the latest possible."),
        click.option("--kit", type=click.Choice(["auto", "now", "test"]), help="Default: moments.daily.kit."),
        click.option("--out", type=click.Path(path_type=Path), help="Folder of the results; default: moments.daily.out."),
    )  # fmt: skip
    command: Callable[..., None] = due
    for option in reversed(options):
        command = option(command)
    main.command(name="due")(with_config(command))


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
