from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.data.returns import match_returns
from recsys.schemas import UTC as UTC_TYPE

SCHEMA = {
    "order_id": pl.String,
    "customer_id": pl.String,
    "item_id": pl.String,
    "ordered_at": UTC_TYPE,
    "quantity": pl.Float64,
}
START = datetime(2024, 1, 1, tzinfo=UTC)


def day(n):
    return START + timedelta(days=n)


def frames(sold, back):
    """Rows (order, customer, item, day, quantity)."""
    orders = pl.DataFrame([(o, c, i, day(d), q) for o, c, i, d, q in sold], schema=SCHEMA, orient="row")
    returns = pl.DataFrame([(o, c, i, day(d), q) for o, c, i, d, q in back], schema=SCHEMA, orient="row")
    return orders, returns.with_row_index("row")


def outcome(orders):
    rows = orders.sort("order_id", "item_id").select("order_id", "item_id", "returned_quantity", "returned_at").rows()
    return {(o, i): (q, at) for o, i, q, at in rows if q is not None}


def oracle(sold, back):
    """One return after the other, one purchase after the other."""
    left = {(o, i): q for o, _, i, _, q in sold}
    taken, unmatched = {}, []
    for row, (order, customer, item, at, quantity) in sorted(
        enumerate(back), key=lambda b: (b[1][3], b[1][0], b[1][4], b[0])
    ):
        fits = [
            (d, o, i)
            for o, c, i, d, _ in sold
            if i == item
            and d <= at
            and left[o, i] >= quantity
            and (c == customer if customer else c is None and o == order)
        ]
        if not fits:
            unmatched.append(row)
            continue
        _, o, i = max(fits)
        left[o, i] -= quantity
        q, latest = taken.get((o, i), (0, START))
        taken[o, i] = (q + quantity, max(latest, day(at)))
    return taken, sorted(unmatched)


def test_the_latest_purchase_with_that_many_left_takes_the_return():
    sold = [("1", "a", "x", 0, 2), ("2", "a", "x", 1, 5), ("3", "a", "x", 2, 1), ("4", "a", "x", 9, 9)]
    kept, unmatched = match_returns(*frames(sold, [("r", "a", "x", 5, 3), ("s", "a", "x", 6, 3)]))
    assert outcome(kept) == {("2", "x"): (3.0, day(5))}
    assert unmatched["row"].to_list() == [1]


def test_partial_returns_add_up_and_count_from_the_latest():
    kept, unmatched = match_returns(*frames([("1", "a", "x", 0, 0.3)], [("r", "a", "x", d, 0.1) for d in (1, 2, 3)]))
    ((quantity, at),) = outcome(kept).values()
    assert quantity == 0.3  # and not 0.30000000000000004
    assert at == day(3)
    assert unmatched.is_empty()


def test_a_guests_return_belongs_to_its_own_order_only():
    sold = [("1", None, "x", 0, 2), ("2", None, "x", 1, 2)]
    kept, unmatched = match_returns(*frames(sold, [("1", None, "x", 3, 1), ("r", None, "x", 3, 1)]))
    assert outcome(kept) == {("1", "x"): (1.0, day(3))}
    assert unmatched["row"].to_list() == [1]


def test_no_returns_and_no_purchases():
    kept, unmatched = match_returns(*frames([("1", "a", "x", 0, 1)], []))
    assert outcome(kept) == {}
    assert unmatched.is_empty()
    kept, unmatched = match_returns(*frames([], [("r", "a", "x", 0, 1)]))
    assert kept.is_empty()
    assert unmatched.height == 1


LINE = st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.integers(0, 6), st.integers(1, 4))


@settings(max_examples=60, deadline=None)
@given(sold=st.lists(LINE, max_size=12), back=st.lists(LINE, max_size=12), seed=st.integers(0, 9))
def test_agrees_with_one_after_the_other_in_any_row_order(sold, back, seed):
    sold = [(f"{n:02}", c if c == "a" else None, i, d, q) for n, (c, i, d, q) in enumerate(sold)]
    back = [(f"{n % 4:02}", c if c == "a" else None, i, d, q) for n, (c, i, d, q) in enumerate(back)]
    orders, returns = frames(sold, back)
    kept, unmatched = match_returns(orders.sample(fraction=1, shuffle=True, seed=seed), returns[::-1])
    taken, left_over = oracle(sold, back)
    assert outcome(kept) == taken
    assert kept.height == len(sold)
    assert sorted(unmatched["row"].to_list()) == left_over
