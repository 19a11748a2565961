"""The tables of a shop's campaigns as events: who was shown which, and who took it up.

start ─────────── redeemed (first) ─────────── end ──▶ time
offer_shown       offer_accepted               until of the offer
"""

from dataclasses import dataclass, field

import polars as pl

from recsys.data.cells import id_of, times_of
from recsys.data.sources import Source, SourceOptions, read_source
from recsys.errors import InputError
from recsys.schemas import UTC

TIMES = ("start", "end", "redeemed_at")
FIELDS = ("customer_id", "campaign_id", "type", *TIMES)


@dataclass(frozen=True, kw_only=True)
class CampaignOptions:
    """Tables of campaigns, read as events; without `shown` there are none."""

    shown: str = ""  # a row per customer and campaign: customer_id, campaign_id
    described: str = ""  # a row per campaign: campaign_id, type, start, end
    redeemed: str = ""  # a row per coupon taken in: customer_id, campaign_id, redeemed_at
    columns: dict[str, str] = field(default_factory=dict)  # field: source column; empty: fields' own names


def campaign_events(options: CampaignOptions, time_zone: str = "UTC") -> Source:
    """Raw events: offer_shown per customer and campaign, offer_accepted per customer and campaign with a redemption.

    Shown at the campaign's start, until its end; `source` is "campaign" and its type, `key` its id. A campaign
    that is not described has no time, so its events are set aside as unreadable_time.
    """
    shown = _read(options, "shown", ("customer_id", "campaign_id"), time_zone)
    described = _read(options, "described", ("campaign_id", "type", "start", "end"), time_zone)
    redeemed = _read(options, "redeemed", ("customer_id", "campaign_id", "redeemed_at"), time_zone)
    about = described.table.sort(described.table.columns).unique("campaign_id", keep="first", maintain_order=True)
    first = redeemed.table.with_row_index("row").sort("redeemed_at", "row", nulls_last=True)
    first = first.unique(["customer_id", "campaign_id"], keep="first", maintain_order=True)
    tables = [
        _events(shown.table.join(about, on="campaign_id", how="left", maintain_order="left"), "offer_shown", "start"),
        _events(
            first.join(about, on="campaign_id", how="left", maintain_order="left"), "offer_accepted", "redeemed_at"
        ),
    ]
    return Source(
        pl.concat(tables),
        pl.concat([shown.origin, redeemed.origin[first["row"]]]),
        pl.concat([shown.broken, described.broken, redeemed.broken]),
        shown.digests | described.digests | redeemed.digests,
    )


def _read(options: CampaignOptions, name: str, fields: tuple[str, ...], time_zone: str) -> Source:
    """The table under the fields' own names: ids and types as text, times as UTC, null where they cannot be read."""
    columns, place = {f: options.columns.get(f, f) for f in FIELDS}, f"events.campaigns.{name}"
    path: str = getattr(options, name)
    if not path:
        raise InputError(f"{place} is empty; campaigns need all three tables: shown, described, redeemed")
    source = read_source(SourceOptions(path=path), place, [columns[f] for f in fields])

    def cell(f: str) -> pl.Series:
        column = source.table[columns[f]]
        if f in TIMES:
            return times_of(column, None, time_zone).alias(f)
        return column.to_frame().select(id_of(column.name, column.dtype, SourceOptions().nulls).alias(f)).to_series()

    return Source(pl.DataFrame([cell(f) for f in fields]), source.origin, source.broken, source.digests)


def _events(rows: pl.DataFrame, kind: str, at: str) -> pl.DataFrame:
    return rows.select(
        "customer_id",
        kind=pl.lit(kind),
        at=pl.col(at),
        until=pl.col("end") if kind == "offer_shown" else pl.lit(None, UTC),
        source=pl.concat_str(pl.lit("campaign "), pl.col("type").str.strip_prefix("Type ")),
        key="campaign_id",
    )
