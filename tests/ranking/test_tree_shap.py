"""Contributions from the table against LightGBM's own, and against Shapley's sum over all orders of the features."""

import itertools

import lightgbm as lgb
import numpy as np
import pytest

from recsys.ranking.features import FEATURES
from recsys.ranking.hybrid import Hybrid
from recsys.ranking.tree_shap import TreeShap

N = 1500
COMMON = {"verbosity": -1, "seed": 0, "num_threads": 1, "deterministic": True, "learning_rate": 0.3}


def rows(n, seed=0, missing=0.2):
    """Columns with gaps, whole numbers, a constant, and one that only training knows without gaps."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype(np.float32)
    x[:, 1] = rng.integers(0, 4, n)
    x[:, 2] = 1
    x[rng.random((n, 6)) < missing] = np.nan
    x[:, 3] = rng.normal(size=n)
    return x


def trained(trees=12, **params):
    x = rows(N)
    y = np.nan_to_num(x[:, 0]) * np.nan_to_num(x[:, 1]) + x[:, 3] + np.isnan(x[:, 4]) + np.sin(3 * x[:, 3])
    return lgb.train(COMMON | params | {"objective": "regression"}, lgb.Dataset(x, y), trees)


@pytest.mark.parametrize(
    "params",
    [
        {"num_leaves": 31, "max_depth": 7},
        {"num_leaves": 31},  # paths that ask a feature again and again
        {"num_leaves": 64, "min_data_in_leaf": 5},  # words of 64 bits
        {"num_leaves": 2},
        {"num_leaves": 9, "use_missing": False},
        {"num_leaves": 7, "feature_fraction": 0.3},
    ],
)
def test_as_lightgbm_itself(params):
    booster = trained(**params)
    shap = TreeShap.of(booster)
    for x in (rows(70, 1), rows(5, 2, missing=1.0), rows(40, 3, missing=0.0), np.round(rows(33, 4))):
        x[len(x) // 2 :, 3] = np.nan  # where training saw none: LightGBM reads 0
        expected = booster.predict(x, pred_contrib=True)[:, :-1]
        np.testing.assert_allclose(shap.contributions(x), expected, atol=2e-5)
    assert shap.contributions(x[:0]).shape == (0, 6)


def test_thresholds_are_compared_as_lightgbm_does():
    """Rows that lie on the thresholds, and one step of float32 beside them."""
    booster = trained(num_leaves=15)
    shap = TreeShap.of(booster)
    x = np.repeat(rows(1, 5, missing=0), len(shap.threshold) * 3, axis=0)
    at = np.clip(shap.threshold, -1e30, 1e30).astype(np.float32)  # 1e308 = all that is not missing
    for step, value in enumerate((at, np.nextafter(at, np.float32(np.inf)), np.nextafter(at, np.float32(-np.inf)))):
        x[np.arange(len(at)) * 3 + step, shap.feature] = value
    np.testing.assert_allclose(shap.contributions(x), booster.predict(x, pred_contrib=True)[:, :-1], atol=2e-5)


def test_one_tree_by_all_orders_of_the_features():
    """Shapley: the mean over all orders of what a feature changes when it becomes known."""
    booster = trained(trees=1, num_leaves=6)
    (tree,) = booster.dump_model()["tree_info"]
    x = rows(8, 6)

    def expected(node, row, known):
        if "leaf_value" in node:
            return node["leaf_value"]
        left, right = node["left_child"], node["right_child"]
        feature, value = node["split_feature"], row[node["split_feature"]]
        if feature in known:
            if np.isnan(value) and node["missing_type"] == "NaN":
                goes = node["default_left"]
            else:
                goes = np.nan_to_num(value) <= node["threshold"]
            return expected(left if goes else right, row, known)
        sizes = [child.get("internal_count", child.get("leaf_count")) for child in (left, right)]
        parts = [expected(child, row, known) for child in (left, right)]
        return np.average(parts, weights=sizes)

    orders = list(itertools.permutations(range(6)))
    for row, found in zip(x, TreeShap.of(booster).contributions(x), strict=True):
        slow = np.zeros(6)
        for order in orders:
            for at, feature in enumerate(order):
                before, after = set(order[:at]), set(order[: at + 1])
                slow[feature] += expected(tree["tree_structure"], row, after) - expected(
                    tree["tree_structure"], row, before
                )
        np.testing.assert_allclose(found, slow / len(orders), atol=1e-5)


def test_trees_without_a_split_add_nothing(fitted, listed_rows):
    """LightGBM keeps a first tree of one leaf where nothing can be split."""
    booster = trained(min_data_in_leaf=N)
    assert TreeShap.of(booster) is None
    assert not Hybrid({"binary": booster}, fitted.hybrid.chances, np.arange(6)).contributions(listed_rows).any()


def test_trees_too_large_for_a_table_are_left_to_lightgbm(fitted, listed_rows):
    assert TreeShap.of(trained(num_leaves=100, min_data_in_leaf=2)) is None
    large = Hybrid(fitted.hybrid.boosters, fitted.hybrid.chances, fitted.hybrid.columns)
    large.__dict__["_shap"] = None
    np.testing.assert_allclose(large.contributions(listed_rows), fitted.hybrid.contributions(listed_rows), atol=2e-5)


def test_features_that_were_left_out_add_nothing(fitted, listed_rows):
    columns = np.arange(len(FEATURES))[::2]
    booster = trained()
    hybrid = Hybrid({"binary": booster}, fitted.hybrid.chances, columns[:6])
    moved = hybrid.contributions(listed_rows)
    assert moved.shape == listed_rows.shape
    assert np.flatnonzero((moved != 0).any(axis=0)).max() <= columns[5]
    expected = booster.predict(listed_rows[:, columns[:6]], pred_contrib=True)[:, :-1]
    np.testing.assert_allclose(moved[:, columns[:6]], expected, atol=2e-5)


@pytest.fixture(scope="module")
def listed_rows(small_shop, fitted):
    from recsys.ranking.blend import rank

    queries = small_shop.tasks["cart"].histories.take(slice(0, 4))
    return rank(fitted.models, fitted.hybrid, queries).features[::7]
