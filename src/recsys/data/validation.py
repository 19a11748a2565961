"""Order lines in, accepted lines and refused rows out: each refused row with the first rule it broke."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

import polars as pl

from recsys.data.cells import moment_of
from recsys.data.returns import match_returns
from recsys.errors import InputError
from recsys.schemas import UTC, Orders

KEY = ["order_id", "item_id"]


@dataclass(frozen=True, kw_only=True)
class ValidationOptions:
    """What an order line may look like."""

    returns: Literal["match", "reject"] = "match"  # negative quantities and cancellations
    duplicates: Literal["merge", "reject"] = "merge"  # several lines of an item in an order; reject: exact repeats
    allow_zero_price: bool = False  # gifts and samples count as sales
    max_unit_price: float | None = None  # in the shop's currency; null: no limit
    max_price_ratio: float | None = 1000.0  # unit price against the item's median price; null: no limit
    max_quantity: float | None = 100_000.0  # units in one line, sold or returned; null: no limit
    earliest: str | None = None  # ISO date; lines before it are refused


class Validated(NamedTuple):
    orders: pl.DataFrame  # schemas.Orders
    purchases: pl.DataFrame  # row, item_id of every accepted purchase line, before lines were merged
    refused: pl.DataFrame  # row, rule
    accepted: dict[str, int]  # accepted_lines, merged_lines, returns_matched: rows that were kept, and how
    notes: dict[str, int]  # what was decided about kept rows


class Sorted(NamedTuple):
    kept: pl.DataFrame
    refused: pl.DataFrame  # row, rule


def validate_lines(
    lines: pl.DataFrame,
    options: ValidationOptions,
    now: datetime,
    *,
    priced: bool = True,
    excluded_items: pl.Series | None = None,
    known_items: pl.Series | None = None,
) -> Validated:
    """`lines` as of `lines.map_lines`. `priced`: a price is mapped. `known_items`: refuse all others.

    Rows are judged in this order: line by line (`line_rules`), then prices against the item's median, then
    orders of two customers, then repeats, then returns. An order takes its earliest time; a line without a
    customer takes its order's customer. Returns need no price, none is judged.
    """
    readable = refuse(lines, line_rules(options, now, priced, excluded_items, known_items))
    sales = readable.kept.filter(~pl.col("is_return"))
    returns = readable.kept.filter("is_return").with_columns(pl.col("quantity").abs())
    sane = refuse_by_median(sales, options.max_price_ratio) if priced else Sorted(sales, readable.refused[:0])
    owned, notes = one_customer_per_order(sane.kept)
    single = refuse_repeats(owned.kept) if options.duplicates == "reject" else Sorted(owned.kept, owned.refused[:0])
    merged = merge_lines(single.kept)
    orders, unmatched = match_returns(merged, returns.select("row", *KEY, "customer_id", "ordered_at", "quantity"))
    refused = [readable.refused, sane.refused, owned.refused, single.refused]
    refused.append(unmatched.select("row", pl.lit("unmatched_return").alias("rule")))
    accepted = {
        "accepted_lines": orders.height,
        "merged_lines": single.kept.height - orders.height,
        "returns_matched": returns.height - unmatched.height,
    }
    notes["guest_lines"] = orders["customer_id"].null_count()
    orders = Orders.validate(orders.select(list(Orders.columns())).sort("ordered_at", *KEY))
    return Validated(orders, single.kept.select("row", "item_id"), pl.concat(refused), accepted, notes)


def line_rules(
    options: ValidationOptions,
    now: datetime,
    priced: bool = True,
    excluded_items: pl.Series | None = None,
    known_items: pl.Series | None = None,
) -> dict[str, pl.Expr]:
    """Rule → broken, for the rules that look at one line alone, in the order in which they are tried."""
    if now.tzinfo is None:
        raise InputError(f"now {now} has no time zone; pass an aware datetime")
    item, quantity, price = pl.col("item_id"), pl.col("quantity"), pl.col("price")
    time, sold = pl.col("ordered_at"), ~pl.col("is_return").fill_null(False)
    rules = {
        "excluded_row": pl.col("excluded"),
        "blank_order_id": pl.col("order_id").is_null(),
        "blank_item_id": item.is_null(),
        "excluded_item": pl.col("no_product"),
    }
    if excluded_items is not None:
        rules["excluded_item"] |= item.is_in(excluded_items.implode())
    if known_items is not None:
        rules["not_in_catalog"] = ~item.is_in(known_items.implode())
    rules |= {"unparsable_quantity": quantity.is_null(), "zero_quantity": quantity == 0}
    if options.max_quantity is not None:
        rules["absurd_quantity"] = quantity.abs() > options.max_quantity
    if options.returns == "reject":
        rules["refused_return"] = ~sold
    if priced:
        rules |= {"unparsable_price": sold & price.is_null(), "negative_price": sold & (price < 0)}
        if not options.allow_zero_price:
            rules["zero_price"] = sold & (price == 0)
        if options.max_unit_price is not None:
            rules["absurd_price"] = sold & (pl.col("unit_price") > options.max_unit_price)
    rules |= {"unparsable_time": time.is_null(), "future_time": time > pl.lit(now, UTC)}
    if options.earliest is not None:
        rules["before_earliest"] = time < pl.lit(moment_of(options.earliest, "data.validation.earliest"), UTC)
    return rules


def refuse(lines: pl.DataFrame, rules: dict[str, pl.Expr]) -> Sorted:
    """Lines that break no rule, and the others with the first rule they break."""
    names = pl.Enum(list(rules))
    first = pl.coalesce(pl.when(broken).then(pl.lit(rule, names)) for rule, broken in rules.items())
    judged = lines.with_columns(rule=first)
    kept = judged.filter(pl.col("rule").is_null()).drop("rule")
    refused = judged.filter(pl.col("rule").is_not_null()).select("row", pl.col("rule").cast(pl.String))
    return Sorted(kept, refused)


def refuse_by_median(sales: pl.DataFrame, ratio: float | None) -> Sorted:
    """absurd_price: more than `ratio` times the median price of the item's lines that got this far."""
    if ratio is None:
        return Sorted(sales, sales.select("row", rule=pl.lit("absurd_price"))[:0])
    medians = sales.group_by("item_id").agg(median=pl.col("unit_price").median())
    judged = sales.join(medians, on="item_id", how="left", maintain_order="left")
    result = refuse(judged, {"absurd_price": pl.col("unit_price") > ratio * pl.col("median")})
    return Sorted(result.kept.drop("median"), result.refused)


def one_customer_per_order(sales: pl.DataFrame) -> tuple[Sorted, dict[str, int]]:
    """Every order gets one customer and one time; (lines, refused), and how many lines that changed.

    Customer: the one with most lines of the order, ties to the smaller id; lines of another customer are
    refused (order_of_two_customers), lines without one follow. Time: the earliest of the kept lines.
    """
    customer, time = pl.col("customer_id"), pl.col("ordered_at")
    heads = sales.group_by("order_id").agg(
        low=customer.min(), high=customer.max(), blank=customer.null_count(), start=time.min(), end=time.max()
    )
    uneven = heads.filter(
        (pl.col("low") != pl.col("high"))
        | ((pl.col("blank") > 0) & pl.col("low").is_not_null())
        | (pl.col("start") != pl.col("end"))
    ).select("order_id")
    mixed = sales.join(uneven, on="order_id", how="semi")
    owners = (
        mixed.drop_nulls("customer_id")
        .group_by("order_id", "customer_id")
        .len()
        .sort("order_id", -pl.col("len").cast(pl.Int64), "customer_id")
        .unique("order_id", keep="first", maintain_order=True)
        .select("order_id", owner="customer_id")
    )
    judged = refuse(
        mixed.join(owners, on="order_id", how="left"), {"order_of_two_customers": customer != pl.col("owner")}
    )
    start = time.min().over("order_id")
    notes = {
        "customer_from_order": int(
            judged.kept.select((customer.is_null() & pl.col("owner").is_not_null()).sum()).item()
        ),
        "time_from_order": int(judged.kept.select((time != start).sum()).item()),
    }
    mended = judged.kept.with_columns(customer_id="owner", ordered_at=start).drop("owner")
    even = sales.join(uneven, on="order_id", how="anti")
    return Sorted(pl.concat([even, mended]), judged.refused), notes


def refuse_repeats(sales: pl.DataFrame) -> Sorted:
    """repeated_line: same order, item, quantity and price once more."""
    ranked = sales.sort("row")
    first = ranked.unique([*KEY, "quantity", "price"], keep="first", maintain_order=True)
    again = ranked.join(first.select("row"), on="row", how="anti")
    return Sorted(first, again.select("row", pl.lit("repeated_line").alias("rule")))


def merge_lines(sales: pl.DataFrame) -> pl.DataFrame:
    """One line per order and item: quantities add up, the price is the quantity-weighted mean, the store the first."""
    columns = [*KEY, "customer_id", "ordered_at", "quantity", "unit_price", "store_id"]
    lines = sales.select(columns)
    repeated = pl.struct(KEY).is_duplicated()
    price, quantity = pl.col("unit_price"), pl.col("quantity")
    # sums of sorted floats do not depend on row order
    mean = (price * quantity).sort().sum() / quantity.sort().sum()
    merged = (
        lines.filter(repeated)
        .group_by(KEY)
        .agg(
            pl.col("customer_id").first(),
            pl.col("ordered_at").first(),
            quantity.sort().sum(),
            pl.when(price.min() == price.max()).then(price.min()).otherwise(mean).alias("unit_price"),
            pl.col("store_id").min(),
        )
    )
    return pl.concat([lines.filter(~repeated), merged.select(columns)])
