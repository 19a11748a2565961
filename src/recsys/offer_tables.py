"""Offers as tables: a row per offer, with names, prices, incentive, reason and place in its list."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from recsys.offers.bundles import Bundle
from recsys.offers.plain import with_anchors
from recsys.offers.rules import Dropped, Offer
from recsys.offers.shelf import Shelf
from recsys.schemas import OFFERED
from recsys.scoring.exports import CsvOptions, write_csv

OFFERS: dict[str, Any] = {
    "channel": pl.String,  # product_page | email | cart
    "customer_id": pl.String,  # null = anybody
    "rank": pl.Int32,  # 1 = best of its list
    **OFFERED,
}
DROPPED: dict[str, Any] = {
    **{name: kind for name, kind in OFFERS.items() if name != "rank"},
    "rule": pl.String,  # that refused
    "until": pl.Datetime("us", "UTC"),  # null = as long as the fact holds
}
BUNDLES: dict[str, Any] = {
    "items": pl.List(pl.String),
    "item_names": pl.List(pl.String),
    "list_price": pl.Float64,
    "offer_price": pl.Float64,
    "saving": pl.Float64,
    "companion_item": pl.String,  # the same saving on this item alone; null where none can carry it
    "companion_name": pl.String,
    "companion_price": pl.Float64,
    "companion_off": pl.Float64,  # share
    "joint": pl.Int64,
    "customers": pl.Int64,
    "adjusted_lift": pl.Float64,
    "together": pl.Float64,  # share of the orders with any of the items that hold all of them anyway
    "margin": pl.Float64,
    "slow_mover": pl.String,
    "reason": pl.String,
}
SEPARATOR = " | "  # between the entries of a list in CSV
Shown = Callable[[str], str]  # customer id → what files show of it


def offer_table(channel: str, offers: Iterable[Offer], shelf: Shelf, shown: Shown) -> pl.DataFrame:
    """OFFERS; rank counts within offers of one kind, customer and anchors."""
    place: Counter[object] = Counter()
    rows = []
    for offer in offers:
        place[offer.listing] += 1
        rows.append(_row(channel, offer, shelf, shown) | {"rank": place[offer.listing]})
    return pl.DataFrame(rows, schema=OFFERS)


def dropped_table(channel: str, dropped: Iterable[Dropped], shelf: Shelf, shown: Shown) -> pl.DataFrame:
    """DROPPED."""
    rows = [_row(channel, one.offer, shelf, shown) | {"rule": one.rule, "until": one.until} for one in dropped]
    return pl.DataFrame(rows, schema=DROPPED)


def _row(channel: str, offer: Offer, shelf: Shelf, shown: Shown) -> dict[str, Any]:
    return {
        **with_anchors(offer, shelf),
        "channel": channel,
        "customer_id": None if offer.customer_id is None else shown(offer.customer_id),
    }


def bundle_table(bundles: Sequence[Bundle], offers: Sequence[Offer], shelf: Shelf) -> pl.DataFrame:
    """BUNDLES of those that are offered."""
    made = {bundle.items: bundle for bundle in bundles}
    return pl.DataFrame([_bundle(made[offer.items], offer, shelf) for offer in offers], schema=BUNDLES)


def _bundle(bundle: Bundle, offer: Offer, shelf: Shelf) -> dict[str, Any]:
    beside = bundle.companion
    return {
        "items": list(bundle.items),
        "item_names": [shelf.name(item) for item in bundle.items],
        "list_price": bundle.list_price,
        "offer_price": bundle.offer_price,
        "saving": round(bundle.list_price - bundle.offer_price, 6),
        "companion_item": beside.item_id if beside else None,
        "companion_name": shelf.name(beside.item_id) if beside else None,
        "companion_price": beside.price if beside else None,
        "companion_off": beside.off if beside else None,
        "joint": bundle.joint,
        "customers": bundle.customers,
        "adjusted_lift": bundle.adjusted_lift,
        "together": bundle.together,
        "margin": bundle.margin,
        "slow_mover": bundle.slow_mover,
        "reason": offer.reason,
    }


def flat(table: pl.DataFrame) -> pl.DataFrame:
    """Lists as text, for CSV; ids that hold the separator stay exact in Parquet and JSON lines alone."""
    lists = [name for name, kind in table.schema.items() if kind == pl.List(pl.String)]
    return table.with_columns(pl.col(name).list.join(SEPARATOR) for name in lists)


class ExportOptions(CsvOptions, Protocol):
    """Which copies stand beside Parquet."""

    @property
    def exports(self) -> Collection[str]: ...


def write_copies(folder: Path, name: str, table: pl.DataFrame, options: ExportOptions) -> Iterator[tuple[str, int]]:
    """(file, rows): Parquet and JSON lines as they are, CSV with cells that a spreadsheet could run made harmless."""
    table.write_parquet(folder / f"{name}.parquet")
    yield f"{name}.parquet", table.height
    if "csv" in options.exports:
        write_csv(folder / f"{name}.csv", flat(table), options)
        yield f"{name}.csv", table.height
    if "jsonl" in options.exports:
        table.write_ndjson(folder / f"{name}.jsonl")
        yield f"{name}.jsonl", table.height


def counted(table: pl.DataFrame, *names: str) -> dict[str, int]:
    """Rows by the values of these columns, joined by a space."""
    found = table.group_by(names).len().sort(names)
    return {" ".join(map(str, keys)): n for *keys, n in found.iter_rows()}
