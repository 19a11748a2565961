"""What a placement reads, what it refuses, and what categories let through."""

import json
from dataclasses import replace

import numpy as np
import pytest

from recsys.data.histories import IdMap, ItemFacts
from recsys.data.item_facts import item_facts
from recsys.data.store import load_train_data, save_train_data
from recsys.errors import InputError
from recsys.serving.categories import Categories
from recsys.serving.placements import PLACEMENTS
from recsys.serving.requests import with_placed
from tests.serving.hostile import names_of


@pytest.fixture(scope="module")
def ask(fitted):
    def one(customer=None, basket=None, **options):
        return fitted.recommender.recommend([customer], [basket], [json.dumps(options)])[0]

    return one


@pytest.fixture(scope="module")
def who(small_shop) -> str:
    return small_shop.data.customers.ids[7]


@pytest.fixture(scope="module")
def ids(small_shop) -> tuple[str, ...]:
    return small_shop.data.items.ids


def order_of(shop, customer: str, back: int = 0) -> list[str]:
    """Items of the customer's latest order, or of one further back."""
    histories, row = shop.data.histories, shop.data.customers.ids.index(customer)
    lines = slice(histories.indptr[row], histories.indptr[row + 1])
    return [shop.data.items.ids[i] for i in histories.items[lines][histories.orders[lines] == back]]


# --- what is read


def test_home_and_email_read_the_customer_alone(ask, who):
    free = ask(who)
    assert ask(who, placement="home").item_ids == free.item_ids
    assert ask(who, placement="email").item_ids == free.item_ids[:4]
    assert ask("nobody", placement="email").fallback == ask(None, [], placement="home").fallback == "popular"


def test_product_ranks_by_the_item_alone(ask, small_shop, who, ids):
    item = ids[5]
    anybody = ask(None, [item], placement="product")
    assert anybody.item_ids == ask(None, [item], k=4).item_ids
    assert ask(who, [item, item], placement="product") == anybody
    assert anybody.fallback == "cart"
    free = ask(None, [item], k=500).item_ids
    lines = small_shop.data.histories.take([small_shop.data.customers.ids.index(who)]).items
    owned = {ids[i] for i in lines}
    kept = ask(who, [item], placement="product", owned="exclude", k=500).item_ids
    assert not set(kept) & owned, "the customer's own items can still be left out"
    assert kept[:3] == [i for i in free if i not in owned][:3]


def test_cart_reads_cart_and_customer(ask, who, ids):
    assert ask(who, list(ids[3:6]), placement="cart").item_ids == ask(who, list(ids[3:6]), k=3).item_ids
    unknown = ask(who, ["no such item"], placement="cart")
    assert unknown.fallback == "personal"
    assert unknown.item_ids == ask(who, k=3).item_ids


def test_post_purchase_without_a_basket_follows_the_latest_order(ask, small_shop, who):
    latest = order_of(small_shop, who)
    found = ask(who, placement="post_purchase", owned="allow", k=10)
    assert found.item_ids == ask(who, exclude=latest).item_ids, "the next order, without what was just bought"
    assert found.fallback == "personal"
    again = ask(who, latest, placement="post_purchase", owned="allow", k=10)
    assert again == found, "an order that the model knows is not counted twice"


def test_post_purchase_takes_the_basket_for_a_new_order(ask, small_shop, who, ids):
    placed = [i for i in ids if i not in order_of(small_shop, who)][:3]
    found = ask(who, placed, placement="post_purchase", k=10)
    assert found.fallback == "personal"
    assert not set(found.item_ids) & set(placed)
    assert found.item_ids != ask(who, placed, owned="exclude").item_ids, "it is no open cart"
    guest = ask(None, placed, placement="post_purchase", k=10)
    assert guest.fallback == "cart"
    assert len(guest.item_ids) == 10
    assert not any("in your cart" in reason for reason in (*found.reasons, *guest.reasons))


def test_an_order_just_placed_ends_the_history(fitted):
    """By hand: one line more per item, age 0, every older order one further back."""
    queries = fitted.recommender.queries(np.array([4, -1, 7]), [np.zeros(0, int)] * 3)
    new = with_placed(queries, [np.array([2, 9]), np.array([3]), np.zeros(0, int)])
    assert np.diff(new.indptr).tolist() == [np.diff(queries.indptr)[0] + 2, 1, np.diff(queries.indptr)[2]]
    first, old = new.take([0]), queries.take([0])
    assert first.items.tolist() == [*old.items.tolist(), 2, 9]
    assert first.orders.tolist() == [*(old.orders + 1).tolist(), 0, 0]
    assert first.ages.tolist() == [*old.ages.tolist(), 0, 0]
    assert first.weights.tolist() == [*old.weights.tolist(), 1, 1]
    assert (new.take([1]).items.tolist(), new.take([1]).orders.tolist()) == ([3], [0])
    for name in ("items", "orders", "ages", "weights"):
        np.testing.assert_array_equal(getattr(new.take([2]), name), getattr(queries.take([2]), name))
        assert getattr(new, name).dtype == getattr(queries, name).dtype


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_k_and_owned_have_defaults_of_the_placement(ask, who, ids, placement):
    customer = None if placement == "product" else who
    basket = None if placement in ("home", "email", "post_purchase") else [ids[5]]
    k, owned = PLACEMENTS[placement].k, PLACEMENTS[placement].owned
    assert ask(customer, basket, placement=placement) == ask(customer, basket, placement=placement, k=k, owned=owned)
    assert len(ask(customer, basket, placement=placement).item_ids) == k
    assert len(ask(customer, basket, placement=placement, k=k + 2).item_ids) == k + 2


# --- what is refused


@pytest.mark.parametrize(
    ("placement", "customer", "basket", "reason"),
    [
        ("home", "00001", ["P0001"], "placement home reads no basket, this one holds 1 items; leave it empty"),
        ("email", None, ["?", "P0001", "?"], "placement email reads no basket, this one holds 2 items"),
        ("product", None, None, "placement product needs exactly one item in basket, the page's own, this one holds 0"),
        ("product", None, ["P0001", "P0002"], "this one holds 2; ask placement cart for a whole cart"),
        ("product", "00001", ["no\nsuch"], r"placement product: the model does not know item 'no\nsuch'; ask"),
        ("cart", "00001", [], "placement cart needs a cart, basket is empty; give its items, or ask placement home"),
        (
            "post_purchase",
            "nobody",
            None,
            "basket is empty and the customer has no known order; give the order's items",
        ),
        (
            "basket",
            None,
            None,
            'options.placement is "basket"; give one of home, product, cart, checkout, post_purchase, email',
        ),
        (7, None, None, "options.placement is 7"),
    ],
)
def test_contradictions_are_refused(ask, placement, customer, basket, reason):
    answer = ask(customer, basket, placement=placement)
    assert reason in answer.error
    assert answer.item_ids == []


# --- categories


def test_categories_at_every_level_bound_the_list(ask, small_shop, who):
    data = small_shop.data
    for names in data.facts.level_names:
        name = names[0]
        inside = ask(who, categories_in=[name, name], k=500)
        assert inside.item_ids
        assert all(name in names_of(data, item) for item in inside.item_ids)
        assert inside.fallback == "personal"
        outside = ask(who, categories_out=[name], k=500)
        assert not any(name in names_of(data, item) for item in outside.item_ids)
        assert ask(who, categories_in=[name], categories_out=[name]).item_ids == []
    wide, narrow = data.facts.level_names[0][0], data.facts.level_names[-1][0]
    both = ask(who, categories_in=[wide, narrow], k=500).item_ids
    assert all(names_of(data, item) & {wide, narrow} for item in both)
    assert ask(who, categories_in=[]).item_ids == []
    assert ask(who, categories_in=None).item_ids == ask(who).item_ids


def test_nobody_gets_what_is_popular_in_the_category(ask, small_shop):
    name = small_shop.data.facts.level_names[-1][0]
    found = ask("nobody", categories_in=[name], k=500)
    assert found.fallback == "popular_in_category"
    kind = [i for i in small_shop.data.items.ids if name in names_of(small_shop.data, i)]
    assert 0 < len(found.item_ids) <= len(kind), "a short list is not padded"
    assert set(found.item_ids) <= set(kind)
    assert ask("nobody", categories_out=[name]).fallback == "popular"


def test_an_unknown_name_is_refused_with_what_may_be_meant(ask, small_shop):
    name = small_shop.data.facts.level_names[0][0]
    other = name.upper() if name != name.upper() else name.lower()
    assert (
        f"options.categories_in has {other!r}, which no item that the model knows belongs to; did you mean {name!r}?"
        in (ask(categories_in=[name, other]).error)
    )
    assert "options.categories_out has 'no such'" in ask(categories_out=["no such"]).error
    assert "give names of the catalog (it knows " in ask(categories_out=["no such"]).error


@pytest.fixture(scope="module")
def few(tiny_orders, tiny_catalog):
    """Facts of items a and b; c and d are in the catalog only, e has a type of its own there, f nothing at all."""
    catalog = tiny_catalog({
        "a": {"department": "food", "category": "dairy", "type": "milk"},
        "b": {"department": "food", "category": "bread", "type": None},
        "c": {"department": "food", "category": "dairy", "type": "milk"},
        "d": {"department": "food", "category": "bread", "type": "rolls"},
        "e": {"department": "tools", "category": None, "type": "saws"},
        "f": {},
    })  # fmt: skip
    lines = tiny_orders(("o", "x", 1, "ab")).with_columns(age=1.0)
    return item_facts(IdMap(("a", "b")), catalog, lines)


def test_the_catalog_says_where_unknown_items_stand(few):
    assert few.level_names == (("food",), ("bread", "dairy"), ("milk",))
    assert few.levels.tolist() == [[0, 1, 0], [0, 0, -1]]
    assert few.others.ids == ("c", "d")
    assert few.other_levels.tolist() == [[0, 1, 0], [0, 0, -1]]
    found = Categories.of(few)
    assert found.members(found.beside(["c", "a", "f", "?"])).tolist() == [True, False]
    assert found.members(found.beside(["d"])).tolist() == [False, True], "no item is of type rolls, so bread is meant"
    assert found.beside(["a", "e", "f", "?"]) == frozenset()
    assert found.members(found.codes("x", ["food"])).tolist() == [True, True]
    with pytest.raises(InputError, match="has 'saws', which no item"):
        found.codes("x", ["saws"])


def test_a_cart_of_unknown_items_gets_what_is_popular_in_their_category(fitted, small_shop):
    """An item of the catalog that the model does not know: its type's best sellers."""
    data, categories = small_shop.data, fitted.recommender.categories
    new = replace(categories, others=IdMap(("new item",)), other_levels=data.facts.levels[:1])
    recommender = replace(fitted.recommender, categories=new)
    kind = {i for i, row in zip(data.items.ids, data.facts.levels, strict=True) if row[-1] == data.facts.levels[0, -1]}
    known = data.customers.ids[0]
    carts = [["new item"], ["new item", "?"], ["new item"], ["?"], ["new item", data.items.ids[5]]]
    found = recommender.recommend([None, "nobody", known, None, None], carts, ['{"placement": "cart"}'] * 5)
    assert [a.fallback for a in found] == ["popular_in_category", "popular_in_category", "personal", "popular", "cart"]
    assert 0 < len(found[0].item_ids) <= 3
    assert set(found[0].item_ids) <= kind
    assert found[0].item_ids == found[1].item_ids


def test_categories_are_kept_on_disk(small_shop, few, tmp_path):
    save_train_data(small_shop.data, tmp_path / "data")
    back = load_train_data(tmp_path / "data").facts
    assert (back.level_names, back.others) == (small_shop.data.facts.level_names, small_shop.data.facts.others)
    np.testing.assert_array_equal(back.other_levels, small_shop.data.facts.other_levels)
    Categories.of(few).save(tmp_path / "categories")
    loaded = Categories.load(tmp_path / "categories")
    assert (loaded.names, loaded.others) == (few.level_names, few.others)
    np.testing.assert_array_equal(loaded.other_levels, few.other_levels)
    bare = ItemFacts(("",), ("",), np.full((1, 3), -1, np.int32), np.zeros(1, np.float32))
    assert Categories.of(bare).beside(["x"]) == frozenset()
