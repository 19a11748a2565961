"""The next better item: within reach, of the same type, planted tiers found, and a clear answer where there is none."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

from recsys.data.histories import IdMap
from recsys.data.interactions import lines_before, train_data
from recsys.data.synthetic import SyntheticOptions, synthetic_shop
from recsys.errors import InputError
from recsys.models.content import Content
from recsys.offers.shelf import Shelf, shelf_of
from recsys.offers.upsell import UpsellOptions, recent_orders, upgrades, upsell_offers

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
    ("i6", [0, 0, 0, 0, 0, 0, 1], "costs 1.1 to 2 times as much as item 6"),
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


def test_offers_name_the_difference() -> None:
    offer = upsell_offers(upgrades("i0", 1, shelf=SHELF, sold=SOLD), SHELF, "c")[0]
    assert (offer.kind, offer.customer_id, offer.anchor_items, offer.items) == ("upsell", "c", ("i0",), ("i2",))
    assert (offer.list_price, offer.offer_price) == (20.0, 20.0)
    assert offer.reason == "same type as item 0, 10.00 more (100%); in 8 recent orders"


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
