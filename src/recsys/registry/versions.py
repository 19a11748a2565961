"""The versions of a registered model as rows: what serves, what did, and why the others do not."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from mlflow.exceptions import MlflowException
from rich.table import Table

from recsys.errors import InputError
from recsys.registry import champions, tracking
from recsys.registry.options import RegistryOptions
from recsys.registry.promotion import CHAMPION
from recsys.registry.register import ROLLED_BACK
from recsys.registry.wording import DASH, day


@dataclass(frozen=True)
class VersionRow:
    """One version; texts are empty where it was registered by hand or by an older release."""

    version: int
    aliases: list[str]
    created: str  # ISO, of the training
    data_until: str
    outcome: str  # champion | challenger: what the gate made of it
    decision: str
    by_hand: str  # who promoted or took it back, when and why
    serves: str  # contender that ranks
    primary: float | None
    metrics: dict[str, float]
    recipe: str
    git_commit: str
    run_id: str
    previous: bool  # recsys rollback would go here

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def model_versions(options: RegistryOptions) -> list[VersionRow]:
    """All versions, the newest first; InputError where the model has none."""
    client = tracking.connect(options)
    name = options.model_name
    try:
        aliases = client.get_registered_model(name).aliases
    except MlflowException:
        raise InputError(f"there is no registered model {name!r} in {options.tracking_uri}; train first") from None
    serving = champions.serving(client, name)
    previous = champions.before(client, name, serving) if serving is not None else None
    found = sorted(client.search_model_versions(f"name = '{name}'"), key=lambda v: -int(v.version))
    return [_row(client, v, aliases, int(v.version) == previous) for v in found]


def _row(client: Any, version: Any, aliases: Mapping[str, str], previous: bool) -> VersionRow:
    tags = version.tags
    made = datetime.fromtimestamp(version.creation_timestamp / 1000, UTC).isoformat(timespec="seconds")
    primary = tags.get("primary")
    return VersionRow(
        version=int(version.version),
        aliases=sorted(alias for alias, at in aliases.items() if str(at) == str(version.version)),
        created=tags.get("trained_at", made),
        data_until=tags.get("data_until", ""),
        outcome=tags.get("outcome", ""),
        decision=tags.get("decision", "not decided: its training was killed or still runs" if "key" in tags else ""),
        by_hand=_by_hand(tags),
        serves=tags.get("serves", ""),
        primary=float(primary) if primary else None,
        metrics=_metrics(client, version.run_id),
        recipe=tags.get("recipe", ""),
        git_commit=tags.get("git_commit", ""),
        run_id=version.run_id or "",
        previous=previous,
    )


def _metrics(client: Any, run_id: str | None) -> dict[str, float]:
    """Recall at 10 of both tasks, as far as the run is there."""
    try:
        held = client.get_run(run_id).data.metrics if run_id else {}
    except MlflowException:  # the run was deleted
        return {}
    names = {"next_basket_all_recall_at_10": "next basket recall@10", "cart_all_recall_at_10": "cart recall@10"}
    return {said: float(held[key]) for key, said in names.items() if key in held}


def _by_hand(tags: Mapping[str, str]) -> str:
    said = []
    if tags.get("promoted_at"):
        forced = "forced" if tags.get("promoted_forced") == "yes" else "promoted"
        why = f" ({tags['promoted_why']})" if tags.get("promoted_why") else ""
        said.append(f"{forced} by {tags['promoted_by']} at {tags['promoted_at'][:16].replace('T', ' ')} UTC{why}")
    if tags.get(ROLLED_BACK):
        said.append(f"rolled back {tags[ROLLED_BACK]}")
    return "; ".join(said)


def versions_table(name: str, rows: list[VersionRow]) -> Table:
    """For people: newest first, the champion bold, the one that a rollback goes to marked."""
    table = Table(title=f"versions of {name}", title_justify="left", show_lines=True)
    for column in ("#", "alias", "trained", "data until", "primary", "recipe", "decision"):
        table.add_column(column, justify="right" if column in ("#", "primary") else "left",
                         overflow="fold", no_wrap=column in ("#", "trained", "data until", "primary"))  # fmt: skip
    for row in rows:
        marks = [*row.aliases, *(["(before)"] if row.previous else [])]
        primary = DASH if row.primary is None else f"{row.primary:.4f}"
        decision = "\n".join(text for text in (row.decision, row.by_hand) if text)
        table.add_row(
            str(row.version), "\n".join(marks), day(row.created), day(row.data_until), primary, row.recipe[:8],
            decision, style="bold" if CHAMPION in row.aliases else "",
        )  # fmt: skip
    return table
