"""Good, better, best, and the words beside them."""

import numpy as np
import pytest

from benchmarks.planted_upgrades import planted_tiers
from recsys.data.histories import IdMap
from recsys.data.pack_sizes import pack_size
from recsys.errors import InputError
from recsys.offers.ladder import ladder
from recsys.offers.makes import makes_of
from recsys.offers.price_words import brand_words, price_words
from recsys.offers.shelf import Shelf
from recsys.offers.upsell import upgrades

NAMES = ("Basic Jam 12 OZ", "Fine Jam 12 OZ", "Top Jam 12 OZ", "Basic Jam 20 OZ", "Basic Honey 12 OZ")
BRANDS = ["Basic", "Fine", "Top", "Basic", "Basic"]
SIZES = ["12 OZ", "12 OZ", "12 OZ", "20 OZ", "12 OZ"]
PRICES = [2.0, 2.8, 3.9, 2.9, 2.1]
SHELF = Shelf(IdMap(("a", "b", "c", "d", "e")), NAMES, np.zeros(5, int), np.array(PRICES), np.full(5, np.nan))
MAKES = makes_of(SHELF, BRANDS, SIZES)


def test_next_tiers_come_before_other_upgrades() -> None:
    found = upgrades("a", 1, shelf=SHELF, sold=np.array([9, 1, 1, 90, 90]), makes=MAKES)
    assert [u.item_id for u in found.kept] == ["d"]  # the best seller
    assert [u.item_id for u in found.tiers] == ["b", "c"]
    rungs = ladder(found, SHELF)
    assert [(r.tier, r.item_id, r.list_price, r.offer_price) for r in rungs] == [
        ("good", "a", 2.0, 2.0), ("better", "b", 2.8, 2.8), ("best", "c", 3.9, 3.9),
    ]  # fmt: skip
    assert rungs[1].words.startswith("0.80 more (40%), 0.233 instead of 0.167 per oz; a brand whose prices")


def test_upgrades_fill_the_ladder_up() -> None:
    found = upgrades("b", 3, shelf=SHELF, sold=np.ones(5, int), makes=MAKES)
    assert [(r.tier, r.item_id) for r in ladder(found, SHELF)] == [("good", "b"), ("better", "c")]
    reduced = ladder(found, SHELF, 10)
    assert [(r.list_price, r.offer_price) for r in reduced] == [(2.8, 2.8), (3.9, 3.51)]
    none = upgrades("c", 3, shelf=SHELF, sold=np.ones(5, int), makes=MAKES)
    assert ladder(none, SHELF) == ()
    with pytest.raises(InputError, match="percent_off is 100"):
        ladder(found, SHELF, 100)


def test_rungs_lie_apart() -> None:
    prices = np.array([1.0, 1.50, 1.55, 1.80])
    stand = Shelf(IdMap(("a", "b", "c", "d")), ("a", "b", "c", "d"), np.zeros(4, int), prices, np.full(4, np.nan))
    rungs = ladder(upgrades("a", 3, shelf=stand, sold=np.array([0, 9, 8, 7])), stand)
    assert [r.item_id for r in rungs] == ["a", "b", "d"]  # c costs nearly what b does


@pytest.mark.parametrize(("price", "other", "size", "larger", "words"), [
    (2.0, 3.0, "10 OZ", "20 OZ", "1.00 more (50%), 0.150 instead of 0.200 per oz: 1.00 less than as much of it in the "
                                 "smaller pack"),
    (2.0, 3.0, "10 OZ", "15 OZ", "1.00 more (50%), the same per oz"),
    (2.0, 3.0, "10 OZ", "10 OZ", "1.00 more (50%), 0.300 instead of 0.200 per oz"),
    (2.0, 3.0, "1 LB", "32 OZ", "1.00 more (50%), 0.331 instead of 0.441 per 100 g: 1.00 less than as much of it in "
                                "the smaller pack"),
    (2.0, 3.0, "10 OZ", None, "1.00 more (50%)"),
    (2.0, 3.0, "10 CT", "20 OZ", "1.00 more (50%)"),  # do not compare
    (2.0, 3.0, "12 OZ", "12/12 OZ", "1.00 more (50%)"),  # the packs may be left unsaid
    (2.0, 3.0, "10 OZ", "1 OZ", "1.00 more (50%)"),  # fifteen times as dear per ounce: an error of the catalog
])  # fmt: skip
def test_words_claim_what_is_known(price: float, other: float, size: str, larger: str | None, words: str) -> None:
    assert price_words(price, other, pack_size(size), pack_size(larger)) == words


def test_words_of_a_brand() -> None:
    assert brand_words(np.log(1.3)) == "a brand whose prices for the same amount are about 30% higher"


def test_planted_tiers_are_found_and_no_others() -> None:
    precision, recall, n = planted_tiers((0, 3))
    assert n > 300
    assert precision >= 0.95
    assert recall >= 0.95
