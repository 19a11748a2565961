"""What is compared on: orders with a catalog, from our sources or from the JSON files of the literature.

merged            {user: [[item, …], …]}: the last basket is the future
history, future   the same, and {user: [[item, …]]} or {user: [item, …]} with one basket each
keys              {"train": [user, …], "val": […], "test": […]}

A user's baskets may stand between two sentinels [-1]. They have no times: one day per basket, counted back from the
user's future, stands for the order of the baskets and for nothing else.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from recsys import schemas
from recsys.data.histories import IdMap
from recsys.errors import InputError

FUTURE = datetime(2000, 1, 1, tzinfo=UTC)  # of every user's last basket; the year means nothing
SENTINEL = [-1]
PARTS = ("train", "val", "test")
Baskets = dict[str, list[list[str]]]


@dataclass(frozen=True, kw_only=True)
class Keys:
    """Who teaches (train and val), and who is asked (test)."""

    teachers: frozenset[str]
    test: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Shop:
    """schemas.Orders and schemas.Catalog, and what the table must say of them.

    timed     whether `ordered_at` are times; else only the order of the baskets is known
    users     all customers of the source, those without a history too
    items     the items that are known at every moment; None = those with enough orders before each
    unasked   customers whose future is empty: they teach and are not asked
    """

    orders: pl.DataFrame
    catalog: pl.DataFrame
    timed: bool = True
    users: frozenset[str] = frozenset()
    items: IdMap | None = None
    keys: Keys | None = None
    unasked: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def read_merged(file: Path) -> Shop:
    """The last basket of each user is the future."""
    return literature_shop(read_baskets(file), str(file))


def read_history_and_future(history: Path, future: Path) -> Shop:
    """The same users in both files; one future basket each, which may be empty."""
    past, coming = read_baskets(history), read_baskets(future, flat=True)
    _refuse_missing(past.keys() - coming.keys(), history, future)
    _refuse_missing(coming.keys() - past.keys(), future, history)
    long = [user for user, baskets in coming.items() if len(baskets) > 1]
    if long:
        raise InputError(
            f"{len(long)} users of {future} have more than one basket, e.g. {long[0]!r}; keep one per user, "
            "or give all baskets in one file with --merged"
        )
    whole = {user: [*baskets, *(coming[user] or [[]])] for user, baskets in past.items()}
    return literature_shop(whole, f"{history} and {future}")


def _refuse_missing(users: Iterable[str], there: Path, missing: Path) -> None:
    names = sorted(users)
    if names:
        raise InputError(
            f"{len(names)} users of {there} are missing in {missing}, e.g. {names[0]!r}; both files must name the "
            "same users (an empty future is [])"
        )


def read_baskets(file: Path, flat: bool = False) -> Baskets:
    """Baskets of each user in time order, sentinels taken off; `flat`: a user may have a bare list of items."""
    given = _read_json(file)
    if not isinstance(given, dict) or not given:
        raise InputError(f"{file} holds {_kind(given)}; {{user: [[item, …], …]}} with at least one user is due")
    return {user: _user_baskets(file, user, value, flat) for user, value in given.items()}


def _user_baskets(file: Path, user: str, value: Any, flat: bool) -> list[list[str]]:
    if flat and isinstance(value, list) and value and all(_is_item(item) for item in value):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(basket, list) for basket in value):
        raise InputError(f"user {user!r} of {file} is no list of baskets; give [[item, …], …]")
    if len(value) > 1 and value[0] == value[-1] == SENTINEL:
        value = value[1:-1]
    wrong = [item for basket in value for item in basket if not _is_item(item) or item == -1]
    if wrong:
        raise InputError(
            f"user {user!r} of {file} has the item {wrong[0]!r}; items are texts or whole numbers, and [-1] stands "
            "only at both ends of a user's baskets"
        )
    return [list(dict.fromkeys(str(item) for item in basket)) for basket in value]


def _is_item(value: object) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _kind(value: object) -> str:
    return "an empty object" if value == {} else f"a {type(value).__name__}"


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"), object_pairs_hook=_refuse_repeats(file))
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}); give a JSON file") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is no JSON: {error}") from None


def _refuse_repeats(file: Path) -> Any:
    def read(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        twice = [key for key, n in Counter(key for key, _ in pairs).items() if n > 1]
        if twice:
            raise InputError(f"{file} names {twice[0]!r} twice; join its entries")
        return dict(pairs)

    return read


def literature_shop(baskets: Baskets, place: str) -> Shop:
    """Orders out of baskets of which the last is the future; what is empty is counted and left out."""
    held = {user: [b for b in own[:-1] if b] + own[-1:] for user, own in baskets.items()}
    blank = sum(len(own) - len(held[user]) for user, own in baskets.items())
    known = {user: own for user, own in held.items() if len(own) > 1}
    unasked = frozenset(user for user, own in known.items() if not own[-1])
    orders = _orders(known)
    if not orders.height:
        raise InputError(f"{place}: no user has a basket before the last; give at least two baskets per user")
    counted = {
        "users have no basket before the future: they neither teach nor are asked": len(baskets) - len(known),
        "users have an empty future: they teach and are not asked": len(unasked),
        "empty baskets before the future were left out": blank,
    }
    notes = [
        f"{len(known):,} users, {orders['order_id'].n_unique():,} baskets, {orders['item_id'].n_unique():,} items, "
        f"{orders.height:,} lines; baskets in time order, without times, prices or texts",
        *(f"{n:,} {what}" for what, n in counted.items() if n),
    ]
    catalog = schemas.Catalog.create_empty()
    return Shop(
        orders=orders, catalog=catalog, timed=False, users=frozenset(baskets), unasked=unasked, notes=tuple(notes)
    )


def _orders(baskets: Baskets) -> pl.DataFrame:
    """schemas.Orders: basket t of n lies n − 1 − t days before the future."""
    table = pl.DataFrame(
        [(user, t, len(own) - 1 - t, items) for user, own in baskets.items() for t, items in enumerate(own)],
        schema={"customer_id": pl.String, "t": pl.Int64, "back": pl.Int64, "item_id": pl.List(pl.String)},
        orient="row",
    )
    lines = table.explode("item_id").drop_nulls("item_id")
    return lines.select(
        pl.format("{}#{}", "customer_id", pl.col("t").cast(pl.String).str.zfill(6)).alias("order_id"),
        "item_id",
        "customer_id",
        ordered_at=(pl.lit(FUTURE) - pl.duration(days="back")).cast(schemas.UTC),
        quantity=pl.lit(1.0),
        unit_price=pl.lit(None, pl.Float64),
        returned_at=pl.lit(None, schemas.UTC),
        returned_quantity=pl.lit(None, pl.Float64),
    ).sort("ordered_at", "order_id", "item_id")


def asked_at(shop: Shop) -> pl.DataFrame:
    """customer_id, at: the future of the users who are not asked, after all that they bought."""
    return pl.DataFrame({"customer_id": sorted(shop.unasked)}, schema={"customer_id": pl.String}).with_columns(
        at=pl.lit(FUTURE).cast(schemas.UTC)
    )


def read_keys(file: Path, customers: Iterable[str]) -> Keys:
    """Who teaches and who is asked; refuses users that the data does not know and users in two roles."""
    given = _read_json(file)
    if not isinstance(given, dict):
        raise InputError(f"{file} holds {_kind(given)}; lists named {', '.join(PARTS)} are due")
    strange = sorted(given.keys() - {*PARTS, "item_num"})  # the literature's files also carry a number of items
    if strange:
        raise InputError(f"{file} has the unknown key {strange[0]!r}; keys are {', '.join(PARTS)}")
    lists = {part: _users(file, part, given.get(part, [])) for part in PARTS}
    unknown = sorted(set().union(*lists.values()) - set(customers))
    if unknown:
        raise InputError(
            f"{len(unknown)} users of {file} are not in the data, e.g. {unknown[0]!r}; take them out, or give their "
            "baskets"
        )
    teachers = lists["train"] | lists["val"]
    both = sorted(teachers & lists["test"])
    if both:
        raise InputError(f"{len(both)} users of {file} both teach and are asked, e.g. {both[0]!r}; name each once")
    if not teachers or not lists["test"]:
        raise InputError(f"{file} needs users in train or val to learn from, and in test to ask")
    return Keys(teachers=teachers, test=lists["test"])


def _users(file: Path, part: str, value: Any) -> frozenset[str]:
    if not isinstance(value, list) or not all(_is_item(user) for user in value):
        raise InputError(f"{part!r} of {file} is no list of users; give texts or whole numbers")
    return frozenset(str(user) for user in value)
