"""Which version serves: the recipe rule and the guardrails.

A champion's weights have seen today's test window, so weights cannot be compared; recipes can. The champion's
recipe is refit before today's cut and judged on the same queries. Same recipe → the guardrails alone decide.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from recsys.evaluation.bootstrap import paired_ratio
from recsys.registry.options import RegistryOptions

CHAMPION, CHALLENGER = "champion", "challenger"


@dataclass(frozen=True)
class Decision:
    """What became of a new version, and every check with its number and threshold."""

    promoted: bool
    reason: str
    checks: list[dict[str, Any]] = field(default_factory=list)

    @property
    def alias(self) -> str:
        return CHAMPION if self.promoted else CHALLENGER

    def markdown(self) -> str:
        rows = [f"| {c['name']} | {c['value']:.4f} | {c['threshold']:.4f} | {'yes' if c['passed'] else '**no**'} |"
                for c in self.checks]  # fmt: skip
        table = "\n".join(["| check | value | threshold | passed |", "| --- | --- | --- | --- |", *rows])
        return f"# {'Promoted' if self.promoted else 'Not promoted'}: {self.reason}\n\n{table}\n"


def guardrails(
    metrics: dict[str, Any], known_items: int, coverage: list[int], options: RegistryOptions
) -> list[dict[str, Any]]:
    """Absolute floors; each {name, value, threshold, passed}."""
    covered = len(coverage) / max(known_items, 1)
    floors = [
        ("primary metric", metrics["primary_value"], options.min_primary),
        ("coverage at 10", covered, options.min_coverage),
    ]
    return [{"name": n, "value": v, "threshold": t, "passed": v >= t} for n, v, t in floors]


def decide(
    checks: list[dict[str, Any]],
    same_recipe: bool | None,
    compare: Callable[[], tuple[float, float]],
) -> Decision:
    """`same_recipe` None = there is no champion yet; `compare` gives (ratio, low) of new over champion's recipe."""
    failed = [c["name"] for c in checks if not c["passed"]]
    if failed:
        return Decision(False, f"guardrail failed: {', '.join(failed)}", checks)
    if same_recipe is None:
        return Decision(True, "the first version that passed the guardrails", checks)
    if same_recipe:
        return Decision(True, "same recipe as the champion on newer data; all guardrails passed", checks)
    ratio, low = compare()
    checks = [
        *checks,
        {"name": "ratio to the champion's recipe", "value": ratio, "threshold": 1.0, "passed": ratio >= 1},
    ]
    if low > 1:
        return Decision(True, f"better than the champion's recipe beyond doubt ({ratio:.3f} ×, from {low:.3f})", checks)
    if ratio >= 1:
        return Decision(True, f"not worse than the champion's recipe ({ratio:.3f} ×)", checks)
    return Decision(False, f"worse than the champion's recipe ({ratio:.3f} ×)", checks)


def ratio_of(new: Any, old: Any, resamples: int, seed: int) -> tuple[float, float]:
    """Ratio of means and its lower end, of per-query values (n,) of the same queries."""
    found = paired_ratio(new, old, resamples, 0.95, seed)
    return float(found.ratio[0]), float(found.low[0])


def champion(client: MlflowClient, name: str) -> Any | None:
    """The model version that serves now, or None."""
    try:
        return client.get_model_version_by_alias(name, CHAMPION)
    except MlflowException:
        return None


def set_alias(client: MlflowClient, name: str, alias: str, version: str) -> None:
    """Move the alias; the last step of a registration."""
    client.set_registered_model_alias(name, alias, version)
