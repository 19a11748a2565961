"""Order lines in, accepted lines and refused rows out: each refused row with the first rule it broke."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

import polars as pl

from recsys.data.cells import moment_of
from recsys.data.coding import IDS, Coder, as_text, pair_of
from recsys.data.returns import match_returns
from recsys.errors import InputError
from recsys.schemas import UTC, Orders

KEY = ["order_id", "item_id"]
JUDGED = ["row", *IDS, "ordered_at", "quantity", "unit_price", "price", "is_return"]  # of lines that are readable
SLICE = 1_000_000  # lines


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
    lines: pl.DataFrame  # schemas.Orders with coded ids
    purchases: pl.DataFrame  # row, item_id (coded) of every accepted purchase line, before lines were merged
    refused: pl.DataFrame  # row, rule
    accepted: dict[str, int]  # accepted_lines, merged_lines, returns_matched: rows that were kept, and how
    notes: dict[str, int]  # what was decided about kept rows

    @property
    def orders(self) -> pl.DataFrame:
        """schemas.Orders: `lines` with ids as text."""
        return as_text(self.lines)


class Sorted(NamedTuple):
    kept: pl.DataFrame
    refused: pl.DataFrame  # row, rule


NONE_REFUSED = pl.DataFrame(schema={"row": pl.UInt32, "rule": pl.String})


def validate_lines(
    lines: pl.DataFrame | Iterable[pl.DataFrame],
    options: ValidationOptions,
    now: datetime,
    *,
    priced: bool = True,
    excluded_items: pl.Series | None = None,
    known_items: pl.Series | None = None,
) -> Validated:
    """`lines` as of `lines.map_lines`, or blocks of them. `priced`: a price is mapped. `known_items`: refuse others.

    Rows are judged in this order: line by line (`line_rules`), then prices against the item's median, then
    orders of two customers, then repeats, then returns. An order takes its earliest time; a line without a
    customer takes its order's customer. Returns need no price, none is judged.

    Block by block, what is readable is coded (`Coder`); the rules across lines judge 50 bytes a line.
    """
    rules = line_rules(options, now, priced, excluded_items, known_items)
    readable, unreadable = _readable([lines] if isinstance(lines, pl.DataFrame) else lines, rules)
    returns = readable.filter("is_return").with_columns(pl.col("quantity").abs())
    sales = readable.filter(~pl.col("is_return")).drop("is_return") if returns.height else readable.drop("is_return")
    del readable
    sales, absurd = refuse_by_median(sales, options.max_price_ratio) if priced else Sorted(sales, NONE_REFUSED)
    (sales, foreign), notes = one_customer_per_order(sales)
    repeated = NONE_REFUSED
    if options.duplicates == "reject":
        sales, repeated = refuse_repeats(sales)
    purchases = sales.select("row", "item_id")
    sales = merge_lines(sales)
    back = returns.select("row", *KEY, "customer_id", "ordered_at", "quantity")
    orders, unmatched = match_returns(sales, back)
    refused = [unreadable, absurd, foreign, repeated]
    refused.append(unmatched.select("row", pl.lit("unmatched_return").alias("rule")))
    accepted = {
        "accepted_lines": orders.height,
        "merged_lines": purchases.height - orders.height,
        "returns_matched": returns.height - unmatched.height,
    }
    notes["guest_lines"] = orders["customer_id"].null_count()
    orders = orders.select(list(Orders.columns())).sort("ordered_at", *KEY)
    for part in orders.iter_slices(SLICE):  # an order's lines lie beside each other
        Orders.validate(as_text(part))
    return Validated(orders, purchases, pl.concat(refused), accepted, notes)


def _readable(blocks: Iterable[pl.DataFrame], rules: dict[str, pl.Expr]) -> Sorted:
    """Lines that break no rule, their ids coded, and the others."""
    coder, kept, refused = Coder(), [], []
    for block in blocks:
        judged = refuse(block, rules)
        kept.append(coder.code(judged.kept.select(JUDGED)))
        refused.append(judged.refused)
    return Sorted(coder.in_order(pl.concat(kept)), pl.concat(refused))


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
        return Sorted(sales, NONE_REFUSED)
    medians = sales.group_by("item_id").agg(limit=ratio * pl.col("unit_price").median())
    priced = sales.select("item_id", "unit_price").join(medians, on="item_id", how="left", maintain_order="left")
    absurd = priced.select(absurd=(pl.col("unit_price") > pl.col("limit")).fill_null(False))["absurd"]
    if not absurd.any():
        return Sorted(sales, NONE_REFUSED)
    return Sorted(sales.filter(~absurd), sales.filter(absurd).select("row", rule=pl.lit("absurd_price")))


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
    if uneven.is_empty():
        return Sorted(sales, NONE_REFUSED), {"customer_from_order": 0, "time_from_order": 0}
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
    repeated = lines.select(again=pair_of(*KEY).is_duplicated())["again"]
    if not repeated.any():
        return lines
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
