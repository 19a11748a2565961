"""What became of offers that were due: the log, events under the key of the offer, beside the offers themselves.

    offers of the day ── key ──▶ shown? ── key ──▶ accepted | refused ──▶ an order with the item?

An accepted offer is an event and never a purchase: it enters no order, no history and no matrix. Purchases are read
from the orders alone. Logged conversion says what happened, not what the offers caused: who is shown what was chosen.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from recsys.evaluation.calibration import calibration
from recsys.evaluation.commerce import Measures, of_offers
from recsys.moments.conversion import accepted_shares
from recsys.schemas import UTC

OUTCOMES: dict[str, Any] = {
    "date": pl.Date,
    "key": pl.String,
    "customer_id": pl.String,
    "trigger": pl.String,
    "channel": pl.String,
    "kind": pl.String,
    "rank": pl.Int32,
    "items": pl.List(pl.String),
    "offer_price": pl.Float64,
    "probability": pl.Float64,
    "shown_at": UTC,  # first time; null = the log does not say that it was shown
    "accepted_at": UTC,  # of this item, or of a list whose item was not told; null = it was not, or not yet
    "refused_at": UTC,
    "value": pl.Float64,  # revenue that the log tells; null where it does not
    "order_id": pl.String,  # the customer's first order with an item of the offer after it was shown; null = none
    "item_told": pl.Boolean,  # whether it is known of this item if it was accepted; false: of the list alone
}
LIST = ["key", "customer_id"]
BY = ("trigger", "kind", "channel")


def outcomes(offers: pl.DataFrame, events: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """OUTCOMES, a row per offer of `offers` (day_tables.OFFERS of any days), in their order.

    events  schemas.EVENTS; customers as in `offers`. Events of other keys are of other offers.
    lines   schemas.Orders; customers as in `offers`
    """
    rows = offers.with_row_index("row").with_columns(one=pl.col("items").list.first())
    shown = _told(rows, events, "offer_shown").select("row", shown_at="at")
    taken = _told(rows, events, "offer_accepted").select("row", "value", accepted_at="at")
    refused = _told(rows, events, "offer_refused").select("row", refused_at="at")
    for table in (shown, taken, refused):
        rows = rows.join(table, on="row", how="left", maintain_order="left")
    bought = _orders_after(rows, lines)
    rows = rows.join(bought, on="row", how="left", maintain_order="left")
    rows = rows.join(_untold(offers, events), on=LIST, how="left", maintain_order="left")
    told = ~pl.col("untold").fill_null(False) | (pl.len().over("key", "customer_id") == 1)
    return rows.with_columns(item_told=told).select(pl.col(name).cast(kind) for name, kind in OUTCOMES.items())


def _told(rows: pl.DataFrame, events: pl.DataFrame, kind: str) -> pl.DataFrame:
    """row, at, value: the first event of the kind about each offer; one without an item is about the whole list."""
    own = events.filter(pl.col("kind") == kind, pl.col("key").is_not_null())
    own = own.select(*LIST, "at", "value", about="item_id")
    near = rows.select("row", *LIST, "items").join(own, on=LIST, how="inner")
    about = pl.col("about").is_null() | pl.col("items").list.contains(pl.col("about"))
    first = near.filter(about).sort("row", "at", "about", "value", nulls_last=True)
    return first.unique("row", keep="first", maintain_order=True).select("row", "at", "value")


def _untold(offers: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Lists of which the log says that they were accepted, and not which item was."""
    bare = events.filter(pl.col("kind") == "offer_accepted", pl.col("key").is_not_null(), pl.col("item_id").is_null())
    return bare.join(offers.select(LIST).unique(), on=LIST, how="semi").select(LIST).unique().with_columns(untold=True)


def _orders_after(rows: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """row, order_id of offers that were accepted and then bought."""
    wanted = rows.filter(pl.col("shown_at").is_not_null() & pl.col("accepted_at").is_not_null())
    items = wanted.select("row", "customer_id", "shown_at", item_id="items").explode("item_id")
    sold = lines.filter(pl.col("customer_id").is_not_null()).select("customer_id", "item_id", "order_id", "ordered_at")
    after = items.join(sold, on=["customer_id", "item_id"]).filter(pl.col("ordered_at") >= pl.col("shown_at"))
    first = after.sort("row", "ordered_at", "order_id").unique("row", keep="first", maintain_order=True)
    return first.select("row", "order_id")


def lists_of(told: pl.DataFrame) -> pl.DataFrame:
    """A row per list that was shown, whatever item of it was taken: customer_id, key, trigger, kind, channel, taken."""
    shown = told.filter(pl.col("shown_at").is_not_null())
    return shown.group_by(LIST, maintain_order=True).agg(
        pl.col(BY).first(),
        taken=pl.col("accepted_at").is_not_null().any().cast(pl.Float64),
        refused=pl.col("refused_at").is_not_null().any(),
    )


def conversion_by(told: pl.DataFrame, column: str) -> Measures:
    """Accepted / shown lists of every trigger, kind or channel, and of all; one unit per customer."""
    return accepted_shares(lists_of(told), column)


def commerce(told: pl.DataFrame, lines: pl.DataFrame) -> Measures:
    """`evaluation.commerce.of_offers` of shown lists: taken is what was accepted and then bought, by the orders.

    The value is the log's where it tells one, else the offer's price.
    """
    shown = told.filter(pl.col("shown_at").is_not_null())
    bought = pl.col("order_id").is_not_null()
    log = shown.group_by(LIST, maintain_order=True).agg(
        pl.col("kind").first(),
        pl.col("order_id").drop_nulls().first(),
        value=pl.coalesce("value", "offer_price").filter(bought).sum(),
    )
    return of_offers(log.select("customer_id", "kind", "order_id", "value"), lines)


def acceptance(told: pl.DataFrame, level: float = 0.95) -> dict[str, Any]:
    """Calibration (evaluation.calibration) of what was promised against what was accepted, of shown offers.

    The probability is that an order holds the item, without any offer. Left out, and counted: offers without one, and
    lists of several items of which the log does not tell the accepted one. `listed` is what stood first in its list.
    """
    shown = told.filter(pl.col("shown_at").is_not_null())
    judged = shown.filter(pl.col("probability").is_not_null(), "item_told")
    customer = judged["customer_id"].rank("dense").to_numpy().astype(np.int64)
    p, y = judged["probability"].to_numpy(), judged["accepted_at"].is_not_null().to_numpy()
    first = (judged["rank"] == 1).to_numpy()
    every, top = (calibration(p[m], y[m], customer[m], level) for m in (np.ones(len(p), bool), first))
    return {**every, "listed": top, "left_out": shown.height - judged.height}


def as_shown(offers: pl.DataFrame, at: Callable[[Any], Any]) -> pl.DataFrame:
    """Raw events offer_shown of all offers of a day, as the log of a shop that shows each would have them.

    `at`: date → aware time at which they were shown.
    """
    day = offers["date"].unique()
    times = dict(zip(day, (at(one) for one in day), strict=True))
    return offers.explode("items").select(
        "customer_id",
        kind=pl.lit("offer_shown"),
        at=pl.col("date").replace_strict(times, return_dtype=UTC) if len(times) else pl.lit(None, UTC),
        item_id="items",
        value="offer_price",
        source="channel",
        key="key",
    )
