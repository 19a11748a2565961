"""`recsys`: every stage from the command line, without Prefect. Heavy imports happen where they are used."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from recsys import cli_affinity, cli_drift, cli_due, cli_models, cli_offers, cli_score
from recsys.errors import InputError
from recsys.stages import read_json


class Front(click.Group):
    """Prints an InputError as one line and exits with 1; a traceback only with --debug."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except InputError as error:
            if ctx.params.get("debug"):
                raise
            click.echo(f"error: {' '.join(str(error).split())}", err=True)
            sys.exit(1)


@click.group(cls=Front)
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.version_option(package_name="recsys", prog_name="recsys")
def main(debug: bool) -> None:
    """Cross-sell and up-sell recommendations from a shop's order history."""
    del debug  # read by Front


def with_config(command: Callable[..., None]) -> Callable[..., None]:
    """The options --config, --set and --debug, which may stand before the command too."""
    add_settings = click.option("--set", "settings", multiple=True, metavar="SECTION.KEY=VALUE", help="Change a value.")
    add_file = click.option("--config", default="configs/complete_journey.yaml", show_default=True, help="YAML file.")
    add_debug = click.option("--debug", is_flag=True, expose_value=False, callback=_debug, help="Show tracebacks.")
    return add_file(add_settings(add_debug(command)))


def _debug(ctx: click.Context, _option: click.Parameter, given: bool) -> None:
    ctx.find_root().params["debug"] |= given


def _load(config: str, settings: tuple[str, ...]) -> Any:
    from recsys.config import load_config

    return load_config(config, settings)


@main.command()
def config() -> None:
    """Print every option with its default and its meaning (configs/base.yaml)."""
    from recsys.config import base_yaml

    click.echo(base_yaml(), nl=False)


@main.command()
@with_config
def ingest(config: str, settings: tuple[str, ...]) -> None:
    """Read and check the orders; say what was kept, what was refused and whether it suffices."""
    from recsys import pipeline
    from recsys.progress import progress_bar, step
    from recsys.registry.terminal import console, intake_table

    options = _load(config, settings)
    with progress_bar(1), step("ingest orders"):
        done = pipeline.ingest_orders(options, datetime.now(UTC))
    console().print(intake_table(read_json(done / "ingest.json")))
    click.echo(f"checked tables and refused rows: {done / 'checked'}")


@main.command()
@with_config
def train(config: str, settings: tuple[str, ...]) -> None:
    """Train, evaluate, report and register, without Prefect."""
    from recsys import training
    from recsys.progress import progress_bar

    options = _load(config, settings)
    with progress_bar(options.split.train_moments + 11):
        report, registered = training.train(options, datetime.now(UTC))
    _close(read_json(report / "metrics.json"), report.parent / "latest" / "report.html", registered)


@main.command()
@with_config
def evaluate(config: str, settings: tuple[str, ...]) -> None:
    """Train and judge every contender on held-out orders and write the report; register nothing."""
    report = _report(config, settings)
    _close(read_json(report / "metrics.json"), report.parent / "latest" / "report.html", None)


@main.command()
@with_config
def report(config: str, settings: tuple[str, ...]) -> None:
    """Write the report of this configuration's training again."""
    click.echo(_report(config, settings) / "report.html")


def _report(config: str, settings: tuple[str, ...]) -> Path:
    from recsys import training
    from recsys.finish import write_report
    from recsys.progress import progress_bar, step

    options, now = _load(config, settings), datetime.now(UTC)
    with progress_bar(options.split.train_moments + 10):
        finished = training.judge(options, now)
        with step("report"):
            return write_report(options, finished, now)


def _close(metrics: Any, report: Path, registered: dict[str, Any] | None) -> None:
    from recsys.registry.terminal import closing_table, console, model_line

    model = model_line(registered) if registered else None
    console().print(closing_table(metrics, report=report, model=model))


@main.command()
@with_config
@click.option("--out", type=click.Path(path_type=Path), help="File of the result; default: tuned.yaml in run.reports.")
def tune(config: str, settings: tuple[str, ...], out: Path | None) -> None:
    """Search for better hyperparameters on moments before the test; a second call goes on where one ended."""
    from recsys import tuning
    from recsys.progress import progress_bar
    from recsys.registry.terminal import console
    from recsys.tuning_result import tuning_table

    options = _load(config, settings)
    file = out or Path(options.run.reports) / "tuned.yaml"
    with progress_bar():
        found = tuning.tune(options, datetime.now(UTC), file)
    console().print(tuning_table(found, file))


@main.command()
@with_config
@click.option("--customer", default=None, help="Customer id.")
@click.option("--basket", default="", help="Item ids in the cart, separated by commas.")
@click.option("--options", default="", help='JSON, e.g. \'{"k": 5, "owned": "exclude"}\'.')
@click.option("--model", default=None, help="MLflow model URI; default: the registered champion.")
def recommend(
    config: str, settings: tuple[str, ...], customer: str | None, basket: str, options: str, model: str | None
) -> None:
    """Ask the registered model for a customer, a cart, both or neither."""
    from recsys.registry.ask import answer_table, ask_model
    from recsys.registry.terminal import console

    items = [item.strip() for item in basket.split(",") if item.strip()]
    answer, names, unknown = ask_model(_load(config, settings).registry, model, customer, items, options)
    console().print(answer_table(answer, names))
    if unknown:
        click.echo(f"not known to the model: {', '.join(unknown)}")


@main.command()
@with_config
@click.option("--host", default="127.0.0.1", show_default=True, help="Address; the server has no log-in.")
@click.option("--port", type=click.IntRange(1, 65535), default=5001, show_default=True)
@click.option("--model", default=None, help="MLflow model URI; default: the registered champion.")
def serve(config: str, settings: tuple[str, ...], host: str, port: int, model: str | None) -> None:
    """Answer requests over HTTP by MLflow's scoring server, one worker, until it is stopped."""
    import os

    from recsys.registry import serve as serving

    registry = _load(config, settings).registry
    uri = model or serving.champion_uri(registry)
    serving.check_port(host, port)
    click.echo(f"serving {uri} on http://{host}:{port}/invocations")
    sys.stdout.flush()
    words = serving.serve_command(uri, host, port)
    os.execve(words[0], words, serving.serve_environment(registry))


@main.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--size", type=click.Choice(["small", "large"]), default="small", show_default=True)
@click.option("--customers", type=int, default=None, help="Customers, instead of the size's own number.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--with", "settings", multiple=True, metavar="KEY=VALUE", help="Any other option, e.g. items=90000.")
def synth(directory: Path, size: str, customers: int | None, seed: int, settings: tuple[str, ...]) -> None:
    """Write a synthetic shop with planted truth as Parquet: orders/, catalog.parquet, truth/.

    large: two years, 3.4M orders of 206,000 customers, 32M lines, 50,000 items.
    """
    from recsys.data.synthetic import SyntheticOptions, changed, large, stream_orders

    options = large(seed) if size == "large" else SyntheticOptions(seed=seed)
    of_customers = () if customers is None else (f"customers={customers}",)
    files = stream_orders(changed(options, (*of_customers, *settings)), directory)
    click.echo(f"{len(files)} files of orders in {directory}")


@main.command()
@with_config
@click.option("--mend", is_flag=True, help="Remove what killed runs left, and end their MLflow runs.")
@click.option("--json", "as_json", is_flag=True, help="Findings as JSON.")
def doctor(config: str, settings: tuple[str, ...], mend: bool, as_json: bool) -> None:
    """Check this machine, the stores and the champion; say what to do. Exit code 1 when something fails."""
    from recsys.doctor import print_findings

    sys.exit(print_findings(config, settings, datetime.now(UTC), mend=mend, as_json=as_json))


cli_models.add_to(main, with_config, _load)
cli_score.add_to(main, with_config)
cli_affinity.add_to(main, with_config)
cli_offers.add_to(main, with_config)
cli_due.add_to(main, with_config)
cli_drift.add_to(main, with_config, _load)

if __name__ == "__main__":
    main()
