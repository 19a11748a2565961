"""Whether there is enough to learn from and to judge by, said before any training."""

from dataclasses import dataclass

import polars as pl

from recsys.errors import InputError


@dataclass(frozen=True, kw_only=True)
class SufficiencyOptions:
    """Least amounts; below them rankings are noise and intervals are wider than any difference."""

    min_customers: int = 50  # known customers with an order
    min_repeat_customers: int = 20  # customers with two orders or more: only they show what is bought again
    min_items: int = 20  # different items sold
    min_orders: int = 200
    min_orders_per_customer: float = 1.0  # median over known customers
    min_lines: int = 400  # (order, item) lines
    min_span_days: float = 28.0  # from first to last order; days are orders where time is counted in orders
    max_rejected_share: float = 0.5  # of all order rows read
    min_queries: int = 20  # held-out moments to judge on, where they are known


@dataclass(frozen=True)
class Check:
    name: str
    value: float
    threshold: float
    passed: bool
    remedy: str

    @property
    def line(self) -> str:
        """The check as one clause: value, threshold and, where it failed, remedy."""
        bound = "at most" if self.name.endswith("share") else "at least"
        return f"{self.name} is {self.value:g}, needs {bound} {self.threshold:g}: {self.remedy}"


REMEDIES = {
    "customers": "export a longer period or more shops, and check that customer_id is mapped",
    "repeat_customers": "export a longer period, so that more customers come back",
    "items": "check that item_id is the product and not its group, and what was excluded",
    "orders": "export a longer period or more shops",
    "orders_per_customer": "export a longer period, so that more customers come back",
    "lines": "export a longer period, and check that each row is an order line and not an order",
    "span_days": "export a longer period, and check time_format",
    "rejected_share": "see which rules refused most rows in the ingest counts, and mend mapping or export",
    "queries": "hold out a longer period or judge on more moments",
}


def judge(
    orders: pl.DataFrame,
    *,
    read: int,
    rejected: int,
    queries: int | None = None,
    options: SufficiencyOptions | None = None,
) -> list[Check]:
    """One check per option.

    `orders`: schemas.Orders; `read`, `rejected`: order rows; `queries`: None where unknown.

    Shares of nothing are 1 (rejected), medians of nothing 0.
    """
    least = options or SufficiencyOptions()
    per_customer = orders.drop_nulls("customer_id").group_by("customer_id").agg(n=pl.col("order_id").n_unique())["n"]
    span = orders.select((pl.col("ordered_at").max() - pl.col("ordered_at").min()).dt.total_seconds()).item()
    values: dict[str, tuple[float, float]] = {
        "customers": (per_customer.len(), least.min_customers),
        "repeat_customers": (int((per_customer >= 2).sum()), least.min_repeat_customers),
        "items": (orders["item_id"].n_unique(), least.min_items),
        "orders": (orders["order_id"].n_unique(), least.min_orders),
        "orders_per_customer": (_median(per_customer), least.min_orders_per_customer),
        "lines": (orders.height, least.min_lines),
        "span_days": ((span or 0) / 86_400, least.min_span_days),
        "rejected_share": (rejected / read if read else 1.0, least.max_rejected_share),
    }
    if queries is not None:
        values["queries"] = (queries, least.min_queries)
    return [_check(name, value, threshold) for name, (value, threshold) in values.items()]


def require_sufficient(checks: list[Check]) -> None:
    """InputError that names every failing value, its threshold and its remedy."""
    failing = [check.line for check in checks if not check.passed]
    if failing:
        raise InputError("not enough to learn from; " + "; ".join(failing) + " (thresholds: data.sufficiency)")


def _check(name: str, value: float, threshold: float) -> Check:
    passed = value <= threshold if name.endswith("share") else value >= threshold
    return Check(name, value, threshold, passed, REMEDIES[name])


def _median(values: pl.Series) -> float:
    median = values.cast(pl.Float64).median()
    return median if isinstance(median, float) else 0.0
