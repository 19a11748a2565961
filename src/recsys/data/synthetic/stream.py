"""Large synthetic histories as Parquet files, in memory bounded by one block of customers."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from recsys.data.synthetic.assortment import make_assortment
from recsys.data.synthetic.catalog import catalog_frame
from recsys.data.synthetic.households import Block
from recsys.data.synthetic.options import SyntheticOptions
from recsys.data.synthetic.shop import block_orders
from recsys.data.synthetic.truth import shelf_truth, tables
from recsys.errors import InputError


def stream_orders(options: SyntheticOptions, directory: Path, rows_per_file: int = 1_000_000) -> list[Path]:
    """Write `directory`, which must not exist yet, and return its order files in order.

    orders/part-00000.parquet, …  clean purchase lines, about `rows_per_file` in each, sorted by customer
                                  (guests last), time and item
    catalog.parquet               all items
    truth/pairs.parquet, …        one file each for pairs, substitutes and tiers
    truth/cycles/part-00000.parquet, …  tastes, cycles and trade-ups, part by part
    The same options and rows_per_file give the same files. A customer's orders are all in one file. Nothing
    is left under `directory` by a run that was cut short.
    """
    directory = Path(directory)
    if directory.exists():
        raise InputError(f"{directory} exists already; remove it or name another directory for the history")
    unfinished = directory.with_name(f".{directory.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    names = list(_write(options, unfinished, rows_per_file))
    unfinished.rename(directory)
    return [directory / "orders" / name for name in names]


def blocks(options: SyntheticOptions, rows_per_file: int) -> list[Block]:
    """Split customers and guests evenly over as many blocks as keep a file near `rows_per_file` lines."""
    if rows_per_file < 1:
        raise InputError(f"rows_per_file is {rows_per_file}; it must be at least 1")
    orders = options.customers * options.orders_per_customer + options.guests
    n = min(options.customers, max(1, round(orders * options.basket_size / rows_per_file)))
    first = np.linspace(0, options.customers, n + 1).astype(int).tolist()
    guest = np.linspace(0, options.guests, n + 1).astype(int).tolist()
    return [
        Block(chunk=i, first=first[i], customers=first[i + 1] - first[i], guests=guest[i + 1] - guest[i])
        for i in range(n)
    ]


def _write(options: SyntheticOptions, directory: Path, rows_per_file: int) -> Iterator[str]:
    shelf = make_assortment(options)
    _put(catalog_frame(options, shelf), directory / "catalog.parquet")
    for name, table in tables(shelf_truth(options, shelf)).items():
        _put(table, directory / "truth" / f"{name}.parquet")
    for block in blocks(options, rows_per_file):
        part = f"part-{block.chunk:05d}.parquet"
        orders, planted = block_orders(options, shelf, block)
        _put(orders, directory / "orders" / part)
        for name, table in tables(planted).items():
            _put(table, directory / "truth" / name / part)
        yield part


def _put(table: pl.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table.write_parquet(path)
