"""Which purchase a return takes back. A return names no purchase in most exports, so it is looked for."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.schemas import UTC

TOLERANCE = 1e-9  # units; 0.3 - 0.1 - 0.2 is still nothing left


def match_returns(orders: pl.DataFrame, returns: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(orders with `returned_at` and `returned_quantity`, the returns that found no purchase).

    `orders`: order_id, customer_id, item_id, ordered_at, quantity. `returns`: the same and `row`.

        purchases of one customer and item ──●2────●5────●1────────────────▶ time
        return of 3 units at r                                 r → the ●5: the latest with 3 left

    A return goes, whole, to the customer's latest purchase line of the item that is not after it and has that
    many units not yet returned; ties go to the greater order_id. Returns are taken in order of time, order_id
    and quantity. Several partial returns of one line add up, and count from the latest of their dates, so
    nothing is known before it happened. A guest's return can only belong to its own order.
    """
    owner = (
        pl.coalesce(pl.col("customer_id", "order_id").cast(pl.String)).alias("owner"),
        pl.col("customer_id").is_null().alias("guest"),
    )
    key = ["guest", "owner", "item_id"]
    keys = returns.lazy().select(*owner, "item_id").unique().sort(key).with_row_index("key").collect()
    sold = _of_same_owners(orders.with_row_index("line"), returns).with_columns(*owner).join(keys, on=key)
    sold = sold.sort("key", "ordered_at", "order_id")
    back = returns.with_columns(*owner).join(keys, on=key).sort("key", "ordered_at", "order_id", "quantity", "row")
    at = _assign(sold, back)
    found = at >= 0
    matched = back.filter(pl.Series(found)).select(
        line=sold["line"].gather(at[found]), quantity="quantity", at="ordered_at"
    )
    per_line = matched.group_by("line").agg(
        returned_at=pl.col("at").max(), returned_quantity=pl.col("quantity").sort().sum()
    )
    joined = orders.with_row_index("line").join(per_line, on="line", how="left", maintain_order="left").drop("line")
    unmatched = back.filter(pl.Series(~found)).select(returns.columns)
    return joined.with_columns(
        pl.min_horizontal("returned_quantity", _cap()), pl.col("returned_at").cast(UTC)
    ), unmatched


def _of_same_owners(orders: pl.DataFrame, returns: pl.DataFrame) -> pl.DataFrame:
    """Purchases that a return could belong to by customer and item, a guest's by order and item."""
    columns = ["line", "customer_id", "order_id", "item_id", "ordered_at", "quantity"]
    guest = pl.col("customer_id").is_null()
    known = orders.select(columns).join(returns, on=["customer_id", "item_id"], how="semi")
    guests = orders.filter(guest).select(columns).join(returns.filter(guest), on=["order_id", "item_id"], how="semi")
    return pl.concat([known, guests])


def _cap() -> pl.Expr:
    """No more than was bought, whatever the last digits of the sum say; null where nothing came back."""
    return pl.when(pl.col("returned_quantity").is_not_null()).then("quantity")


def _assign(sold: pl.DataFrame, back: pl.DataFrame) -> NDArray[np.int64]:
    """Position in `sold` for each return, -1 for none. Both sorted by key and time.

    Returns of different keys never compete, so the first returns of all keys are placed at once, then the
    second ones, and so on.
    """
    first, last = _candidates(sold, back)
    wanted, left = back["quantity"].to_numpy(), sold["quantity"].to_numpy().copy()
    key = back["key"].to_numpy()
    nth = np.arange(key.size) - np.searchsorted(key, key)
    turns = np.split(np.argsort(nth, kind="stable"), np.cumsum(np.bincount(nth))[:-1]) if key.size else []
    result = np.full(key.size, -1, np.int64)
    for turn in turns:
        turn = turn[last[turn] > first[turn]]  # returns with any earlier purchase
        if not turn.size:
            continue
        sizes = last[turn] - first[turn]
        begin = np.cumsum(sizes) - sizes
        candidate = np.arange(sizes.sum()) + np.repeat(first[turn] - begin, sizes)
        enough = left[candidate] >= np.repeat(wanted[turn], sizes) - TOLERANCE
        best = np.maximum.reduceat(np.where(enough, candidate, -1), begin)
        placed = best >= 0
        left[best[placed]] -= wanted[turn[placed]]
        result[turn] = best
    return result


def _candidates(sold: pl.DataFrame, back: pl.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Half-open range in `sold` of the purchases of each return's key that are not after it."""
    times = pl.concat([sold["ordered_at"], back["ordered_at"]]).to_physical().to_numpy()
    moments, moment = np.unique(times, return_inverse=True)
    sold_key, back_key = (f["key"].cast(pl.Int64).to_numpy() for f in (sold, back))
    sold_place = sold_key * moments.size + moment[: sold.height]
    back_place = back_key * moments.size + moment[sold.height :]
    return np.searchsorted(sold_key, back_key), np.searchsorted(sold_place, back_place, side="right")
