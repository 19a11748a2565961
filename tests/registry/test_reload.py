"""The logged model: golden requests that find each fault, the timing, and the process that can import little."""

import copy
import json
import math
from dataclasses import replace

import mlflow
import pytest

from recsys.registry import golden as gold
from recsys.registry import reload as reloading
from recsys.registry import tracking
from recsys.registry.golden import Golden, faults, golden_of
from recsys.registry.options import GateOptions
from recsys.registry.reload import Reloaded, in_a_fresh_process, refused_modules, speed

ITEMS = 2


@pytest.fixture(scope="module")
def golden(fitted, small_shop) -> Golden:
    model = fitted.recommender
    known = small_shop.data.customers.ids[0], list(model.items.ids[:ITEMS])
    return golden_of(model.recommend, len(model.items), True, *known)


def test_the_requests_are_answered_as_they_should_be(golden):
    assert faults(golden, copy.deepcopy(golden.answers)) == []
    assert [r["name"] for r in golden.requests][:5] == [
        "a known customer", "an unknown customer", "a cart alone", "a known customer with a cart", "nothing",
    ]  # fmt: skip
    assert sum(r["refused"] for r in golden.requests) == len(gold.RUBBISH)
    assert {len(a["item_ids"]) for a in golden.answers} == {0, gold.K}
    known, nobody, *_ = golden.answers
    assert known["item_ids"] != nobody["item_ids"]
    assert json.loads(json.dumps(golden.as_dict())) == golden.as_dict()


@pytest.mark.parametrize(
    ("at", "change", "said"),
    [
        (0, {"item_ids": []}, "0 items are listed, 5 are due"),
        (0, {"error": "no"}, "is refused: no"),
        (1, {"item_ids": ["a", "a", "b", "c", "d"]}, "an item is listed twice"),
        (2, {"scores": [9.0, 8.0, 7.0, 6.0, 5.0]}, "is answered otherwise"),
        (3, {"item_ids": ["a", "b", "c", "d", "e"]}, "is answered otherwise"),
        (7, {"error": ""}, "is answered instead of refused"),
        (8, {"item_ids": ["a"]}, "is answered instead of refused"),
    ],
)
def test_each_fault_is_found(golden, at, change, said):
    answers = copy.deepcopy(golden.answers)
    answers[at] |= change
    (fault,) = faults(golden, answers)
    assert said in fault
    assert fault.startswith(golden.requests[at]["name"])


def test_an_item_of_the_cart_is_a_fault(golden):
    answers = copy.deepcopy(golden.answers)
    answers[2]["item_ids"][0] = golden.requests[2]["basket"][0]
    assert faults(golden, answers) == ["a cart alone: an item of the cart is listed"]


def test_equal_scores_may_change_places_and_other_numbers_may_not(golden):
    answers = copy.deepcopy(golden.answers)
    answers[0]["scores"] = [s * (1 + 1e-7) for s in answers[0]["scores"]]
    assert faults(golden, answers) == [], "rounding"
    tied = replace(golden, answers=copy.deepcopy(golden.answers))
    tied.answers[0]["scores"] = [1.0] * gold.K
    answers = copy.deepcopy(tied.answers)
    answers[0]["item_ids"].reverse()
    assert faults(tied, answers) == []
    answers[0]["scores"] = [1.1] * gold.K
    assert len(faults(tied, answers)) == 1


def test_a_missing_answer_is_a_fault(golden):
    assert faults(golden, golden.answers[:-1]) == [
        f"{len(golden.requests) - 1} answers to {len(golden.requests)} requests"
    ]


class Slow:
    """Answers nothing; the first rounds take their time."""

    def __init__(self, slow):
        self.asked, self.slow = 0, slow

    def predict(self, _rows):
        self.asked += 1
        if self.asked <= self.slow:
            reloading.time.sleep(0.02)


def test_a_slow_round_is_timed_again_and_a_slow_model_stays_slow(golden):
    options = GateOptions(requests=5, max_p50_ms=15, max_p99_ms=15)
    once, always = Slow(reloading.WARM + 5), Slow(math.inf)
    assert speed(once, golden, options)[0] < 15
    assert once.asked > reloading.WARM + 5
    assert speed(always, golden, options)[0] >= 20
    assert always.asked == reloading.ROUNDS * (reloading.WARM + 5)


def test_the_serving_set_is_what_the_requirements_bring_along():
    refused = set(refused_modules())
    assert {"recsys", "polars", "prefect", "implicit", "optuna", "sklearn", "pytest", "sparse_dot_topn"} <= refused
    assert not {"numpy", "scipy", "lightgbm", "pandas", "mlflow", "yaml", "pyarrow"} & refused


SCRIPT = """
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

class Model(PythonModel):
    def load_context(self, context):
        import polars

    def predict(self, context, model_input, params=None):
        return model_input

set_model(Model())
"""


@pytest.mark.filterwarnings("ignore:.*Add type hints to the `predict` method")
def test_a_model_that_needs_more_than_the_serving_set_does_not_load(golden, trained, tmp_path):
    """It imports a library of training when it is loaded; here that is installed, where it serves it is not."""
    (tmp_path / "script.py").write_text(SCRIPT)
    tracking.connect(trained.config.registry)
    mlflow.pyfunc.save_model(str(tmp_path / "model"), python_model=str(tmp_path / "script.py"), pip_requirements=[])
    said, seconds = in_a_fresh_process(tmp_path / "model", golden, GateOptions())
    assert len(said) == 1
    assert "No module named 'polars' in the serving set" in said[0]
    assert math.isnan(seconds)
    said, _ = in_a_fresh_process(tmp_path / "model", golden, GateOptions(fresh_seconds=1e-3))
    assert said == ["does not load within registry.gate.fresh_seconds = 0.001"]
    rails = {g.name: g for g in Reloaded(1, 2, 3, [], said).guardrails(GateOptions(max_size_mb=0.5))}
    assert [name for name, g in rails.items() if not g.passed] == ["size of the model, MB", "reload in a fresh process"]


def test_a_model_that_is_not_there_fails_the_guardrails(golden, trained, tmp_path):
    tracking.connect(trained.config.registry)
    found = reloading.reload(f"{tmp_path}/none", golden, GateOptions())
    lost = {g.name: g.text for g in found.guardrails(GateOptions()) if not g.passed}
    assert "does not load: " in lost["golden requests after the reload"]
    assert len(lost) == 4


def test_other_offers_are_a_fault(trained):
    """Of the registered model of the small shop, which makes offers."""
    tracking.connect(trained.config.registry)
    model = mlflow.pyfunc.load_model(trained.registered["uri"])
    recommender = model.unwrap_python_model().recommender
    known = recommender.customers.ids[0], list(recommender.items.ids[:2])
    golden = golden_of(recommender.recommend, len(recommender.items), True, *known, offering=True)
    answers = gold.plain(model.predict(gold.frame(golden.requests)))
    assert faults(golden, answers) == []
    at = next(at for at, one in enumerate(golden.answers) if one["offers"])
    answers[at]["offers"] = answers[at]["offers"][1:]
    assert faults(golden, answers) == [f"{golden.requests[at]['name']}: makes other offers than before it was logged"]
