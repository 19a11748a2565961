"""Histories against sums over plain lists, one line at a time."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recsys.data import histories as module
from recsys.data.histories import Histories, IdMap, carts, csr, empty_histories, no_carts, stable_order

N_ITEMS = 5
LINE = st.tuples(
    st.integers(0, N_ITEMS - 1),
    st.floats(0.015625, 500, width=32),
    st.sampled_from([0.5, 1.0, 2.0, 3.25]),
)
ORDERS = st.lists(st.lists(LINE, min_size=1, max_size=3), max_size=4)  # of one query, oldest first
QUERIES = st.lists(ORDERS, max_size=5)


def histories(queries) -> Histories:
    """Out of queries → orders → lines (item, age, weight)."""
    lines = [(*line, len(orders) - 1 - at) for orders in queries for at, order in enumerate(orders) for line in order]
    item, age, weight, back = zip(*lines, strict=True) if lines else ((), (), (), ())
    sizes = [sum(len(order) for order in orders) for orders in queries]
    return Histories(
        np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64),
        np.array(item, np.int32),
        np.array(back, np.int32),
        np.array(age, np.float32),
        np.array(weight, np.float32),
        no_carts(len(queries), N_ITEMS),
        np.arange(len(queries)),
    )


def slow(queries, value, join=sum):
    """Dense (n, N_ITEMS): `value(line, orders back)` of all lines of a cell joined; 0 where there is none."""
    out = np.zeros((len(queries), N_ITEMS))
    for q, orders in enumerate(queries):
        for item in range(N_ITEMS):
            found = [
                value(line, len(orders) - 1 - at)
                for at, order in enumerate(orders)
                for line in order
                if line[0] == item
            ]
            out[q, item] = join(found) if found else 0
    return out


@settings(max_examples=60, deadline=None)
@given(QUERIES, st.floats(10, 300))
def test_matrices_equal_the_sums_of_the_lines(queries, half_life):
    h = histories(queries)
    pairs = [
        (h.counts, slow(queries, lambda line, _: line[2])),
        (h.decayed(half_life), slow(queries, lambda line, _: line[2] * 0.5 ** (line[1] / half_life))),
        (h.order_decayed(0.9), slow(queries, lambda line, back: line[2] * 0.9**back)),
        (h.last_age, slow(queries, lambda line, _: line[1], min)),
        (h.first_age, slow(queries, lambda line, _: line[1], max)),
        (h.extreme(np.maximum, h.weights), slow(queries, lambda line, _: line[2], max)),
        (h.sums(np.ones(len(h.items))), slow(queries, lambda _line, _back: 1)),
    ]
    for matrix, expected in pairs:
        assert matrix.dtype == np.float32
        assert matrix.shape == (len(queries), N_ITEMS)
        np.testing.assert_allclose(matrix.toarray(), expected, rtol=2e-5)


@settings(max_examples=40, deadline=None)
@given(QUERIES)
def test_all_matrices_share_one_pattern_with_sorted_columns(queries):
    h = histories(queries)
    bought = slow(queries, lambda _line, _back: 1) > 0
    for matrix in (h.counts, h.decayed(1e-3), h.last_age, h.order_decayed(0.0)):  # values may vanish, cells may not
        np.testing.assert_array_equal(matrix.indices, np.nonzero(bought)[1])
        np.testing.assert_array_equal(np.diff(matrix.indptr), bought.sum(axis=1))


@settings(max_examples=40, deadline=None)
@given(QUERIES)
def test_sizes(queries):
    h = histories(queries)
    assert len(h) == len(queries)
    assert h.n_items == N_ITEMS
    assert h.n_orders.tolist() == [len(orders) for orders in queries]
    assert h.has_history.tolist() == [bool(orders) for orders in queries]
    assert h.rows.tolist() == [q for q, orders in enumerate(queries) for order in orders for _ in order]


@settings(max_examples=60, deadline=None)
@given(QUERIES, st.data())
def test_take_equals_building_from_the_taken_queries(queries, data):
    picked = data.draw(st.lists(st.integers(0, len(queries) - 1), max_size=6) if queries else st.just([]))
    taken = histories(queries).take(np.array(picked, np.int64))
    expected = histories([queries[q] for q in picked])
    assert len(taken) == len(picked)
    for name in ("indptr", "items", "orders", "ages", "weights"):
        np.testing.assert_array_equal(getattr(taken, name), getattr(expected, name))
    assert taken.customers.tolist() == picked


def test_take_knows_slices_and_masks_and_keeps_carts():
    h = histories([[[(0, 1.0, 1.0)]], [], [[(1, 2.0, 1.0)], [(2, 1.0, 1.0)]]])
    h = h.with_cart(carts([np.array([4]), np.array([], int), np.array([3, 0])], N_ITEMS))
    by_slice, by_mask = h.take(slice(1, 3)), h.take(np.array([False, True, True]))
    for taken in (by_slice, by_mask):
        assert taken.items.tolist() == [1, 2]
        assert taken.has_cart.tolist() == [False, True]
        assert taken.cart.toarray()[1].tolist() == [1, 0, 0, 1, 0]


def test_another_cart_leaves_the_history_alone():
    h = histories([[[(0, 1.0, 1.0)]]])
    full = h.with_cart(carts([np.array([1])], N_ITEMS))
    assert full.has_cart.tolist() == [True]
    assert full.without_cart().has_cart.tolist() == h.has_cart.tolist() == [False]
    np.testing.assert_array_equal(full.counts.toarray(), h.counts.toarray())


def test_empty_histories_know_nothing():
    h = empty_histories(3, N_ITEMS)
    assert (len(h), h.n_items, h.counts.nnz, h.last_age.nnz) == (3, N_ITEMS, 0, 0)
    assert not h.has_history.any()
    assert not h.has_cart.any()
    assert h.customers.tolist() == [-1, -1, -1]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(-1, N_ITEMS - 1), max_size=8), max_size=5))
def test_carts_drop_unknown_and_repeated_items(rows):
    cart = carts([np.array(row, np.int64) for row in rows], N_ITEMS)
    expected = np.array([[float(i in row) for i in range(N_ITEMS)] for row in rows]).reshape(len(rows), N_ITEMS)
    assert cart.dtype == np.float32
    np.testing.assert_array_equal(cart.toarray(), expected)
    assert cart.nnz == expected.sum()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=3)), st.lists(st.text(max_size=3)))
def test_id_map_is_a_two_way_dictionary(ids, asked):
    known = IdMap.of(ids)
    assert list(known.ids) == sorted(set(ids))
    assert len(known) == len(set(ids))
    for name, at in zip(asked + ids, known.positions(asked + ids).tolist(), strict=True):
        assert (known.ids[at] == name) if name in ids else (at == -1)
        assert (name in known) == (name in ids)


@pytest.mark.parametrize("ids", [[], ["a"]])
def test_no_positions_of_no_ids(ids):
    assert IdMap.of(ids).positions([]).tolist() == []


@settings(max_examples=40, deadline=None)
@given(QUERIES)
def test_another_cart_keeps_what_the_lines_say_and_nothing_else(queries):
    """Also where everything was asked of the first before."""
    h = histories(queries)
    h.decayed(30), h.counts, h.last_age, h.first_age, h.n_orders
    full = carts([np.array([0, 2])] * len(queries), N_ITEMS)
    for other, cart in ((h.with_cart(full), full), (h.with_cart(full).without_cart(), no_carts(len(h), N_ITEMS))):
        fresh = replace(histories(queries), cart=cart)
        for mine, theirs in ((other.decayed(30), fresh.decayed(30)), (other.counts, fresh.counts),
                             (other.last_age, fresh.last_age), (other.first_age, fresh.first_age),
                             (other.cart, fresh.cart)):  # fmt: skip
            np.testing.assert_array_equal(mine.toarray(), theirs.toarray())
        np.testing.assert_array_equal(other.n_orders, fresh.n_orders)
        np.testing.assert_array_equal(other.has_cart, fresh.has_cart)


def test_what_the_lines_say_is_worked_out_once_for_all_carts():
    """Whoever is asked first; a cart over more items has cells of its own."""
    h = histories([[[(0, 1.0, 1.0)], [(0, 1.0, 2.0)]], []])
    other = h.with_cart(no_carts(2, N_ITEMS))
    assert other.times is h.times
    assert other.decayed(30) is h.without_cart().decayed(30)
    wider = h.with_cart(no_carts(2, N_ITEMS + 2))
    assert (wider.times.shape, h.times.shape) == ((2, N_ITEMS + 2), (2, N_ITEMS))
    np.testing.assert_array_equal(wider.times.toarray(), [[2] + [0] * (N_ITEMS + 1), [0] * (N_ITEMS + 2)])


@settings(max_examples=60, deadline=None)
@given(arrays(np.float32, st.tuples(st.integers(0, 4), st.integers(1, 6)), elements=st.sampled_from([0.0, 0.5, -2.0])))
def test_a_matrix_of_arrays_in_order_is_that_of_scipy(dense):
    expected = sp.csr_matrix(dense)
    found = csr(expected.data, expected.indices.astype(np.int64), expected.indptr.astype(np.int64), dense.shape)
    assert (found.dtype, found.indices.dtype, found.indptr.dtype) == (np.float32, np.int32, np.int32)
    found.check_format()
    np.testing.assert_array_equal(found.toarray(), dense)
    np.testing.assert_array_equal((found @ found.T).toarray(), (expected @ expected.T).toarray())
    assert csr(np.zeros(0), np.zeros(0, int), np.zeros(1, int), (0, 3)).shape == (0, 3)


@settings(max_examples=40, deadline=None)
@given(QUERIES, st.lists(st.booleans(), min_size=5, max_size=5))
def test_the_cart_or_else_the_decayed_history(queries, with_cart):
    """For blocks in which all, none or some have a cart."""
    held = [np.array([1, 3]) if one else np.zeros(0, np.int64) for one in with_cart[: len(queries)]]
    h = histories(queries).with_cart(carts(held, N_ITEMS))
    expected = np.where(h.has_cart[:, None], h.cart.toarray(), h.decayed(20).toarray())
    np.testing.assert_array_equal(h.cart_or_decayed(20).toarray(), expected)


def test_few_half_lives_are_kept():
    h = histories([[[(0, 10.0, 1.0)]]])
    for half_life in range(1, 12):
        assert h.decayed(half_life)[0, 0] == pytest.approx(0.5 ** (10 / half_life), rel=1e-5)
    assert len(h._decayed) <= 4


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=40))
def test_counting_gives_the_stable_order(codes):
    order = stable_order(np.array(codes, np.int32), 7)
    assert order.tolist() == np.argsort(np.array(codes, np.int32), kind="stable").tolist()


@settings(max_examples=60, deadline=None)
@given(QUERIES)
def test_few_and_many_lines_are_put_in_one_order(queries):
    few = histories(queries)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FEW", 0)
        many = histories(queries)
        order, first = many.by_item
    assert order.tolist() == few.by_item[0].tolist()
    assert first.tolist() == few.by_item[1].tolist()


def test_the_latest_queries_are_those_of_the_youngest_orders():
    """Customers whose last orders are 9, 2, never, 5 and 2 days old."""
    found = histories([[[(0, 30, 1)], [(1, 9, 1)]], [[(0, 2, 1)]], [], [[(0, 5, 1)]], [[(0, 2, 1)]]])
    assert [found.latest_queries(n).tolist() for n in (1, 2, 3, 4, 5)] == [
        [1], [1, 4], [1, 3, 4], [0, 1, 3, 4], [0, 1, 2, 3, 4]
    ]  # fmt: skip
