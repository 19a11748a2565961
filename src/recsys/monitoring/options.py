"""What is compared with the last accepted run, and how far it may move: a warning first, then a stop."""

from dataclasses import dataclass, fields
from typing import Literal

from recsys.errors import InputError

Limits = tuple[float | None, float | None]  # warn, stop; null: never
SIZES = ("recent_days", "min_orders", "sample")


@dataclass(frozen=True, kw_only=True)
class MonitoringOptions:
    """Drift against the last accepted run; limits are [warn, stop], null = never. docs/monitoring.md."""

    enabled: bool = True  # false: nothing is compared, nothing stops a run
    accept: bool = False  # go on in spite of a stop, once: --set monitoring.accept=true; the MLflow run is tagged
    recent_days: int = 28  # days before the last order that stand for a run; whole weeks
    min_orders: int = 20  # orders a part must have to be compared
    category_level: Literal["department", "category", "type"] = "department"  # of mixes; another where it is empty
    sample: int = 300  # customers whose lists are kept and compared, chosen by the hash of seed and id
    seed: int = 0  # of that choice
    alpha: float = 0.001  # a limit counts only where chance is less likely than this; samples may be small
    # orders
    volume: Limits = (1.4, 3.0)  # orders a day against the same weekdays before, times more or fewer
    missing_days: Limits = (1, 3)  # days with less than a tenth of the orders of the same weekday before
    rewritten_days: Limits = (0.02, 0.2)  # share of the orders on the accepted run's days that came or went
    null_rates: Limits = (0.05, 0.25)  # largest rise of a column's share of nulls
    refused_rows: Limits = (0.05, 0.25)  # rise of the share of refused rows, by the rule that rose most
    price_level: Limits = (1.1, 1.5)  # prices of the same items, times higher or lower
    price_distribution: Limits = (0.1, 0.25)  # PSI of the prices of all lines
    category_mix: Limits = (0.1, 0.25)  # PSI of the lines by category
    vanished_categories: Limits = (0.01, 0.1)  # share of the lines whose category is sold no more
    basket_size: Limits = (0.1, 0.25)  # PSI of the lines per order
    repeat_share: Limits = (0.1, 0.25)  # change of the share of lines that repeat an earlier purchase
    new_items: Limits = (0.1, 0.4)  # rise of the share of lines with items never sold before
    new_customers: Limits = (0.2, 0.5)  # rise of the share of orders by customers never seen before
    lost_items: Limits = (0.02, 0.2)  # share of the accepted run's lines whose items are not there any more
    lost_customers: Limits = (0.02, 0.2)  # share of the accepted run's customers that are not there any more
    # recommendations
    scores: Limits = (0.25, None)  # PSI of the scores; only where recipe and contender are the same
    probabilities: Limits = (0.25, 1.0)  # PSI of the probabilities
    fallback_mix: Limits = (0.1, 0.25)  # PSI of personal, cart, popular
    short_lists: Limits = (0.01, 0.1)  # rise of the share of lists that are not full
    listed_repeats: Limits = (0.15, 0.4)  # change of the share of listed items that the customer had bought
    listed_categories: Limits = (0.25, 1.0)  # PSI of the listed items by category
    listed_popularity: Limits = (0.25, 1.0)  # PSI of the listed items by head, middle, tail
    list_overlap: Limits = (0.3, 0.1)  # mean Jaccard@10 of the lists of the same customers; less is worse


CHECKS = tuple(f.name for f in fields(MonitoringOptions) if f.type == Limits)
LOWER_IS_WORSE = {"list_overlap"}


def require_sane(options: MonitoringOptions, place: str = "config") -> None:
    """InputError where limits contradict each other or sizes allow no comparison."""
    for name in SIZES:
        if getattr(options, name) < 1:
            raise InputError(f"{place}: monitoring.{name} = {getattr(options, name)}; give at least 1")
    if options.recent_days % 7:
        raise InputError(f"{place}: monitoring.recent_days = {options.recent_days}; give whole weeks, e.g. 28")
    if not 0 < options.alpha <= 1:
        raise InputError(f"{place}: monitoring.alpha = {options.alpha:g}; give a probability, above 0 and at most 1")
    for name in CHECKS:
        warn, stop = getattr(options, name)
        for value in (warn, stop):
            if value is not None and not 0 <= value < float("inf"):
                raise InputError(f"{place}: monitoring.{name} = [{warn}, {stop}]; give numbers from 0 upwards, or null")
        if warn is not None and stop is not None and (warn > stop) != (name in LOWER_IS_WORSE) and warn != stop:
            side = "at least" if name in LOWER_IS_WORSE else "at most"
            raise InputError(f"{place}: monitoring.{name} = [{warn}, {stop}]; the first limit warns: {side} the second")
