"""The lines known at a moment, column by column: from disk the same matrices as from the frame, and as by hand."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys import schemas
from recsys.data import known_lines
from recsys.data.coding import coded, write_coded
from recsys.data.interactions import InteractionOptions, histories_of, lines_before, train_data
from recsys.data.item_facts import PRICE_DAYS, item_facts
from recsys.data.known_lines import KnownLines
from recsys.errors import InputError
from tests.data.test_interactions import equal

AT = datetime(2024, 7, 1, tzinfo=UTC)
ITEMS = ("a", "b", "c", "d")
KINDS = {
    "order_id": pl.String, "item_id": pl.String, "customer_id": pl.String, "ordered_at": schemas.UTC,
    "quantity": pl.Float64, "unit_price": pl.Float64, "returned_at": schemas.UTC, "returned_quantity": pl.Float64,
    "store_id": pl.String,
}  # fmt: skip
LINE = st.tuples(
    st.sampled_from([1.0, 3.0]),
    st.sampled_from([None, 0.5, 2.0, 7.0]),
    st.sampled_from([None, None, None, (5, 1.0), (-1, 1.0), (5, 3.0)]),  # days before AT, quantity that came back
)
ORDER = st.tuples(
    st.sampled_from([None, "ann", "bob", "eve"]),
    st.sampled_from([-2, 0, 1, 30.5, 31, 100, 121, 400]),
    st.dictionaries(st.sampled_from(ITEMS), LINE, min_size=1),
)


def frame(orders):
    rows = [
        (f"o{number}", item, customer, AT - timedelta(days=age), quantity, price,
         back and AT - timedelta(days=back[0]), back and min(back[1], quantity), None)
        for number, (customer, age, lines) in enumerate(orders)
        for item, (quantity, price, back) in lines.items()
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=KINDS, orient="row").sort("ordered_at", "order_id", "item_id")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("known")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(ORDER, max_size=12),
    st.sampled_from(["binary", "log", "linear"]),
    st.sampled_from([None, 31.0]),
    st.integers(1, 3),
)
def test_from_disk_as_from_the_frame(place, orders, quantity, max_age_days, least):
    lines, folder = frame(orders), place / str(len(list(place.iterdir())))
    write_coded(coded(lines), folder)
    catalog = pl.DataFrame(schema=dict.fromkeys(schemas.Catalog.columns(), pl.String) | {"unit_cost": pl.Float64})
    options = InteractionOptions(min_item_orders=least, quantity=quantity)
    sources = lines_before(lines, AT, max_age_days), KnownLines.read(folder, AT, max_age_days)
    found = []
    for source in sources:
        try:
            found.append(train_data(source, catalog, options))
        except InputError as error:
            found.append(str(error))
    assert equal(*found)
    if not isinstance(found[0], str):
        by_hand(sources[0], found[0], quantity)
        again = histories_of(sources[0], found[0].customers, found[0].items, options)
        assert equal(again, found[0].histories)


def by_hand(lines, data, quantity):
    """Every cell once more, line by line."""
    rows = [row for row in lines.iter_rows(named=True) if row["item_id"] in data.items]
    orders = list(dict.fromkeys(row["order_id"] for row in rows))
    bought = {(orders.index(row["order_id"]), data.items.ids.index(row["item_id"])) for row in rows}
    assert set(zip(*(at.tolist() for at in data.orders.nonzero()), strict=True)) == bought
    age = {row["order_id"]: np.float32(row["age"]) for row in rows}
    assert data.order_ages.tolist() == [age[order] for order in orders]
    damped = {"binary": np.sign, "log": lambda q: np.log2(1 + q), "linear": lambda q: q}[quantity]
    for at, customer in enumerate(data.customers.ids):
        mine = [row for row in rows if row["customer_id"] == customer]
        own = list(dict.fromkeys(row["order_id"] for row in mine))
        h = data.histories.take([at])
        assert h.items.tolist() == [data.items.ids.index(row["item_id"]) for row in mine]
        assert h.orders.tolist() == [len(own) - 1 - own.index(row["order_id"]) for row in mine]
        assert h.ages.tolist() == [age[row["order_id"]] for row in mine]
        np.testing.assert_allclose(h.weights, [damped(row["quantity"]) for row in mine], rtol=1e-6)
    for item, price in zip(data.items.ids, data.facts.prices, strict=True):
        sold = [(row["age"], row["unit_price"]) for row in rows if row["item_id"] == item and row["unit_price"]]
        late = [paid for days, paid in sold if days <= min(sold)[0] + PRICE_DAYS]
        np.testing.assert_equal(price, np.float32(np.median(late)) if late else np.float32(np.nan))


def test_blocks_are_whole_orders(monkeypatch, small_shop):
    """Blocks of any size give the same."""
    known = KnownLines.of(lines_before(small_shop.orders, small_shop.test.at))
    whole = train_data(known, small_shop.catalog)
    assert equal(whole, small_shop.data)
    monkeypatch.setattr(known_lines, "BLOCK", 7)
    parts = list(known.blocks())
    assert sum(part.stop - part.start for _, part in parts) == len(known)
    assert [orders.start for orders, _ in parts[1:]] == [orders.stop for orders, _ in parts[:-1]]
    assert all(known.starts[o.start] == part.start and known.starts[o.stop] == part.stop for o, part in parts)
    assert equal(train_data(known, small_shop.catalog), whole)


def test_lines_of_an_order_may_come_in_any_order(small_shop):
    lines = lines_before(small_shop.orders, small_shop.test.at)
    turned = lines.sort("ordered_at", "order_id", "item_id", descending=[False, False, True])
    data = train_data(turned, small_shop.catalog)
    assert equal(data.orders, small_shop.data.orders)
    assert data.orders.has_sorted_indices
    assert equal(data.histories.counts, small_shop.data.histories.counts)
    assert not equal(data.histories.items, small_shop.data.histories.items), "a history keeps the order of its lines"


def test_without_lines_no_price_is_known(small_shop):
    facts = item_facts(small_shop.data.items, small_shop.catalog, None)
    assert np.isnan(facts.prices).all()
    assert facts.texts == small_shop.data.facts.texts
