"""Cold start: histories are truncated and nothing else, strangers know nothing, never-sold items by hand."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recsys.data.histories import IdMap
from recsys.data.splits import ask, both_tasks, nothing
from recsys.data.unknowns import Unknowns, unknowns
from recsys.evaluation import cold_start
from recsys.evaluation.cold_start import (
    FULL,
    NEWCOMERS,
    NONE,
    ONE,
    TRULY_ONE,
    UNSOLD,
    cold_start_records,
    newcomer_queries,
    sample,
    unsold_records,
)
from recsys.evaluation.protocols import EvaluationOptions, contender_lists
from recsys.models.content import Content

OPTIONS = EvaluationOptions(resamples=50)
NOBODY = pl.DataFrame(schema={"customer_id": pl.String, "order_id": pl.String, "items": pl.List(pl.String)})
NOTHING = pl.DataFrame(schema={"order_id": pl.String, "items": pl.List(pl.String)})


def unknown(items=(), texts=(), bought=NOTHING, newcomers=NOBODY):
    """With words: beside fillers that nobody buys."""
    if items:
        items, texts = (*items, *(f"z{i:02}" for i in range(len(FILLERS)))), (*texts, *FILLERS)
    return Unknowns(newcomers, IdMap(tuple(items)), tuple(texts), bought, len(items), [[], [], []])


def test_truncation_keeps_the_latest_orders_the_cart_and_the_customer(small_shop):
    whole = small_shop.tasks["cart"].histories
    for n in (0, 1, 3):
        short = whole.latest_orders(n)
        assert len(short) == len(whole)
        np.testing.assert_array_equal(short.n_orders, np.minimum(whole.n_orders, n))
        np.testing.assert_array_equal(short.customers, whole.customers)
        assert (short.cart != whole.cart).nnz == 0
        for q in range(len(whole)):
            at, own = slice(*whole.indptr[q : q + 2]), slice(*short.indptr[q : q + 2])
            kept = whole.orders[at] < n
            for name in ("items", "orders", "ages", "weights"):
                np.testing.assert_array_equal(getattr(short, name)[own], getattr(whole, name)[at][kept])


def test_all_orders_are_the_whole_history(small_shop):
    whole = small_shop.tasks["cart"].histories
    same = whole.latest_orders(int(whole.n_orders.max()))
    np.testing.assert_array_equal(same.indptr, whole.indptr)
    np.testing.assert_array_equal(same.items, whole.items)


def test_the_sample_is_seeded_and_whole_where_there_are_few(monkeypatch):
    assert sample(5, 0).tolist() == [0, 1, 2, 3, 4]
    monkeypatch.setattr(cold_start, "QUERIES", 10)
    one = sample(100, 1)
    assert len(set(one.tolist())) == 10
    assert one.tolist() == sorted(one.tolist()) == sample(100, 1).tolist()
    assert one.tolist() != sample(100, 2).tolist()


def test_strangers_have_no_history_and_the_same_order_split(small_shop):
    """Asked orders under other names: cart and answers as for the customer, nothing known."""
    strangers = small_shop.asked.with_columns(customer_id="x" + pl.col("customer_id"))
    found = newcomer_queries(unknown(newcomers=strangers), small_shop.data, 0)
    for task, queries in small_shop.tasks.items():
        assert not found[task].histories.has_history.any()
        assert (found[task].histories.customers == -1).all()
        assert (found[task].histories.cart != queries.histories.cart).nnz == 0
        assert (found[task].relevant != queries.relevant).nnz == 0


@pytest.fixture(scope="module")
def records(fitted, small_shop):
    shop = small_shop
    lists = contender_lists(fitted.models, fitted.hybrid, shop.tasks, 20)
    found = unknowns(shop.orders, shop.catalog, shop.test, shop.data, shop.asked)
    given = (fitted.models, fitted.hybrid, shop.data, shop.tasks, lists)
    return cold_start_records(*given, found, OPTIONS)


def of(rows, bucket, task, contender):
    (row,) = [r for r in rows if (r["bucket"], r["task"], r["contender"]) == (bucket, task, contender)]
    return row


def test_every_group_task_and_contender_has_a_row(records, fitted):
    groups = {FULL, NONE, ONE, TRULY_ONE, NEWCOMERS}
    contenders = {*fitted.models.scorers, "hybrid"}
    customers = {(r["bucket"], r["task"], r["contender"]) for r in records if r["about"] == "customers"}
    assert customers == {(g, t, c) for g in groups for t in ("next_basket", "cart") for c in contenders}
    assert sum(r["bucket"] == UNSOLD for r in records) == 2
    for r in records:
        assert r["value"] is None if r["n"] == 0 else 0 <= r["value"] <= 1


def test_nothing_known_makes_frequency_popularity_and_leaves_popularity_as_it_is(records):
    for task in ("next_basket", "cart"):
        popular = [of(records, group, task, "popularity")["value"] for group in (FULL, NONE, ONE)]
        assert popular[0] == popular[1] == popular[2]
        assert of(records, NONE, task, "frequency")["value"] == popular[0]
    assert of(records, NONE, "next_basket", "als")["value"] == 0, "no history, no cart: it cannot say"
    assert of(records, NONE, "cart", "item_knn")["value"] == of(records, FULL, "cart", "item_knn")["value"] > 0


def test_a_shop_without_strangers_says_so(fitted, small_shop):
    lists = contender_lists(fitted.models, fitted.hybrid, small_shop.tasks, 10)
    given = (fitted.models, fitted.hybrid, small_shop.data, small_shop.tasks, lists)
    rows = cold_start_records(*given, unknown(), OPTIONS)
    assert {r["n"] for r in rows if r["bucket"] in (NEWCOMERS, UNSOLD)} == {0}
    assert {r["value"] for r in rows if r["bucket"] in (NEWCOMERS, UNSOLD)} == {None}


FILLERS = tuple(f"{chr(0x4E00 + 7 * i) * 4}" for i in range(14))  # words of their own, so that "tea" stays rare


@pytest.fixture
def drinks(tiny_data):
    """Two customers, four known items with words, two asked orders."""
    words = {"a": "green tea", "b": "black tea", "c": "red paint", "d": "blue paint"}
    data = tiny_data(("o1", "x", 9, "ab"), ("o2", "y", 8, "cd"), catalog={i: {"name": w} for i, w in words.items()})
    asked = pl.DataFrame(
        {"customer_id": ["x", "y"], "order_id": ["p", "q"], "items": [["a", "c"], ["c", "d"]]},
    )
    return data, asked


def test_never_sold_items_are_found_by_the_words_of_history_and_cart(drinks):
    """x has bought teas, y paints; p held a new tea, q the same: y's history points to the new paint."""
    data, asked = drinks
    bought = pl.DataFrame({"order_id": ["p", "q"], "items": [["t"], ["t"]]})
    new = unknown(["s", "t", "u"], ["yellow paint", "white tea", "iron nails"], bought)
    options = replace(OPTIONS, primary_k=1)
    tasks = {"next_basket": ask(asked, data, nothing)}
    (row,) = unsold_records(Content(), data, new, tasks, options)
    assert row["value"] == 0.5, "x is shown the tea, y the paint"
    assert (row["n"], row["bought"], row["pool"], row["whole_pool"]) == (2, 2, 17, 17)
    assert row["expected"] == pytest.approx(1 / 17)
    assert row["empty_lists"] == 0
    (every,) = unsold_records(Content(), data, new, tasks, replace(OPTIONS, primary_k=20))
    assert every["expected"] == 1, "a list that holds the whole pool"
    assert every["value"] == 0.5, "what has no word in common is not listed"


def test_the_cart_speaks_where_there_is_one(drinks):
    data, asked = drinks
    new = unknown(["s", "t"], ["yellow paint", "white tea"], pl.DataFrame({"order_id": ["q"], "items": [["s"]]}))
    tasks = both_tasks(asked, data)
    rows = list(unsold_records(Content(), data, new, tasks, replace(OPTIONS, primary_k=1)))
    assert [(r["task"], r["n"], r["value"]) for r in rows] == [("next_basket", 1, 1.0), ("cart", 1, 1.0)]


def test_items_without_words_are_missed_not_left_out(drinks):
    data, asked = drinks
    new = unknown(["t"], [""], pl.DataFrame({"order_id": ["p"], "items": [["t"]]}))
    (row,) = unsold_records(Content(), data, new, {"next_basket": ask(asked, data, nothing)}, OPTIONS)
    assert (row["value"], row["n"], row["empty_lists"]) == (0.0, 1, 1)
