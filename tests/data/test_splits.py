"""Moments and queries: windows and last baskets, never through an order, nothing of the test in training."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from recsys.data import splits
from recsys.data.interactions import InteractionOptions, lines_before, train_data
from recsys.data.splits import (
    SplitOptions,
    any_depth,
    ask,
    asked_orders,
    both_tasks,
    half,
    held_back,
    moments,
    nothing,
    sampled,
)
from recsys.errors import InputError

AT = datetime(2024, 7, 1, tzinfo=UTC)  # MOMENT of tests/conftest.py
DAY = timedelta(days=1)


def of_moment(shop, moment):
    """Train data and asked orders of one moment of the small shop."""
    data = train_data(lines_before(shop.orders, moment.at), shop.catalog)
    return data, asked_orders(shop.orders, moment, data)


# --- window


def test_default_window_is_the_last_whole_days(tiny_orders):
    orders = tiny_orders(("a", "c", 90, ["x"]), ("b", "c", 0.6, ["x"]))  # last: 30 June, 09:36
    assert splits.held_out_window(orders, SplitOptions()) == (AT - 28 * DAY, AT)
    assert splits.held_out_window(orders, SplitOptions(window_days=7)) == (AT - 7 * DAY, AT)
    on_midnight = tiny_orders(("a", "c", 90, ["x"]), ("b", "c", 0, ["x"]))
    assert splits.held_out_window(on_midnight, SplitOptions()) == (AT - 27 * DAY, AT + DAY)  # the end is exclusive


def test_given_cut_and_end_are_taken_as_utc(tiny_orders):
    orders = tiny_orders(("a", "c", 90, ["x"]), ("b", "c", 0.6, ["x"]))
    cut = datetime.fromisoformat("2024-06-03")
    end = datetime.fromisoformat("2024-06-10T02:00:00+02:00")
    assert splits.held_out_window(orders, SplitOptions(cut=cut, end=end)) == (
        datetime(2024, 6, 3, tzinfo=UTC),
        datetime(2024, 6, 10, tzinfo=UTC),
    )
    assert splits.held_out_window(orders, SplitOptions(cut=cut)) == (datetime(2024, 6, 3, tzinfo=UTC), AT)


@pytest.mark.parametrize(
    "options",
    [
        SplitOptions(cut=AT - 90 * DAY),  # no history
        SplitOptions(cut=AT - 400 * DAY),
        SplitOptions(cut=AT + DAY),  # no test
        SplitOptions(cut=AT - 5 * DAY, end=AT - 5 * DAY),
        SplitOptions(window_days=200),
    ],
)
def test_a_cut_without_history_or_test_is_refused(tiny_orders, options):
    orders = tiny_orders(("a", "c", 90, ["x"]), ("b", "c", 0.6, ["x"]))
    with pytest.raises(InputError, match=r"split\.cut .* leave no history or no test: orders run from 2024-04-02"):
        moments(orders, options)


def test_no_orders_are_refused(tiny_orders):
    with pytest.raises(InputError, match="no orders"):
        moments(tiny_orders(), SplitOptions())


def test_training_windows_lie_before_the_test(small_shop):
    train, test = moments(small_shop.orders, SplitOptions(train_moments=6, every_days=7, window_days=28))
    assert [m.at for m in train] == [test.at - 7 * DAY * back for back in (6, 5, 4, 3, 2, 1)]
    assert [m.until for m in train] == [min(m.at + 28 * DAY, test.at) for m in train]
    assert test.until == test.at + 28 * DAY
    assert len({m.name for m in [*train, test]}) == 7


def test_asked_is_the_first_order_with_two_known_items(tiny_orders, tiny_catalog):
    before = [(f"h{n}{who}", who, 40 + n, ["x", "y", "z"]) for n in range(2) for who in ("ann", "bob", "eve")]
    orders = tiny_orders(
        *before,
        ("0", "ann", 31, ["x", "y"]),  # before the window
        ("1", "ann", 30, ["x", "new"]),  # one known item
        ("3", "ann", 20, ["x", "y"]),
        ("2", "ann", 20, ["y", "z", "new"]),  # same time: the lower order id
        ("4", "ann", 10, ["x", "z"]),
        ("5", "bob", 5, ["x", "y"]),  # at the end
        ("6", "new", 12, ["x", "y"]),  # no history
        ("7", None, 12, ["x", "y"]),  # a guest
    )
    moment = splits.Moment("m", AT - 30 * DAY, AT - 5 * DAY)
    data = train_data(lines_before(orders, moment.at), tiny_catalog({}), InteractionOptions(min_item_orders=2))
    asked = asked_orders(orders, moment, data)
    assert asked.select("customer_id", "order_id").rows() == [("ann", "2")]
    assert sorted(asked["items"][0]) == ["y", "z"]


# --- last basket


def test_last_basket_of_a_worked_example(tiny_orders, tiny_catalog):
    xy = ["x", "y"]
    orders = tiny_orders(
        ("a1", "a", 50, xy), ("a2", "a", 40, xy), ("a3", "a", 30, xy), ("a4", "a", 20, xy),
        ("b1", "b", 45, xy), ("b2", "b", 35, xy),
        ("c1", "c", 25, xy),
        ("g", None, 10, xy),
    )  # fmt: skip
    train, test = moments(orders, SplitOptions(kind="last_basket", train_moments=2))
    found = {}
    for moment in [*train, test]:
        data = train_data(lines_before(orders, moment.at), tiny_catalog({}), InteractionOptions(min_item_orders=1))
        asked = asked_orders(orders, moment, data)
        n_orders = dict(zip(data.customers.ids, data.histories.n_orders.tolist(), strict=True))
        found[moment.name] = (asked["order_id"].to_list(), n_orders)
    assert found == {
        "last-2": (["a2"], {"a": 1, "b": 1, "c": 1}),
        "last-1": (["a3"], {"a": 2, "b": 1, "c": 1}),  # b1 has no history, so b keeps it as one
        "last-0": (["a4", "b2"], {"a": 3, "b": 1, "c": 1}),  # one order alone is history
    }


def test_last_basket_asks_each_customers_last_order(small_shop):
    _, test = moments(small_shop.orders, SplitOptions(kind="last_basket"))
    data, asked = of_moment(small_shop, test)
    by_time = small_shop.orders.drop_nulls("customer_id").sort("ordered_at", "order_id")
    last = dict(by_time.select("customer_id", "order_id").iter_rows())
    assert asked.height > 50
    assert all(last[c] == o for c, o in asked.select("customer_id", "order_id").iter_rows())
    assert len(data.customers) <= 120


# --- both


@pytest.mark.parametrize("kind", ["window", "last_basket"])
def test_never_through_an_order_and_never_after_the_answer(small_shop, kind):
    """Each history holds whole orders only, all of them before the asked one; no test order is in training."""
    train, test = moments(small_shop.orders, SplitOptions(kind=kind, train_moments=3))
    lines = small_shop.orders
    time = dict(lines.select("order_id", "ordered_at").iter_rows())
    sizes = Counter(lines["order_id"])
    last_test = {}
    for moment in [test, *train]:
        _, asked = of_moment(small_shop, moment)
        assert asked.height > 20
        answers = dict(asked.select("customer_id", "order_id").iter_rows())
        if moment is test:
            last_test = answers
        known = lines_before(lines.with_columns(returned_at=pl.lit(None, pl.Datetime("us", "UTC"))), moment.at)
        seen = Counter(known["order_id"])
        assert all(sizes[order] == n for order, n in seen.items())
        for customer, order in known.select("customer_id", "order_id").unique().iter_rows():
            if customer in answers:
                assert time[order] < time[answers[customer]]
            if customer in last_test:
                assert time[order] < time[last_test[customer]]
        if moment is not test:
            assert all(time[order] < time[last_test[c]] for c, order in answers.items() if c in last_test)
            assert not set(answers.values()) & set(last_test.values())


@pytest.mark.parametrize("kind", ["window", "last_basket"])
def test_row_order_does_not_matter(small_shop, kind):
    shuffled = small_shop.orders.sample(fraction=1, shuffle=True, seed=5)
    options = SplitOptions(kind=kind, train_moments=1)
    for a, b in zip(
        *[[*m[0], m[1]] for m in (moments(o, options) for o in (small_shop.orders, shuffled))], strict=True
    ):
        data, asked = of_moment(small_shop, a)
        assert asked_orders(shuffled, b, data).equals(asked)


def test_visible_and_hidden_items_make_the_order(small_shop):
    shop = small_shop
    for visible in (half, nothing, any_depth):
        queries = ask(shop.asked, shop.data, visible)
        assert queries.orders == tuple(shop.asked["order_id"])
        together = (queries.histories.cart + queries.relevant).toarray()
        for row, items in enumerate(shop.asked["items"].to_list()):
            assert np.flatnonzero(together[row] == 1).tolist() == sorted(shop.data.items.positions(items).tolist())
        assert together.max() == 1  # shown or hidden, never both
        assert (np.diff(queries.relevant.indptr) >= 1).all()


def test_depths():
    assert [half(n, "") for n in (2, 3, 4, 5, 9)] == [1, 1, 2, 2, 4]
    assert nothing(7, "o") == 0
    depths = {any_depth(8, f"order {n}") for n in range(60)}
    assert depths == {1, 2, 4, 6}
    assert 0.05 < np.mean([held_back(f"order {n}") for n in range(2000)]) < 0.15
    assert all(1 <= any_depth(2, f"order {n}") < 2 for n in range(20))  # one stays to be asked


def test_histories_of_queries_are_those_of_the_customers(small_shop):
    queries = both_tasks(small_shop.asked, small_shop.data)["cart"]
    ids, data = small_shop.data.customers.ids, small_shop.data
    assert [ids[at] for at in queries.histories.customers] == small_shop.asked["customer_id"].to_list()
    rows = [ids.index(c) for c in small_shop.asked["customer_id"]]
    np.testing.assert_array_equal(queries.histories.counts.toarray(), data.histories.counts.toarray()[rows])
    some = queries.take(np.array([3, 1]))
    assert some.orders == (queries.orders[3], queries.orders[1])
    np.testing.assert_array_equal(some.relevant.toarray(), queries.relevant.toarray()[[3, 1]])


def test_a_sample_of_the_orders_asked_depends_on_their_ids_alone():
    asked = pl.DataFrame({"customer_id": [str(n) for n in range(50)], "order_id": [f"o{n}" for n in range(50)]})
    kept = sampled(asked, 20)
    assert kept.height == 20
    assert kept["order_id"].to_list() == [o for o in asked["order_id"] if o in set(kept["order_id"])]
    again = sampled(asked.reverse(), 20)
    assert set(again["order_id"]) == set(kept["order_id"])
    assert set(sampled(asked, 10)["order_id"]) < set(kept["order_id"])
    assert sampled(asked, 50).equals(asked)
    assert sampled(asked, None).equals(asked)
    assert sampled(asked, 0).height == 0
