"""`recsys models`, `recsys promote`, `recsys rollback`: what serves, by whose decision, and how to change it."""

import getpass
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click


def add_to(main: click.Group, with_config: Callable[..., Any], load: Callable[[str, tuple[str, ...]], Any]) -> None:
    """Register the commands; `load` makes the Config of --config and --set."""

    @main.command()
    @with_config
    @click.option("--json", "as_json", is_flag=True, help="All fields, as a JSON list.")
    def models(config: str, settings: tuple[str, ...], as_json: bool) -> None:
        """List the registered versions: aliases, decision, figures, recipe, data until; newest first."""
        from recsys.registry.register import quiet
        from recsys.registry.terminal import console
        from recsys.registry.versions import model_versions, versions_table

        options = load(config, settings).registry
        with quiet():
            rows = model_versions(options)
        if as_json:
            click.echo(json.dumps([row.as_dict() for row in rows], ensure_ascii=False, indent=1))
        else:
            console().print(versions_table(options.model_name, rows))

    @main.command()
    @with_config
    @click.argument("version", type=click.IntRange(min=1))
    @click.option("--force", is_flag=True, help="Skip the guardrails; needs --why.")
    @click.option("--why", default="", help="Kept in the version's tags.")
    def promote(config: str, settings: tuple[str, ...], version: int, force: bool, why: str) -> None:
        """Make VERSION the champion if it passes the guardrails; says who, when and why in its tags."""
        from recsys.registry.by_hand import promote_version
        from recsys.registry.register import quiet

        options = load(config, settings).registry
        with quiet():
            checks = promote_version(options, version, who=_who(), now=datetime.now(UTC), force=force, why=why)
        said = "guardrails skipped" if force else f"{len(checks)} guardrails passed"
        click.echo(f"version {version} of {options.model_name} is the champion now; {said}")

    @main.command()
    @with_config
    @click.option("--why", default="", help="Kept in the tags of the version that is taken back.")
    def rollback(config: str, settings: tuple[str, ...], why: str) -> None:
        """Make the champion before the current one serve again, and hold the recipe that is taken back."""
        from recsys.registry.by_hand import roll_back
        from recsys.registry.register import quiet

        options = load(config, settings).registry
        with quiet():
            current, earlier = roll_back(options, who=_who(), now=datetime.now(UTC), why=why)
        click.echo(
            f"version {earlier} of {options.model_name} is the champion again; version {current} is taken back, and no "
            "training promotes its recipe until recsys promote does"
        )


def _who() -> str:
    """The name that the operating system knows the caller by."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a user of that number
        return "somebody"
