"""The MLflow face by itself: tables in, tables out."""

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.utils.environment import _simulate_serving_environment

from recsys.serving.model import ANSWER, COLUMNS, RecommenderModel


@pytest.fixture(scope="module")
def model(fitted) -> RecommenderModel:
    face = RecommenderModel()
    face.recommender, face.version = fitted.recommender, "v1"
    return face


def test_answers_stand_in_the_rows_of_their_requests(model, small_shop):
    ids, items = small_shop.data.customers.ids, small_shop.data.items.ids
    asked = {
        "basket": [[], [items[3]], None],
        "options": ['{"k": 2}', "", '{"k": 0}'],
        "customer_id": [ids[0], None, ids[1]],
    }
    rows = pd.DataFrame(asked, index=[7, 3, 7])
    told = model.predict(None, rows)
    assert told.index.tolist() == [7, 3, 7]
    assert told.columns.tolist() == ANSWER.tolist()
    alone = model.recommender.recommend(*(asked[name] for name in COLUMNS))
    for row, answer in zip(told.to_dict("records"), alone, strict=True):
        assert row == vars(answer) | {"model_version": "v1"}
    assert [len(found) for found in told["item_ids"]] == [2, 10, 0]
    assert told["error"].iloc[2].startswith("options.k is 0")


def test_the_scoring_server_gets_the_records_that_it_would_make(model, small_shop):
    rows = pd.DataFrame({"customer_id": [*small_shop.data.customers.ids[:2], None], "options": ["", '{"k": 0}', ""]})
    table = model.predict(None, rows)
    with _simulate_serving_environment():  # MLflow's own: fails where it names the variable anew
        records = model.predict(None, rows)
    assert isinstance(records, list)
    assert records == table.to_dict("records")


def test_baskets_of_one_length_stay_lists_of_their_rows(model, small_shop):
    items = small_shop.data.items.ids
    baskets = [[items[1], items[2]], [items[5], items[6]]]
    arrays = pd.DataFrame({"basket": [np.array(basket, object) for basket in baskets]})
    expected = model.predict(None, pd.DataFrame({"basket": baskets}))
    assert expected["error"].tolist() == ["", ""]
    assert model.predict(None, arrays).to_dict("records") == expected.to_dict("records")


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame([["1", "2"]], columns=["customer_id", "customer_id"]),
        pd.DataFrame([["basket", "2"]], columns=["basket", "options"]),  # what MLflow makes of two columns
        pd.DataFrame({"sku": ["1"]}),
        pd.DataFrame(),
    ],
)
def test_what_is_no_table_of_requests_is_refused(model, table):
    with pytest.raises(MlflowException, match=r"more than once|none of the columns"):
        model.predict(None, table)


def test_no_rows_have_no_answers(model):
    assert model.predict(None, pd.DataFrame({"customer_id": []})).shape == (0, len(ANSWER))
