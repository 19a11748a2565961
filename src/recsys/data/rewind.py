"""What was known some days ago, out of what is known now: NumPy only, so that a fit needs no second read of orders."""

from dataclasses import replace

import numpy as np

from .histories import Histories, TrainData, no_carts


def rewind(data: TrainData, days: float) -> TrainData:
    """The same items and customers, `days` before the moment of `data`.

        orders ──────────────────┬───────────────┬─▶ time
                     kept        │   forgotten   │
                        now - days (half-open)   now

    A line exactly `days` old is of that moment, so it is not known yet. Item facts stay those of `data`, and
    lines that were sent back since are missing.
    """
    kept = data.order_ages > days
    ages = (data.order_ages[kept] - np.float32(days)).astype(np.float32)
    return replace(data, histories=_earlier(data.histories, days), orders=data.orders[kept], order_ages=ages)


def _earlier(histories: Histories, days: float) -> Histories:
    n = len(histories)
    kept = histories.ages > days
    rows, orders = histories.rows[kept], histories.orders[kept]
    latest = np.full(n, np.iinfo(np.int32).max, np.int32)
    np.minimum.at(latest, rows, orders)  # 0 is again the latest order
    return Histories(
        np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))]),
        histories.items[kept],
        (orders - latest[rows]).astype(np.int32),
        (histories.ages[kept] - np.float32(days)).astype(np.float32),
        histories.weights[kept],
        no_carts(n, histories.n_items),
        histories.customers,
    )
