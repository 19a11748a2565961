"""Up-sell: the next dearer item that customers go on to buy, against the most popular one of the type.

    python -m benchmarks.offering.upsell [--config FILE] [--set section.key=value]

Everything is learned before the config's cut; it is asked about the window after it. Protocol: docs/metrics.md, section
"Up-sell". Exits with 1 where a bar of the default config is missed.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from benchmarks.offering.part import Part, line, spread
from benchmarks.planted_upgrades import planted_tiers, planted_trade_ups
from recsys import pipeline
from recsys.config import Config, load_config
from recsys.data.checked_store import read_checked
from recsys.data.histories import Floats, IdMap, Ints, TrainData
from recsys.data.interactions import InteractionOptions, lines_before, train_data
from recsys.data.pack_sizes import pack_size
from recsys.data.splits import held_out_window
from recsys.evaluation.bootstrap import paired_ratio
from recsys.models.content import Content
from recsys.offers.makes import Makes, makes_of, with_alike_types
from recsys.offers.shelf import Shelf, shelf_of
from recsys.offers.switches import count_switches, trade_ups
from recsys.offers.upsell import UpsellOptions, beyond_habit, is_no_better, recent_orders, upgrades
from recsys.offers.upsell_fit import fit_upsell
from recsys.offers.upsell_model import FEATURES, UpsellModel, alike
from recsys.offers.upsell_queries import Asked, asked_upgrades

MIN_LINES, K = 10, 3
BARS = {"all": 1.10, "bought twice, 10 candidates": 1.20}  # of Complete Journey, times the most popular
Row = dict[str, Any]


@dataclass(frozen=True)
class Shop:
    """What is known before the cut, and what was bought in the window."""

    data: TrainData
    shelf: Shelf
    makes: Makes
    model: UpsellModel
    bought: tuple[Ints, Ints]  # rows of the histories and item positions, -1 = unknown
    lines: Ints  # (n_items,) before the cut


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="configs/complete_journey.yaml")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    given = parser.parse_args(arguments)
    config = load_config(given.config, given.settings)
    rows = judge(config)
    for name, found in (("next tiers", planted_tiers), ("trade-ups", planted_trade_ups)):
        precision, recall, n = found(range(4))
        print(f"planted {name} of four synthetic shops: precision {precision:.3f}, recall {recall:.3f} of {n}")
    missed = missed_of(rows)
    held = given.config == parser.get_default("config") and not given.settings
    return len(missed) if held else 0


def judge(config: Config, now: datetime | None = None) -> list[Row]:
    """Print everything; the rows of hit@3 with their ratios."""
    checked = read_checked(pipeline.ingest_orders(config, now or datetime.now(UTC)) / "checked")
    print_sizes(checked.catalog)
    shop = prepare(checked.orders, checked.catalog, *held_out_window(checked.orders, config.split))
    print_history(shop)
    rows = []
    for skip_owned in (True, False):
        asked = asked_upgrades(
            shop.data.histories,
            shop.bought,
            shop.shelf.types,
            shop.shelf.prices,
            low=1.1,
            high=2.0,
            skip_owned=skip_owned,
        )
        print(
            f"\n{asked.bought.sum():,} first purchases in {len(asked.customers):,} queries; candidates "
            f"{'without' if skip_owned else 'with'} what the customer had before: {len(asked.query):,}"
        )
        rows += compare(shop, asked, skip_owned) if len(asked.customers) else []
    if len(rows):
        print_refusals(shop)
        print_speed(shop)
    return rows


def run(config: Config, now: datetime) -> Part:
    """The part of `benchmarks.offers`; all else that it finds is printed."""
    rows = judge(config, now)
    if not rows:
        return Part([], ["No customer bought a dearer item of a usual one's type in the window."])
    table = [
        "## Up-sell",
        "",
        line(["queries", "had before", "n", "hit@3", "baseline", "its hit@3", "ratio (interval)"]),
        line(["---"] * 7),
    ]
    table += [
        line([
            r["group"], "left out" if r["skip_owned"] else "kept", f"{r['queries']:,}", f"{r['hit']:.3f}",
            r["baseline"], f"{r['of_baseline']:.3f}", f"{r['ratio']:.3f} ({spread(r['low'], r['high'], 3)})",
        ])
        for r in rows
    ]  # fmt: skip
    missed = [f"up-sell, {r['group']}: {r['ratio']:.3f} below {r['bar']}" for r in missed_of(rows)]
    return Part(rows, table, missed)


def missed_of(rows: list[Row]) -> list[Row]:
    return [r for r in rows if r["bar"] and r["baseline"] == "most popular" and r["ratio"] < r["bar"]]


def prepare(orders: pl.DataFrame, catalog: pl.DataFrame, cut: datetime, end: datetime) -> Shop:
    lines = lines_before(orders, cut)
    data = train_data(lines, catalog, InteractionOptions(min_item_orders=MIN_LINES))
    shelf = replace(shelf_of(data.items, data.facts), prices=usual_prices(lines, data.items))
    content = Content().fit(data)
    untyped = int((shelf.types < 0).sum())
    if untyped:
        shelf = with_alike_types(shelf, content.vectors(), recent_orders(data))
        print(f"{untyped:,} items without a type, put into {len(np.unique(shelf.types)):,} types with the others")
    told = pl.DataFrame({"item_id": data.items.ids}).join(catalog, on="item_id", how="left", maintain_order="left")
    makes = makes_of(shelf, told["brand"].to_list(), told["size"].to_list())
    start = time.perf_counter()
    model = fit_upsell(data, shelf, makes, content.vectors())
    print(f"fitted in {time.perf_counter() - start:.0f} s: " + ", ".join(
        f"{name} {weight:.2f}" for name, weight in zip(FEATURES, model.weights, strict=True)
    ))  # fmt: skip
    after = orders.filter((pl.col("ordered_at") >= cut) & (pl.col("ordered_at") < end)).drop_nulls("customer_id")
    bought = (
        data.customers.positions(after["customer_id"].to_list()),
        data.items.positions(after["item_id"].to_list()),
    )
    return Shop(data, shelf, makes, model, bought, np.bincount(data.orders.indices, minlength=len(data.items)))


def usual_prices(lines: pl.DataFrame, items: IdMap) -> Floats:
    """float64 (n_items,): median unit price of all lines before the cut; NaN where none is above 0."""
    median = lines.filter(pl.col("unit_price") > 0).group_by("item_id").agg(price=pl.col("unit_price").median())
    table = pl.DataFrame({"item_id": items.ids}).join(median, on="item_id", how="left", maintain_order="left")
    return table["price"].fill_null(float("nan")).to_numpy()


def compare(shop: Shop, asked: Asked, skip_owned: bool) -> list[Row]:
    """Hit@3 of the model against each baseline, over all queries and over the hard ones."""
    row, anchor = asked.customers[asked.query], asked.anchors[asked.query]
    recent = recent_orders(shop.data)
    close = alike(shop.model.vectors, anchor, asked.items)
    most = np.maximum.reduceat(recent[asked.items], np.cumsum(asked.sizes) - asked.sizes)[asked.query]
    hit = hits(asked, shop.model.score(shop.data.histories, row, anchor, asked.items))
    weight = UpsellOptions.text_weight
    others = {
        "most popular": hits(asked, shop.lines[asked.items]),
        "most popular of 90 days": hits(asked, recent[asked.items]),
        "text and popularity": hits(asked, weight * close + (1 - weight) * recent[asked.items] / np.maximum(most, 1)),
    }
    groups = {"all": np.ones(len(hit), bool), "bought twice, 10 candidates": (asked.times >= 2) & (asked.sizes >= 10)}
    rows = []
    for group, inside in groups.items():
        if not inside.any():
            print(f"{group:<28} no query")
            continue
        for name, other in others.items():
            found = paired_ratio(
                hit[inside].astype(float), other[inside].astype(float), groups=asked.customers[inside], n_resamples=2000
            )
            ratio, low, high = (float(v[0]) for v in (found.ratio, found.low, found.high))
            bar = BARS[group] if skip_owned else None
            rows.append({
                "group": group, "skip_owned": skip_owned, "baseline": name, "queries": int(inside.sum()), "bar": bar,
                "hit": float(hit[inside].mean()), "of_baseline": float(other[inside].mean()),
                "ratio": ratio, "low": low, "high": high,
            })  # fmt: skip
            print(
                f"{group:<28} {inside.sum():>6,} queries  hit@3 {hit[inside].mean():.4f}  {name:<24}"
                f"{other[inside].mean():.4f}  {ratio:.3f} ({low:.3f}-{high:.3f})"
            )
    return rows


def hits(asked: Asked, score: Floats | Ints) -> np.ndarray:
    """bool (n_queries,): one of the K best candidates was bought; ties go to the lower position."""
    order = np.lexsort((asked.items, -score, asked.query))
    place = np.arange(len(order)) - np.repeat(np.cumsum(asked.sizes) - asked.sizes, asked.sizes)
    return np.bincount(asked.query[order], (place < K) & asked.bought[order], minlength=len(asked.customers)) > 0


def print_sizes(catalog: pl.DataFrame) -> None:
    sizes = catalog["size"].drop_nulls().to_list()
    read = sum(pack_size(text) is not None for text in sizes)
    print(f"{catalog.height:,} items, {len(sizes):,} with a size, of these read: {read / max(len(sizes), 1):.1%}")


def print_history(shop: Shop) -> None:
    histories, types, prices = shop.data.histories, shop.shelf.types, shop.shelf.prices
    counts = count_switches(histories, types, prices)
    print(counts.sentence())
    left = trade_ups(histories, types, prices)
    print(f"{len(left.a):,} pairs that customers left for the dearer item beyond chance, replaced items among them")


def print_refusals(shop: Shop) -> None:
    """What the rules beside the price range cost: share of candidates and of purchases refused, and hit@3 after."""
    asked = asked_upgrades(shop.data.histories, shop.bought, shop.shelf.types, shop.shelf.prices, low=1.1, high=2.0)
    row, anchor = asked.customers[asked.query], asked.anchors[asked.query]
    score = shop.model.score(shop.data.histories, row, anchor, asked.items)
    starts = np.cumsum(asked.sizes) - asked.sizes
    refused = {
        "no_better": is_no_better(shop.makes, anchor, asked.items),
        "beyond_habit": np.concatenate([
            beyond_habit(
                shop.model.stand.ranks, shop.data.histories.take(asked.customers[q : q + 1]), asked.anchors[q],
                asked.items[start : start + size], UpsellOptions().habit,
            )
            for q, (start, size) in enumerate(zip(starts, asked.sizes, strict=True))
        ]),
    }  # fmt: skip
    print()
    for name, out in refused.items():
        after = hits(asked, np.where(out, -np.inf, score)) if not out.all() else np.zeros(1)
        print(
            f"rule {name:<13} refuses {out.mean():.1%} of the candidates and {out[asked.bought].mean():.1%} of what "
            f"was bought; hit@3 {after.mean():.4f}"
        )


def print_speed(shop: Shop, requests: int = 200) -> None:
    """Time of one request with a history, spread over the customers."""
    sold, took = recent_orders(shop.data), []
    asked = asked_upgrades(shop.data.histories, shop.bought, shop.shelf.types, shop.shelf.prices, low=1.1, high=2.0)
    for q in np.linspace(0, len(asked.customers) - 1, requests).astype(int):
        history = shop.data.histories.take(asked.customers[q : q + 1])
        start = time.perf_counter()
        upgrades(shop.shelf.items.ids[asked.anchors[q]], shelf=shop.shelf, sold=sold, model=shop.model, history=history)
        took.append(time.perf_counter() - start)
    print(f"one request of {requests}: p50 {np.median(took) * 1e3:.1f} ms, p99 {np.quantile(took, 0.99) * 1e3:.1f} ms")


if __name__ == "__main__":
    sys.exit(main())
