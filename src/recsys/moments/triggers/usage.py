"""How much a customer used features: amounts of feature_used events; one without a value counts once."""

from datetime import datetime

import polars as pl

from recsys.moments.known import MICRO, Known
from recsys.schemas import UTC


def uses(known: Known, of: pl.DataFrame) -> pl.DataFrame:
    """The feature_used events of the customers in `of` with their `amount`, as they became known."""
    events = known.of_kind("feature_used").join(of, on="customer_id", how="semi", maintain_order="left")
    return events.with_columns(amount=pl.col("value").fill_null(1.0))


def used_between(events: pl.DataFrame, name: str, start: datetime, end: datetime) -> pl.DataFrame:
    """customer_id and the amount of [start, end) as column `name`, for those who used anything at all."""
    then = pl.col("at").is_between(pl.lit(start, UTC), pl.lit(end, UTC), closed="left")
    whole = (pl.col("amount") * MICRO).round().cast(pl.Int64)
    return events.group_by("customer_id").agg((pl.when(then).then(whole).otherwise(0).sum() / MICRO).alias(name))
