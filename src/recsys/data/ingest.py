"""The door of the data room: dirty exports in, `Checked` out; written and read as one directory.

orders source ─ map ─┐
                     ├─ validate ─ merge, match returns ─ Orders ─┐
catalog source ──────┘          └─ rejected, each with its rule   ├─ Checked
                                                        Catalog ──┘
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Literal, get_args, get_origin, get_type_hints

import polars as pl

from recsys.data import sources
from recsys.data.catalog import (
    CatalogOptions,
    ReadCatalog,
    catalog_from_texts,
    complete_catalog,
    read_catalog,
)
from recsys.data.coding import as_text
from recsys.data.lines import OrdersOptions
from recsys.data.order_files import Keep, order_lines
from recsys.data.rejected import rejected_rows
from recsys.data.sources import Source, read_source
from recsys.data.sufficiency import Check, SufficiencyOptions, judge
from recsys.data.validation import Validated, ValidationOptions, validate_lines
from recsys.errors import InputError
from recsys.schemas import REJECTED

COUNTS = {"table": pl.String, "outcome": pl.String, "rule": pl.String, "rows": pl.Int64}


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Everything between a shop's export and checked tables."""

    orders: OrdersOptions = field(default_factory=OrdersOptions)
    catalog: CatalogOptions = field(default_factory=CatalogOptions)
    validation: ValidationOptions = field(default_factory=ValidationOptions)
    sufficiency: SufficiencyOptions = field(default_factory=SufficiencyOptions)


@dataclass(frozen=True)
class Checked:
    """What was kept and what was refused.

    `lines`: schemas.Orders, ids coded or as text; `catalog`: schemas.Catalog; `rejected`: schemas.REJECTED.
    `counts`: table (orders, catalog), outcome (kept, rejected, noted), rule, rows; kept and rejected rows of orders
    add up to `read`, the order rows read. `digests`: SHA-256 of the content of each source file. `files`: of orders,
    all and those read this time; the others were kept from before.
    """

    lines: pl.DataFrame
    catalog: pl.DataFrame
    rejected: pl.DataFrame
    counts: pl.DataFrame
    read: int
    digests: dict[str, str]
    files: dict[str, int] = field(default_factory=dict)

    @property
    def orders(self) -> pl.DataFrame:
        """`lines` with ids as text."""
        return as_text(self.lines)

    def count(self, outcome: str, rule: str | None = None, table: str = "orders") -> int:
        """Rows of that outcome (and rule); 0 where there were none."""
        chosen = (pl.col("table") == table) & (pl.col("outcome") == outcome)
        rows = self.counts.filter(chosen if rule is None else chosen & (pl.col("rule") == rule))["rows"]
        return int(rows.sum())

    def sufficiency(self, options: SufficiencyOptions | None = None, queries: int | None = None) -> list[Check]:
        """The verdict on this data; `queries`: held-out moments, None where not known yet."""
        rejected = self.count("rejected")
        return judge(self.lines, read=self.read, rejected=rejected, queries=queries, options=options)


def ingest(
    options: DataOptions, now: datetime, keep: Keep | None = None, room: Callable[[int], None] | None = None
) -> Checked:
    """Read, map and check both tables. `now` (aware): later times are refused. `room(rows)` may refuse so many rows.

    The result does not depend on the order of rows or files, only `rejected` names the rows by position. With `keep`
    (see `order_files`) files that were read before are not read again; the result is the same.
    """
    _check_choices(options)
    _check_lists(options)
    source = order_lines(options.orders, options.catalog, keep)
    if room:
        room(source.read)
    items_source = _catalog_source(options.catalog)
    read = read_catalog(items_source, options.catalog) if items_source else None
    valid = validate_lines(
        source.blocks(),
        options.validation,
        now,
        priced=bool({"unit_price", "line_value"} & {*source.mapping, *options.orders.constants}),
        excluded_items=read.excluded if read else None,
        known_items=read.items["item_id"] if read and options.catalog.missing == "reject" else None,
    )
    items = read.items if read else catalog_from_texts(valid.purchases, source.texts)
    rejected = source.rejected(valid.refused)
    out = rejected_rows(items_source, read.refused, read.fields, {}) if items_source and read else rejected[:0]
    return Checked(
        lines=valid.lines,
        catalog=complete_catalog(items, valid.lines),
        rejected=pl.concat([rejected, out]).select(list(REJECTED)),
        counts=_counts(valid, rejected, read, out),
        read=source.read,
        digests=source.digests | (items_source.digests if items_source else {}),
        files=source.files(),
    )


def _check_choices(options: DataOptions) -> None:
    """InputError where an option that takes one of a few words has another; else a typo would be a guess."""
    for section in fields(options):
        part = getattr(options, section.name)
        for name, hint in get_type_hints(type(part)).items():
            if get_origin(hint) is Literal and getattr(part, name) not in get_args(hint):
                words = ", ".join(map(repr, get_args(hint)))
                raise InputError(f"data.{section.name}.{name} {getattr(part, name)!r} is none of {words}")


def _check_lists(options: DataOptions) -> None:
    """A lone text where a list belongs would be read letter by letter."""
    excluded: dict[str, Mapping[str, object]] = {
        "orders": options.orders.exclude,
        "catalog": options.catalog.exclude,
    }
    for section, chosen in excluded.items():
        for column, values in chosen.items():
            if isinstance(values, str):
                raise InputError(f"data.{section}.exclude.{column} is a text; write a list: [{values}]")


def source_digest(options: DataOptions) -> str:
    """One hash of the contents of all input; equal for equal content, in whatever files and order it came."""
    digests = [sources.source_digest(options.orders, "data.orders")]
    if not options.catalog.from_orders:
        digests.append(sources.source_digest(options.catalog, "data.catalog"))
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _catalog_source(options: CatalogOptions) -> Source | None:
    if options.from_orders and options.path:
        raise InputError(f"data.catalog has both path {options.path!r} and from_orders; keep one")
    if not options.from_orders and not options.path:
        raise InputError("data.catalog.path is empty; name the catalog, or set data.catalog.from_orders: true")
    return None if options.from_orders else read_source(options, "data.catalog")


def _counts(valid: Validated, rejected: pl.DataFrame, read: ReadCatalog | None, out: pl.DataFrame) -> pl.DataFrame:
    rows = [("orders", "kept", rule, n) for rule, n in valid.accepted.items()]
    rows += [("orders", "rejected", rule, n) for rule, n in _by_rule(rejected)]
    rows += [("orders", "noted", rule, n) for rule, n in valid.notes.items()]
    if read:
        rows += [("catalog", "kept", "items", read.items.height)]
        rows += [("catalog", "rejected", rule, n) for rule, n in _by_rule(out)]
        rows += [("catalog", "noted", rule, n) for rule, n in read.notes.items()]
    return pl.DataFrame(rows, schema=COUNTS, orient="row")


def _by_rule(rejected: pl.DataFrame) -> list[tuple[str, int]]:
    """Rules by how many rows they cost, most first."""
    counted = rejected.group_by("rule").len().sort(-pl.col("len").cast(pl.Int64), "rule")
    return [(str(rule), int(n)) for rule, n in counted.iter_rows()]
