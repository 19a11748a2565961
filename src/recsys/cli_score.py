"""`recsys score`: recommendations of all customers, or of a list, as files."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click

from recsys.errors import InputError


def add_to(main: click.Group, with_config: Callable[[Callable[..., None]], Callable[..., None]]) -> None:
    """Register the command; `with_config` adds --config, --set and --debug."""
    customers = click.option("--customers", default=None, help="File of customer ids; default: scoring.customers.")
    model = click.option("--model", default=None, help="MLflow model URI; default: the registered champion.")
    check = click.option("--check", type=click.Path(path_type=Path), help="Compare a folder with its manifest instead.")
    main.command(name="score")(with_config(check(model(customers(score)))))


def score(config: str, settings: tuple[str, ...], customers: str | None, model: str | None, check: Path | None) -> None:
    """Score all customers, or a list, and write Parquet, CSV and JSON lines; a second call goes on where one ended."""
    if check is not None:
        check_folder(check)
        return
    from recsys.config import load_config
    from recsys.progress import progress_bar
    from recsys.registry.terminal import console
    from recsys.scoring.batch import score
    from recsys.scoring.summary import of_customers, read_manifest, summary_table
    from recsys.scoring.workers import WorkerError

    options = of_customers(load_config(config, settings), customers)
    try:
        with progress_bar(3):
            folder = score(options, lambda: datetime.now(UTC), model)
    except WorkerError as error:
        raise InputError(str(error)) from error
    except OSError as error:  # a full disk, a store that went away
        raise InputError(f"scoring stopped: {error}; mend that and run again, what is finished is kept") from error
    console().print(summary_table(read_manifest(folder), folder))


def check_folder(folder: Path) -> None:
    """Say that every file is as the manifest says, or which are not."""
    from recsys.folders import damages

    found = damages(folder)
    if found:
        raise InputError(f"{folder}: {'; '.join(found)}; run recsys score again, it replaces damaged folders")
    click.echo(f"{folder}: every file is as the manifest says")
