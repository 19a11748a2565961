"""A few fixed requests whose answers are known to be well-formed, and must be the same wherever the model is loaded."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

K = 5
NOBODY = "no customer of this shop \N{EM DASH} 0"
NOTHING = "no item of this shop \N{EM DASH} 0"
RUBBISH = ('{"k": -3}', "no JSON", '{"no such key": 1}')
KINDS: dict[str, dict[str, Any]] = {
    "cross_sell": {}, "upsell": {}, "bundle": {}, "filler": {"thresholds": [100], "total": 90},
}  # fmt: skip
RTOL, ATOL = 1e-4, 1e-6  # of equal scores; BLAS of other threads adds in another order

Ask = Callable[[pd.DataFrame], pd.DataFrame]
Recommend = Callable[..., Sequence[Any]]
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Golden:
    """Requests with the answers of the model before it was logged; `k` items are due in each list."""

    requests: Rows  # name, customer_id, basket, options, refused
    answers: Rows  # item_ids, scores, offers, error
    k: int
    whole: bool  # every list has k items; a single model may know too little for that

    def as_dict(self) -> dict[str, Any]:
        return {"requests": self.requests, "answers": self.answers, "k": self.k, "whole": self.whole}


def golden_of(
    recommend: Recommend, known: int, whole: bool, customer: str, items: Sequence[str], offering: bool = False
) -> Golden:
    """Ask a Recommender directly, without MLflow.

    recommend  its method, called with customers, baskets and options
    known      items that it knows
    items      a cart of items that it knows
    offering   it makes offers
    """
    k = max(1, min(K, known - len(items)))
    requests = golden_requests(customer, list(items), k, offering)
    answers = recommend(*([r[c] for r in requests] for c in ("customer_id", "basket", "options")))
    said = [{"item_ids": a.item_ids, "scores": a.scores, "offers": a.offers, "error": a.error}
            for a in answers]  # fmt: skip
    return Golden(requests, said, k, whole)


def golden_requests(customer: str, items: list[str], k: int, offering: bool = False) -> Rows:
    """Known and unknown customer, cart alone, both, nothing, unknown items, rubbish, and an offer of each kind."""
    size = f'{{"k": {k}}}'
    asked: list[tuple[str, str, list[str], str]] = [
        ("a known customer", customer, [], size),
        ("an unknown customer", NOBODY, [], size),
        ("a cart alone", "", items, size),
        ("a known customer with a cart", customer, items, size),
        ("nothing", "", [], size),
        ("an unknown item in the cart", "", [NOTHING, *items], size),
        ("the same item twice", "", [*items, *items], size),
        *((f"rubbish: {text}", customer, items, text) for text in RUBBISH),
    ]
    for kind, more in KINDS.items() if offering else ():
        asked.append((f"offers: {kind}", customer, items, json.dumps({"kind": kind} | more)))
    names = ("name", "customer_id", "basket", "options")
    return [dict(zip(names, row, strict=True)) | {"refused": row[3] in RUBBISH} for row in asked]


def frame(requests: Rows) -> pd.DataFrame:
    """The requests as the served model takes them."""
    return pd.DataFrame([{c: r[c] for c in ("customer_id", "basket", "options")} for r in requests])


def plain(answers: pd.DataFrame) -> Rows:
    """The columns that are compared, as JSON values."""
    rows = answers[["item_ids", "scores", "offers", "error"]].to_dict("records")
    return [{"item_ids": list(r["item_ids"]), "scores": [float(s) for s in r["scores"]],
             "offers": list(r["offers"]), "error": str(r["error"])} for r in rows]  # fmt: skip


def _plain_offers(offers: Sequence[str]) -> list[dict[str, Any]]:
    """What of offers is compared: no probability, whose last digits differ between machines."""
    return [{name: value for name, value in json.loads(one).items() if name != "probability"} for one in offers]


def faults(golden: Golden, answers: Rows) -> list[str]:
    """What is wrong with answers to the golden requests, each as a clause; none is as it should be."""
    if len(answers) != len(golden.requests):
        return [f"{len(answers)} answers to {len(golden.requests)} requests"]
    rows = zip(golden.requests, golden.answers, answers, strict=True)
    return [f"{request['name']}: {fault}" for request, before, after in rows
            if (fault := _malformed(golden, request, after) or _differs(before, after))]  # fmt: skip


def _malformed(golden: Golden, request: dict[str, Any], answer: dict[str, Any]) -> str:
    items = answer["item_ids"]
    if request["refused"]:
        return "" if answer["error"] and not items else "is answered instead of refused"
    if answer["error"]:
        return f"is refused: {answer['error']}"
    if "kind" in request["options"]:
        return "holds a list beside offers" if items else ""
    if len(set(items)) < len(items):
        return "an item is listed twice"
    if set(items) & set(request["basket"]):
        return "an item of the cart is listed"
    least = golden.k if golden.whole else 1
    return "" if least <= len(items) <= golden.k else f"{len(items)} items are listed, {golden.k} are due"


def _differs(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Other items only where scores differ too: equal scores may change places, other numbers may not."""
    if _plain_offers(before["offers"]) != _plain_offers(after["offers"]):
        return "makes other offers than before it was logged"
    if len(before["item_ids"]) != len(after["item_ids"]):
        return f"{len(after['item_ids'])} items are listed, {len(before['item_ids'])} before it was logged"
    close = np.allclose(before["scores"], after["scores"], rtol=RTOL, atol=ATOL)
    tied = sorted(before["item_ids"]) == sorted(after["item_ids"])
    if not close or (before["item_ids"] != after["item_ids"] and not tied):
        return "is answered otherwise than before the model was logged"
    return ""
