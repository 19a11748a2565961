"""First orders and never-sold items: by construction, kept on disk, and none where there is no window."""

from datetime import timedelta

import polars as pl
import pytest

from recsys.data import unknowns as module
from recsys.data.interactions import InteractionOptions, lines_before, train_data
from recsys.data.splits import Moment, SplitOptions, asked_orders, moments
from recsys.data.unknowns import load_unknowns, save_unknowns, unknowns

DAY = timedelta(days=1)


@pytest.fixture
def found(tiny_orders, tiny_catalog):
    """Makes the unknowns of a cut at 10 days before MOMENT; items a, b, c are known, every order is one tuple."""

    def make(*orders, catalog=("a", "b", "c", "never", "fresh")):
        frame, names = tiny_orders(*orders), tiny_catalog({i: {"name": f"name of {i}"} for i in catalog})
        latest = frame["ordered_at"].max()
        moment = Moment("test", latest - 10 * DAY, latest + DAY)
        data = train_data(lines_before(frame, moment.at), names, InteractionOptions(min_item_orders=1))
        return unknowns(frame, names, moment, data, asked_orders(frame, moment, data))

    return make


OLD = (("o1", "old", 40, "abc"), ("o2", "other", 30, "abc"))


def test_only_the_first_order_ever_of_a_stranger_counts(found):
    new = found(
        *OLD,
        ("o3", "old", 5, "ab"),  # known customer
        ("o4", "stranger", 6, "abc"),
        ("o5", "stranger", 4, "ab"),  # the second order
        ("o6", "thin", 5, "a"),  # one known item: nothing could be shown and asked
        ("o7", None, 3, "abc"),  # a guest
        ("o8", "last", 1, "ab"),
    ).newcomers
    assert new.select("customer_id", "order_id").rows() == [("last", "o8"), ("stranger", "o4")]
    assert [sorted(items) for items in new["items"].to_list()] == [["a", "b"], ["a", "b", "c"]]


def test_a_customer_who_once_bought_only_unknown_things_is_no_stranger(tiny_orders, tiny_catalog):
    frame = tiny_orders(*OLD, ("o3", "odd", 30, "z"), ("o4", "odd", 5, "ab"), ("o5", "old", 0, "ab"))
    moment = Moment("test", frame["ordered_at"].max() - 10 * DAY, frame["ordered_at"].max() + DAY)
    data = train_data(lines_before(frame, moment.at), tiny_catalog({}), InteractionOptions(min_item_orders=2))
    assert "odd" not in data.customers
    assert unknowns(frame, tiny_catalog({}), moment, data, asked_orders(frame, moment, data)).newcomers.height == 0


def test_never_sold_items_come_from_catalog_and_window_with_their_words(found):
    new = found(*OLD, ("o3", "old", 5, ["a", "b", "fresh", "odd"]), ("o4", "other", 1, ["a", "c"]))
    assert new.items.ids == ("fresh", "never", "odd")
    assert new.texts == ("name of fresh", "name of never", ""), "not in the catalog: no words"
    assert new.bought.rows() == [("o3", ["fresh", "odd"])]
    assert new.whole_pool == 3


def test_a_large_pool_keeps_what_was_bought(found, monkeypatch):
    monkeypatch.setattr(module, "POOL", 3)
    catalog = ["a", "b", "c", *(f"shelf{i}" for i in range(50))]
    new = found(*OLD, ("o3", "old", 5, ["a", "b", "fresh"]), ("o4", "other", 1, ["a", "c"]), catalog=catalog)
    assert (len(new.items), new.whole_pool) == (3, 51)
    assert "fresh" in new.items


def test_everything_survives_the_disk(found, tmp_path):
    new = found(*OLD, ("o3", "old", 5, ["a", "b", "fresh"]), ("o4", "stranger", 1, ["a", "c"]))
    nothing = found(*OLD, ("o3", "old", 5, ["a", "b"]), catalog=())
    for at, one in enumerate((new, nothing)):
        save_unknowns(one, tmp_path / str(at))
        back = load_unknowns(tmp_path / str(at))
        assert back.newcomers.equals(one.newcomers)
        assert back.bought.equals(one.bought)
        assert (back.items, back.texts, back.whole_pool, back.categories) == (
            one.items, one.texts, one.whole_pool, one.categories,
        )  # fmt: skip


def test_by_last_basket_there_is_no_window_and_nothing_unknown(small_shop):
    _, test = moments(small_shop.orders, SplitOptions(kind="last_basket", train_moments=1))
    data = train_data(lines_before(small_shop.orders, test.at), small_shop.catalog)
    asked = asked_orders(small_shop.orders, test, data)
    found = unknowns(small_shop.orders, small_shop.catalog, test, data, asked)
    assert (found.newcomers.height, len(found.items), found.bought.height) == (0, 0, 0)


def test_category_names_are_those_of_the_codes(small_shop):
    names = module.category_names(small_shop.data, small_shop.catalog)
    catalog = small_shop.catalog.unique("item_id", keep="first", maintain_order=True)
    of_item = dict(zip(catalog["item_id"], catalog.select("department", "category", "type").rows(), strict=True))
    for position, item in enumerate(small_shop.data.items.ids):
        for level, code in enumerate(small_shop.data.facts.levels[position].tolist()):
            assert (names[level][code] if code >= 0 else None) == of_item.get(item, (None,) * 3)[level]


def test_what_lies_after_the_window_changes_nothing(small_shop):
    """Later orders, of strangers and of never-sold items too."""
    test, orders = small_shop.test, small_shop.orders
    given = (small_shop.catalog, test, small_shop.data, small_shop.asked)
    last = orders.tail(3).with_columns(
        order_id=pl.lit("later"), customer_id=pl.lit("stranger"), ordered_at=pl.lit(test.until).dt.cast_time_unit("us")
    )
    plain, later = unknowns(orders, *given), unknowns(pl.concat([orders, last.cast(orders.schema)]), *given)
    assert plain.newcomers.equals(later.newcomers)
    assert plain.items == later.items
    assert plain.bought.equals(later.bought)
