"""Customer events in, accepted events and refused rows out: each refused row with the first rule it broke.

An event is known from `known_at` on, not from `at`: what arrives late changes no day that has passed.

    at ──────── received_at = known_at ─────▶ time
    happened    the shop knows of it
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from recsys.data.cells import moment_of
from recsys.data.event_rows import ROWS, EventRows, EventsOptions
from recsys.data.ingest import COUNTS
from recsys.data.rejected import rejected_rows
from recsys.data.validation import refuse
from recsys.errors import InputError
from recsys.schemas import EVENTS, REJECTED, UTC

STARS = (1.0, 5.0)
MANY = 1e12
SORTED = ("known_at", "at", "kind", "customer_id", "item_id", "key", "source", "value", "until")
SAME = ("kind", "customer_id", "item_id", "key")  # of rows with a key; those without are the same cell by cell


@dataclass(frozen=True)
class Kind:
    """What an event of the kind is, and what it needs; `value` is told, and lies within, the range named."""

    about: str
    customer: bool = True  # a row without a customer is refused; else it concerns everybody
    item: bool = False
    value: str = ""  # what the value is; "" = the kind has no use for one
    range: tuple[float, float] = (-MANY, MANY)
    needs_value: bool = False
    needs_until: bool = False


KINDS: dict[str, Kind] = {
    "offer_shown": Kind("an offer was shown", value="price offered", range=(0, MANY)),
    "offer_accepted": Kind("the offer of that key was taken", value="revenue", range=(0, MANY)),
    "offer_refused": Kind("the offer of that key was refused", value="price offered", range=(0, MANY)),
    "support_open": Kind("a support case was opened"),
    "support_solved": Kind("the case of that key was solved", value="satisfaction, 1 to 5", range=STARS),
    "review": Kind("an item was reviewed", item=True, value="stars, 1 to 5", range=STARS, needs_value=True),
    "price_rise": Kind("a price rose", customer=False, value="rise as a share", range=(0, 100), needs_value=True),
    "plan_limit": Kind("use of a limit was read", value="share of the limit", range=(0, 1000), needs_value=True),
    "feature_used": Kind("the feature named by source was used", value="how often; null = once", range=(0, MANY)),
    "renewal": Kind("a contract is known to end at until", needs_until=True),
    "cart_open": Kind("an item was laid in the cart of that key", item=True),
    "browse": Kind("an item was looked at", item=True),
    "search": Kind("the words of source were searched for"),
    "preference": Kind("what source or item names is liked (1) or not (-1)", value="liking", range=(-1, 1),
                       needs_value=True),
    "stock_out": Kind("an item is out of stock, to until where that is known", customer=False, item=True),
    "return": Kind("an item was sent back", item=True, value="units", range=(0, MANY)),
}  # fmt: skip

# rule → (fields that broke it, reason in words), in the order in which the rules are tried
RULES: dict[str, tuple[tuple[str, ...], str]] = {
    "unknown_kind": (("kind",), "the kind is none of the contract's"),
    "no_customer": (("customer_id",), "the kind needs a customer"),
    "unknown_customer": (("customer_id",), "no accepted order is the customer's"),
    "no_item": (("item_id",), "the kind needs an item"),
    "unknown_item": (("item_id",), "the item is not in the catalog"),
    "unreadable_time": (("at", "received_at"), "the time cannot be read"),
    "future_time": (("at", "received_at"), "it lies after now"),
    "before_earliest": (("at",), "it lies before the earliest time wanted"),
    "late": (("received_at", "at"), "it was received too long after it happened"),
    "unreadable_until": (("until",), "the end cannot be read"),
    "until_before_at": (("until",), "it ends before it starts"),
    "no_until": (("until",), "the kind needs an end"),
    "unreadable_value": (("value",), "the value is no number"),
    "no_value": (("value",), "the kind needs a value"),
    "value_out_of_range": (("value",), "the value lies outside the kind's range"),
    "duplicate": (("key",), "the same event was known before: its key, or without a key the whole row"),
}
BLAMED: Mapping[str, tuple[str, ...] | None] = {
    **{rule: fields for rule, (fields, _) in RULES.items()},
    **dict.fromkeys(("field_count", "quoting", "encoding")),
}


@dataclass(frozen=True)
class CheckedEvents:
    """What was kept and what was set aside.

    `events`: schemas.EVENTS, sorted by known_at and then all else. `rejected`: schemas.REJECTED. `counts`: table
    ("events"), outcome (kept, rejected), rule (kept: the kind), rows; all rows add up to `read`.
    """

    events: pl.DataFrame
    rejected: pl.DataFrame
    counts: pl.DataFrame
    read: int
    digests: dict[str, str]

    def count(self, outcome: str, rule: str | None = None) -> int:
        """Rows of that outcome (and rule or kind); 0 where there were none."""
        chosen = pl.col("outcome") == outcome
        return int(self.counts.filter(chosen if rule is None else chosen & (pl.col("rule") == rule))["rows"].sum())


def check_events(
    parts: Sequence[EventRows],
    options: EventsOptions | None = None,
    *,
    now: datetime,
    customers: pl.Series | None = None,
    items: pl.Series | None = None,
) -> CheckedEvents:
    """The events of all sources, judged together; `customers` and `items` are the known ids, None = all are known.

    The result does not depend on the order of rows, files or sources; only `rejected` names rows by their position.
    Of the same event told twice the one that was known first stays.
    """
    options = options or EventsOptions()
    rows = pl.concat([part.rows.with_columns(part=pl.lit(at)) for at, part in enumerate(parts)] or [_nothing()])
    rows = rows.with_row_index("place").rename({"row": "source_place", "place": "row"})
    judged = refuse(rows, event_rules(options, now, customers, items))
    single, again = _first_of_each(judged.kept.with_columns(known_at=pl.max_horizontal("at", "received_at")))
    refused = pl.concat([judged.refused, again]).join(rows.select("row", "part", "source_place"), on="row")
    rejected = pl.concat(
        [pl.DataFrame(schema=REJECTED), *(_rejected(part, at, refused) for at, part in enumerate(parts))]
    )
    events = single.select(list(EVENTS)).sort(SORTED)
    counts = _counts(events, rejected)
    return CheckedEvents(
        events,
        rejected.sort("source", "source_row", "rule", maintain_order=True),
        counts,
        read=int(counts["rows"].sum()),
        digests={name: digest for part in parts for name, digest in part.source.digests.items()},
    )


def event_rules(
    options: EventsOptions, now: datetime, customers: pl.Series | None = None, items: pl.Series | None = None
) -> dict[str, pl.Expr]:
    """Rule → broken, in the order of RULES; all but `duplicate`, which looks at other rows."""
    if now.tzinfo is None:
        raise InputError(f"now {now} has no time zone; pass an aware datetime")
    at, until, value, received = (pl.col(name) for name in ("at", "until", "value", "received_at"))
    customer, item, latest = pl.col("customer_id"), pl.col("item_id"), pl.lit(now, UTC)
    low, high = (_of_kind([float(kind.range[end]) for kind in KINDS.values()]) for end in (0, 1))
    rules = {
        "unknown_kind": ~pl.col("kind").is_in(list(KINDS)).fill_null(False),
        "no_customer": customer.is_null() & _is(kind for kind, needs in KINDS.items() if needs.customer),
        "unknown_customer": _unknown(customer, customers),
        "no_item": item.is_null() & _is(kind for kind, needs in KINDS.items() if needs.item),
        "unknown_item": _unknown(item, items),
        "unreadable_time": at.is_null() | pl.col("unreadable_received_at"),
        "future_time": (at > latest) | (received > latest).fill_null(False),
        "before_earliest": pl.lit(False),
        "late": pl.lit(False),
        "unreadable_until": pl.col("unreadable_until"),
        "until_before_at": until < at,
        "no_until": until.is_null() & _is(kind for kind, needs in KINDS.items() if needs.needs_until),
        "unreadable_value": pl.col("unreadable_value"),
        "no_value": value.is_null() & _is(kind for kind, needs in KINDS.items() if needs.needs_value),
        "value_out_of_range": ~value.is_between(low, high),
    }
    if options.earliest is not None:
        rules["before_earliest"] = at < pl.lit(moment_of(options.earliest, "events.earliest"), UTC)
    if options.max_late_days is not None:
        rules["late"] = received - at > timedelta(days=options.max_late_days)
    return rules


def _is(kinds: Iterable[str]) -> pl.Expr:
    return pl.col("kind").is_in(list(kinds))


def _of_kind(values: list[float]) -> pl.Expr:
    return pl.col("kind").replace_strict(list(KINDS), values, default=None, return_dtype=pl.Float64)


def _unknown(column: pl.Expr, known: pl.Series | None) -> pl.Expr:
    return pl.lit(False) if known is None else column.is_not_null() & ~column.is_in(known.drop_nulls().implode())


def _first_of_each(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(rows without repeats, the repeats as row and rule); the first by known_at, at and then all else stays."""
    ranked = rows.sort(*SORTED, "row", nulls_last=True)
    keyed = ranked.filter(pl.col("key").is_not_null()).unique(SAME, keep="first", maintain_order=True)
    cells = [name for name in EVENTS if name != "known_at"]
    bare = ranked.filter(pl.col("key").is_null()).unique(cells, keep="first", maintain_order=True)
    kept = pl.concat([keyed, bare])
    again = ranked.join(kept.select("row"), on="row", how="anti").select("row", rule=pl.lit("duplicate"))
    return kept, again


def _rejected(part: EventRows, at: int, refused: pl.DataFrame) -> pl.DataFrame:
    own = refused.filter(pl.col("part") == at).select(pl.col("source_place").alias("row"), "rule")
    return rejected_rows(part.source, own, part.mapping, part.constants, BLAMED).select(list(REJECTED))


def _counts(events: pl.DataFrame, rejected: pl.DataFrame) -> pl.DataFrame:
    """Columns ingest.COUNTS: kept events by kind, refused rows by rule, most first."""

    def rows(table: pl.DataFrame, by: str, outcome: str) -> pl.DataFrame:
        counted = table.group_by(pl.col(by).alias("rule")).agg(rows=pl.len().cast(pl.Int64))
        counted = counted.sort("rows", "rule", descending=[True, False])
        return counted.select(table=pl.lit("events"), outcome=pl.lit(outcome), rule="rule", rows="rows")

    return pl.concat([rows(events, "kind", "kept"), rows(rejected, "rule", "rejected")]).cast(pl.Schema(COUNTS))


def _nothing() -> pl.DataFrame:
    return pl.DataFrame(schema={**ROWS, "part": pl.Int32})
