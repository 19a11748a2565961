"""What a shop judges by: attach rate, items per order, revenue per customer, net revenue retention, and the like.

Every measure is Σ above / Σ below over customers, so one bootstrap over customers gives all intervals (Efron &
Tibshirani 1993, ch. 8). A guest's order is a unit of its own. Formulas with their dividers: docs/metrics.md.

`lines` are accepted order lines (recsys.schemas.Orders); `log` is what became of shown offers, one row per offer:
customer_id, kind (cross_sell, upsell, bundle), order_id of the order that took it, or null, and value, the revenue
that the accepted offer brought. Logged outcomes say what happened, not what the offer caused.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.data.histories import Floats, Ints
from recsys.errors import InputError
from recsys.evaluation.bootstrap import paired_ratio
from recsys.evaluation.metrics import find_hits

KINDS = ("cross_sell", "upsell", "bundle")
LOG = ("customer_id", "kind", "order_id", "value")


@dataclass(frozen=True)
class Measures:
    """Numerators and dividers of m measures over n units.

    names  the m names
    above  float64 (n, m)
    below  float64 (n, m); a measure without a positive divider has no value
    """

    names: tuple[str, ...]
    above: Floats
    below: Floats

    def values(self) -> dict[str, float]:
        """Name → Σ above / Σ below, NaN where the divider is 0."""
        above, below = self.above.sum(axis=0), self.below.sum(axis=0)
        return {
            name: float(a / b) if b > 0 else float("nan") for name, a, b in zip(self.names, above, below, strict=True)
        }

    def records(self, resamples: int = 1000, level: float = 0.95, seed: int = 0) -> list[dict[str, Any]]:
        """A row per measure: name, value, low, high (None where unknown), below (the divider), units."""
        drawn = paired_ratio(self.above, self.below, resamples, level, seed) if len(self.above) else None
        values = self.values()
        return [
            {
                "measure": name, "value": _known(values[name]), "low": _known(drawn.low[at]) if drawn else None,
                "high": _known(drawn.high[at]) if drawn else None, "below": float(self.below[:, at].sum()),
                "units": int((self.below[:, at] > 0).sum()),
            }
            for at, name in enumerate(self.names)
        ]  # fmt: skip


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


# --- of lists, held out


def of_lists(
    lists: Ints,
    relevant: sp.csr_matrix,
    k: int,
    *,
    prices: Floats,
    costs: Floats | None = None,
    slow: NDArray[np.bool_] | None = None,
) -> Measures:
    """Worth of the first k of every list, one unit per query, against the order that came.

    lists (n, ≥ k) int, -1 after the end; relevant (n, n_items): what the order held; prices, costs float64
    (n_items,), NaN = unknown: such hits bring nothing and `priced` / `costed` say how many hits were known.

    attach_rate  queries with a listed item in the order / queries with anything to find
    hits         listed items in the order / queries
    revenue      Σ price of the hits / queries, one unit of each
    margin       Σ (price - cost) of the hits / queries
    priced       hits with a known price / hits
    costed       hits with known price and cost / hits
    slow_movers  listed items among the slow ones / listed items
    """
    hits = find_hits(lists[:, :k], relevant)
    items = np.maximum(lists[:, :k], 0)
    asked = (np.diff(sp.csr_matrix(relevant).indptr) > 0).astype(np.float64)
    price = prices[items]
    cost = np.full(len(prices), np.nan) if costs is None else costs
    gain, costed = price - cost[items], np.isfinite(cost).any()
    found = hits.sum(axis=1).astype(np.float64)
    listed = (lists[:, :k] >= 0) & (asked > 0)[:, None]
    table = {
        "attach_rate": ((found > 0).astype(np.float64), asked),
        "hits": (found, asked),
        "revenue": (_sum(price, hits), asked),
        "margin": (_sum(gain, hits), asked * costed),
        "priced": ((hits & np.isfinite(price)).sum(axis=1), found),
        "costed": ((hits & np.isfinite(gain)).sum(axis=1), found * costed),
        "slow_movers": (
            (listed & (np.zeros(len(prices), bool) if slow is None else slow)[items]).sum(axis=1),
            listed.sum(axis=1) * float(slow is not None),
        ),
    }
    return _stacked(table)


def slow_movers(sold: Ints, share: float = 0.5) -> NDArray[np.bool_]:
    """bool (n_items,): the least sold items that together make up half of the catalog (by number of items).

    Ties at the border are all slow or all not: an item is slow where it sold less than the quantile.
    """
    if not 0 < share < 1:
        raise InputError(f"share of slow movers is {share}; it must lie between 0 and 1")
    return np.asarray(sold < np.quantile(sold, share)) if len(sold) else np.zeros(0, bool)


def _sum(values: Floats, where: NDArray[np.bool_]) -> Floats:
    return np.asarray(np.where(where & np.isfinite(values), values, 0.0).sum(axis=1))


def _stacked(table: dict[str, tuple[Any, Any]]) -> Measures:
    above, below = (np.stack([np.asarray(v[side], np.float64) for v in table.values()], axis=1) for side in (0, 1))
    return Measures(tuple(table), above, below)


# --- of orders


def of_orders(lines: pl.DataFrame) -> Measures:
    """What the shop takes: one unit per customer, a guest's order is one of its own.

    items_per_order       order lines (distinct items) / orders
    revenue_per_order     Σ quantity · unit_price / orders with a known price
    revenue_per_customer  the same / customers with a known price, guests left out
    return_rate           value that came back / value sold, known prices only
    """
    per_order = (
        _valued(lines)
        .group_by("order_id")
        .agg(
            pl.col("customer_id").first(),
            pl.len().alias("items"),
            pl.col("value").sum(),
            pl.col("back").sum(),
            pl.col("value").is_not_null().any().alias("priced"),
        )
    )
    units = (
        per_order.with_columns(unit=_unit())
        .group_by("unit", maintain_order=False)
        .agg(
            pl.len().alias("orders"),
            pl.col("items").sum(),
            pl.col("value").sum(),
            pl.col("back").sum(),
            pl.col("priced").sum().alias("priced"),
            pl.col("customer_id").is_not_null().first().alias("named"),
        )
        .sort("unit")
    )
    column = {name: units[name].cast(pl.Float64).to_numpy() for name in units.columns if name != "unit"}
    named = column["named"] * (column["priced"] > 0)
    return _stacked(
        {
            "items_per_order": (column["items"], column["orders"]),
            "revenue_per_order": (column["value"], column["priced"]),
            "revenue_per_customer": (column["value"] * column["named"], named),
            "return_rate": (column["back"], column["value"]),
        }
    )


def _unit() -> pl.Expr:
    """The customer, or a guest's order by itself; the prefix keeps the two apart."""
    named = pl.concat_str(pl.lit("c"), "customer_id")
    return pl.coalesce(named, pl.concat_str(pl.lit("o"), "order_id"))


def _valued(lines: pl.DataFrame) -> pl.DataFrame:
    """Lines with `value` and `back`, in the shop's currency; null where the price is unknown."""
    return lines.with_columns(
        value=pl.col("quantity") * pl.col("unit_price"),
        back=pl.col("returned_quantity").fill_null(0.0) * pl.col("unit_price"),
    )


# --- of offers that were shown


def of_offers(log: pl.DataFrame, lines: pl.DataFrame) -> Measures:
    """What became of offers, beside the orders of the same time; one unit per customer.

    conversion             accepted / shown, all kinds
    conversion_KIND        the same of one kind: cross_sell, upsell, bundle (bundle uptake)
    attach_rate            orders with an accepted cross-sell / orders
    upsell_rate            customers with an accepted up-sell / customers who were shown one (the eligible ones)
    expansion_share        revenue of accepted up-sells and cross-sells / revenue of the orders

    InputError where the log lacks a column, names an unknown kind, or an order that `lines` do not hold.
    """
    _require_log(log, lines)
    orders = _valued(lines).group_by("order_id").agg(pl.col("customer_id").first(), pl.col("value").sum())
    units = pl.concat(
        [
            orders.with_columns(unit=_unit()).select("unit"),
            log.filter(pl.col("customer_id").is_not_null() | pl.col("order_id").is_not_null())
            .with_columns(unit=_unit())
            .select("unit"),
        ]
    ).unique()
    taken = pl.col("order_id").is_not_null()
    of_kind = {kind: pl.col("kind") == kind for kind in KINDS}
    shown = (
        log.with_columns(unit=_unit())
        .group_by("unit")
        .agg(
            pl.len().alias("shown"),
            taken.sum().alias("accepted"),
            *(of_kind[kind].sum().alias(f"shown_{kind}") for kind in KINDS),
            *((of_kind[kind] & taken).sum().alias(f"accepted_{kind}") for kind in KINDS),
            pl.col("order_id").filter(of_kind["cross_sell"] & taken).n_unique().alias("attached"),
            pl.col("value").filter((of_kind["cross_sell"] | of_kind["upsell"]) & taken).sum().alias("expansion"),
        )
    )
    spent = orders.with_columns(unit=_unit()).group_by("unit").agg(pl.len().alias("orders"), pl.col("value").sum())
    whole = units.join(shown, on="unit", how="left").join(spent, on="unit", how="left").fill_null(0).sort("unit")
    column = {name: whole[name].cast(pl.Float64).to_numpy() for name in whole.columns if name != "unit"}
    upsold, eligible = column["accepted_upsell"] > 0, column["shown_upsell"] > 0
    return _stacked(
        {
            "conversion": (column["accepted"], column["shown"]),
            **{f"conversion_{kind}": (column[f"accepted_{kind}"], column[f"shown_{kind}"]) for kind in KINDS},
            "attach_rate": (column["attached"], column["orders"]),
            "upsell_rate": (upsold, eligible),
            "expansion_share": (column["expansion"], column["value"]),
        }
    )


def _require_log(log: pl.DataFrame, lines: pl.DataFrame) -> None:
    missing = [name for name in LOG if name not in log.columns]
    if missing:
        raise InputError(f"the log of offers has no column {missing[0]!r}; it needs {', '.join(LOG)}")
    unknown = log.filter(~pl.col("kind").is_in(KINDS) | pl.col("kind").is_null())
    if len(unknown):
        raise InputError(f"the log of offers holds kind {unknown['kind'][0]!r}; known are {', '.join(KINDS)}")
    nowhere = log.filter(pl.col("order_id").is_not_null()).join(lines, on="order_id", how="anti")
    if len(nowhere):
        raise InputError(
            f"the log of offers names order {nowhere['order_id'][0]!r}, which the order lines do not hold; "
            "give the lines of the same time"
        )


# --- of customers, from one period to the next


def retention(lines: pl.DataFrame, start: datetime, middle: datetime, end: datetime) -> Measures:
    """Revenue of [start, middle) against [middle, end), known prices; one unit per customer of the first period.

    net_revenue_retention  (start + expansion - contraction - churn) / start
    expansion              Σ of what customers spend more in the second period / start
    contraction            Σ of what those who still buy spend less / start
    churn                  Σ of what those who buy no more spent / start

    The periods should be equally long. Customers who are new in the second one do not count, guests neither.
    """
    if not start < middle < end:
        raise InputError(f"periods {start}, {middle}, {end} are not in order; give start < middle < end")
    spent = (
        _valued(lines)
        .filter(pl.col("customer_id").is_not_null() & pl.col("value").is_not_null())
        .filter(pl.col("ordered_at").is_between(start, end, closed="left"))
        .group_by("customer_id")
        .agg(
            pl.col("value").filter(pl.col("ordered_at") < middle).sum().alias("before"),
            pl.col("value").filter(pl.col("ordered_at") >= middle).sum().alias("after"),
        )
        .filter(pl.col("before") > 0)
        .sort("customer_id")
    )
    before, after = (spent[name].cast(pl.Float64).to_numpy() for name in ("before", "after"))
    change = after - before
    return _stacked(
        {
            "net_revenue_retention": (after, before),
            "expansion": (np.maximum(change, 0), before),
            "contraction": (np.where(after > 0, np.maximum(-change, 0), 0), before),
            "churn": (np.where(after > 0, 0.0, before), before),
        }
    )
