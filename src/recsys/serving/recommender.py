"""The fitted whole: models, ranker, items, customers. Training, evaluation and serving answer through it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..data.histories import Histories, IdMap, Ints, TrainData, carts
from ..data.manifest import verify_manifest, write_manifest
from ..data.store import load_histories, load_ids, save_histories, save_ids
from ..errors import InputError
from ..offers.kit import OfferKit
from ..offers.kit_store import Shared, load_own, save_own
from ..ranking.base_models import BaseModels, cart_scores, history_scores, single_scores
from ..ranking.blend import BLOCK, Ranked, rank
from ..ranking.hybrid import Hybrid
from ..ranking.reasons import POPULAR, Explainer, Reason, by_model
from ..ranking.topk import top_k, top_k_of_rows
from ..ranking.value import OF, Worth, value_scores
from ..ranking.within_query import in_order
from .categories import Categories
from .offers import as_json, offered, rests_on
from .options import KINDS
from .requests import Reader, Request, with_placed

OFFERS = "offers"  # folder of the kit within a model
PLAIN = json.JSONEncoder(ensure_ascii=False)


@dataclass(frozen=True)
class Answer:
    """One request's answer: lists, offers, or an error."""

    item_ids: list[str]
    scores: list[float]
    probabilities: list[float]  # that the order holds the item, as calibrated on orders not learned from
    reasons: list[str]
    reason_codes: list[str]  # JSON objects: code and values of each reason
    fallback: str  # personal | cart | popular_in_category | popular
    error: str = ""
    offers: list[str] = field(default_factory=list)  # JSON objects, where the request names a kind
    why_none: str = ""  # why no offer is made, where the request names a kind


@dataclass(frozen=True)
class Recommender:
    """Everything one moment's fit needs to answer; `contender` names who ranks (hybrid or a single model)."""

    items: IdMap
    names: tuple[str, ...]
    customers: IdMap
    histories: Histories
    categories: Categories
    models: BaseModels
    hybrid: Hybrid
    worth: Worth
    contender: str = "hybrid"
    kit: OfferKit | None = None
    threads: int = 1  # of LightGBM

    @classmethod
    def of(
        cls,
        data: TrainData,
        models: BaseModels,
        hybrid: Hybrid,
        contender: str,
        kit: OfferKit | None = None,
    ) -> "Recommender":
        return cls(
            data.items,
            data.facts.names,
            data.customers,
            data.histories,
            Categories.of(data.facts),
            models,
            hybrid,
            Worth.of(data.facts.prices, data.facts.costs),
            contender,
            kit,
        )

    def save(self, directory: Path) -> None:
        """A directory of npy, npz, parquet-free JSON and LightGBM text: nothing pickled."""
        directory.mkdir(parents=True, exist_ok=True)
        self.models.save(directory / "models")
        self.hybrid.save(directory / "hybrid")
        save_ids(self.items, directory / "items.json")
        save_ids(self.customers, directory / "customers.json")
        save_histories(self.histories, directory / "histories.npz")
        self.categories.save(directory / "categories")
        self.worth.save(directory / "worth.npz")
        if self.kit is not None:
            save_own(self.kit, directory / OFFERS)
        facts = {"names": self.names, "contender": self.contender}
        (directory / "recommender.json").write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")
        write_manifest(directory)

    @classmethod
    def load(cls, directory: Path) -> "Recommender":
        verify_manifest(directory)
        facts = json.loads((directory / "recommender.json").read_text(encoding="utf-8"))
        shared = Shared(
            BaseModels.load(directory / "models"),
            load_ids(directory / "items.json"),
            tuple(facts["names"]),
            load_ids(directory / "customers.json"),
            load_histories(directory / "histories.npz"),
        )
        return cls(
            shared.items,
            shared.names,
            shared.customers,
            shared.histories,
            Categories.load(directory / "categories"),
            shared.models,
            Hybrid.load(directory / "hybrid"),
            Worth.load(directory / "worth.npz"),
            facts["contender"],
            load_own(directory / OFFERS, shared) if (directory / OFFERS).is_dir() else None,
        )

    @cached_property
    def explainer(self) -> Explainer:
        return Explainer.of(self.items.ids, self.names, self.models)

    def warm(self) -> None:
        """Ask one of each, so that no request waits for what is made on first use."""
        who, items = list(self.customers.ids[:1]), list(self.items.ids[:1])
        asked = ["", *(f'{{"kind": "{kind}"}}' for kind in KINDS)]
        self.recommend([*who] * len(asked), [items] * len(asked), asked[: len(asked) * len(who)])

    def recommend(self, customer_ids: Sequence[Any], baskets: Sequence[Any], options: Sequence[Any]) -> list[Answer]:
        """One answer per row; a row that cannot be understood gets an error, the others their lists."""
        answers: dict[int, Answer] = {}
        requests = []
        reader = Reader(self.items, self.customers, self.histories, self.categories)
        for row, asked in enumerate(zip(customer_ids, baskets, options, strict=True)):
            try:
                request = self._able(reader.understand(row, *asked))
                if request.options.kind is None:
                    requests.append(request)
                else:
                    answers[row] = self._offer(request)
            except InputError as error:
                answers[row] = Answer([], [], [], [], [], "", str(error))
        for at in range(0, len(requests), BLOCK):
            block = requests[at : at + BLOCK]
            answers |= {r.row: a for r, a in zip(block, self._answer(block), strict=True)}
        return [answers[row] for row in range(len(answers))]

    def _able(self, request: Request) -> Request:
        """The request, or InputError where this model lacks what its value needs."""
        if request.options.value is not None:
            what = request.options.value[0]
            if self.contender != "hybrid":
                raise InputError(f"options.value needs probabilities, but {self.contender} ranks here; leave it out")
            if not self.worth.any_known(what):
                raise InputError(f"options.value: the model knows no {what} of any item; leave it out")
        return request

    def _offer(self, request: Request) -> Answer:
        if self.kit is None:
            raise InputError("options.kind: this model carries no offers (offers.served was false); leave it out")
        barred = self._barred([request])
        nothing = np.zeros(len(self.items), bool)
        found = offered(self.kit, request, nothing if barred is None else barred[0])
        made = as_json(self.kit, found)
        return Answer([], [], [], [], [], rests_on(request), offers=made, why_none="" if made else found.why_none)

    def queries(self, customers: Ints, cart_items: Sequence[Ints]) -> Histories:
        """Histories of the customers' rows (-1 = nobody) with carts of item positions (-1 = unknown)."""
        return self.histories.take_or_blank(customers).with_cart(carts(cart_items, len(self.items)))

    def _answer(self, requests: list[Request]) -> list[Answer]:
        queries = self.queries(np.array([r.customer for r in requests]), [r.cart for r in requests])
        if any(len(r.placed) for r in requests):
            queries = with_placed(queries, [r.placed for r in requests])
        barred = self._barred(requests)
        k = max(r.options.k for r in requests)
        sources = history_scores(self.models, queries) | cart_scores(self.models, queries)
        ranked = rank(self.models, self.hybrid, queries, barred, sources, self.threads)
        chances = _by_item(ranked, queries.cart.shape)
        floors = np.array([r.options.min_probability for r in requests])
        silent = ~(queries.has_history | queries.has_cart)
        if self.contender == "hybrid":
            found = ranked.candidates
            kept = ranked.probabilities >= floors[found.query]
            listed = (found.query[kept], found.item[kept], self._scores(ranked, requests)[kept])
            lists, scores = top_k_of_rows(*listed, len(requests), k)
            reasons = self._reasons(ranked, queries, lists, [r.options.k for r in requests])
        else:
            values = single_scores(self.contender, sources, queries.has_cart)
            silent |= np.isnan(values).all(axis=1)  # nothing is known of what this model looks at
            values = np.where(silent[:, None], sources["popularity"], values)
            hidden = (queries.cart.toarray() > 0) | (chances < floors[:, None])
            values = np.where(hidden | (barred if barred is not None else False), -np.inf, values)
            lists = top_k(values, k)
            scores = np.take_along_axis(values, np.maximum(lists, 0), axis=1)
            often = self.explainer.popular
            reasons = {
                (int(at), int(item)): POPULAR for at in np.flatnonzero(silent) for item in lists[at] if often[item]
            }
        fallbacks = _fallbacks(requests, silent)
        said = [[reasons.get((at, int(i))) for i in row] for at, row in enumerate(lists)]
        rows = zip(requests, lists, scores, chances, fallbacks, said, strict=True)
        return [self._row(*row) for row in rows]

    def _scores(self, ranked: Ranked, requests: list[Request]) -> np.ndarray:
        """Scores of the candidates, by value where a request asks for it."""
        asked = [r.options.value or ("", 0.0) for r in requests]
        scores, found = ranked.scores, ranked.candidates
        for what in OF:
            rows = np.array([name == what for name, _ in asked])[found.query]
            if rows.any():
                query, weight = found.query[rows], np.array([w for _, w in asked])
                p = in_order(ranked.scores[rows], ranked.probabilities[rows], query)
                valued = value_scores(p, self.worth.known(what)[found.item[rows]], weight[query])
                scores = np.asarray(scores, np.float64).copy()
                scores[rows] = valued
        return scores

    def _row(
        self,
        request: Request,
        row: Ints,
        scores: np.ndarray,
        chances: np.ndarray,
        fallback: str,
        reasons: list[Reason | None],
    ) -> Answer:
        items = [int(i) for i in row[: request.options.k] if i >= 0]
        why = [reason or by_model(self.contender) for reason in reasons[: len(items)]]
        return Answer(
            [self.items.ids[i] for i in items],
            [float(s) for s in scores[: len(items)]],
            [float(chances[i]) for i in items],
            [reason.text for reason in why],
            [PLAIN.encode({"code": reason.code, **reason.values}) for reason in why],
            fallback,
        )

    def _reasons(self, ranked: Ranked, queries: Histories, lists: Ints, ks: list[int]) -> dict[tuple[int, int], Reason]:
        found = ranked.candidates
        wanted = np.arange(lists.shape[1])[None, :] < np.array(ks)[:, None]
        listed = np.zeros(queries.cart.shape, bool)
        query, place = np.nonzero((lists >= 0) & wanted)
        listed[query, lists[query, place]] = True
        rows = np.flatnonzero(listed[found.query, found.item])
        said = self.explainer.reasons(self.hybrid, ranked, rows, queries)
        return {(int(found.query[r]), int(found.item[r])): reason for r, reason in zip(rows, said, strict=True)}

    def _barred(self, requests: list[Request]) -> np.ndarray | None:
        """bool (n, n_items) of what the requests forbid; None where they forbid nothing."""
        if not any(_forbids(request) for request in requests):
            return None
        barred = np.zeros((len(requests), len(self.items)), bool)
        for row, request in zip(barred, requests, strict=True):
            if request.options.only is not None:
                row[:] = True
                row[_known(self.items, request.options.only)] = False
            if request.inside is not None:
                row |= ~self.categories.members(request.inside)
            if request.outside:
                row |= self.categories.members(request.outside)
            row[_known(self.items, request.options.exclude)] = True
            row[request.hidden] = True
            if request.options.owned == "exclude" and request.owner >= 0:
                row[self.histories.items[slice(*self.histories.indptr[request.owner : request.owner + 2])]] = True
        return barred


def _forbids(request: Request) -> bool:
    asked = request.options
    return bool(
        asked.only is not None
        or asked.exclude
        or asked.owned == "exclude"
        or request.inside is not None
        or request.outside
        or len(request.hidden)
    )


def _fallbacks(requests: list[Request], silent: np.ndarray) -> list[str]:
    """What each list rests on; `silent` bool (n,) = nothing is known of customer and cart."""
    popular = ("popular" if r.inside is None else "popular_in_category" for r in requests)
    known = ("personal" if r.customer >= 0 else "cart" for r in requests)
    return [low if quiet else high for low, high, quiet in zip(popular, known, silent.tolist(), strict=True)]


def _by_item(ranked: Ranked, shape: tuple[int, int]) -> np.ndarray:
    """float32 (n, n_items): probability of each candidate, 0 elsewhere."""
    out = np.zeros(shape, np.float32)
    out[ranked.candidates.query, ranked.candidates.item] = ranked.probabilities
    return out


def _known(items: IdMap, ids: tuple[str, ...]) -> Ints:
    positions = items.positions(ids)
    return positions[positions >= 0]
