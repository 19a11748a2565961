"""Whether a new version serves: the guardrails first, then the recipe rule. Pure: no MLflow, no clock, no files.

    a guardrail fails                                  → the champion stays
    the recipe was rolled back by a person             → the champion stays until a person promotes
    no champion yet                                    → promoted
    the champion knows later orders                    → the champion stays
    same recipe, newer data                            → promoted
    another recipe, judged on the same queries:
      lower end of new / old above 1                   → promoted: better beyond doubt
      lower end ≥ 1 - margin, champion old enough      → promoted: not worse
      lower end ≥ 1 - margin, champion young           → the champion stays
      else                                             → the champion stays

A champion's weights have seen today's test window, so weights cannot be compared; recipes can. The champion's options
are refit before today's cut, with today's code, and judged on the same queries.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from recsys.registry.guardrails import Guardrail
from recsys.registry.options import GateOptions

CHAMPION, CHALLENGER = "champion", "challenger"


@dataclass(frozen=True)
class Standing:
    """The champion that a decision is made against."""

    version: int
    same_recipe: bool
    age_days: float  # since it was trained
    knows_later: bool = False  # its data ends after that of the new version
    commit: str = ""  # of the code that trained it


@dataclass(frozen=True)
class Comparison:
    """New / champion's recipe by the primary metric; paired bootstrap over customers."""

    ratio: float
    low: float
    high: float
    n: int  # queries that both recipes were asked alike
    left_out: int = 0  # queries of today's evaluation that the other recipe was not asked, or not alike
    guardrails: list[Guardrail] = field(default_factory=list)  # groups against the champion's recipe


@dataclass(frozen=True)
class Decision:
    """What became of a new version, why, and every number that it hangs on."""

    promoted: bool
    reason: str
    guardrails: list[Guardrail] = field(default_factory=list)
    comparison: Comparison | None = None
    against: int | None = None  # the champion's version
    notes: tuple[str, ...] = ()

    @property
    def alias(self) -> str:
        return CHAMPION if self.promoted else CHALLENGER

    def as_dict(self) -> dict[str, Any]:
        """decision.json; the comparison's guardrails stand among the others."""
        out: dict[str, Any] = _finite(asdict(self))
        if out["comparison"]:
            del out["comparison"]["guardrails"]
        return out | {"passed": sum(g.passed for g in self.guardrails), "failed": failed(self.guardrails)}

    def markdown(self) -> str:
        """decision.md"""
        return "\n".join([*self._head(), "", *_table(self.guardrails), *(f"\n{note}" for note in self.notes), ""])

    def _head(self) -> list[str]:
        head = [f"# {'Promoted' if self.promoted else 'Not promoted'}: {self.reason}"]
        if self.against is not None:
            head += ["", f"Decided against version {self.against}, the champion at that time."]
        if self.comparison:
            c = self.comparison
            head += ["", f"New / champion's recipe: {c.ratio:.4f} ({c.low:.4f} to {c.high:.4f}) on {c.n:,} queries; "
                     f"{c.left_out:,} were asked otherwise and left out."]  # fmt: skip
        return head


def failed(guardrails: list[Guardrail]) -> list[str]:
    return [g.name for g in guardrails if not g.passed]


def decide(
    guardrails: list[Guardrail],
    standing: Standing | None,
    compare: Callable[[], Comparison],
    options: GateOptions,
    held: str = "",
) -> Decision:
    """`compare` is called only where its answer can matter; `held` says who rolled this recipe back and why."""
    against = standing.version if standing else None
    lost = failed(guardrails)
    if lost:
        return Decision(False, f"guardrail failed: {'; '.join(lost)}", guardrails, against=against)
    if held:
        reason = f"this recipe was rolled back {held}; recsys promote lifts it"
        return Decision(False, reason, guardrails, against=against)
    if standing is None:
        return Decision(True, "the first version that passed the guardrails", guardrails)
    if standing.knows_later:
        return Decision(False, "the champion was trained on later orders", guardrails, against=against)
    if standing.same_recipe:
        reason = "same recipe as the champion on newer data; all guardrails passed"
        return Decision(True, reason, guardrails, against=against)
    found = compare()
    guardrails = [*guardrails, *found.guardrails]
    lost = failed(guardrails)
    if lost:
        return Decision(False, f"guardrail failed: {'; '.join(lost)}", guardrails, found, against)
    return replace(by_comparison(found, standing, options), guardrails=guardrails, comparison=found, against=against)


def by_comparison(found: Comparison, standing: Standing, options: GateOptions) -> Decision:
    """The rule for another recipe; a comparison without any query promotes nothing (NaN is above no bound)."""
    size = f"{found.ratio:.3f} ×, {found.low:.3f} to {found.high:.3f}"
    age, stale = f"{standing.age_days:.0f} days old", f"{options.stale_days:g} days"
    if not found.n or found.low != found.low:
        return Decision(False, f"cannot be compared with the champion's recipe: {found.n} queries were asked alike")
    if found.low > 1:
        return Decision(True, f"better than the champion's recipe beyond doubt ({size})")
    if found.low >= 1 - options.margin:
        close = f"not worse than the champion's recipe within {options.margin:.1%} ({size})"
        if standing.age_days > options.stale_days:
            return Decision(True, f"{close}, and the champion is {age}, more than {stale}")
        return Decision(False, f"{close}, but not better beyond doubt, and the champion is {age}, no more than {stale}")
    if found.high < 1:
        return Decision(False, f"worse than the champion's recipe beyond doubt ({size})")
    return Decision(False, f"may be worse than the champion's recipe by more than {options.margin:.1%} ({size})")


def _finite(value: Any) -> Any:
    """NaN and infinities become null, which JSON knows."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _table(guardrails: list[Guardrail]) -> list[str]:
    rows = [f"| {g.name} | {_cell(g.value)} | {g.bound} {_cell(g.threshold)} | {'yes' if g.passed else '**no**'} | "
            f"{g.text} |" for g in guardrails]  # fmt: skip
    return ["| guardrail | value | needed | passed | |", "| --- | --- | --- | --- | --- |", *rows]


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:,.4g}"
