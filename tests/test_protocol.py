"""The held-out protocol once more, slowly and in plain Python: equal queries, equal lists' worth, equal metrics."""

import hashlib
import math
from collections import Counter, defaultdict

import numpy as np
import pytest

from recsys.data.interactions import lines_before, train_data
from recsys.data.splits import SplitOptions, asked_orders, both_tasks, moments
from recsys.evaluation.protocols import contender_lists, per_query
from recsys.models.als import Als
from recsys.models.item_knn import ItemKnn
from recsys.models.user_knn import UserKnn
from recsys.ranking.base_models import BaseModels, ModelOptions
from recsys.ranking.blend import BLOCK

DAY = 86_400
MIN_ORDERS, POPULAR_DAYS, HALF_LIFE, SHRINK, NEIGHBOURS = 5, 84, 60, 20, 15
KS = (3, 10)
CHECKED = ("popularity", "frequency", "item_knn", "user_knn")


class Slow:
    """The protocol over a list of lines, one query and one item at a time."""

    def __init__(self, orders, cut, end):
        known = [row for row in orders.iter_rows(named=True) if self.remains(row, cut)]
        sold = Counter(row["item_id"] for row in known)
        self.items = sorted(item for item, n in sold.items() if n >= MIN_ORDERS)
        self.sold = sold
        past = [row for row in known if row["item_id"] in set(self.items)]
        self.baskets = defaultdict(set)
        self.decayed = defaultdict(lambda: defaultdict(float))
        recent = Counter()
        for row in past:
            age = (cut - row["ordered_at"]).total_seconds() / DAY
            self.baskets[row["order_id"]].add(row["item_id"])
            recent[row["item_id"]] += age < POPULAR_DAYS
            if row["customer_id"] is not None:
                self.decayed[row["customer_id"]][row["item_id"]] += 0.5 ** (age / HALF_LIFE)
        self.popularity = {item: recent[item] / sum(recent.values()) for item in self.items}
        self.together = Counter()
        for basket in self.baskets.values():
            self.together.update((a, b) for a in basket for b in basket if a != b)
        self.asked = self.ask([row for row in orders.iter_rows(named=True) if cut <= row["ordered_at"] < end])

    @staticmethod
    def remains(row, cut):
        """Ordered before the cut, and not all of it back by then."""
        back = row["returned_quantity"] if row["returned_at"] is not None and row["returned_at"] < cut else 0
        return row["ordered_at"] < cut and row["quantity"] > back

    def ask(self, window):
        """[(customer, order, items in the order of their hash)]: the first order with two known items."""
        orders = defaultdict(list)
        for row in window:
            if row["customer_id"] in self.decayed and row["item_id"] in set(self.items):
                orders[row["customer_id"], row["ordered_at"], row["order_id"]].append(row["item_id"])
        first = {}
        for (customer, _, order), items in sorted(orders.items(), key=lambda pair: pair[0]):
            if len(items) >= 2 and customer not in first:
                digest = {i: hashlib.blake2b(f"{order}|{i}".encode(), digest_size=8).digest() for i in items}
                first[customer] = (customer, order, sorted(items, key=digest.get))
        return list(first.values())

    def score(self, model, customer, visible):
        """Item → score."""
        own = self.decayed[customer]
        if model == "popularity":
            return self.popularity
        if model == "frequency":
            return {i: own.get(i, 0) + self.popularity[i] for i in self.items}
        if model == "item_knn":
            source = dict.fromkeys(visible, 1.0) or own
            return {i: sum(w * self.cosine(j, i) for j, w in source.items()) for i in self.items}
        near = sorted((-self.alike(customer, c), c) for c in self.decayed if c != customer)[:NEIGHBOURS]
        return {i: sum(s**2 * self.decayed[c].get(i, 0) for s, c in near) for i in self.items}

    def cosine(self, a, b):
        return self.together[a, b] / math.sqrt((self.sold[a] + SHRINK) * (self.sold[b] + SHRINK))

    def alike(self, a, b):
        a, b = self.decayed[a], self.decayed[b]
        dot = sum(w * b[i] for i, w in a.items() if i in b)
        return dot / math.sqrt(sum(w * w for w in a.values()) * sum(w * w for w in b.values()))

    def metrics(self, model, customer, visible, relevant):
        """(segment, metric, k) → value; segments without a relevant item are left out."""
        scores = self.score(model, customer, visible)
        out = {}
        for segment in ("all", "repeat", "new"):
            inside = {
                i for i in self.items if segment == "all" or (i in self.decayed[customer]) == (segment == "repeat")
            }
            wanted = {i for i in relevant if i in inside}
            listed = sorted(inside - set(visible), key=lambda i: (-scores[i], i))
            for k in KS if wanted else ():
                hits = [i in wanted for i in listed[:k]]
                gain = [1 / math.log2(rank + 2) for rank in range(k)]
                out[segment, "recall", k] = sum(hits) / len(wanted)
                out[segment, "hit_rate", k] = float(any(hits))
                dcg = sum(g for g, hit in zip(gain, hits, strict=False) if hit)
                out[segment, "ndcg", k] = dcg / sum(gain[: min(k, len(wanted))])
        return out


@pytest.fixture(scope="module")
def slow(small_shop):
    return Slow(small_shop.orders, small_shop.test.at, small_shop.test.until)


@pytest.fixture(scope="module")
def judged(small_shop, fitted):
    """Lists and per-query values of the pipeline, with the hyperparameters of the slow twin."""
    options = ModelOptions(
        item_knn=ItemKnn(min_joint=1), user_knn=UserKnn(k=NEIGHBOURS), als=Als(factors=4, iterations=1)
    )
    models = BaseModels.fit(small_shop.data, options)
    lists = contender_lists(models, fitted.hybrid, small_shop.tasks, max(KS))
    return lists, per_query(lists, small_shop.tasks, KS, models.stats.share, models["content"].vectors())


def test_queries_are_equal(slow, small_shop):
    assert small_shop.data.items.ids == tuple(slow.items)
    assert set(small_shop.data.customers.ids) == set(slow.decayed)
    found = [(c, o, items) for c, o, items in small_shop.asked.iter_rows()]
    assert found == sorted(slow.asked)
    assert len(found) > BLOCK  # more than one block is judged


def test_the_shop_puts_the_protocol_to_the_test(slow, small_shop):
    """What the oracle must tell apart does occur here."""
    orders, cut = small_shop.orders, small_shop.test.at
    gone = [r for r in orders.iter_rows(named=True) if r["ordered_at"] < cut and not slow.remains(r, cut)]
    later = orders.filter((orders["returned_at"] >= cut) & (orders["ordered_at"] < cut))
    assert gone
    assert later.height
    assert len(slow.items) < orders["item_id"].n_unique()
    assert orders["customer_id"].null_count()


def test_visible_is_the_first_half(slow, small_shop):
    ids = small_shop.data.items.ids
    for task, queries in small_shop.tasks.items():
        for row, (_, order, items) in enumerate(sorted(slow.asked)):
            n = max(1, len(items) // 2) if task == "cart" else 0
            assert queries.orders[row] == order
            assert {ids[i] for i in queries.histories.cart[row].indices} == set(items[:n])
            assert {ids[i] for i in queries.relevant[row].indices} == set(items[n:])


@pytest.mark.parametrize("task", ["next_basket", "cart"])
@pytest.mark.parametrize("model", CHECKED)
def test_metrics_are_equal(slow, judged, model, task):
    table = judged[1]
    asked = sorted(slow.asked)
    expected = []
    for customer, _, items in asked:
        n = max(1, len(items) // 2) if task == "cart" else 0
        expected.append(slow.metrics(model, customer, items[:n], items[n:]))
    for segment in ("all", "repeat", "new"):
        for metric in ("recall", "hit_rate", "ndcg"):
            for k in KS:
                values = table.of(model, task, segment, metric, k)
                wanted = [e.get((segment, metric, k), math.nan) for e in expected]
                np.testing.assert_allclose(values, wanted, rtol=1e-9, err_msg=f"{segment} {metric} {k}")
    assert 0 < np.nanmean(table.of(model, task, "all", "recall", 10)) < 1


def test_lists_keep_to_their_segment(judged, small_shop):
    for (contender, task, segment), lists in judged[0].items():
        queries = small_shop.tasks[task].histories
        owned, shown = queries.counts.toarray() > 0, queries.cart.toarray() > 0
        for row, items in enumerate(lists):
            listed = items[items >= 0]
            assert len(set(listed)) == len(listed), (contender, task, segment)
            assert not shown[row, listed].any()
            if segment != "all":
                assert (owned[row, listed] == (segment == "repeat")).all()


def test_a_last_basket_is_judged_by_the_same_queries(small_shop):
    """The last order of each customer who has two, with two known items; history is all before it."""
    orders = small_shop.orders
    _, test = moments(orders, SplitOptions(kind="last_basket"))
    data = train_data(lines_before(orders, test.at), small_shop.catalog)
    asked = asked_orders(orders, test, data)
    times = defaultdict(set)
    for row in orders.drop_nulls("customer_id").iter_rows(named=True):
        times[row["customer_id"]].add((row["ordered_at"], row["order_id"]))
    last = {customer: max(keys) for customer, keys in times.items() if len(keys) > 1}
    expected = {}
    for row in orders.iter_rows(named=True):
        key = (row["ordered_at"], row["order_id"])
        if last.get(row["customer_id"]) == key and row["item_id"] in data.items:
            expected.setdefault((row["customer_id"], row["order_id"]), set()).add(row["item_id"])
    expected = {k: v for k, v in expected.items() if len(v) >= 2 and k[0] in data.customers}
    assert {(c, o): set(items) for c, o, items in asked.iter_rows()} == expected
    queries = both_tasks(asked, data)["next_basket"]
    for row, customer in enumerate(asked["customer_id"]):
        time, _ = last[customer]
        before = {
            r["item_id"]
            for r in orders.filter(orders["customer_id"] == customer).iter_rows(named=True)
            if Slow.remains(r, time) and r["item_id"] in data.items
        }
        assert {data.items.ids[i] for i in queries.histories.counts[row].indices} == before
