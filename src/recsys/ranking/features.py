"""What the ranker knows of a candidate. One function for training, evaluation and serving: no skew.

Groups name what a feature speaks of; a signal that is absent is NaN, which the trees can tell from zero.
"""

from collections.abc import Sequence

import numpy as np

from ..data.histories import Floats, Histories
from .base_models import BaseModels
from .candidates import Candidates
from .cart_features import cart_features
from .category_features import category_features, price_features
from .item_stats import ItemStats
from .own_features import context_features, history_cells, own_features


def _of(source: str) -> tuple[str, str, str]:
    """Score of a source, its place in the source's list, and its share of the query's highest."""
    return (source, f"{source}_rank", f"{source}_of_best")


GROUPS: dict[str, tuple[str, ...]] = {
    "popularity": (
        "popularity", "popularity_rank", "item_share", "item_recent", "item_rise", "item_trend", "item_season",
        "item_adoption", "item_order_size",
    ),
    "habit": (
        *_of("frequency"), *_of("tifu_knn"), "order_decayed", "recent_decayed", "own_count", "own_share", "own_age",
        "own_first_age", "own_orders_ago", "item_repeat",
    ),
    "rhythm": ("own_interval", "own_due", "own_due_orders", "item_interval", "item_due"),
    "collaborative": (*_of("als"), *_of("user_knn")),
    "co_purchase": _of("item_knn_history"),
    "cart": (
        *_of("item_knn_cart"), *_of("basket_knn"), *_of("type_knn_cart"), "own_overlap", "own_together", "cart_best",
        "cart_linked", "cart_confidence", "cart_recent", "cart_lift", "cart_lift_best", "cart_type", "cart_category",
    ),
    "content": (*_of("content_history"), *_of("content_cart")),
    "category": (
        *_of("type_knn_history"), "type_share", "type_age", "type_due", "type_variety", "type_expected", "own_of_type",
        "category_share", "department_share", "item_in_type",
    ),
    "price": ("price", "price_to_habit", "price_to_cart"),
    "context": ("n_orders", "order_age", "order_gap", "basket_size", "distinct_items", "explored", "cart_size"),
}  # fmt: skip
FEATURES: tuple[str, ...] = tuple(name for names in GROUPS.values() for name in names)


def features(rows: Candidates, queries: Histories, models: BaseModels) -> Floats:
    """float32 (m, len(FEATURES)) of the candidate rows."""
    columns: dict[str, np.ndarray] = dict(rows.scores)
    columns |= {f"{name}_rank": ranks for name, ranks in rows.ranks.items()}
    columns |= {f"{name}_of_best": scores / rows.best[name][rows.query] for name, scores in rows.scores.items()}
    own = history_cells(rows, queries)
    columns |= own_features(rows, queries, models.stats, own)
    columns |= cart_features(rows, queries, models["item_knn"], own)
    columns |= _item(rows.item, models.stats)
    columns |= category_features(rows, queries, models.stats, own)
    columns |= price_features(rows, queries, models.stats.price)
    columns |= {name: values[rows.query] for name, values in context_features(queries).items()}
    return _table(columns, FEATURES)


def _table(columns: dict[str, np.ndarray], names: Sequence[str]) -> Floats:
    out = np.empty((len(columns[names[0]]), len(names)), np.float32)
    for at, name in enumerate(names):
        out[:, at] = columns[name]
    return out


def _item(item: np.ndarray, stats: ItemStats) -> dict[str, Floats]:
    return {
        "item_share": stats.share[item],
        "item_recent": stats.recent[item],
        "item_rise": stats.rise[item],
        "item_trend": stats.trend[item],
        "item_season": stats.season[item],
        "item_adoption": stats.adoption[item],
        "item_repeat": stats.repeat[item],
        "item_order_size": stats.size[item],
        "item_in_type": stats.in_type[item],
    }
