"""`recsys offers`: offers of all customers, or of a list, and of the shop as a whole, as files.

offers/20241124T030000-1f2e3d4c5b6a/
    offers.parquet, .csv, .jsonl     a row per offer of every channel
    channels/product_page.parquet …  the same, a channel a file: product_page, email, cart
    bundles.parquet, .csv, .jsonl    bundles with their evidence, saving and companion discount
    dropped.parquet                  offers that a rule refused, with the rule
    customers.parquet                a row per customer asked for, those without an offer with the reason
    playbook.html                    the strongest pairs, upgrades and bundles on a page, for people who sell
    manifest.json                    options, data, counts, files with digests
offers/latest → the folder published last
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rich.table import Table

from recsys import folders
from recsys.config import Config, as_dict
from recsys.hashing import hash_id, key_from_environment
from recsys.offer_kits import KitStages, make_kit
from recsys.offer_tables import Shown, bundle_table, counted, dropped_table, offer_table, write_copies
from recsys.offers.channels import CHANNELS, Batch, cart_bundles, customers_mail, page_items, product_pages
from recsys.offers.kit import OfferKit
from recsys.offers.options import OffersOptions
from recsys.progress import step
from recsys.ranking.blend import by_block
from recsys.registry.playbook_page import write_playbook
from recsys.scoring.customers import file_digest, read_ids, who
from recsys.stages import read_json, sweep

COPIES = ("out", "keep")  # options on which no content depends
LIST = "offers.customers"
OUTCOMES: dict[str, Any] = {
    "customer_id": pl.String,
    "outcome": pl.String,  # offered | empty | set_aside
    "reason": pl.String,  # why there is no offer; "" where there is one
    "offers": pl.Int32,
}


def of_customers(config: Config, customers: str | None, out: Path | None) -> Config:
    """The configuration with another file of customer ids or another folder, where one is given."""
    changed = config.offers
    changed = changed if customers is None else replace(changed, customers=customers)
    changed = changed if out is None else replace(changed, out=str(out))
    return replace(config, offers=changed)


def publish_offers(config: Config, clock: Callable[[], datetime]) -> Path:
    """The published folder; the same orders, options, customers and code find the one that is there."""
    options, started = config.offers, clock()
    out = Path(options.out)
    folders.refuse_unwritable(out, "offers.out")
    digest = file_digest(Path(options.customers), LIST) if options.customers else None
    listed = read_ids(Path(options.customers), LIST) if options.customers else None
    secret = key_from_environment() if options.hash_ids else None
    sweep(Path(config.run.store), config.run.keep_days, started.timestamp())
    made = make_kit(config, started)
    key = _key(config, made.packaged, digest, secret)
    facts = {
        "key": key, "shop": config.title, "notes": list(config.notes), "started": started.isoformat(),
        "config": as_dict(options), "data_digest": read_json(made.ingested / "stage.json")["depends"]["source"],
        "data_until": str(read_json(made.ingested / "ingest.json")["last"]),
    }  # fmt: skip
    shown = partial(hash_id, key=secret) if secret else str
    return folders.publish(out, key, options.keep, started, partial(_fill, options, made, listed, shown, facts))


def _key(config: Config, packaged: Path, listed: str | None, secret: bytes | None) -> str:
    options = config.offers
    chosen = {name: value for name, value in as_dict(options).items() if name not in COPIES}
    ids = hash_id("fingerprint of the key", secret) if secret else "as they are"
    text = json.dumps([packaged.name, chosen, listed, ids, config.title, config.notes], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def _fill(
    options: OffersOptions, made: KitStages, listed: pl.Series | None, shown: Shown, facts: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """Write all files but the manifest, which is returned."""
    with step("load the kit"):
        kit = made.load()
    customers, aside, repeats = who(listed, kit.customers.ids, "set_aside")
    pages = page_items(kit, options.min_item_orders)
    rows = kit.customers.positions(sorted(customers["customer_id"].to_list(), key=shown))
    tables = list(_tables(kit, pages, rows, shown))
    table, refused = pl.concat([part[0] for part in tables]), pl.concat([part[1] for part in tables])
    silent = {one: why for part in tables for one, why in part[2].items()}
    told = _outcomes([shown(kit.customers.ids[row]) for row in rows], silent, aside, table, shown)
    with step("publish"):
        written = _write(kit, table, refused, told, options, folder)
        written |= {write_playbook(kit, facts, options.shown, folder): None}
    counts = _counts(table, refused, told) | {"pages": len(pages), "repeated_ids": repeats}
    return {**facts, "counts": counts, "upsell_learned": kit.upsell_model is not None,
            "files": folders.entries(folder, written)}  # fmt: skip


Tables = tuple[pl.DataFrame, pl.DataFrame, dict[str, str]]  # offers, refused ones, shown id → why there is none


def _tables(kit: OfferKit, pages: tuple[str, ...], rows: np.ndarray, shown: Shown
            ) -> Iterator[Tables]:  # fmt: skip
    """Block by block in two threads; of a block only its tables are kept."""

    def of(batch: Batch) -> Tables:
        silent = {shown(one): why for one, why in batch.silent.items()}
        refused = dropped_table(batch.channel, batch.dropped, kit.shelf, shown)
        return offer_table(batch.channel, batch.offers, kit.shelf, shown), refused, silent

    with step(f"offers of {len(pages):,} pages"):
        yield from by_block(len(pages), lambda block: of(product_pages(kit, [pages[at] for at in block])))
    with step(f"offers of {len(rows):,} customers"):
        yield from by_block(len(rows), lambda block: of(customers_mail(kit, rows[block])))
    yield of(cart_bundles(kit))


def _outcomes(
    asked: list[str], silent: dict[str, str], aside: pl.DataFrame, offers: pl.DataFrame, shown: Shown
) -> pl.DataFrame:
    """OUTCOMES: who was asked for, and after them who was set aside."""
    n = dict(offers.filter(pl.col("customer_id").is_not_null()).group_by("customer_id").len().iter_rows())
    rows: list[tuple[str | None, str, str, int]] = []
    rows += [(one, "empty" if one in silent else "offered", silent.get(one, ""), n.get(one, 0)) for one in asked]
    rows += [(None if one is None else shown(one), "set_aside", why, 0) for one, why in aside.iter_rows()]
    return pl.DataFrame(rows, schema=OUTCOMES, orient="row")


def _write(
    kit: OfferKit, table: pl.DataFrame, refused: pl.DataFrame, told: pl.DataFrame, options: OffersOptions, folder: Path
) -> dict[str, int | None]:
    """Path → rows of each file."""
    bundled = kit.bundles().offers
    (folder / "channels").mkdir()
    tables = {"offers": table, "bundles": bundle_table(kit.found, bundled, kit.shelf)}
    tables |= {f"channels/{name}": table.filter(pl.col("channel") == name) for name in CHANNELS}
    written = list(chain.from_iterable(write_copies(folder, name, one, options) for name, one in tables.items()))
    for name, one in (("dropped", refused), ("customers", told)):
        one.write_parquet(folder / f"{name}.parquet")
        written.append((f"{name}.parquet", one.height))
    return dict(written)


def _counts(table: pl.DataFrame, refused: pl.DataFrame, told: pl.DataFrame) -> dict[str, Any]:
    """Offers by channel and kind, refused ones by rule, customers by outcome, reasons of those without an offer."""

    without = told.filter(pl.col("outcome") != "offered")
    return {
        "offers": table.height, "by_channel": counted(table, "channel", "kind"), "dropped": refused.height,
        "by_rule": counted(refused, "channel", "kind", "rule"), "customers": counted(told, "outcome"),
        "without_offer": counted(without, "outcome", "reason"),
    }  # fmt: skip


def summary_table(folder: Path) -> Table:
    """Offers of each channel and kind, what the rules refused, customers by outcome."""
    counts = read_json(folder / folders.MANIFEST)["counts"]
    table = Table(title="offers", title_justify="left", caption=f"files: {folder}", caption_justify="left")
    table.add_column("what")
    table.add_column("number", justify="right")
    said = {f"offers, {name.replace('_', ' ')}": n for name, n in counts["by_channel"].items()}
    said |= {f"refused, {name.replace('_', ' ')}": n for name, n in counts["by_rule"].items()}
    said |= {f"customers, {name.replace('_', ' ')}": n for name, n in counts["customers"].items()}
    said |= {name.replace("_", " "): n for name, n in counts["without_offer"].items()}
    for what, n in said.items():
        table.add_row(what, f"{n:,}")
    return table
