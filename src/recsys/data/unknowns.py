"""What a window brings that nothing is known of: customers' first orders, and items never sold before.

window   ─ history ───────────────────────┤ cut      window      end ├
newcomer   no order of the customer       │ the first order
unsold     no order line of the item      │ lines of the held-out orders
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from recsys.data.coding import as_text
from recsys.data.histories import LEVELS, IdMap, TrainData
from recsys.data.item_facts import item_facts
from recsys.data.splits import MIN_KNOWN, Moment, hash_order, lines_asked, sampled

POOL = 50_000  # unsold items at most; of a larger catalog, those whose ids have the smallest hashes


@dataclass(frozen=True)
class Unknowns:
    """What is asked of the unknown at the test moment.

    newcomers   frame (customer_id, order_id, items): first orders ever; items as in `asked_orders`
    items       unsold items, those of `bought` among them
    texts       their words, as models.content reads them; "" where the catalog has none
    bought      frame (order_id, items): unsold items of the held-out orders that hold any
    whole_pool  unsold items before the limit of `POOL`
    categories  names of the codes of each catalog level
    """

    newcomers: pl.DataFrame
    items: IdMap
    texts: tuple[str, ...]
    bought: pl.DataFrame
    whole_pool: int
    categories: list[list[str]]


def unknowns(
    orders: pl.DataFrame,
    catalog: pl.DataFrame,
    moment: Moment,
    data: TrainData,
    asked: pl.DataFrame,
    most: int | None = None,
) -> Unknowns:
    """`asked`: the held-out orders of `asked_orders(...)`; at most `most` newcomers are kept.

    Split by last basket there is no window, so no unknowns.
    """
    sold = _sold_before(orders, moment)
    bought = (
        lines_asked(orders, moment)
        .lazy()
        .filter(pl.col("order_id").is_in(asked["order_id"].to_list()) & ~pl.col("item_id").is_in(sold))
        .group_by("order_id")
        .agg(items=pl.col("item_id").unique().sort())
        .sort("order_id")
        .collect()
    )
    needed = bought["items"].explode().drop_nulls().unique().to_list()
    never = catalog.select("item_id").unique().filter(~pl.col("item_id").is_in(sold))["item_id"].to_list()
    whole = set(never) | set(needed) if isinstance(moment.at, datetime) else set()
    items = IdMap.of([*needed, *hash_order("unsold", sorted(whole - set(needed)))[: POOL - len(needed)]])
    texts = tuple(text or "" for text in item_facts(items, catalog, None).texts)
    strangers = sampled(newcomers(orders, moment, data), most)
    return Unknowns(strangers, items, texts, bought, len(whole), category_names(data, catalog))


def _sold_before(orders: pl.DataFrame, moment: Moment) -> list[str]:
    """Items with any order line before the moment, returned or not; all of them where there is no one moment."""
    if not isinstance(moment.at, datetime):
        return orders["item_id"].unique().to_list()
    return orders.filter(pl.col("ordered_at") < moment.at)["item_id"].unique().to_list()


def newcomers(orders: pl.DataFrame, moment: Moment, data: TrainData) -> pl.DataFrame:
    """customer_id, order_id, items: first orders ever that lie in the window and hold at least two known items."""
    if not isinstance(moment.at, datetime):
        return as_text(orders.head(0)).select("customer_id", "order_id", items=pl.lit([], pl.List(pl.String)))
    old = orders.filter(pl.col("ordered_at") < moment.at)["customer_id"].unique().drop_nulls()
    fresh = lines_asked(orders, moment).lazy().filter(pl.col("customer_id").is_not_null())
    fresh = fresh.filter(~pl.col("customer_id").is_in(old.to_list()))
    first = (
        fresh.sort("ordered_at", "order_id")
        .group_by("customer_id", maintain_order=True)
        .agg(pl.col("order_id").first())
    )
    known = fresh.join(first, on=["customer_id", "order_id"], how="semi").filter(
        pl.col("item_id").is_in(list(data.items.ids))
    )
    found = (
        known.group_by("customer_id", "order_id")
        .agg(pl.col("item_id"))
        .filter(pl.col("item_id").list.len() >= MIN_KNOWN)
        .sort("customer_id")
        .collect()
    )
    items = [hash_order(o, row) for o, row in zip(found["order_id"], found["item_id"].to_list(), strict=True)]
    return found.select("customer_id", "order_id", items=pl.Series(items, dtype=pl.List(pl.String)))


def category_names(data: TrainData, catalog: pl.DataFrame) -> list[list[str]]:
    """Names of the codes of `data.facts.levels`, level by level."""
    own = catalog.filter(pl.col("item_id").is_in(list(data.items.ids)))
    own = own.unique("item_id", keep="first", maintain_order=True)
    return [sorted(own[level].drop_nulls().unique().to_list()) for level in LEVELS]


def save_unknowns(found: Unknowns, directory: Path) -> None:
    directory.mkdir(parents=True)
    found.newcomers.write_parquet(directory / "newcomers.parquet")
    found.bought.write_parquet(directory / "bought.parquet")
    pl.DataFrame(
        {"item_id": found.items.ids, "text": found.texts}, schema={"item_id": pl.String, "text": pl.String}
    ).write_parquet(directory / "items.parquet")
    facts = pl.DataFrame({"whole_pool": [found.whole_pool], "categories": [found.categories]})
    facts.cast({"categories": pl.List(pl.List(pl.String))}).write_parquet(directory / "facts.parquet")


def load_unknowns(directory: Path) -> Unknowns:
    items, facts = pl.read_parquet(directory / "items.parquet"), pl.read_parquet(directory / "facts.parquet")
    return Unknowns(
        pl.read_parquet(directory / "newcomers.parquet"),
        IdMap(tuple(items["item_id"])),
        tuple(items["text"]),
        pl.read_parquet(directory / "bought.parquet"),
        facts["whole_pool"][0],
        facts["categories"].to_list()[0],
    )
