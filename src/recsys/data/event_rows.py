"""Raw events of any source in one shape: an export of events, or tables of campaigns. Nothing is judged here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import polars as pl

from recsys.data.campaigns import CampaignOptions, campaign_events
from recsys.data.cells import id_of, number_of, times_of
from recsys.data.lines import check_time_zone
from recsys.data.sources import Source, SourceOptions, read_source, require_columns
from recsys.errors import InputError
from recsys.schemas import UTC

TEXTS = ("customer_id", "kind", "item_id", "source", "key")
TIMES = ("at", "until", "received_at")
FIELDS = (*TEXTS, *TIMES, "value")
ROWS: dict[str, Any] = {
    "row": pl.UInt32,
    **dict.fromkeys(TEXTS, pl.String),
    **dict.fromkeys(TIMES, UTC),
    "value": pl.Float64,
    "unreadable_until": pl.Boolean,
    "unreadable_received_at": pl.Boolean,
    "unreadable_value": pl.Boolean,
}
Constant = str | int | float


@dataclass(frozen=True, kw_only=True)
class EventsOptions(SourceOptions):
    """Customer events: where they are and which column is what; without a path there are none. docs/moments.md."""

    columns: dict[str, str] = field(default_factory=dict)  # field: source column; empty: fields' own names
    constants: dict[str, Constant] = field(default_factory=dict)  # field: value, for fields the source lacks
    time_format: str | None = None  # strptime format; null: ISO and the usual unambiguous ones
    time_zone: str = "UTC"  # IANA name of the clock on the shop's wall, for times without an offset
    earliest: str | None = None  # ISO date; events before it are set aside
    max_late_days: float | None = 30.0  # from `at` to `received_at`; what arrives later is set aside; null: no limit
    campaigns: CampaignOptions = field(default_factory=CampaignOptions)


class EventRows(NamedTuple):
    """`rows`: columns ROWS, in source order; what cannot be read is null, and flagged where null has a meaning."""

    source: Source
    mapping: dict[str, str]  # field: source column
    constants: Mapping[str, Constant]
    rows: pl.DataFrame


def read_event_rows(options: EventsOptions) -> list[EventRows]:
    """The rows of each source that the options name; [] where they name none."""
    parts = []
    if options.path:
        parts.append(map_events(read_source(options, "events"), options))
    if options.campaigns.shown:
        made = campaign_events(options.campaigns, options.time_zone)
        parts.append(map_events(made, EventsOptions(time_zone=options.time_zone, nulls=options.nulls)))
    return parts


def map_events(source: Source, options: EventsOptions | None = None) -> EventRows:
    """One row per raw row; InputError names a column that is missing or a field that does not exist."""
    options = options or EventsOptions()
    check_time_zone(options.time_zone, "events.time_zone")
    table, mapping = source.table, event_columns(source.table.columns, options)

    def given(name: str) -> pl.Expr:
        """The cell as text, null where it says nothing."""
        if name in mapping:
            return id_of(mapping[name], table.schema[mapping[name]], options.nulls)
        return pl.lit(str(options.constants[name]) if name in options.constants else None, pl.String)

    texts = table.select(**{name: given(name) for name in FIELDS})
    times = [_times(table, texts, name, mapping, options) for name in TIMES]
    rows = texts.select(TEXTS).with_columns(times).with_columns(_numbers(table, texts, mapping, options))
    flags = [
        (texts[name].is_not_null() & rows[name].is_null()).alias(f"unreadable_{name}")
        for name in ("until", "received_at", "value")
    ]
    return EventRows(
        source, mapping, options.constants, rows.with_columns(flags).with_row_index("row").select(list(ROWS))
    )


def event_columns(exist: list[str], options: EventsOptions) -> dict[str, str]:
    """Field → source column of every field that has one."""
    unknown = [name for name in (*options.columns, *options.constants) if name not in FIELDS]
    if unknown:
        raise InputError(f"events.columns: no field {unknown[0]!r}; fields are {', '.join(FIELDS)}")
    both = sorted(set(options.columns) & set(options.constants))
    if both:
        raise InputError(f"events: {both[0]!r} is both in columns and in constants; keep one")
    mapping = {f: c for f, c in options.columns.items() if c} or {f: f for f in FIELDS if f in exist}
    mapping = {f: c for f, c in mapping.items() if f not in options.constants}
    require_columns(exist, mapping.values(), "events.columns: the source")
    for needed in ("kind", "at"):
        if needed not in {*mapping, *options.constants}:
            raise InputError(f"events.columns lacks {needed!r}; the source has {', '.join(exist)}")
    return mapping


def _times(
    table: pl.DataFrame, texts: pl.DataFrame, name: str, mapping: Mapping[str, str], options: EventsOptions
) -> pl.Series:
    raw = table[mapping[name]] if name in mapping and table[mapping[name]].dtype.is_temporal() else texts[name]
    return times_of(raw, options.time_format, options.time_zone).alias(name)


def _numbers(table: pl.DataFrame, texts: pl.DataFrame, mapping: Mapping[str, str], options: EventsOptions) -> pl.Series:
    if "value" in mapping:
        column, dtype = mapping["value"], table.schema[mapping["value"]]
        number = number_of(column, dtype, options.nulls, decimal=options.decimal, thousands=options.thousands)
        return table.select(value=number).to_series()
    return texts.select(value=number_of("value", pl.String(), options.nulls)).to_series()
