"""Why an item is on the list: the feature group that moved its score most and that has something to say.

Contributions are LightGBM's own (Lundberg et al. 2018, TreeSHAP), summed over the features of a group.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.histories import Csr, Floats, Histories
from .blend import Ranked
from .features import FEATURES, GROUPS
from .hybrid import Hybrid

SPEAKING = tuple(name for name in GROUPS if name not in ("price", "context"))
AT = {name: place for place, name in enumerate(FEATURES)}


@dataclass(frozen=True)
class Reason:
    """A code with its values, for programs, and a sentence, for people."""

    code: str
    values: dict[str, Any]
    text: str


def group_contributions(hybrid: Hybrid, x: Floats) -> Floats:
    """float64 (m, len(SPEAKING)): what each group added to the score of a row, by the booster that reads best."""
    if not len(x):  # LightGBM divides by the number of rows
        return np.zeros((0, len(SPEAKING)))
    booster = hybrid.boosters.get("binary") or next(iter(hybrid.boosters.values()))
    shap = np.asarray(booster.predict(x[:, hybrid.columns], pred_contrib=True, num_threads=1))[:, :-1]
    group_of = {AT[name]: g for g, group in enumerate(SPEAKING) for name in GROUPS[group]}
    out = np.zeros((len(x), len(SPEAKING)))
    for column, place in enumerate(hybrid.columns):
        if place in group_of:
            out[:, group_of[place]] += shap[:, column]
    return out


@dataclass(frozen=True)
class Explainer:
    """Turns contributions into reasons; needs the item names and the co-purchase and text neighbours."""

    names: tuple[str, ...]
    together: Csr  # (n_items, n_items): how much two items are bought together
    alike: Csr  # (n_texts, n_texts): how much two texts are alike
    text: np.ndarray  # int64 (n_items,): text of each item

    def reasons(self, hybrid: Hybrid, ranked: Ranked, rows: np.ndarray, queries: Histories) -> list[Reason]:
        """One reason for each of `rows` of the ranked candidates."""
        x = ranked.features[rows]
        moved = group_contributions(hybrid, x)
        out = []
        for at, row in enumerate(rows):
            query, item = int(ranked.candidates.query[row]), int(ranked.candidates.item[row])
            values = dict(zip(FEATURES, x[at], strict=True))
            order = [SPEAKING[g] for g in np.argsort(-moved[at], kind="stable") if moved[at, g] > 0]
            found = (self._say(group, values, item, query, queries) for group in order)
            out.append(next((reason for reason in found if reason), POPULAR))
        return out

    def _say(self, group: str, values: dict[str, float], item: int, query: int, queries: Histories) -> Reason | None:
        if group == "cart":
            return self._bought_with(item, queries.cart[query].indices, "in your cart")
        if group == "co_purchase":
            return self._bought_with(item, _items_of(queries, query), "which you buy")
        if group == "content":
            cart = queries.cart[query].indices
            return self._similar(item, cart if len(cart) else _items_of(queries, query))
        if group == "popularity":
            return POPULAR
        return _of_customer(group, values)

    def _bought_with(self, item: int, others: np.ndarray, where: str) -> Reason | None:
        strength = self.together[item].toarray()[0, others]
        if not len(others) or strength.max() <= 0:
            return None
        other = int(others[strength.argmax()])
        name = self.names[other]
        return Reason("bought_together", {"item": other, "name": name}, f"often bought with {name}, {where}")

    def _similar(self, item: int, others: np.ndarray) -> Reason | None:
        others = others[others != item]
        strength = self.alike[self.text[item]].toarray()[0, self.text[others]]
        if not len(others) or strength.max() <= 0:
            return None
        other = int(others[strength.argmax()])
        return Reason("similar", {"item": other, "name": self.names[other]}, f"similar to {self.names[other]}")


POPULAR = Reason("popular", {}, "popular at the moment")


def _items_of(queries: Histories, query: int) -> np.ndarray:
    return np.asarray(queries.items[queries.indptr[query] : queries.indptr[query + 1]])


def _of_customer(group: str, values: dict[str, float]) -> Reason | None:
    times = round(float(values["own_count"]))
    if group == "habit" and times >= 1:
        days = round(float(values["own_age"]))
        how = "once" if times == 1 else f"{times} times"
        return Reason("bought_before", {"times": times, "days_ago": days}, f"you bought it {how}, last {_ago(days)}")
    if group == "rhythm" and times >= 3:
        every = max(1, round(float(values["own_interval"])))
        return Reason("reorder", {"every_days": every}, f"you buy it about every {every} days")
    if group == "collaborative":
        return Reason("alike_customers", {}, "customers with purchases like yours buy it")
    if group == "category" and values["type_share"] > 0:
        share = round(float(values["type_share"]), 4)
        return Reason("category", {"share": share}, "of a kind that you often buy")
    return None


def _ago(days: int) -> str:
    return "today" if days <= 0 else "yesterday" if days == 1 else f"{days} days ago"
