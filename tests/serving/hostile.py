"""Requests as nobody should send them, made from a seed, and what an answer to any request must keep to."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from recsys.data.histories import TrainData
from recsys.serving.placements import PLACEMENTS
from recsys.serving.recommender import Answer

Row = tuple[Any, Any, Any]  # customer_id, basket, options
MB = 1_000_000


@dataclass(frozen=True)
class Hostile:
    """Draws requests about one shop; `sound` ones must be answered, `broken` ones must get an error."""

    data: TrainData
    rng: np.random.Generator

    def pick(self, values: Any) -> Any:
        return values[int(self.rng.integers(len(values)))]

    # --- sound

    def sound(self) -> Row:
        """Odd, but to be answered: unknown ids, repeats, empty and huge values, every option."""
        placement = self.pick([None, None, *PLACEMENTS])
        basket = None if placement in ("home", "email") else self.basket()
        customer = self.customer()
        known = self.data.items.ids
        if placement == "product":
            basket = [self.pick(known)] * int(self.rng.integers(1, 4))
        if placement in ("cart", "checkout", "post_purchase") and (basket is None or not len(basket)):
            basket = [self.pick(known), "no such item"]
        return customer, basket, self.options(placement)

    def customer(self) -> Any:
        known = self.data.customers.ids
        return self.pick([self.pick(known), self.pick(known), None, "", " ", "nobody", "00001\x00",
                          "x" * 5000, "'; drop table", "../../etc", "é", "0", "NaN", "null"])  # fmt: skip

    def basket(self) -> Any:
        known = self.data.items.ids
        some = [self.pick(known) for _ in range(int(self.rng.integers(0, 6)))]
        odd = ["", " ", some[0] + "\x00" if some else "\x00", "no such item", "\ud800", "x" * 1000, "P0001 ", "nan"]
        return self.pick([None, [], some, some + some, tuple(some), np.array(some, object), [*some, self.pick(odd)],
                          [self.pick(odd)], [*self.pick([some, [], list(known[:200])]), *odd]])  # fmt: skip

    def options(self, placement: str | None) -> Any:
        known, names = self.data.items.ids, [name for of in self.data.facts.level_names for name in of]
        every: dict[str, Any] = {
            "k": self.pick([1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 5, 5, 6, 7, 7, 8, 9, 9, 500]),
            "exclude": [self.pick(known) for _ in range(3)] + ["no such item", "", "\ud800"],
            "only": self.pick([None, [], ["no such item"], list(known[:40]), [self.pick(known)] * 3]),
            "categories_in": self.pick([None, [], [self.pick(names)], [self.pick(names), self.pick(names)] * 2]),
            "categories_out": self.pick([[], [self.pick(names)], names]),
            "owned": self.pick(["allow", "exclude"]),
            "min_probability": self.pick([0, 0.0, 0.05, 1, 1e-300]),
            "value": self.pick([None, *({"of": "price", "weight": weight} for weight in (0, 1e-300, 0.5, 1))]),
        }
        asked = {key: value for key, value in every.items() if self.rng.random() < 0.35}
        if placement or self.rng.random() < 0.1:
            asked["placement"] = placement
        if not asked:
            return self.pick([None, "", "{}", " {\n} "])
        return json.dumps(asked, ensure_ascii=bool(self.rng.random() < 0.5))

    # --- broken

    def broken(self) -> Row:
        """A sound request with one thing in it that no request may have."""
        customer, basket, options = self.sound()
        where = self.pick(["customer", "basket", "options", "options", "placement"])
        if where == "customer":
            return self.pick(NO_IDS), basket, options
        if where == "basket":
            return customer, self.pick(NO_BASKETS), self.pick([None, options])
        if where == "options":
            return customer, basket, self.pick(NO_OPTIONS)
        return self.contradiction()

    def contradiction(self) -> Row:
        known, item = self.data.items.ids, self.pick(self.data.items.ids)
        placement, customer, basket = self.pick([
            ("home", None, [item]), ("email", "nobody", ["no such item"]), ("product", None, None),
            ("product", None, []), ("product", None, list(known[:2])), ("product", "0", ["no such item"]),
            ("product", None, [item, "no such item"]), ("cart", self.pick(self.data.customers.ids), []),
            ("cart", None, None), ("post_purchase", "nobody", []), ("post_purchase", None, None),
        ])  # fmt: skip
        return customer, basket, json.dumps({"placement": placement})


NO_IDS = [0, 1, -1, 1.5, float("nan"), float("inf"), True, False, b"00001", ["00001"], [], {}, {"id": "00001"},
          np.int64(7), np.array(["00001"]), np.array("00001"), 10**400, object(), Exception, ("00001",)]  # fmt: skip
NO_BASKETS = ["P0001", "", "[]", 0, 7, 1.5, float("nan"), True, b"P0001", {}, {"P0001": 1}, [None], ["P0001", None],
              [float("nan")], [1], [True], [["P0001"]], [[[[[[[]]]]]]], [b"P0001"], [{}], np.array([1, 2]), np.array(5),
              np.array("P0001"), np.array(["P0001", None]), np.zeros((2, 2)), np.array([["P0001"]]), {"P0001"},
              range(3), iter(["P0001"]), object(), ["P0001"] * 10_001, [10**400], ["P0001", object()]]  # fmt: skip
NO_OPTIONS = [
    0, 1.5, True, b"{}", {}, {"k": 5}, [], ["{}"], object(), np.array("{}"), "x" * 5 * MB, "{" + " " * MB + "}",
    "[" * 100_000, '{"k":' * 50_000, '{"only": ' + "[" * 900 + "]" * 900 + "}", "null", "[]", "5", '"k"', "true", "NaN",
    "{", "}", "{}{}", "{'k': 5}", '{"k": 5,}', '{"k": 5', "\x00", '{"k": 5}\x00', "\ufeff{}", "\ud800", '{"\ud800": 1}',
    '{"K": 5}', '{"": 1}', '{"k ": 5}', '{"' + "k" * 900_000 + '": 1}', '{"k": 5, "k": 5}', '{"size": 3}',
    '{"k": 0}', '{"k": -1}', '{"k": 501}', '{"k": 5.0}', '{"k": "5"}', '{"k": null}', '{"k": true}', '{"k": NaN}',
    '{"k": Infinity}', '{"k": 1e999}', '{"k": [5]}', '{"k": {}}', '{"k": ' + "9" * 4000 + "}",
    '{"k": ' + "9" * 9000 + "}",
    '{"placement": ""}', '{"placement": "Home"}', '{"placement": ["home"]}', '{"placement": 1}', '{"placement": {}}',
    '{"placement": "basket"}', '{"placement": true}', '{"placement": "home\\u0000"}',
    '{"exclude": null}', '{"exclude": "P0001"}', '{"exclude": [1]}', '{"exclude": [null]}', '{"exclude": [["P0001"]]}',
    '{"exclude": {"P0001": 1}}', '{"only": "P0001"}', '{"only": [1]}', '{"only": false}', '{"only": {}}',
    '{"categories_in": "x"}', '{"categories_in": [1]}', '{"categories_in": ["no such category"]}',
    '{"categories_in": 5}', '{"categories_in": [""]}', '{"categories_in": [null]}', '{"categories_in": ["\\ud800"]}',
    '{"categories_out": null}', '{"categories_out": ["no such category"]}', '{"categories_out": [["x"]]}',
    '{"categories_out": true}',
    json.dumps({"categories_in": ["x" * 900_000]}), json.dumps({"categories_out": ["no such category"] * 40_000}),
    '{"owned": null}', '{"owned": "ALLOW"}', '{"owned": ["allow"]}', '{"owned": true}', '{"owned": ""}',
    '{"min_probability": "0.5"}', '{"min_probability": -0.1}', '{"min_probability": 1.1}', '{"min_probability": NaN}',
    '{"min_probability": Infinity}', '{"min_probability": null}', '{"min_probability": true}',
    '{"min_probability": [0]}',
    '{"value": "price"}', '{"value": {}}', '{"value": {"of": "price"}}', '{"value": {"of": "sales", "weight": 1}}',
    '{"value": {"of": "price", "weight": 2}}', '{"value": {"of": "price", "weight": null}}', '{"value": [0.5]}',
    '{"value": {"of": ["price"], "weight": 1}}', '{"value": {"of": "price", "weight": 1, "k": 5}}',
]  # fmt: skip


def check(data: TrainData, row: Row, answer: Answer) -> None:
    """An error and nothing else, or a list that holds nothing it may not: read from the request anew."""
    if answer.error:
        empty = (answer.item_ids, answer.scores, answer.probabilities, answer.reasons, answer.reason_codes)
        assert empty == ([], [], [], [], [])
        assert answer.fallback == ""
        assert 10 < len(answer.error) < 400
        answer.error.encode()  # can be printed and sent
        return
    customer, basket, options = row
    asked = json.loads(options) if options else {}
    listed = set(answer.item_ids)
    sizes = {len(getattr(answer, name)) for name in ("item_ids", "scores", "probabilities", "reasons", "reason_codes")}
    assert sizes == {len(listed)}, "one of each for every item, and no item twice"
    assert len(listed) <= asked.get("k", PLACEMENTS[asked["placement"]].k if asked.get("placement") else 10)
    assert listed <= set(data.items.ids)
    assert not listed & set(basket if basket is not None else [])
    assert not listed & set(asked.get("exclude", []))
    if asked.get("only") is not None:
        assert listed <= set(asked["only"])
    assert answer.scores == sorted(answer.scores, reverse=True)
    assert np.isfinite(answer.scores).all()
    assert all(asked.get("min_probability", 0) <= p <= 1 for p in np.asarray(answer.probabilities, np.float32).tolist())
    assert all(answer.reasons)
    assert all(json.loads(code)["code"] for code in answer.reason_codes)
    assert answer.fallback in ("personal", "cart", "popular_in_category", "popular")
    for item in listed:
        named = names_of(data, item)
        assert asked.get("categories_in") is None or named & set(asked["categories_in"])
        assert not named & set(asked.get("categories_out", []))
    if owned(asked) == "exclude" and customer in data.customers:
        row_of = data.customers.ids.index(customer)
        bought = data.histories.items[data.histories.indptr[row_of] : data.histories.indptr[row_of + 1]]
        assert not listed & {data.items.ids[i] for i in bought}


def owned(asked: dict[str, Any]) -> str:
    placement = asked.get("placement")
    return str(asked.get("owned", PLACEMENTS[placement].owned if placement else "allow"))


def names_of(data: TrainData, item: str) -> set[str]:
    """Names of the item's department, category and type."""
    codes = data.facts.levels[data.items.ids.index(item)]
    return {names[code] for names, code in zip(data.facts.level_names, codes, strict=True) if code >= 0}
