"""References, single models and the hybrid on one data set under one protocol: table.md, plot.png, metrics.json.

    python -m benchmarks.compare --config configs/complete_journey.yaml --out DIR
    python -m benchmarks.compare --merged FILE --keys FILE --validation-basket --out DIR
    python -m benchmarks.compare --history FILE --future FILE --mask-bought --ndcg full --out DIR

Files of the literature know the order of the baskets and no times: one day stands for one basket. There every item
of the file is known and a basket of one item is asked; see --min-item-orders and --min-basket.
"""

import argparse
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.comparison.results import plot, table, write
from benchmarks.comparison.run import CONTENDERS, TASKS, Protocol, run
from benchmarks.comparison.shop import Shop, read_history_and_future, read_keys, read_merged
from recsys.config import Config, load_config
from recsys.data.checked_store import read_checked
from recsys.data.histories import IdMap
from recsys.errors import InputError
from recsys.pipeline import ingest_orders
from recsys.progress import progress_bar

DEFAULTS = Path(__file__).parents[1] / "configs" / "base.yaml"


def main(words: list[str] | None = None) -> None:
    given = arguments(words)
    try:
        with progress_bar():
            text = compare(given)
    except InputError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(1)
    print(text, end="")


def arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--config", help="our sources; beside JSON files its data section is not read")
    add("--set", action="append", default=[], dest="settings", metavar="SECTION.KEY=VALUE")
    add("--history", type=Path, help="JSON: {user: [[item, …], …]}")
    add("--future", type=Path, help="JSON: one basket for each user of --history")
    add("--merged", type=Path, help="JSON: the last basket of each user is the future")
    add("--keys", type=Path, help="JSON: lists train, val and test of users; only test users are asked")
    add("--split", choices=("window", "last-basket"), help="default: the config's; JSON: last-basket")
    add("--validation-basket", action="store_true", help="tune published methods on the orders before the test")
    add("--ndcg", choices=("truncated", "full"), default="truncated", help="ideal list: min(k, relevant) items, or all")
    add("--mask-bought", action="store_true", help="lists hold only items new to the customer")
    add("--tasks", default="next_basket,cart", help=f"of {', '.join(TASKS)}")
    add("--models", default=",".join(CONTENDERS), help="names, with commas; default: all")
    add("--k", default="10,20", help="lengths of lists; the first orders the table")
    add("--min-item-orders", type=int, help="orders that make an item known; 0: every item of the data; JSON: 0")
    add("--min-basket", type=int, help="known items of an order that is asked; default 2, JSON: 1")
    add("--seed", type=int, default=0, help="of ALS, negatives, trees and bootstrap")
    add("--out", type=Path, required=True, help="directory of the results")
    return parser.parse_args(words)


def compare(given: argparse.Namespace) -> str:
    """Run the comparison, write its files, return the table."""
    names, tasks = chosen("--models", given.models, CONTENDERS), chosen("--tasks", given.tasks, TASKS)
    ks = list_lengths(given.k)
    config = configuration(given, ks)
    shop = read_shop(given, config)
    protocol = Protocol(
        names=names, tasks=tasks, min_basket=least(given.min_basket, "--min-basket", 2 if shop.timed else 1),
        ideal="full" if given.ndcg == "full" else "min", mask_bought=given.mask_bought,
        validation=given.validation_basket,
    )  # fmt: skip
    found = run(shop, config, protocol)
    text = table(found.records, found.paired, ks, found.notes)
    kept = {"records": found.records, "paired": found.paired, "tuned": found.tuned, "notes": found.notes}
    write(given.out, kept, text, found.values)
    plot(found.records, ks[0], given.out / "plot.png")
    return text


def chosen(option: str, text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Names of `known` out of a text with commas, in the order of `known`."""
    given = [word.strip() for word in text.split(",") if word.strip()]
    strange = [word for word in given if word not in known]
    if strange or not given:
        raise InputError(f"{option} {strange[0] if strange else text!r}: known names are {', '.join(known)}")
    return tuple(name for name in known if name in given)


def list_lengths(text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdigit() and int(word) > 0 for word in words):
        raise InputError(f"--k {text!r}: give whole numbers above 0 with commas, such as 10,20")
    return tuple(dict.fromkeys(int(word) for word in words))


def least(given: int | None, option: str, usual: int, lowest: int = 1) -> int:
    if given is not None and given < lowest:
        raise InputError(f"{option} {given}: {lowest} or more is due")
    return usual if given is None else given


def configuration(given: argparse.Namespace, ks: tuple[int, ...]) -> Config:
    """The config with its seeds, list lengths, split and known items as the command says."""
    if not 0 <= given.seed < 2**31:
        raise InputError(f"--seed {given.seed}: give a whole number from 0 to 2147483647")
    seeds = [f"{name}={given.seed}" for name in ("models.als.seed", "ranker.seed", "evaluation.seed")]
    config = load_config(given.config or DEFAULTS, [*seeds, *given.settings])
    of_files = bool(given.merged or given.history)
    if of_files and given.split == "window":
        raise InputError("--split window needs times, which JSON files lack; use --split last-basket, or --config")
    kinds = {"window": "window", "last-basket": "last_basket", None: "last_basket" if of_files else config.split.kind}
    known = least(given.min_item_orders, "--min-item-orders", 0 if of_files else config.interactions.min_item_orders, 0)
    return replace(
        config,
        split=replace(config.split, kind=kinds[given.split]),
        interactions=replace(config.interactions, min_item_orders=known),
        evaluation=replace(config.evaluation, ks=ks),
    )


def read_shop(given: argparse.Namespace, config: Config) -> Shop:
    """Orders of one source, with the keys and the known items of the command."""
    if bool(given.history) != bool(given.future):
        raise InputError("--history and --future go together; give both, or --merged")
    if given.merged and given.history:
        raise InputError("--merged and --history are two sources; give one")
    if given.merged:
        shop = read_merged(given.merged)
    elif given.history:
        shop = read_history_and_future(given.history, given.future)
    elif given.config:
        shop = checked_shop(config)
    else:
        raise InputError("there is no data to compare on; give --config, --merged, or --history and --future")
    if config.interactions.min_item_orders == 0:
        shop = replace(shop, items=IdMap.of(shop.orders["item_id"].unique().to_list()))
    return replace(shop, keys=read_keys(given.keys, shop.users)) if given.keys else shop


def checked_shop(config: Config) -> Shop:
    """Orders and catalog as ingest leaves them."""
    checked = read_checked(ingest_orders(config, datetime.now(UTC)) / "checked")
    orders = checked.orders
    customers = frozenset(orders["customer_id"].drop_nulls().unique().to_list())
    counts = f"{len(customers):,} customers, {orders['order_id'].n_unique():,} orders, {orders.height:,} lines"
    return Shop(orders=orders, catalog=checked.catalog, users=customers, notes=(f"{config.title}: {counts}",))


if __name__ == "__main__":
    main()
