"""Cross-sell in an open cart: hit@3 on items new to the customer, beside the cosine of joint purchases.

All orders of the window with two known items or more, half of each visible by the hash of the protocol
(docs/metrics.md). Everything is learned before the cut, and histories end there too.
"""

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import scipy.sparse as sp

from benchmarks.offering.part import Before, Part, Row, line, spread
from recsys import pipeline
from recsys.config import Config
from recsys.data.histories import Csr, Floats, Histories, Ints
from recsys.data.splits import Queries, every_order, half, hide
from recsys.evaluation.bootstrap import bootstrap_mean, paired_ratio
from recsys.evaluation.metrics import find_hits
from recsys.evaluation.protocols import EvaluationOptions, in_segment
from recsys.offers.cross_sell import CrossSellOptions, SameType
from recsys.offers.cross_seller import CrossSeller, basket_types
from recsys.offers.substitutes import SubstituteOptions, substitute_types, type_evidence
from recsys.progress import step
from recsys.ranking.base_models import BaseModels
from recsys.ranking.blend import Ranked, by_block
from recsys.ranking.hybrid import Hybrid
from recsys.ranking.topk import top_k

K = 3
SHRINK = 20.0  # of the cosine that is compared with
POLICIES: tuple[SameType, ...] = ("keep", "thin_out", "exclude")
OURS, HYBRID, COSINE = "cross-sell", "hybrid of the lists", "cosine"
BARS = {"keep": 1.2, "exclude": 1.35}  # policy → least ratio to the cosine under the same policy
MOST_SUBSTITUTES = 0.015  # share of the slots
Lists = dict[tuple[str, str], Ints]  # (contender, policy) → int64 (n, K) with -1


@dataclass(frozen=True)
class Asked:
    """Queries with something new to find. groups int64 (n,): the customer; a guest is a group alone."""

    queries: Queries
    relevant: Csr
    groups: Ints
    orders: int  # all that were asked, also those that hid nothing new

    def __len__(self) -> int:
        return len(self.queries)


def run(config: Config, now: datetime) -> Part:
    before = Before.read(config, now)
    asked = _asked(before)
    seller, hybrid = _seller(config, before)
    with step(f"rank {len(asked):,} carts"):
        found = lists(seller, hybrid, asked.queries, _cosine(before))
        anonymous = lists(seller, hybrid, _without_history(asked.queries), _cosine(before), POLICIES[:1])
    return judged(before, asked, found, anonymous)


def _asked(before: Before) -> Asked:
    orders = every_order(before.orders, before.moment, before.data)
    who = before.data.customers.positions(orders["customer_id"].fill_null("").to_list())
    queries = hide(orders, before.data.histories.take_or_blank(who), before.data, half)
    relevant = in_segment(queries, "new")
    kept = np.flatnonzero(np.diff(relevant.indptr) > 0)
    named = orders["customer_id"].fill_null(orders["order_id"]).rank("dense").to_numpy().astype(np.int64)
    return Asked(queries.take(kept), relevant[kept], named[kept], orders.height)


def _seller(config: Config, before: Before) -> tuple[CrossSeller, Hybrid]:
    """Who ranks cross-sell, and the hybrid that ranks all other lists."""
    with step("learn"):
        learned = [
            pipeline.learn_moment(config, before.matrices, m) for m in pipeline.training_moments(before.matrices)
        ]
        fitted = pipeline.fit_models(config, before.matrices, pipeline.TEST)
        ranker, hybrid = pipeline.blend_cross_sell(config, learned), pipeline.blend(config, learned)
    seller = CrossSeller(
        BaseModels.load(fitted / "models"),
        Hybrid.load(ranker / pipeline.HYBRID),
        before.shelf,
        before.evident()[1],
        before.data.customers,
        before.data.histories,
        before.substitutes(),
    )
    return seller, Hybrid.load(hybrid / pipeline.HYBRID)


def _cosine(before: Before) -> Csr:
    """C / √((f + SHRINK)(f + SHRINK)) of all pairs of items, CSR (n_items, n_items)."""
    together, sold = before.data.together
    scale = sp.diags_array(1 / np.sqrt(sold + SHRINK))
    return sp.csr_matrix(scale @ together @ scale)


def _without_history(queries: Queries) -> Queries:
    """The same carts, of nobody known."""
    blank = queries.histories.take_or_blank(np.full(len(queries), -1))
    return replace(queries, histories=blank.with_cart(queries.histories.cart))


def lists(
    seller: CrossSeller, hybrid: Hybrid, queries: Queries, cosine: Csr, policies: tuple[SameType, ...] = POLICIES
) -> Lists:
    """The K chosen by each contender under each policy for items of an anchor's type; the same bars for all."""

    def block(rows: np.ndarray) -> Lists:
        asked = queries.histories.take(rows)
        ranked = seller.rank(asked)
        by_hybrid = hybrid.judge(ranked.features, ranked.candidates.query, asked.has_cart)
        out: Lists = {}
        for policy in policies:
            ours = replace(seller, options=CrossSellOptions(same_type=policy))
            out[OURS, policy] = _chosen(ours, ranked, asked)
            out[HYBRID, policy] = _chosen(ours, replace(ranked, scores=by_hybrid[0]), asked)
            if policy != "thin_out":
                out[COSINE, policy] = _by_cosine(ours, cosine, asked)
        return out

    parts = by_block(len(queries), block)
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _chosen(seller: CrossSeller, ranked: Ranked, asked: Queries) -> Ints:
    out = np.full((len(asked), K), -1, np.int64)
    for at, choice in enumerate(seller.choose(ranked, asked, K)):
        out[at, : len(choice.rows)] = ranked.candidates.item[choice.rows]
    return out


def _by_cosine(seller: CrossSeller, cosine: Csr, asked: Histories) -> Ints:
    scores = (asked.cart @ cosine).toarray()
    alike = basket_types(asked, seller.shelf.types)[:, seller.shelf.types]
    scores[asked.rows, asked.items] = 0
    scores[asked.cart.toarray() > 0] = 0
    scores[alike & np.append(seller.substitutes, False)[seller.shelf.types]] = 0
    if seller.options.same_type == "exclude":
        scores[alike] = 0
    return top_k(np.where(scores > 0, scores, -np.inf), K)


# --- what the lists are worth


def judged(before: Before, asked: Asked, found: Lists, anonymous: Lists) -> Part:
    options = before.config.evaluation
    hits = {key: _hits(lists, asked.relevant) for key, lists in found.items()}
    rows = [_record(*key, hits, found[key], before, asked, options) for key in found]
    everything = {key: _hits(lists, asked.queries.relevant) for key, lists in anonymous.items()}
    rows += [_record(*key, everything, anonymous[key], before, asked, options, "anonymous") for key in anonymous]
    return Part(rows, _table(rows, asked), _missed(rows))


def _hits(lists: Ints, relevant: Csr) -> Floats:
    """1.0 where the list holds a relevant item, (n,)."""
    return np.asarray(find_hits(lists, relevant).any(axis=1), np.float64)


def _record(
    contender: str,
    policy: str,
    hits: dict[tuple[str, str], Floats],
    lists: Ints,
    before: Before,
    asked: Asked,
    options: EvaluationOptions,
    customers: str = "known",
) -> Row:
    """Hit rate, its ratio to the cosine under the same policy and to `keep` of its own, and what the slots hold."""
    given = (options.resamples, options.level, options.seed, asked.groups)
    own = hits[contender, policy]
    mean, kept = bootstrap_mean(own, *given), paired_ratio(own, hits[contender, "keep"], *given)
    row = {"part": "cart", "contender": contender, "customers": customers, "policy": policy, "metric": "hit_rate",
           "k": K, "value": float(mean.mean[0]), "low": float(mean.low[0]), "high": float(mean.high[0]),
           "n": int(mean.n[0]), "of_keep": float(kept.ratio[0]), **_slots(lists, before, asked)}  # fmt: skip
    if (COSINE, policy) in hits and contender != COSINE:
        ratio = paired_ratio(own, hits[COSINE, policy], *given)
        row |= {"ratio": float(ratio.ratio[0]), "ratio_low": float(ratio.low[0]), "ratio_high": float(ratio.high[0])}
    return row


def _slots(lists: Ints, before: Before, asked: Asked) -> Row:
    """Shares of the filled slots: of a type in the cart, and substitutes by the test and by a stricter one.

    The stricter test calls a type one of substitutes where joint orders surely lie below expectation at all.
    """
    types = before.shelf.types
    query, place = np.nonzero(lists >= 0)
    own = types[lists[query, place]]
    alike = basket_types(asked.queries.histories, types)[query, own]
    evidence = type_evidence(before.data.histories, types)
    shares = {
        name: float((alike & np.append(substitute_types(evidence, bar), False)[own]).mean())
        for name, bar in (("substitutes", SubstituteOptions()), ("below_expectation", SubstituteOptions(below=1.0)))
    }
    return {"same_type": float(alike.mean()), **shares, "filled": len(query) / lists.size}


def _missed(rows: list[Row]) -> list[str]:
    out = []
    for row in rows:
        if row["contender"] != OURS or row["customers"] != "known":
            continue
        bar = BARS.get(row["policy"])
        if bar and row["ratio"] < bar:
            out.append(f"cart, {row['policy']}: {row['ratio']:.3f} times the cosine, {bar} wanted")
        if bar and row["ratio_low"] <= 1:
            out.append(f"cart, {row['policy']}: the interval begins at {row['ratio_low']:.3f}, not above 1")
        if row["substitutes"] > MOST_SUBSTITUTES:
            out.append(f"cart, {row['policy']}: {row['substitutes']:.1%} of the slots hold substitutes")
    return out


def _table(rows: list[Row], asked: Asked) -> list[str]:
    about = (
        f"{asked.orders:,} orders, {len(asked):,} with something new among the hidden items, of "
        f"{len(np.unique(asked.groups)):,} customers; {K} slots. Ratios are to the cosine under the same policy."
    )
    heads = ["contender", "customers", "same type", f"hit@{K}", "ratio (interval)", "of its own keep",
             "slots of a type in the cart", "substitutes", "surely below expectation"]  # fmt: skip
    return ["## Cross-sell in the cart", "", about, "", line(heads), line(["---"] * len(heads)), *map(_line, rows)]


def _line(row: Row) -> str:
    ratio = f"{row['ratio']:.2f} ({spread(row['ratio_low'], row['ratio_high'])})" if "ratio" in row else "-"
    shares = [f"{row[name]:.1%}" for name in ("same_type", "substitutes", "below_expectation")]
    own = f"{row['of_keep']:.2f}"
    return line([row["contender"], row["customers"], row["policy"], f"{row['value']:.4f}", ratio, own, *shares])
