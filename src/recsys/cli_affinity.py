"""`recsys affinity`: what is bought together, as tables, figures and a page."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click


def add_to(main: click.Group, with_config: Callable[[Callable[..., None]], Callable[..., None]]) -> None:
    """Register the command; `with_config` adds --config, --set and --debug."""
    out = click.option("--out", type=click.Path(path_type=Path), help="Folder of the results; default: affinity.out.")
    main.command(name="affinity")(with_config(out(affinity)))


def affinity(config: str, settings: tuple[str, ...], out: Path | None) -> None:
    """Find the pairs that are bought together beyond order size, taste and chance; write tables, figures and a page."""
    from dataclasses import replace

    from recsys.config import load_config
    from recsys.pair_rules import publish_pairs, summary_table
    from recsys.progress import progress_bar
    from recsys.registry.terminal import console

    options = load_config(config, settings)
    if out is not None:
        options = replace(options, affinity=replace(options.affinity, out=str(out)))
    with progress_bar():
        folder = publish_pairs(options, lambda: datetime.now(UTC))
    console().print(summary_table(folder))
