"""The next better item: within reach, of the same type, planted tiers found, and a clear answer where there is none."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

from recsys.data.histories import IdMap, empty_histories
from recsys.data.interactions import lines_before, train_data
from recsys.data.synthetic import SyntheticOptions, synthetic_shop
from recsys.errors import InputError
from recsys.models.content import Content
from recsys.offers.makes import makes_of, no_makes
from recsys.offers.shelf import Shelf, shelf_of
from recsys.offers.upsell import UpsellOptions, recent_orders, upgrades, upsell_offers
from recsys.offers.upsell_model import FEATURES, Stand, UpsellModel

NAN = float("nan")


def shelf(prices: list[float], types: list[int]) -> Shelf:
    n = len(prices)
    ids = tuple(f"i{k}" for k in range(n))
    return Shelf(IdMap(ids), tuple(f"item {k}" for k in range(n)), np.array(types), np.array(prices), np.full(n, NAN))


#             anchor  at 1.1  at 2  below  above  no price  other type
PRICES = [10.0, 11.0, 20.0, 10.99, 20.01, NAN, 15.0]
SHELF = shelf(PRICES, [0, 0, 0, 0, 0, 0, 1])
SOLD = np.array([50, 4, 8, 90, 90, 90, 90])


def test_only_the_same_type_within_the_range_ends_included() -> None:
    found = upgrades("i0", 9, shelf=SHELF, sold=SOLD)  # without texts popularity alone decides
    assert [u.item_id for u in found.kept] == ["i2", "i1"]
    assert [(u.price, u.difference, u.sold) for u in found.kept] == [(20.0, 10.0, 8), (11.0, 1.0, 4)]
    assert [u.ratio for u in found.kept] == pytest.approx([2.0, 1.1])
    assert found.why_none == ""
    assert len(upgrades("i0", 1, shelf=SHELF, sold=SOLD).kept) == 1


def test_text_and_popularity_share_the_score() -> None:
    vectors = sp.csr_matrix(np.array([[1, 0], [1, 0], [0.6, 0.8], [0, 1], [0, 1], [0, 1], [0, 1]], np.float32))
    by_text = upgrades("i0", shelf=SHELF, sold=SOLD, vectors=vectors, options=UpsellOptions(text_weight=1.0))
    assert [(u.item_id, round(u.score, 4)) for u in by_text.kept] == [("i1", 1.0), ("i2", 0.6)]
    mixed = upgrades("i0", shelf=SHELF, sold=SOLD, vectors=vectors, options=UpsellOptions(text_weight=0.25))
    assert {u.item_id: round(u.score, 4) for u in mixed.kept} == {"i2": 0.25 * 0.6 + 0.75, "i1": 0.25 + 0.75 * 0.5}
    popular = upgrades("i0", shelf=SHELF, sold=SOLD, vectors=vectors, options=UpsellOptions(text_weight=0.0))
    assert [u.item_id for u in popular.kept] == ["i2", "i1"]


def test_ties_go_to_the_lower_price() -> None:
    equal = upgrades("i0", shelf=SHELF, sold=np.zeros(7, np.int64))
    assert [u.item_id for u in equal.kept] == ["i1", "i2"]


@pytest.mark.parametrize(("anchor", "types", "says"), [
    ("i5", [0] * 7, "item 5 has no price"),
    ("i0", [-1] * 7, "the type of item 0 is unknown"),
    ("i6", [0, 0, 0, 0, 0, 0, 1], "item 6 is the only item of its type"),
    ("i2", [0, 1, 0, 0, 0, 1, 1], "no item of its type costs 1.1 to 2 times as much as item 2"),
    ("i4", [1, 1, 1, 1, 0, 0, 1], "as item 4 and 1 refused: its price is unknown"),
])  # fmt: skip
def test_says_why_there_is_none(anchor: str, types: list[int], says: str) -> None:
    found = upgrades(anchor, shelf=shelf(PRICES, types), sold=SOLD)
    assert found.kept == ()
    assert says in found.why_none
    assert upsell_offers(found, SHELF) == []


def test_refuses_what_makes_no_sense() -> None:
    with pytest.raises(InputError, match="item 'zz' is not among the 7"):
        upgrades("zz", shelf=SHELF, sold=SOLD)
    with pytest.raises(InputError, match="k is 0"):
        upgrades("i0", 0, shelf=SHELF, sold=SOLD)
    with pytest.raises(InputError, match="no range above 1"):
        UpsellOptions(low=0.9)
    with pytest.raises(InputError, match="text_weight is 2"):
        UpsellOptions(text_weight=2)
    with pytest.raises(InputError, match="habit is 0"):
        UpsellOptions(habit=0)


def test_refusals_are_counted_and_nothing_is_lost() -> None:
    found = upgrades("i0", shelf=SHELF, sold=SOLD)
    assert found.refused == (("i3", "too_near"), ("i4", "too_dear"), ("i5", "no_price"))
    assert found.reasons() == {"no_price": 1, "too_near": 1, "too_dear": 1}
    assert len(found.kept) + len(found.refused) == 5  # i6 is of another type


def test_never_a_worse_margin_where_costs_are_known() -> None:
    costs = np.array([6.0, 7.5, NAN, NAN, NAN, NAN, NAN])  # the anchor earns 4, i1 earns 3.5, i2 who knows
    found = upgrades("i0", shelf=replace(SHELF, costs=costs), sold=SOLD)
    assert [u.item_id for u in found.kept] == ["i2"]
    assert ("i1", "worse_margin") in found.refused
    costs[1:3] = 7.0, 16.1
    found = upgrades("i0", shelf=replace(SHELF, costs=costs), sold=SOLD)
    assert [u.item_id for u in found.kept] == ["i1"]  # 4 again
    costs[1] = 7.01
    found = upgrades("i0", shelf=replace(SHELF, costs=costs), sold=SOLD)
    assert found.why_none.endswith("2 refused: it earns less than the anchor")


def test_larger_or_of_a_better_brand_where_that_is_known() -> None:
    prices, sizes = [2.0, 3.0, 3.0, 3.0, 3.0], ["10 OZ", "15 OZ", "10 OZ", "8 OZ", None]
    stand = shelf(prices, [0] * 5)
    makes = makes_of(stand, ["x", "x", "x", "y", "x"], sizes)
    makes = replace(makes, levels=np.array([0.0, 0.3]))
    found = upgrades("i0", 5, shelf=stand, sold=np.zeros(5, int), makes=makes)
    assert {u.item_id: u.kind for u in found.kept} == {"i1": "larger", "i3": "better_brand", "i4": "dearer"}
    assert found.refused == (("i2", "no_better"),)
    any_of_them = UpsellOptions(improve=False)
    assert len(upgrades("i0", 5, shelf=stand, sold=np.zeros(5, int), makes=makes, options=any_of_them).kept) == 4


def test_the_range_may_be_of_prices_per_unit() -> None:
    stand = shelf([2.0, 4.0, 3.0, 3.0], [0] * 4)
    makes = makes_of(stand, [None] * 4, ["10 OZ", "20 OZ", "10 OZ", None])
    found = upgrades("i0", shelf=stand, sold=np.zeros(4, int), makes=makes, options=UpsellOptions(by="unit_price"))
    assert [u.item_id for u in found.kept] == ["i2"]
    assert found.refused == (("i1", "too_near"), ("i3", "no_unit_price"))


def test_what_the_customer_has_and_never_pays_is_left_out(query) -> None:
    stand = shelf([1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 1.0, 2.0, 3.0], [0] * 6 + [1] * 3)
    sold = np.zeros(9, int)
    cheap = query(9, [(6, age) for age in range(1, 11)] + [(7, 20), (1, 30)])  # ten of the lowest of three, one middle
    found = upgrades("i0", 9, shelf=stand, sold=sold, history=cheap)
    assert [u.item_id for u in found.kept] == ["i2"]  # ranks: .4 is within .5, .6 beyond
    assert found.reasons() == {"owned": 1, "beyond_habit": 3}
    free = UpsellOptions(habit=None, owned=True)
    assert len(upgrades("i0", 9, shelf=stand, sold=sold, history=cheap, options=free).kept) == 5
    few = query(9, [(6, age) for age in range(1, 9)])  # eight lines say nothing of a habit
    assert len(upgrades("i0", 9, shelf=stand, sold=sold, history=few).kept) == 5
    assert upgrades("i0", 9, shelf=stand, sold=sold, history=empty_histories(1, 9)).kept


def test_a_model_orders_the_upgrades(query) -> None:
    stand = shelf([1.0, 1.2, 1.4, 1.6], [0] * 4)
    facts = Stand(
        stand.types, stand.prices, np.linspace(0, 1, 4), np.array([9, 1, 5, 3]), np.zeros(4), np.zeros(4), np.ones(4),
        3, sp.csr_matrix((4, 4)), np.full(4, -1), np.zeros(0),
    )  # fmt: skip
    weights = np.zeros(len(FEATURES))
    weights[FEATURES.index("recent")] = 1
    model = UpsellModel(weights, facts, no_makes(4))
    found = upgrades("i0", shelf=stand, sold=np.zeros(4, int), model=model)
    assert [(u.item_id, round(u.score, 6)) for u in found.kept] == [
        ("i2", round(np.log(6), 6)), ("i3", round(np.log(4), 6)), ("i1", round(np.log(2), 6)),
    ]  # fmt: skip
    assert upgrades("i0", shelf=stand, sold=np.zeros(4, int), model=model, history=query(4, [(2, 5)])).reasons() == {
        "owned": 1
    }


def test_offers_name_the_difference() -> None:
    offer = upsell_offers(upgrades("i0", 1, shelf=SHELF, sold=SOLD), SHELF, "c")[0]
    assert (offer.kind, offer.customer_id, offer.anchor_items, offer.items) == ("upsell", "c", ("i0",), ("i2",))
    assert (offer.list_price, offer.offer_price) == (20.0, 20.0)
    assert offer.reason == "the same kind of goods as item 0; 10.00 more (100%); in 8 recent orders"
    (unsold, *_) = upsell_offers(upgrades("i0", 1, shelf=SHELF, sold=np.zeros(len(SOLD), int)), SHELF)
    assert "recent" not in unsold.reason


@pytest.mark.parametrize("seed", [0, 5])
def test_planted_tiers_are_found(seed: int) -> None:
    """The next tier of the same flavour and pack is among three upgrades, for good and better items alike."""
    shop = synthetic_shop(SyntheticOptions(customers=600, seed=seed))
    orders = shop.orders.filter(pl.col("quantity") > 0).with_columns(
        pl.col("ordered_at").dt.replace_time_zone("UTC"),
        pl.col("quantity").cast(pl.Float64),
        returned_at=pl.lit(None, pl.Datetime("us", "UTC")),
        returned_quantity=pl.lit(None, pl.Float64),
    )
    data = train_data(lines_before(orders, datetime(2024, 12, 31, tzinfo=UTC) + timedelta(days=1)), shop.catalog)
    stand, sold, vectors = shelf_of(data.items, data.facts), recent_orders(data), Content().fit(data).vectors()
    tiers = shop.truth.tiers.filter(pl.col("item_id").is_in(list(data.items.ids)))
    steps = [
        (low["item_id"], high["item_id"])
        for low, high in zip(tiers.rows(named=True), tiers[1:].rows(named=True), strict=False)
        if low["type"] == high["type"] and low["amount"] == high["amount"] and (low["tier"], high["tier"]) in STEPS
    ]
    hits = [
        high in {u.item_id for u in upgrades(low, shelf=stand, sold=sold, vectors=vectors).kept} for low, high in steps
    ]
    assert len(hits) > 100
    assert np.mean(hits) >= 0.95
    sales = np.bincount(data.orders[data.order_ages <= 90].indices, minlength=len(data.items))
    assert recent_orders(data).tolist() == sales.tolist()


STEPS = {("good", "better"), ("better", "best")}
