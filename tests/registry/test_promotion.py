"""The recipe rule as a table of cases: no MLflow, no clock, no files."""

import json
import math
from dataclasses import replace

import pytest

from recsys.registry.guardrails import Guardrail
from recsys.registry.options import GateOptions
from recsys.registry.promotion import Comparison, Standing, decide

GOOD = Guardrail("primary metric", 0.2, 0.1, True, "hybrid reaches 0.2")
BAD = Guardrail("coverage at 10", 0.001, 0.005, False, "1 of 1,000 items")
LOST = Guardrail("newcomers / champion's recipe", 0.5, 0.8, False, "0.4 × hybrid on 90 queries")
OPTIONS = GateOptions(margin=0.02, stale_days=28)
SAME, YOUNG, OLD = Standing(4, True, 90), Standing(4, False, 28), Standing(4, False, 28.1)


def never():
    raise AssertionError("nothing is to be compared here")


def case(ratio, low, high, n=500, rails=()):
    return Comparison(ratio, low, high, n, 3, list(rails))


@pytest.mark.parametrize(
    ("rails", "standing", "compared", "held", "promoted", "reason"),
    [
        ([GOOD], None, None, "", True, "the first version that passed the guardrails"),
        ([GOOD, BAD], None, None, "", False, "guardrail failed: coverage at 10"),
        ([BAD, LOST], SAME, None, "", False, "guardrail failed: coverage at 10; newcomers"),
        ([GOOD, BAD], OLD, None, "", False, "guardrail failed: coverage at 10"),
        ([GOOD], SAME, None, "", True, "same recipe as the champion on newer data"),
        ([GOOD], SAME, None, "by eva at noon", False, "this recipe was rolled back by eva at noon"),
        ([GOOD], None, None, "by eva at noon", False, "rolled back by eva"),
        ([GOOD], replace(SAME, knows_later=True), None, "", False, "the champion was trained on later orders"),
        ([GOOD], replace(OLD, knows_later=True), None, "", False, "the champion was trained on later orders"),
        ([GOOD], YOUNG, case(1.1, 1.001, 1.2), "", True, "beyond doubt (1.100 ×, 1.001 to 1.200)"),
        ([GOOD], YOUNG, case(1.1, 1.0, 1.2), "", False, "not better beyond doubt, and the champion is 28 days old"),
        ([GOOD], OLD, case(1.1, 1.0, 1.2), "", True, "not worse than the champion's recipe within 2.0%"),
        ([GOOD], OLD, case(0.99, 0.98, 1.0), "", True, "the champion is 28 days old, more than 28 days"),
        ([GOOD], OLD, case(1.3, 0.979, 1.7), "", False, "may be worse than the champion's recipe by more than 2.0%"),
        ([GOOD], OLD, case(0.9, 0.85, 0.999), "", False, "worse than the champion's recipe beyond doubt"),
        ([GOOD], OLD, case(0.995, 0.99, 0.999), "", True, "not worse"),
        ([GOOD], OLD, case(1.5, 1.4, 1.6, rails=[LOST]), "", False, "guardrail failed: newcomers"),
        ([GOOD], OLD, case(math.nan, math.nan, math.nan, n=0), "", False, "0 queries were asked alike"),
        ([GOOD], OLD, case(math.inf, math.inf, math.inf), "", True, "beyond doubt"),
    ],
)  # fmt: skip
def test_the_rule(rails, standing, compared, held, promoted, reason):
    decision = decide(rails, standing, (lambda: compared) if compared else never, OPTIONS, held)
    assert decision.promoted is promoted
    assert decision.alias == ("champion" if promoted else "challenger")
    assert reason in decision.reason
    assert decision.against == (standing.version if standing else None)
    assert decision.guardrails == [*rails, *(compared.guardrails if compared else [])], "every number is kept"
    assert decision.comparison == compared


def test_thresholds_are_the_options():
    close = case(0.97, 0.95, 1.0)
    assert not decide([GOOD], OLD, lambda: close, OPTIONS).promoted
    assert decide([GOOD], OLD, lambda: close, replace(OPTIONS, margin=0.05)).promoted
    assert not decide([GOOD], OLD, lambda: close, replace(OPTIONS, margin=0.05, stale_days=29)).promoted


def test_a_wider_interval_never_helps():
    """The lower end alone promotes: of two comparisons of one ratio, the less certain one is promoted no sooner."""
    for standing in (YOUNG, OLD):
        lows = [x / 100 for x in range(80, 121)]
        promoted = [decide([GOOD], standing, lambda low=low: case(1.2, low, 1.3), OPTIONS).promoted for low in lows]
        assert promoted == sorted(promoted)
        assert set(promoted) == {True, False}


def test_the_page_and_the_json_hold_every_number():
    decision = decide([GOOD, replace(GOOD, name="a group", value=None)], OLD, lambda: case(1.1, 1.05, 1.2), OPTIONS)
    page = replace(decision, notes=("Code differs.",)).markdown()
    assert page.startswith("# Promoted: better than the champion's recipe beyond doubt")
    assert "Decided against version 4" in page
    assert "1.1000 (1.0500 to 1.2000) on 500 queries; 3 were asked otherwise" in page
    assert "| primary metric | 0.2 | at least 0.1 | yes | hybrid reaches 0.2 |" in page
    assert "| a group | – |" in page
    assert page.rstrip().endswith("Code differs.")
    refused = decide([GOOD, BAD], None, never, OPTIONS)
    assert "| coverage at 10 | 0.001 | at least 0.005 | **no** |" in refused.markdown()
    plain = json.loads(json.dumps(decision.as_dict(), allow_nan=False))
    assert (plain["promoted"], plain["against"], plain["passed"], plain["failed"]) == (True, 4, 2, [])
    assert plain["comparison"] == {"ratio": 1.1, "low": 1.05, "high": 1.2, "n": 500, "left_out": 3}
    assert json.loads(json.dumps(refused.as_dict()))["failed"] == ["coverage at 10"]
    endless = decide(
        [replace(GOOD, value=math.inf)], OLD, lambda: case(math.inf, math.nan, math.inf), OPTIONS
    ).as_dict()
    assert (endless["guardrails"][0]["value"], endless["comparison"]["low"]) == (None, None), "JSON knows no infinity"
