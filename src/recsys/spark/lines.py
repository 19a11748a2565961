"""Checked orders' Parquet → the lines and cells of one moment, as `recsys.data.interactions` has them.

    orders.parquet ─ lines_before ─ known_lines ─┬─ cells (customer × item: ALS)
                                                 └─ as they are (order × item: pairs)

Nothing dated at or after the moment is read.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from recsys.data.histories import IdMap
from recsys.data.interactions import InteractionOptions
from recsys.data.known_lines import DAY

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

READ = ("order_id", "customer_id", "item_id", "ordered_at", "quantity", "returned_at", "returned_quantity")


def lines_before(spark: "SparkSession", orders: Path, at: Path, max_age_days: float | None) -> "DataFrame":
    """order_id, customer_id, item_id, quantity (returns of that time taken off), age (float, days).

    `at` is a Parquet file of customer_id and at: a customer's own moment. Lines of others, and of guests, count from
    the latest of them; one row without a customer is one moment for all. Half-open, as in `interactions.lines_before`.
    """
    from pyspark.sql import functions as fn

    moments = spark.read.parquet(at.absolute().as_uri())
    latest = moments.agg(fn.max("at")).collect()[0][0]
    lines = spark.read.parquet(orders.absolute().as_uri()).select(*READ).join(moments, "customer_id", "left")
    now = fn.unix_micros(fn.coalesce("at", fn.lit(latest)))
    returned = fn.when(fn.unix_micros("returned_at") < now, fn.col("returned_quantity"))
    known = (
        lines.where(fn.unix_micros("ordered_at") < now)
        .withColumn("quantity", fn.col("quantity") - fn.coalesce(returned, fn.lit(0.0)))
        .withColumn("age", ((now - fn.unix_micros("ordered_at")) / fn.lit(float(DAY))).cast("float"))
        .where(fn.col("quantity") > 0)
        .select("order_id", "customer_id", "item_id", "quantity", "age")
    )
    return known if max_age_days is None else known.where(fn.col("age") <= fn.lit(max_age_days).cast("float"))


def known_lines(lines: "DataFrame", items: IdMap, options: InteractionOptions) -> "DataFrame":
    """order_id, customer_id, item (int, its position), weight (float, damped quantity), age; of known items alone."""
    from pyspark.sql import functions as fn

    known = fn.broadcast(numbered(lines.sparkSession, items, "item"))
    coded = lines.join(known, "item_id").withColumn("weight", _damped(options.quantity).cast("float"))
    return coded.select("order_id", "customer_id", "item", "weight", "age")


def cells(lines: "DataFrame", customers: IdMap) -> "DataFrame":
    """customer (int, its position), item, count (float): weight of the customer's orders with the item."""
    from pyspark.sql import functions as fn

    who = numbered(lines.sparkSession, customers, "customer")
    summed = (
        lines.join(who, "customer_id").groupBy("customer", "item").agg(fn.sum("weight").cast("float").alias("count"))
    )
    return summed.select("customer", "item", "count")


def numbered(spark: "SparkSession", ids: IdMap, name: str) -> "DataFrame":
    """`name`_id (string) and `name` (int): every id with its position."""
    table = pa.table({f"{name}_id": pa.array(ids.ids, pa.string()), name: pa.array(range(len(ids)), pa.int32())})
    return spark.createDataFrame(table)


def _damped(how: str) -> "Column":
    from pyspark.sql import functions as fn

    quantity = fn.col("quantity")
    return {
        "binary": fn.lit(1.0),
        "log": fn.log1p(quantity) / fn.log(fn.lit(2.0)),
        "sqrt": fn.sqrt(quantity),
        "linear": quantity,
    }[how]
