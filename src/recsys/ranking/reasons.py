"""Why an item is on the list: the strongest of what moved its score that is also a plain fact of this row.

Contributions are LightGBM's own (Lundberg et al. 2018, TreeSHAP). They decide which voice may speak first, never
whether its statement is true: each voice checks that by itself and is silent where it is not.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..data.histories import Csr, Floats, Histories, Ints
from .base_models import BaseModels
from .blend import Ranked
from .features import FEATURES, GROUPS
from .hybrid import Hybrid
from .item_stats import ItemStats

TOP = 90  # percentile of the items sold from which an item is popular, or often tried
MORE = 1.5  # times its usual share from which an item is on the rise or in season
ALIKE = 0.25  # cosine of two texts above which they are similar
DUE = (0.8, 3.0)  # of the own interval: before it is too early, after it the habit is over
OFTEN = 3  # purchases from which there is an interval, or a kind is bought often
CODES: dict[str, tuple[str, ...]] = {  # code → names of its values
    "bought_before": ("times", "days_ago"), "reorder": ("every_days", "times", "days_ago", "due"),
    "bought_together": ("item_id", "name", "where"), "own_together": ("item_id", "name", "times"),
    "alike_orders": (), "alike_customers": (), "learned": ("where",),
    "similar": ("item_id", "name", "where"), "same_kind": ("item_id", "name"), "kind": ("times", "share"),
    "kind_together": ("where",), "popular": (), "rising": ("ratio",), "often_tried": (), "seasonal": ("ratio",),
    "weak_signals": (), "model": ("model",),
}  # fmt: skip


@dataclass(frozen=True)
class Reason:
    """A code of CODES with its values (plain JSON), for programs, and a sentence, for people."""

    code: str
    values: dict[str, Any]
    text: str


POPULAR = Reason("popular", {}, "popular at the moment")
WEAK = Reason("weak_signals", {}, "ranked by several weak signals")


def by_model(name: str) -> Reason:
    """For lists of a single model, which has no contributions."""
    return Reason("model", {"model": name}, f"ranked by {name}")


@dataclass(frozen=True)
class Explainer:
    """Turns contributions into reasons.

    ids, names  of the n items
    together    CSR (n, n): how much two items are bought together
    alike       CSR (n_texts, n_texts): how much two texts are alike
    text        int64 (n,): text of each item
    kind        int (n,): type of each item, -1 = unknown
    popular     bool (n,): among the most bought of the last 14 days
    tried       bool (n,): among those most bought for the first time in the last 84 days
    """

    ids: tuple[str, ...]
    names: tuple[str, ...]
    together: Csr
    alike: Csr
    text: Ints
    kind: np.ndarray
    popular: np.ndarray
    tried: np.ndarray

    @classmethod
    def of(cls, ids: tuple[str, ...], names: tuple[str, ...], models: BaseModels) -> "Explainer":
        knn, content, stats = models.scorers["item_knn"], models.scorers["content"], models.stats
        of_pairs = (knn.cosine_, content.alike_, content.text_)
        return cls(ids, names, *of_pairs, stats.levels[:, -1], often_bought(stats), often_tried(stats))

    def reasons(self, hybrid: Hybrid, ranked: Ranked, rows: np.ndarray, queries: Histories) -> list[Reason]:
        """One reason for each of `rows` of the ranked candidates; contributions are computed for these alone."""
        return self.reasons_of(hybrid.contributions(ranked.features[rows]), ranked, rows, queries)

    def reasons_of(self, moved: Floats, ranked: Ranked, rows: np.ndarray, queries: Histories) -> list[Reason]:
        """The same from contributions float (len(rows), len(FEATURES))."""
        found, x = ranked.candidates, ranked.features
        orders = voices_in_order(moved)
        about = (_Row.of(int(found.item[r]), int(found.query[r]), x[r], queries) for r in rows)
        return [self._first(order, row) for order, row in zip(orders, about, strict=True)]

    def _first(self, order: list[str], row: "_Row") -> Reason:
        said = (VOICES[voice][0](self, row) for voice in order)
        return next((reason for reason in said if reason), WEAK)

    def item(self, at: int | np.integer[Any]) -> dict[str, Any]:
        return {"item_id": self.ids[at], "name": self.names[at]}


def often_bought(stats: ItemStats) -> np.ndarray:
    """bool (n_items,): a share of the last 14 days' lines not below the TOP percentile of the items sold then."""
    sold = stats.recent[stats.recent > 0]
    return np.asarray(stats.recent >= (np.percentile(sold, TOP, method="lower") if len(sold) else np.inf))


def often_tried(stats: ItemStats) -> np.ndarray:
    """bool (n_items,): in the TOP percentile of first purchases, and twice the mean: a few say nothing."""
    least = np.percentile(stats.adoption, TOP, method="lower") if len(stats.adoption) else np.inf
    return np.asarray(stats.adoption >= max(least, 2 / max(len(stats.adoption), 1)))


def voices_in_order(moved: Floats) -> list[list[str]]:
    """Per row, the voices that raised the score: of the family that raised it most first, in a family as declared."""
    raised = (moved @ _OF_VOICE > 0).tolist()
    order = np.argsort(-(moved @ _OF_FAMILY), axis=1, kind="stable").tolist()
    return [[v for f in row for v, at in _BY_FAMILY[f] if up[at]] for row, up in zip(order, raised, strict=True)]


# --- voices: each says a fact of the row, or nothing


@dataclass(frozen=True)
class _Row:
    """One candidate: its features by name, and items (with orders counted back) of history and cart."""

    item: int
    x: dict[str, float]
    history: np.ndarray
    orders: np.ndarray
    cart: np.ndarray

    @classmethod
    def of(cls, item: int, query: int, x: Floats, queries: Histories) -> "_Row":
        lines = slice(queries.indptr[query], queries.indptr[query + 1])
        cart = queries.cart.indices[queries.cart.indptr[query] : queries.cart.indptr[query + 1]]
        values = dict(zip(FEATURES, x.tolist(), strict=True))
        return cls(item, values, queries.items[lines], queries.orders[lines], cart)

    def others(self, where: str) -> tuple[np.ndarray, str]:
        return (self.cart, "in your cart") if where == "cart" else (self.history, "which you bought")


Voice = Callable[[Explainer, _Row], Reason | None]


def strongest(matrix: Csr, row: int, columns: np.ndarray, least: float = 0) -> int | None:
    """Place in `columns` of the largest value in `row`; None where none is above `least`."""
    if not len(columns):
        return None
    span = slice(matrix.indptr[row], matrix.indptr[row + 1])
    dense = np.zeros(matrix.shape[1], np.float32)
    dense[matrix.indices[span]] = matrix.data[span]
    values = dense[columns]
    at = int(values.argmax())
    return at if values[at] > least else None


def _bought_before(_: Explainer, row: _Row) -> Reason | None:
    times = round(row.x["own_count"])
    if times < 1:
        return None
    days, how = round(row.x["own_age"]), "once" if times == 1 else f"{times} times"
    return Reason("bought_before", {"times": times, "days_ago": days}, f"you bought it {how}, last {_ago(days)}")


def _reorder(_: Explainer, row: _Row) -> Reason | None:
    times, every, due = round(row.x["own_count"]), row.x["own_interval"], row.x["own_due"]
    if times < OFTEN or not every >= 0.5:  # several orders of one day are no rhythm
        return None
    days = max(1, round(every))
    rhythm = "every day" if days == 1 else f"every {days} days"
    is_due = DUE[0] <= due <= DUE[1]
    says = f"you used to buy it about {rhythm}" if due > DUE[1] else f"you buy it about {rhythm}"
    values = {"every_days": days, "times": times, "days_ago": round(row.x["own_age"]), "due": is_due}
    return Reason("reorder", values, f"{says}, and it is due" if is_due else says)


def _bought_together(where: str, by: Explainer, row: _Row) -> Reason | None:
    others, place = row.others(where)
    at = strongest(by.together, row.item, others)
    if at is None:
        return None
    other = by.item(others[at]) | {"where": where}
    return Reason("bought_together", other, f"often bought with {other['name']}, {place}")


def _own_together(by: Explainer, row: _Row) -> Reason | None:
    """The item of the cart that lay in most of the own orders with the item."""
    with_it = row.orders[row.history == row.item]
    if not (len(with_it) and len(row.cart)):
        return None
    mine = np.isin(row.orders, with_it)
    beside, times = np.unique(row.history[mine & np.isin(row.history, row.cart)], return_counts=True)
    if not len(beside):
        return None
    at = int(times.argmax())
    other, n = by.item(beside[at]), int(times[at])
    how = "once" if n == 1 else f"{n} times"
    return Reason("own_together", other | {"times": n}, f"you bought it {how} with {other['name']}, in your cart")


def _alike_orders(_: Explainer, row: _Row) -> Reason | None:
    return Reason("alike_orders", {}, "bought in orders like your cart") if row.x["basket_knn"] > 0 else None


def _alike_customers(_: Explainer, row: _Row) -> Reason | None:
    says = "customers with purchases like yours buy it"
    return Reason("alike_customers", {}, says) if row.x["user_knn"] > 0 else None


def _learned(_: Explainer, row: _Row) -> Reason | None:
    """Factors have no neighbours to name; they speak where the item is among the highest of their list."""
    if not row.x["als_rank"] >= 1:
        return None
    where, fits = ("history", "your purchases") if len(row.history) else ("cart", "your cart")
    return Reason("learned", {"where": where}, f"fits {fits}, as learned from all orders")


def _similar(where: str, by: Explainer, row: _Row) -> Reason | None:
    others, place = row.others(where)
    others = others[others != row.item]
    at = strongest(by.alike, int(by.text[row.item]), by.text[others], ALIKE)
    if at is None:
        return None
    other = by.item(others[at]) | {"where": where}
    return Reason("similar", other, f"similar to {other['name']}, {place}")


def _kind_of_cart(by: Explainer, row: _Row) -> Reason | None:
    kind = by.kind[row.item]
    same = row.cart[by.kind[row.cart] == kind]
    if kind >= 0 and len(same):
        other = by.item(same[0])
        return Reason("same_kind", other, f"of the same kind as {other['name']}, in your cart")
    if row.x["type_knn_cart"] > 0:
        return Reason("kind_together", {"where": "cart"}, "of a kind that is bought with what is in your cart")
    return None


def _kind_of_history(by: Explainer, row: _Row) -> Reason | None:
    kind = by.kind[row.item]
    times = int((by.kind[row.history] == kind).sum()) if kind >= 0 else 0
    if times:
        values = {"times": times, "share": round(times / len(row.history), 4)}
        often = "of a kind that you often buy" if times >= OFTEN else "of a kind that you bought before"
        return Reason("kind", values, often)
    if row.x["type_knn_history"] > 0:
        return Reason("kind_together", {"where": "history"}, "of a kind that is bought with what you buy")
    return None


def _popular(by: Explainer, row: _Row) -> Reason | None:
    return POPULAR if by.popular[row.item] else None


def _rising(_: Explainer, row: _Row) -> Reason | None:
    return _more("rising", row.x["item_rise"], "on the rise: bought more in the last 14 days than before")


def _often_tried(by: Explainer, row: _Row) -> Reason | None:
    return (
        Reason("often_tried", {}, "many customers bought it for the first time lately") if by.tried[row.item] else None
    )


def _seasonal(_: Explainer, row: _Row) -> Reason | None:
    return _more("seasonal", row.x["item_season"], "in season: bought more at this time of last year")


def _more(code: str, ratio: float, text: str) -> Reason | None:
    return Reason(code, {"ratio": round(ratio, 2)}, text) if ratio >= MORE else None


def _ago(days: int) -> str:
    return "today" if days <= 0 else "yesterday" if days == 1 else f"{days} days ago"


# Voice → what it says, its group, the sources and features it speaks for (none: those that no other voice of the group
# names). In a family the plainest statement comes first. Price and context have no voice: nobody would see a reason.
VOICES: dict[str, tuple[Voice, str, tuple[str, ...]]] = {
    "rhythm": (_reorder, "rhythm", ()),
    "habit": (_bought_before, "habit", ()),
    "history": (partial(_bought_together, "history"), "co_purchase", ()),
    "customers": (_alike_customers, "collaborative", ("user_knn",)),
    "factors": (_learned, "collaborative", ()),
    "own_orders": (_own_together, "cart", ("own_overlap", "own_together")),
    "cart": (partial(_bought_together, "cart"), "cart", ()),
    "orders": (_alike_orders, "cart", ("basket_knn",)),
    "cart_kind": (_kind_of_cart, "cart", ("type_knn_cart", "cart_type", "cart_category")),
    "like_cart": (partial(_similar, "cart"), "content", ("content_cart",)),
    "like_history": (partial(_similar, "history"), "content", ()),
    "kind": (_kind_of_history, "category", ()),
    "popular": (_popular, "popularity", ()),
    "rising": (_rising, "popularity", ("item_rise", "item_trend")),
    "seasonal": (_seasonal, "popularity", ("item_season",)),
    "tried": (_often_tried, "popularity", ("item_adoption",)),
}
PAST = ("habit", "rhythm")  # one family: both speak of the customer's own purchases of the item
FAMILIES = (PAST, *((g,) for g in dict.fromkeys(of[1] for of in VOICES.values()) if g not in PAST))


def voice_features() -> dict[str, tuple[str, ...]]:
    """Voice → features whose contributions it speaks for."""
    voice_of = {(group, name): voice for voice, (_, group, names) in VOICES.items() for name in names or [""]}
    out: dict[str, list[str]] = {voice: [] for voice in VOICES}
    for group in {group for _, group, _ in VOICES.values()}:
        for feature in GROUPS[group]:
            out[voice_of.get((group, _stem(feature))) or voice_of[group, ""]].append(feature)
    return {voice: tuple(names) for voice, names in out.items()}


def _stem(feature: str) -> str:
    """Source of a score, of its rank and of its share of the best; any other feature is its own."""
    return feature.removesuffix("_rank").removesuffix("_of_best")


def _members(of: Iterable[Iterable[str]]) -> Floats:
    """(len(FEATURES), number of sets): 1 where the set holds the feature."""
    sets = [set(names) for names in of]
    return np.array([[name in names for names in sets] for name in FEATURES], float)


_OF_VOICE = _members(voice_features().values())
_OF_FAMILY = _members([name for group in family for name in GROUPS[group]] for family in FAMILIES)
_BY_FAMILY = [[(v, at) for at, v in enumerate(VOICES) if VOICES[v][1] in family] for family in FAMILIES]
