"""The learned score: features by hand, weights that generated the choices, no future, the same after loading."""

import subprocess
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

from benchmarks.planted_upgrades import known
from recsys.data.histories import TrainData, empty_histories
from recsys.data.rewind import rewind
from recsys.data.synthetic import SyntheticOptions, SyntheticShop, synthetic_shop
from recsys.errors import InputError
from recsys.models.content import Content
from recsys.offers.makes import Makes, makes_of, no_makes
from recsys.offers.shelf import Shelf, shelf_of
from recsys.offers.upsell_fit import UpsellFitOptions, choice_weights, fit_upsell, moment_rows, past_queries
from recsys.offers.upsell_model import FEATURES, UpsellModel, features, price_ranks, stand_of
from recsys.offers.upsell_queries import asked_upgrades, dearer_items


@cache
def shop() -> tuple[SyntheticShop, TrainData, Shelf, Makes]:
    made = synthetic_shop(SyntheticOptions(customers=300, seed=2))
    data = known(made, SyntheticOptions())
    shelf = shelf_of(data.items, data.facts)
    told = pl.DataFrame({"item_id": data.items.ids}).join(made.catalog, on="item_id", maintain_order="left")
    return made, data, shelf, makes_of(shelf, told["brand"].to_list(), told["size"].to_list())


@cache
def model() -> UpsellModel:
    _, data, shelf, makes = shop()
    return fit_upsell(data, shelf, makes, Content().fit(data).vectors())


def rows_of(customers: int = 20) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Customers, anchors and candidates of some queries."""
    _, data, shelf, _ = shop()
    asked = past_queries(data, shelf, UpsellFitOptions(), 1)[1]
    kept = asked.query < customers
    return asked.customers[asked.query[kept]], asked.anchors[asked.query[kept]], asked.items[kept]


# --- queries


def test_candidates_are_of_the_type_and_within_the_range() -> None:
    types, prices = np.array([0, 0, 0, 0, 0, 1, -1]), np.array([10, 11, 20, 20.01, np.nan, 15, 15])
    query, item = dearer_items(types, prices, np.array([0, 6, 1, 4]), 1.1, 2.0)
    assert list(zip(query.tolist(), item.tolist(), strict=True)) == [(0, 1), (0, 2), (2, 2), (2, 3)]


def test_queries_of_a_worked_example(tiny_data) -> None:
    #  c had a twice, b once; d had b;  then c buys b again, e and f for the first time, d buys c
    data = tiny_data(
        ("1", "c", 9, ["a"]), ("2", "c", 8, ["a", "b"]), ("3", "d", 7, ["b"]), ("0", None, 6, ["c", "e", "f"])
    )
    types, prices = np.zeros(5, int), np.array([1.0, 1.2, 1.5, 1.9, 3.0])  # a b c e f
    bought = (np.array([0, 0, 0, 1, -1, 1]), np.array([1, 3, 4, 2, 2, -1]))
    asked = asked_upgrades(data.histories, bought, types, prices, low=1.1, high=2.0)
    assert asked.customers.tolist() == [0, 1]
    assert asked.anchors.tolist() == [0, 1]
    assert asked.times.tolist() == [2, 1]
    rows = list(zip(asked.query.tolist(), asked.items.tolist(), asked.bought.tolist(), strict=True))
    assert rows == [(0, 2, False), (0, 3, True), (1, 2, True), (1, 3, False)]
    assert asked.sizes.tolist() == [2, 2]
    with_owned = asked_upgrades(data.histories, bought, types, prices, low=1.1, high=2.0, skip_owned=False)
    assert with_owned.items.tolist() == [1, 2, 3, 2, 3]
    assert with_owned.bought.tolist() == [False, False, True, True, False]


# --- features


def test_features_of_a_worked_example(tiny_data) -> None:
    catalog = {
        "a": {"type": "T", "brand": "X", "size": "10 OZ"},
        "b": {"type": "T", "brand": "Y", "size": "20 OZ"},
        "c": {"type": "T", "brand": "X"},
    }
    data = tiny_data(
        ("1", "u", 100, ["a"]), ("2", "u", 50, ["a"]), ("3", "v", 20, ["a", "b"]), ("4", "v", 5, ["b"]),
        ("5", "w", 3, ["b", "c"]), ("6", None, 1, ["b"]), catalog=catalog,
    )  # fmt: skip
    shelf = replace(shelf_of(data.items, data.facts), prices=np.array([1.0, 1.5, 1.2]))
    makes = makes_of(shelf, ["X", "Y", "X"], ["10 OZ", "20 OZ", None])
    vectors = sp.csr_matrix(np.array([[1, 0], [0.6, 0.8], [0, 1]]))
    u = np.array([data.customers.ids.index("u")])
    found = features(stand_of(data, shelf, makes), makes, vectors, data.histories, u, np.array([0]), np.array([1]))
    habit = (0 + 0 + 10 * 0.5) / (2 + 10)  # twice the cheapest of three
    taste = (0 + 20 * 5 / 10) / (2 + 20) / (5 / 10)  # b lies in 4 of 8 lines, one line added to each brand
    lift = np.log((1 + 2) / (2 * 2 / 3 + 2))  # v had both; two of three customers each had a and b
    wanted = {
        "recent": np.log(5), "latest": np.log(4), "tried": np.log(3), "with_anchor": lift, "with_own": lift,
        "step": np.log(1.5), "habit": (habit - 0.5) * np.log(1.5), "brand_share": 0.0, "brand_taste": np.log(taste),
        "alike": 0.6, "larger": np.log(2),
    }  # fmt: skip
    assert found[0] == pytest.approx([wanted[name] for name in FEATURES], rel=1e-5)


def test_what_else_the_customer_had_counts(tiny_data) -> None:
    catalog = {item: {"type": "T"} for item in "abc"}
    data = tiny_data(
        ("1", "u", 9, ["a"]), ("2", "u", 8, ["b"]), ("3", "v", 7, ["b", "c"]), ("4", "w", 6, ["a"]), catalog=catalog
    )
    shelf = replace(shelf_of(data.items, data.facts), prices=np.array([1.0, 1.2, 1.5]))
    stand = stand_of(data, shelf, no_makes(3))
    asked = (np.array([0]), np.array([0]), np.array([2]))
    mine = features(stand, no_makes(3), None, data.histories, *asked)[0]
    nobody = features(stand, no_makes(3), None, empty_histories(1, 3), *asked)[0]
    a, b = np.log((0 + 2) / (2 * 1 / 3 + 2)), np.log((1 + 2) / (2 * 1 / 3 + 2))
    assert mine[FEATURES.index("with_own")] == pytest.approx((a + b) / np.sqrt(2))
    assert nobody[FEATURES.index("with_own")] == pytest.approx(a)


def test_ranks_of_prices() -> None:
    ranks = price_ranks(np.array([0, 0, 0, 1, -1, 0]), np.array([3.0, 1.0, 2.0, 9.0, 5.0, np.nan]))
    assert ranks.tolist()[:4] == [1.0, 0.0, 0.5, 0.5]
    assert np.isnan(ranks[4:]).all()


# --- learning


def test_weights_that_made_the_choices_are_found() -> None:
    rng = np.random.default_rng(1)
    truth = np.linspace(-1, 1, len(FEATURES))
    sizes = rng.integers(2, 12, 6000)
    x = rng.normal(size=(sizes.sum(), len(FEATURES))) * 2.0
    query = np.repeat(np.arange(len(sizes)), sizes)
    noisy = x @ truth + rng.gumbel(size=len(x))  # the greatest of these is a draw of the conditional logit
    best = np.lexsort((-noisy, query))[np.cumsum(sizes) - sizes]
    bought = np.zeros(len(x), bool)
    bought[best] = True
    assert choice_weights(x, bought, sizes, 1.0) == pytest.approx(truth, abs=0.1)


def test_a_constant_feature_gets_no_weight() -> None:
    x = np.zeros((4, len(FEATURES)))
    x[:, 1] = [0, 1, 0, 1]
    weights = choice_weights(x, np.array([False, True, False, True]), np.array([2, 2]), 0.1)
    assert weights[1] > 0
    assert np.delete(weights, 1).tolist() == [0] * (len(FEATURES) - 1)


@pytest.mark.parametrize("at", [1, 3])
def test_later_orders_do_not_reach_the_features(at: int) -> None:
    """Whatever is sold after a moment, the features of its queries stay to the last bit; only answers may change."""
    _, data, shelf, makes = shop()
    options = UpsellFitOptions()
    days = at * options.window_days
    later = data.histories.ages <= days
    rng = np.random.default_rng(0)
    items = data.histories.items.copy()
    items[later] = rng.permutation(items[later])
    orders = data.orders.tolil()
    for row in np.flatnonzero(data.order_ages <= days):
        orders[row] = orders[row][:, rng.permutation(orders.shape[1])]
    changed = replace(data, histories=replace(data.histories, items=items), orders=orders.tocsr())
    asked = past_queries(data, shelf, options, at)[1]
    x = moment_rows(data, shelf, makes, None, options, at)[0]
    rows = (asked.customers[asked.query], asked.anchors[asked.query], asked.items)
    before = rewind(changed, days)
    again = features(stand_of(before, shelf, makes), makes, None, before.histories, *rows)
    assert (x == again).all()
    assert (changed.orders != data.orders).nnz > 0


def test_answers_lie_in_the_window_and_were_never_had_before() -> None:
    _, data, shelf, _ = shop()
    options = UpsellFitOptions()
    for at in (1, 2):
        before, asked = past_queries(data, shelf, options, at)
        assert asked.bought.sum() >= len(asked.customers) > 20
        for customer, item in zip(asked.customers[asked.query], asked.items, strict=True):
            assert item not in before.histories.take(np.array([customer])).items
        for q in range(0, asked.bought.sum(), 7):
            row = np.flatnonzero(asked.bought)[q]
            history = data.histories.take(asked.customers[asked.query[row : row + 1]])
            first = history.ages[history.items == asked.items[row]].max()
            assert (at - 1) * 28 < first <= at * 28


def test_without_a_step_up_there_is_nothing_to_learn(tiny_data) -> None:
    data = tiny_data(("1", "c", 9, ["a"]), ("2", "c", 3, ["b"]))
    shelf = shelf_of(data.items, data.facts)
    with pytest.raises(InputError, match=r"no customer bought a new item at 1\.1 to 2 times"):
        fit_upsell(data, shelf, no_makes(2))
    with pytest.raises(InputError, match="moments 0"):
        UpsellFitOptions(moments=0)


def test_the_order_of_rows_does_not_matter() -> None:
    customers, anchors, items = rows_of()
    histories = shop()[1].histories
    score = model().score(histories, customers, anchors, items)
    mixed = np.random.default_rng(3).permutation(len(items))
    again = model().score(histories, customers[mixed], anchors[mixed], items[mixed])
    np.testing.assert_allclose(again, score[mixed], rtol=1e-12)
    alone = histories.take(customers[:1])
    same = customers == customers[0]
    zeros = np.zeros(same.sum(), np.int64)
    np.testing.assert_allclose(
        model().score(alone, zeros, anchors[same], items[same]), score[same], rtol=1e-9, atol=1e-12
    )


# --- on disk


def test_a_loaded_model_scores_alike(tmp_path) -> None:
    model().save(tmp_path / "upsell")
    loaded = UpsellModel.load(tmp_path / "upsell")
    rows = rows_of()
    histories = shop()[1].histories
    assert (loaded.score(histories, *rows) == model().score(histories, *rows)).all()
    assert {file.suffix for file in (tmp_path / "upsell").iterdir()} == {".npz"}
    for file in (tmp_path / "upsell").iterdir():
        np.load(file, allow_pickle=False).close()


def test_asking_needs_numpy_and_scipy_alone(tmp_path) -> None:
    model().save(tmp_path / "upsell")
    code = """
import sys
sys.modules.update(dict.fromkeys(["polars", "sklearn", "pandas", "mlflow", "implicit", "dataframely", "lightgbm"]))
from pathlib import Path
import numpy as np
from recsys.data.histories import empty_histories
from recsys.offers.upsell_model import UpsellModel
model = UpsellModel.load(Path(sys.argv[1]))
print(*model.score(empty_histories(1, len(model.stand.types)), np.zeros(2, int), np.array([0, 0]), np.array([1, 2])))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "upsell")], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    here = model().score(empty_histories(1, len(shop()[1].items)), np.zeros(2, int), np.array([0, 0]), np.array([1, 2]))
    assert [float(word) for word in done.stdout.split()] == pytest.approx(here.tolist())
