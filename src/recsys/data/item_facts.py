"""What catalog and order lines say of the items of a model."""

import numpy as np
import polars as pl

from recsys.data.histories import LEVELS, IdMap, ItemFacts
from recsys.data.known_lines import KnownLines

PRICE_DAYS = 90


def item_facts(items: IdMap, catalog: pl.DataFrame, lines: pl.DataFrame | KnownLines | None) -> ItemFacts:
    """Catalog rows in the order of `items`; prices from the lines of the moment, never from the catalog's today.

    Where no lines are given, no price is known.
    """
    table = pl.DataFrame({"item_id": items.ids}, schema={"item_id": pl.String}).join(
        catalog.unique("item_id", keep="first", maintain_order=True),
        on="item_id",
        how="left",
        maintain_order="left",
    )
    words = ("name", "description", *LEVELS, "brand", "size")
    text = pl.concat_str([pl.col(c) for c in words], separator=" ", ignore_nulls=True)
    codes = [table[c].rank("dense").fill_null(0).to_numpy().astype(np.int32) - 1 for c in LEVELS]
    level_names = tuple(tuple(table[c].drop_nulls().unique().sort()) for c in LEVELS)
    return ItemFacts(
        tuple(table.select(text).to_series()),
        tuple(table.select(shown_name()).to_series()),
        np.stack(codes, axis=1),
        np.full(len(items), np.nan, np.float32) if lines is None else _prices(items, KnownLines.of(lines)),
        level_names,
        *_others(items, catalog, level_names),
        table["unit_cost"].cast(pl.Float32).fill_null(float("nan")).to_numpy(),
    )


def shown_name() -> pl.Expr:
    """How people call a catalog's item: its name, else brand, type and size, else its id."""
    made_up = pl.concat_str(["brand", "type", "size"], separator=" ", ignore_nulls=True).replace("", None)
    return pl.coalesce("name", made_up, "item_id")


def _others(items: IdMap, catalog: pl.DataFrame, names: tuple[tuple[str, ...], ...]) -> tuple[IdMap, np.ndarray]:
    """Catalog items that are none of `items` but share a level's name with one, and their codes int32 (m, 3)."""
    codes = [
        pl.col(level).cast(pl.Enum(of), strict=False).to_physical().cast(pl.Int32).fill_null(-1)
        for level, of in zip(LEVELS, names, strict=True)
    ]
    found = (
        catalog.filter(~pl.col("item_id").is_in(list(items.ids)))
        .unique("item_id", keep="first", maintain_order=True)
        .select("item_id", *codes)
        .filter(pl.any_horizontal(pl.col(LEVELS) >= 0))
        .sort("item_id")
    )
    return IdMap(tuple(found["item_id"])), found.select(LEVELS).to_numpy().astype(np.int32).reshape(-1, len(LEVELS))


def _prices(items: IdMap, known: KnownLines) -> np.ndarray:
    """Median unit price over each item's own latest 90 days of sales; NaN where it has none."""
    place, price = known.places("item_id", items), known.column("unit_price")
    youngest = np.full(len(items) + 1, np.inf, np.float32)  # unknown items are the last
    for orders, part in known.blocks():
        priced = price[part].is_not_null().to_numpy()
        item, age = place[known.items[part]], known.ages_of_lines(orders)
        np.minimum.at(youngest, item[priced], age[priced])
    recent = [pl.DataFrame(schema={"item": pl.Int32, "price": pl.Float64})]
    for orders, part in known.blocks():
        item = place[known.items[part]]
        late = (known.ages_of_lines(orders) <= youngest[item] + PRICE_DAYS) & (item >= 0)
        recent.append(pl.DataFrame({"item": item[late], "price": price[part].filter(pl.Series(late))}))
    median = pl.concat(recent).drop_nulls().group_by("item").agg(pl.col("price").median().cast(pl.Float32))
    out = np.full(len(items), np.nan, np.float32)
    out[median["item"].to_numpy()] = median["price"].to_numpy()
    return out
