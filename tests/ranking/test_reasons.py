"""Every reason is true of its row, comes from what raised its score, and is plain JSON as the docs list it."""

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from recsys.data.histories import Histories, carts, empty_histories
from recsys.ranking.blend import Ranked, lists, rank
from recsys.ranking.candidates import Candidates
from recsys.ranking.features import FEATURES, GROUPS
from recsys.ranking.reasons import CODES, POPULAR, VOICES, Explainer, by_model, voice_features

AT = {name: place for place, name in enumerate(FEATURES)}


def table() -> dict[str, tuple[list[str], str]]:
    """Code → names of values and example of the table of the docs."""
    text = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
    part = text[text.index("## Reasons") : text.index("## Errors")]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \| ([^|]*) \|", part, re.MULTILINE)
    return {code: (re.findall(r"`(\w+)`", values), example.strip()) for code, values, example in rows}


@dataclass(frozen=True)
class Listed:
    """A block of queries with its candidates and the rows that are on its lists."""

    queries: Histories
    ranked: Ranked
    rows: np.ndarray

    def pairs(self):
        found = self.ranked.candidates
        return zip(self.rows, found.query[self.rows].tolist(), found.item[self.rows].tolist(), strict=True)


@pytest.fixture(scope="module")
def listed(small_shop, fitted):
    """Fifty queries of both tasks, and those of the cart task as strangers."""
    asked = {task: queries.histories.take(slice(0, 50)) for task, queries in small_shop.tasks.items()}
    cart = asked["cart"]
    asked["strangers"] = empty_histories(len(cart), cart.n_items).with_cart(cart.cart)
    return {task: listed_rows(fitted, queries) for task, queries in asked.items()}


def listed_rows(fitted, queries: Histories) -> Listed:
    ranked = rank(fitted.models, fitted.hybrid, queries)
    best, _ = lists(ranked, len(queries), 10)
    on = np.zeros(queries.cart.shape, bool)
    row, place = np.nonzero(best >= 0)
    on[row, best[row, place]] = True
    return Listed(queries, ranked, np.flatnonzero(on[ranked.candidates.query, ranked.candidates.item]))


@pytest.fixture(scope="module")
def explainer(small_shop, fitted):
    return Explainer.of(small_shop.data.items.ids, small_shop.data.facts.names, fitted.models)


# --- truth: what a reason states, looked up in the orders by themselves


class Oracle:
    """Plain look-ups in orders, histories and catalog; no model but for neighbours in text."""

    def __init__(self, data, models):
        self.data, self.models = data, models
        self.orders = data.orders.toarray() > 0
        self.bought = data.histories.last_age.toarray() > 0
        self.place = {name: at for at, name in enumerate(data.items.ids)}

    def ask(self, queries, query, item, x, reason):
        """Whether the reason is true; AttributeError for a code that nobody checks."""
        lines = slice(queries.indptr[query], queries.indptr[query + 1])
        self.items, self.back, self.ages = queries.items[lines], queries.orders[lines], queries.ages[lines]
        self.cart, self.item, self.x, self.values = set(queries.cart[query].indices.tolist()), item, x, reason.values
        if "item_id" in self.values:
            self.other = self.place[self.values["item_id"]]
            assert self.values["name"] == self.data.facts.names[self.other]
            assert self.other != item
        return getattr(self, reason.code)()

    @property
    def mine(self):
        return self.ages[self.items == self.item]

    def of(self):
        """Items of the place that the reason names."""
        return self.cart if self.values["where"] == "cart" else set(self.items.tolist())

    def joint(self, a, b):
        return int((self.orders[:, a] & self.orders[:, b]).sum())

    def bought_before(self):
        return self.values == {"times": len(self.mine), "days_ago": round(float(self.mine.min()))}

    def reorder(self):
        gap = (self.mine.max() - self.mine.min()) / (len(self.mine) - 1)
        due = 0.8 <= self.mine.min() / gap <= 3
        return len(self.mine) >= 3 and abs(self.values["every_days"] - gap) <= 0.51 and self.values["due"] == due

    def bought_together(self):
        return self.other in self.of() and self.joint(self.item, self.other) >= 2

    def own_together(self):
        orders = [set(self.items[self.back == o].tolist()) for o in set(self.back.tolist())]
        return self.other in self.cart and sum({self.item, self.other} <= o for o in orders) == self.values["times"] > 0

    def alike_customers(self):
        shared = self.bought[:, sorted(set(self.items.tolist()))].sum(axis=1) * self.bought[:, self.item]
        return (shared > 0).sum() > (len(self.mine) > 0)  # the customer's own row does not count

    def alike_orders(self):
        return any(self.joint(self.item, other) for other in self.cart)

    def learned(self):
        return self.x[AT["als_rank"]] >= 1 and len(self.of()) > 0

    def similar(self):
        vectors = self.models["content"].vectors()
        return self.other in self.of() and float((vectors[self.item] @ vectors[self.other].T).toarray()[0, 0]) > 0.25

    def kinds(self, items):
        return [self.data.facts.levels[i, 2] for i in items]

    def kind_together(self):
        kind = self.data.facts.levels[:, 2]
        with_mine = self.orders[:, kind == kind[self.item]].any(axis=1)
        return any((with_mine & self.orders[:, kind == k].any(axis=1)).any() for k in self.kinds(self.of()) if k >= 0)

    def same_kind(self):
        return self.other in self.cart and self.kinds([self.other]) == self.kinds([self.item]) != [-1]

    def kind(self):
        times = self.kinds(self.items).count(self.kinds([self.item])[0])
        return self.values == {"times": times, "share": round(times / len(self.items), 4)} and times > 0

    def sold(self, newest, oldest):
        within = (self.data.order_ages >= newest) & (self.data.order_ages < oldest)
        lines = self.orders[within].sum(axis=0)
        return lines, lines / lines.sum()

    def popular(self):
        lines, _ = self.sold(0, 14)
        return (lines > lines[self.item]).sum() <= 0.1 * (lines > 0).sum() + 1

    def rising(self):
        return self.sold(0, 14)[1][self.item] > self.sold(0, 84)[1][self.item]

    def seasonal(self):
        return self.sold(337, 365)[1][self.item] > self.sold(0, 365)[1][self.item]

    def often_tried(self):
        first = self.data.histories.first_age.tocoo()
        begun = np.bincount(first.col[first.data < 84], minlength=len(self.place))
        return (begun > begun[self.item]).sum() <= 0.1 * len(begun) + 1 and begun[self.item] > begun.mean()

    def weak_signals(self):
        return True


@pytest.mark.parametrize("task", ["next_basket", "cart", "strangers"])
def test_every_reason_is_true(listed, explainer, small_shop, fitted, task):
    block, oracle = listed[task], Oracle(small_shop.data, fitted.models)
    said = explainer.reasons(fitted.hybrid, block.ranked, block.rows, block.queries)
    assert len(said) == len(block.rows) > 0
    for (row, query, item), reason in zip(block.pairs(), said, strict=True):
        assert oracle.ask(block.queries, query, item, block.ranked.features[row], reason), reason
        assert set(reason.values) == set(CODES[reason.code])
        assert json.loads(json.dumps(reason.values)) == reason.values


@pytest.mark.parametrize("voice", VOICES)
def test_whatever_the_contributions_a_voice_says_the_truth(listed, explainer, small_shop, fitted, voice):
    """Contributions that push one voice alone: it says what is true of the row, or nothing."""
    oracle, spoke = Oracle(small_shop.data, fitted.models), Counter()
    for block in listed.values():
        moved = only(voice, len(block.rows))
        said = explainer.reasons_of(moved, block.ranked, block.rows, block.queries)
        for (row, query, item), reason in zip(block.pairs(), said, strict=True):
            assert oracle.ask(block.queries, query, item, block.ranked.features[row], reason), reason
            spoke[reason.code] += 1
    assert voice == "seasonal" or spoke.total() > spoke["weak_signals"]  # the shop is younger than a year


def only(voice, n):
    """Contributions of n rows: 1 for each feature of the voice."""
    moved = np.zeros((n, len(FEATURES)))
    moved[:, [AT[name] for name in voice_features()[voice]]] = 1
    return moved


# --- contributions decide


def test_every_feature_has_one_voice_but_for_price_and_context():
    named = [name for names in voice_features().values() for name in names]
    spoken = [name for group, names in GROUPS.items() if group not in ("price", "context") for name in names]
    assert sorted(named) == sorted(spoken)
    assert all(voice_features().values())


def test_contributions_are_what_the_booster_adds_up(listed, fitted):
    x = listed["cart"].ranked.features[:20]
    moved = fitted.hybrid.contributions(x)
    raw = fitted.hybrid.output(fitted.hybrid.reader, x)
    expected = raw - moved.sum(axis=1)
    np.testing.assert_allclose(expected, expected[0], atol=5e-6)  # the same expected score for all
    assert fitted.hybrid.contributions(x[:0]).shape == (0, len(FEATURES))


@pytest.mark.parametrize("task", ["next_basket", "cart"])
def test_a_group_without_contribution_is_not_named(listed, explainer, fitted, task):
    block = listed[task]
    moved = fitted.hybrid.contributions(block.ranked.features[block.rows])
    before = Counter(r.code for r in explainer.reasons_of(moved, block.ranked, block.rows, block.queries))
    past, others = GROUPS["habit"] + GROUPS["rhythm"], GROUPS["collaborative"]
    for features, codes in ((past, ("bought_before", "reorder")), (others, ("alike_customers", "learned"))):
        changed = moved.copy()
        changed[:, [AT[name] for name in features]] = 0
        after = Counter(r.code for r in explainer.reasons_of(changed, block.ranked, block.rows, block.queries))
        assert sum(before[code] for code in codes) > 0 == sum(after[code] for code in codes)


def test_without_any_rise_the_fallback_speaks(listed, explainer):
    block = listed["cart"]
    moved = -np.ones((len(block.rows), len(FEATURES)))
    said = explainer.reasons_of(moved, block.ranked, block.rows, block.queries)
    assert {reason.code for reason in said} == {"weak_signals"}


def test_alone_as_in_a_block(listed, explainer, fitted):
    block = listed["cart"]
    whole = explainer.reasons(fitted.hybrid, block.ranked, block.rows, block.queries)
    for at in range(0, 60, 7):
        alone = explainer.reasons(fitted.hybrid, block.ranked, block.rows[at : at + 1], block.queries)
        assert alone == whole[at : at + 1]
    assert explainer.reasons(fitted.hybrid, block.ranked, block.rows[:0], block.queries) == []


# --- planted: milk 0, bread 1, tea 2, oats 3; milk goes with bread, and reads like oats

N = 4
PAIR = {"item_id": "i1", "name": "Bread"}
PLANTED = [  # code, voice, lines (item, order, age), cart, features, values, sentence where the docs show another
    ("bought_before", "habit", [(0, 0, 12)], [], {"own_count": 1, "own_age": 12}, {"times": 1, "days_ago": 12},
     "you bought it once, last 12 days ago"),
    ("bought_before", "habit", [], [], {"own_count": 3, "own_age": 12.2}, {"times": 3, "days_ago": 12}, ""),
    ("reorder", "rhythm", [], [], {"own_count": 3, "own_age": 13, "own_interval": 14.4, "own_due": 0.9},
     {"every_days": 14, "times": 3, "days_ago": 13, "due": True}, ""),
    ("reorder", "rhythm", [], [], {"own_count": 3, "own_age": 1, "own_interval": 1, "own_due": 0.79},
     {"every_days": 1, "times": 3, "days_ago": 1, "due": False}, "you buy it about every day"),
    ("reorder", "rhythm", [], [], {"own_count": 3, "own_age": 31, "own_interval": 10, "own_due": 3.1},
     {"every_days": 10, "times": 3, "days_ago": 31, "due": False}, "you used to buy it about every 10 days"),
    ("bought_together", "cart", [], [3, 1], {}, PAIR | {"where": "cart"}, ""),
    ("bought_together", "history", [(1, 0, 5)], [], {}, PAIR | {"where": "history"},
     "often bought with Bread, which you bought"),
    ("own_together", "own_orders", [(0, 1, 9), (1, 1, 9), (0, 0, 2), (1, 0, 2)], [1], {}, PAIR | {"times": 2}, ""),
    ("alike_orders", "orders", [], [1], {"basket_knn": 0.1}, {}, ""),
    ("alike_customers", "customers", [(1, 0, 5)], [], {"user_knn": 0.1}, {}, ""),
    ("learned", "factors", [(1, 0, 5)], [], {"als_rank": 7}, {"where": "history"}, ""),
    ("learned", "factors", [], [1], {"als_rank": 7}, {"where": "cart"}, "fits your cart, as learned from all orders"),
    ("similar", "like_cart", [], [1, 3], {}, {"item_id": "i3", "name": "Oats", "where": "cart"}, ""),
    ("same_kind", "cart_kind", [], [1, 3], {}, {"item_id": "i3", "name": "Oats"}, ""),
    ("kind", "kind", [(3, 2, 9), (3, 1, 5), (3, 0, 2), (1, 0, 2)], [], {}, {"times": 3, "share": 0.75}, ""),
    ("kind", "kind", [(3, 0, 2)], [], {}, {"times": 1, "share": 1.0}, "of a kind that you bought before"),
    ("kind_together", "cart_kind", [], [1], {"type_knn_cart": 0.1}, {"where": "cart"}, ""),
    ("kind_together", "kind", [(1, 0, 2)], [], {"type_knn_history": 0.1}, {"where": "history"},
     "of a kind that is bought with what you buy"),
    ("popular", "popular", [], [], {}, {}, ""),
    ("rising", "rising", [], [], {"item_rise": 1.8}, {"ratio": 1.8}, ""),
    ("often_tried", "tried", [], [], {}, {}, ""),
    ("seasonal", "seasonal", [], [], {"item_season": 2.0}, {"ratio": 2.0}, ""),
    ("weak_signals", "seasonal", [], [], {"item_season": 1.49}, {}, ""),
    ("weak_signals", "seasonal", [], [], {"item_season": np.nan}, {}, ""),
    ("weak_signals", "rhythm", [], [], {"own_count": 2, "own_interval": 14, "own_due": 1}, {}, ""),
    ("weak_signals", "rhythm", [], [], {"own_count": 3, "own_interval": 0, "own_due": 1}, {}, ""),
    ("weak_signals", "habit", [], [], {"own_count": 0, "tifu_knn": 1}, {}, ""),
    ("weak_signals", "customers", [], [], {"user_knn": 0, "own_count": 1}, {}, ""),
    ("weak_signals", "cart", [(1, 0, 5)], [2, 3], {"item_knn_cart": 1}, {}, ""),
    ("weak_signals", "own_orders", [(0, 1, 9), (1, 0, 2)], [1], {"own_overlap": 1}, {}, ""),
    ("weak_signals", "factors", [(1, 0, 5)], [], {"als": 1, "als_rank": 0}, {}, ""),
    ("weak_signals", "like_history", [(0, 1, 9), (1, 0, 2)], [], {"content_history": 1}, {}, ""),
]  # fmt: skip


@pytest.fixture(scope="module")
def by_hand():
    """Explainer of four items whose pairs are written down here."""
    together = np.zeros((N, N), np.float32)
    together[0, 1] = 0.3
    alike = np.eye(N, dtype=np.float32)
    alike[0, 3], alike[0, 1] = 0.5, 0.2
    first = np.arange(N) == 0
    ids, names = tuple(f"i{at}" for at in range(N)), ("Milk", "Bread", "Tea", "Oats")
    pairs = (sp.csr_matrix(together), sp.csr_matrix(alike))
    return Explainer(ids, names, *pairs, np.arange(N), np.array([0, 1, -1, 0]), first, first)


@pytest.mark.parametrize("planted", PLANTED, ids=lambda p: f"{p[1]}-{p[0]}")
def test_planted(by_hand, planted):
    code, voice, lines, cart, known, values, text = planted
    item, order, age = np.array(lines or np.zeros((0, 3))).T
    queries = Histories(
        np.array([0, len(lines)]), item.astype(np.int32), order.astype(np.int32), age.astype(np.float32),
        np.ones(len(lines), np.float32), carts([np.array(cart, np.int64)], N), np.array([-1]),
    )  # fmt: skip
    x = np.full((1, len(FEATURES)), np.nan, np.float32)
    for name, value in known.items():
        x[0, AT[name]] = value
    none = np.zeros(1, np.int64)
    ranked = Ranked(Candidates(none, none, {}, {}, {}), x, np.zeros(1), np.zeros(1))
    [reason] = by_hand.reasons_of(only(voice, 1), ranked, none, queries)
    assert (reason.code, reason.text) == (code, text or table()[code][1])
    assert {k: pytest.approx(v) if isinstance(v, float) else v for k, v in values.items()} == reason.values


def test_popular_and_tried_items(explainer, fitted):
    recent = fitted.models.stats.recent
    assert 0.1 <= explainer.popular.sum() / (recent > 0).sum() <= 0.3  # ties at the edge count as popular
    assert recent[explainer.popular].min() > recent[~explainer.popular].max()
    assert 0 < explainer.tried.mean() <= 0.3


def test_the_table_of_reasons_is_the_codes_own():
    assert {code: tuple(values) for code, (values, _) in table().items()} == CODES
    assert list(table()) == list(CODES)
    assert set(CODES) - set(vars(Oracle)) == {"model"}
    assert set(CODES) == {planted[0] for planted in PLANTED} | {"model"}
    assert table()["model"][1] == by_model("als").text
    assert table()["popular"][1] == POPULAR.text
