"""From item to item within a type: counted right, and left for good told from variety."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.planted_upgrades import planted_trade_ups
from recsys.data.histories import Histories, no_carts
from recsys.errors import InputError
from recsys.offers.switches import (
    SwitchCounts,
    count_switches,
    joint_customers,
    owned,
    pairs_within,
    trade_ups,
    usual_items,
)

TYPES = np.array([0, 0, 0, 1, 1, -1])
PRICES = np.array([1.0, 1.5, 1.05, 2.0, np.nan, 3.0])


def histories(*customers: list[list[int]]) -> Histories:
    """A customer is a list of orders, oldest first, a day apart; the latest is a day old."""
    lines = [
        (row, item, len(orders) - 1 - at)
        for row, orders in enumerate(customers)
        for at, order in enumerate(orders)
        for item in order
    ]
    rows, items, back = (np.array([line[i] for line in lines], np.int64) for i in range(3))
    n = len(customers)
    ends = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))])
    return Histories(
        ends, items.astype(np.int32), back.astype(np.int32), (back + 1).astype(np.float32),
        np.ones(len(lines), np.float32), no_carts(n, len(TYPES)), np.arange(n),
    )  # fmt: skip


def test_the_usual_item_is_the_most_frequent_then_the_latest_then_the_lower() -> None:
    given = histories([[0], [1], [0, 3], [1], [5]], [[4], [4], [3], [2, 0]], [[5], [4]])
    usual = usual_items(given, TYPES, PRICES)
    found = list(
        zip(usual.customers.tolist(), usual.types.tolist(), usual.items.tolist(), usual.times.tolist(), strict=True)
    )
    assert found == [(0, 0, 1, 2), (0, 1, 3, 1), (1, 0, 0, 1), (1, 1, 3, 1)]  # 4 has no price, 5 no type


def test_switches_of_a_worked_example() -> None:
    #                      up 0 → 1, came back    same 0 → 2     no price 3 → 4
    first = [[0], [1], [0, 3], [2], [4]]
    # up 2 → 1, bought again, never back; then down 1 → 0
    second = [[2], [1], [1], [0]]
    # both in one order: no switch
    third = [[0, 1]]
    counts = count_switches(histories(first, second, third), TYPES, PRICES)
    assert counts == SwitchCounts(up=2, same=1, down=1, unknown=1, up_returned=1, up_stayed=1)
    assert counts.sentence() == (
        "4 changes to another item of the type: 50% up, 25% at the same price, 25% down; of those up, 50% stayed with "
        "the new item and 50% came back to the former: most go up and stay."
    )


def test_the_sentence_claims_no_more_than_the_counts() -> None:
    assert "most are variety" in SwitchCounts(30, 40, 30, 0, 10, 5).sentence()
    assert "most are variety" in SwitchCounts(90, 5, 5, 0, 60, 10).sentence()  # up, but nearly all come back
    assert SwitchCounts(0, 0, 0, 7, 0, 0).sentence() == "No change between items of a type with known prices."
    with pytest.raises(InputError, match=r"same is 0\.9"):
        count_switches(histories([[0]]), TYPES, PRICES, 0.9)


orders = st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True), min_size=1, max_size=6)


@given(st.lists(orders, min_size=1, max_size=4))
@settings(max_examples=60)
def test_counts_agree_with_a_slow_walk(shop: list[list[list[int]]]) -> None:
    given_histories = histories(*shop)
    up = same = down = unknown = 0
    for customer in shop:
        for kind in (0, 1):
            of_type = [sorted(i for i in order if TYPES[i] == kind) for order in customer]
            of_type = [order for order in of_type if order]
            seen = set(of_type[0]) if of_type else set()
            for before, now in pairwise(of_type):
                for item in set(now) - seen:
                    ratio = PRICES[item] / PRICES[before[-1]]
                    up, down = up + (ratio >= 1.1), down + (ratio <= 1 / 1.1)
                    unknown, same = unknown + np.isnan(ratio), same + (1 / 1.1 < ratio < 1.1)
                seen |= set(now)
    counts = count_switches(given_histories, TYPES, PRICES)
    assert (counts.up, counts.same, counts.down, counts.unknown) == (up, same, down, unknown)
    joint = joint_customers(given_histories, TYPES).toarray()
    had = np.array([[any(i in order for order in customer) for i in range(6)] for customer in shop], int)
    wanted = had.T @ had * ((TYPES[:, None] == TYPES) & (TYPES >= 0))
    np.fill_diagonal(wanted, 0)
    assert (joint == wanted).all()


def test_pairs_are_of_one_key() -> None:
    a, b = pairs_within(np.array([7, 3, 7, -1, 7, -1]))
    assert sorted(zip(a.tolist(), b.tolist(), strict=True)) == [(0, 2), (0, 4), (2, 0), (2, 4), (4, 0), (4, 2)]
    assert len(pairs_within(np.zeros(0, np.int64))[0]) == 0


def test_first_and_last_of_what_is_owned() -> None:
    cells = owned(histories([[0], [1], [0], [2]]))
    assert cells.items.tolist() == [0, 1, 2]
    assert cells.times.tolist() == [2, 1, 1]
    assert cells.first.tolist() == [4, 3, 1]
    assert cells.last.tolist() == [2, 3, 1]


def test_left_for_good_is_told_from_variety() -> None:
    up, back = [[0], [0], [1], [1]], [[1], [1], [0], [0]]
    mixed = [[0], [1], [0], [1]]
    left = trade_ups(histories(*[up] * 12, *[mixed] * 20, *[back]), TYPES, PRICES)
    assert (left.a.tolist(), left.b.tolist(), left.left.tolist(), left.came.tolist()) == ([0], [1], [12], [1])
    for other in ([up] * 9, [up] * 10 + [back] * 8, [mixed] * 40, [back] * 12):  # few, both ways, never, down
        assert len(trade_ups(histories(*other), TYPES, PRICES).a) == 0
    assert len(trade_ups(histories(*[up] * 12), TYPES, PRICES, high=1.2).a) == 0  # 1.5 times the price


def test_planted_trade_ups_are_found_and_no_others() -> None:
    precision, recall, n = planted_trade_ups((0, 1))
    assert n >= 10
    assert precision >= 0.95
    assert recall >= 0.95
