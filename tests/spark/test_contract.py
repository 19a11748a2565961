"""What every model promises (tests/models/test_contract.py), kept by the models that Spark fits."""

import copy

import numpy as np
import pyarrow as pa
import pytest

from recsys.models.als import Als
from recsys.models.item_knn import ItemKnn
from recsys.spark.als import fit_als
from recsys.spark.pairs import fit_item_knn
from tests.models import test_contract as contract
from tests.models.test_contract import (  # noqa: F401  # collected here once more, with the fixtures below
    queries,
    test_a_block_is_answered_like_its_queries_one_by_one,
    test_a_saved_model_comes_back_whole,
    test_a_second_fit_forgets_the_first,
    test_fit_and_score_change_nothing_they_are_given,
    test_no_queries_get_no_scores,
    test_nothing_is_pickled,
    test_order_of_queries_permutes_the_scores,
    test_queries_do_not_influence_each_other,
    test_score_changes_nothing_learned,
    test_scores_have_one_row_a_query_and_one_column_an_item,
    test_scores_vary,
    test_thread_counts_do_not_matter,
    test_tiny_shops_do_not_break_a_model,
    test_two_fits_are_equal,
)

pytestmark = pytest.mark.spark
NAMES = ("als", "item_knn")
PARTS = 2
FIT = {kind: kind.fit for kind in (Als, ItemKnn)}  # as they are


def table(**columns):
    return pa.table({name: pa.array(values, kind) for name, (values, kind) in columns.items()})


def by_spark(session, model, data):
    """`model` fitted by Spark on the cells and lines of `data`, which are those of its orders (test_lines)."""
    counts, orders = data.histories.counts.tocoo(), data.orders.tocoo()
    if isinstance(model, Als):
        cells = table(
            customer=(counts.row, pa.int32()), item=(counts.col, pa.int32()), count=(counts.data, pa.float32())
        )
        return fit_als(session.createDataFrame(cells), model, len(data.items), PARTS)
    lines = table(
        order_id=(orders.row.astype(str), pa.string()),
        item=(orders.col, pa.int32()),
        age=(data.order_ages[orders.row], pa.float32()),
    )
    return fit_item_knn(session.createDataFrame(lines), model, len(data.items), PARTS)


@pytest.fixture(scope="module", autouse=True)
def fitted_by_spark(spark):
    """`fit` of both models goes through Spark in this module."""
    with pytest.MonkeyPatch.context() as patch:
        for kind in FIT:

            def fit(self, data):
                self.__dict__.update(contract.learned(by_spark(spark, self, data)))
                return self

            patch.setattr(kind, "fit", fit)
        yield


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def trained(small_shop):
    return {name: copy.deepcopy(contract.MODELS[name]).fit(small_shop.data) for name in NAMES}


def test_what_is_tested_here_is_fitted_by_spark(trained, spark, small_shop):
    """`Als.fit` itself would have asked implicit, whose factors are others."""
    again = by_spark(spark, contract.MODELS["als"], small_shop.data)
    assert np.array_equal(again.items_, trained["als"].items_)
    assert not np.allclose(FIT[Als](copy.deepcopy(contract.MODELS["als"]), small_shop.data).items_, again.items_)
