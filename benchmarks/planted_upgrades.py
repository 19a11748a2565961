"""Next tiers and trade-ups that were planted in synthetic shops, and those that are found."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl

from recsys.data.histories import TrainData
from recsys.data.interactions import lines_before, train_data
from recsys.data.synthetic import SyntheticOptions, SyntheticShop, synthetic_shop
from recsys.offers.makes import makes_of
from recsys.offers.shelf import shelf_of
from recsys.offers.switches import trade_ups
from recsys.offers.upsell import recent_orders, upgrades

Pairs = set[tuple[str, str]]
TIERS = ("good", "better", "best")


def known(shop: SyntheticShop, options: SyntheticOptions) -> TrainData:
    """Everything of the shop's clean orders."""
    orders = shop.orders.filter(pl.col("quantity") > 0).with_columns(
        pl.col("ordered_at").dt.replace_time_zone("UTC"),
        pl.col("quantity").cast(pl.Float64),
        returned_at=pl.lit(None, pl.Datetime("us", "UTC")),
        returned_quantity=pl.lit(None, pl.Float64),
    )
    end = datetime.combine(options.start, datetime.min.time(), UTC) + timedelta(days=options.days)
    return train_data(lines_before(orders, end), shop.catalog)


def tier_pairs(shop: SyntheticShop, seed: int) -> tuple[Pairs, Pairs]:
    """(planted, found): each known item and the next tier of the same flavour and pack."""
    data = known(shop, SyntheticOptions(seed=seed))
    shelf = shelf_of(data.items, data.facts)
    told = pl.DataFrame({"item_id": data.items.ids}).join(shop.catalog, on="item_id", maintain_order="left")
    makes, sold = makes_of(shelf, told["brand"].to_list(), told["size"].to_list()), recent_orders(data)
    found = set()
    for item in data.items.ids:
        tiers = upgrades(item, shelf=shelf, sold=sold, makes=makes).tiers
        found |= {(item, tier.item_id) for tier in tiers[:1]}
    rows = shop.truth.tiers.filter(pl.col("item_id").is_in(list(data.items.ids))).rows(named=True)
    planted = {
        (low["item_id"], high["item_id"])
        for low, high in pairwise(rows)  # tiers of one flavour and pack stand in a row
        if (low["type"], low["amount"]) == (high["type"], high["amount"])
        and TIERS.index(high["tier"]) == TIERS.index(low["tier"]) + 1
    }
    return planted, found


def trade_up_pairs(shop: SyntheticShop, options: SyntheticOptions) -> tuple[Pairs, Pairs]:
    """(planted, found): from item, to item."""
    data = known(shop, options)
    shelf = shelf_of(data.items, data.facts)
    left = trade_ups(data.histories, shelf.types, shelf.prices)
    ids = data.items.ids
    planted = set(shop.truth.trade_ups.select("from_item", "to_item").unique().iter_rows())
    return planted, {(ids[a], ids[b]) for a, b in zip(left.a, left.b, strict=True)}


def planted_tiers(seeds: Iterable[int]) -> tuple[float, float, int]:
    """Precision, recall and number of planted steps over all seeds."""
    return measured([tier_pairs(synthetic_shop(SyntheticOptions(seed=seed)), seed) for seed in seeds])


def planted_trade_ups(seeds: Iterable[int]) -> tuple[float, float, int]:
    """Precision, recall and number of planted pairs over all seeds; some 25 customers trade each pair."""
    shops = [SyntheticOptions(seed=seed, customers=1500, items=900) for seed in seeds]
    return measured([trade_up_pairs(synthetic_shop(options), options) for options in shops])


def measured(pairs: list[tuple[Pairs, Pairs]]) -> tuple[float, float, int]:
    right = sum(len(planted & found) for planted, found in pairs)
    n = sum(len(planted) for planted, _ in pairs)
    return right / max(sum(len(found) for _, found in pairs), 1), right / max(n, 1), n
