"""`recsys offers`: cross-sell, up-sell and bundles as files for shops, mail and sellers."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click


def add_to(main: click.Group, with_config: Callable[[Callable[..., None]], Callable[..., None]]) -> None:
    """Register the command; `with_config` adds --config, --set and --debug."""
    customers = click.option("--customers", default=None, help="File of customer ids; default: offers.customers.")
    out = click.option("--out", type=click.Path(path_type=Path), help="Folder of the results; default: offers.out.")
    main.command(name="offers")(with_config(out(customers(offers))))


def offers(config: str, settings: tuple[str, ...], customers: str | None, out: Path | None) -> None:
    """Write offers of the shop and of all customers, or of a list, per channel, and a playbook; trains if need be."""
    from recsys.config import load_config
    from recsys.offer_files import of_customers, publish_offers, summary_table
    from recsys.progress import progress_bar
    from recsys.registry.terminal import console

    options = of_customers(load_config(config, settings), customers, out)
    with progress_bar():
        folder = publish_offers(options, lambda: datetime.now(UTC))
    console().print(summary_table(folder))
