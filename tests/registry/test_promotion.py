"""The recipe rule and the guardrails as a table."""

import pytest

from recsys.registry.options import RegistryOptions
from recsys.registry.promotion import decide, guardrails, ratio_of

PASSED = [{"name": "primary metric", "value": 0.2, "threshold": 0.1, "passed": True}]
FAILED = [{"name": "coverage at 10", "value": 0.001, "threshold": 0.005, "passed": False}]


def never():
    raise AssertionError("nothing is to be compared here")


@pytest.mark.parametrize(
    ("checks", "same", "compared", "alias", "reason"),
    [
        (PASSED, None, None, "champion", "first version"),
        (FAILED, None, None, "challenger", "guardrail failed: coverage at 10"),
        (FAILED, True, None, "challenger", "guardrail failed"),
        (FAILED, False, None, "challenger", "guardrail failed"),
        (PASSED, True, None, "champion", "same recipe"),
        (PASSED, False, (1.2, 1.1), "champion", "beyond doubt (1.200 ×, from 1.100)"),
        (PASSED, False, (1.2, 0.9), "champion", "not worse"),
        (PASSED, False, (1.0, 0.9), "champion", "not worse"),
        (PASSED, False, (0.99, 0.9), "challenger", "worse than the champion's recipe (0.990 ×)"),
    ],
)
def test_the_rule(checks, same, compared, alias, reason):
    decision = decide(checks, same, (lambda: compared) if compared else never)
    assert decision.alias == alias
    assert decision.promoted == (alias == "champion")
    assert reason in decision.reason
    page = decision.markdown()
    assert page.startswith("# Promoted: " if decision.promoted else "# Not promoted: ")
    assert page.count("\n| ") == 2 + len(decision.checks)
    assert len(decision.checks) == len(checks) + (compared is not None)


def test_guardrails_are_floors_of_the_metric_and_of_coverage():
    options = RegistryOptions(min_primary=0.1, min_coverage=0.5)

    def passed(primary, shown):
        checks = guardrails({"primary_value": primary}, 10, [1] * shown, options)
        return [(c["name"], c["value"], c["passed"]) for c in checks]

    assert passed(0.1, 5) == [("primary metric", 0.1, True), ("coverage at 10", 0.5, True)]
    assert passed(0.0999, 4) == [("primary metric", 0.0999, False), ("coverage at 10", 0.4, False)]
    assert guardrails({"primary_value": 0.5}, 0, [], options)[1]["passed"] is False


def test_the_ratio_is_of_means_over_the_same_queries():
    ratio, low = ratio_of([0.2, 0.4, 0.6], [0.1, 0.2, 0.3], 200, 0)
    assert ratio == pytest.approx(2)
    assert low == pytest.approx(2), "query by query the ratio is the same, so there is no doubt"
