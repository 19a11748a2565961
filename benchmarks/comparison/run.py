"""One comparison from a shop to records: plan, tune, learn, list, measure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from benchmarks.comparison.exams import FIRST_SHOWN, Exam, exam, plan, test_exam
from benchmarks.comparison.lists import fit_references, learn_hybrid, lists_of, new_items_only
from benchmarks.comparison.results import query_values
from benchmarks.comparison.shop import Shop
from benchmarks.comparison.tuning import GRIDS, TUNED_ON, chosen_values, tuned
from benchmarks.references import REFERENCES
from recsys.config import Config
from recsys.data.splits import Moment, Queries
from recsys.evaluation.metrics import Ideal
from recsys.evaluation.protocols import HYBRID, Groups, Lists, paired_records, per_query, records
from recsys.models.base import Scorer
from recsys.models.content import Content
from recsys.progress import step
from recsys.ranking.base_models import SINGLES, BaseModels
from recsys.ranking.hybrid import Hybrid

TASKS = ("next_basket", "cart", "next_item")
CONTENDERS = (*REFERENCES, *SINGLES, HYBRID)


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Who is compared on what. ks and seed are those of config.evaluation, moments those of config.split."""

    names: tuple[str, ...] = CONTENDERS
    tasks: tuple[str, ...] = TASKS[:2]
    min_basket: int = 2  # known items of an order that is asked
    ideal: Ideal = "min"  # of nDCG
    mask_bought: bool = False  # lists hold only items new to the customer
    validation: bool = False  # published methods are tuned on the orders before the test


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What was found, and what must be said of it. `values` holds one row per query of each task."""

    records: list[dict[str, Any]]
    paired: list[dict[str, Any]]
    tuned: dict[str, dict[str, Any]]
    notes: list[str]
    values: dict[str, pl.DataFrame]


def run(shop: Shop, config: Config, protocol: Protocol) -> Comparison:
    """The whole comparison; InputError where nobody can be asked."""
    train, validation, test = plan(shop, config)
    found = test_exam(shop, test, config, protocol.min_basket)
    notes = [*shop.notes, *said(config, protocol, shop, found)]
    references, best, said_of_tuning = _references(shop, validation, config, protocol)
    hybrid, said_of_ranker = _hybrid(shop, train, test, config, protocol)
    with step("fit models"):
        models = BaseModels.fit(found.data, config.models)
    fitted = fit_references(references, found)
    lists: Lists = {}
    tasks: dict[str, Queries] = {}
    for together in same_orders(found, protocol.tasks):
        lists |= lists_of(fitted, models, hybrid, protocol.names, together, max(config.evaluation.ks))
        tasks |= together
    measured = _measure(lists, tasks, found, models, config, protocol)
    return Comparison(tuned=best, notes=[*notes, *said_of_tuning, *said_of_ranker], **measured)


def _references(
    shop: Shop, validation: Moment, config: Config, protocol: Protocol
) -> tuple[dict[str, Scorer], dict[str, dict[str, Any]], list[str]]:
    """References of the protocol, tuned where it asks for that; the values chosen, and a sentence for each."""
    out = {name: model for name, model in REFERENCES.items() if name in protocol.names}
    if not protocol.validation:
        return out, {}, []
    teachers = shop.keys.teachers if shop.keys else None
    before, k = exam(shop, validation, config, protocol.min_basket, teachers), config.evaluation.ks[0]
    best = tuned(out, before, k, protocol.mask_bought)
    values = {name: chosen_values(name, model) | {f"recall@{k}": recall} for name, (model, recall) in best.items()}
    notes = [
        f"{name} tuned on {before.asked.height:,} orders before the test ({TUNED_ON[name]}): "
        + ", ".join(f"{key} {value:.4g}" for key, value in found.items())
        for name, found in values.items()
    ]
    others = [name for name in out if name in GRIDS and name not in best]
    notes += [f"{name} keeps its usual values: nothing before the test can be asked" for name in others]
    return out | {name: model for name, (model, _) in best.items()}, values, notes


def _hybrid(
    shop: Shop, train: list[Moment], test: Moment, config: Config, protocol: Protocol
) -> tuple[Hybrid | None, tuple[str, ...]]:
    if HYBRID not in protocol.names:
        return None, ()
    learned = learn_hybrid(shop, train, test, config, protocol.min_basket)
    return learned.hybrid, learned.notes


def same_orders(found: Exam, tasks: tuple[str, ...]) -> Iterator[dict[str, Queries]]:
    """Queries by task, those about the same orders together."""
    usual = found.tasks(tasks)
    if usual:
        yield usual
    if "next_item" in tasks:
        yield {"next_item": found.next_item()}


def _measure(
    lists: Lists, tasks: dict[str, Queries], found: Exam, models: BaseModels, config: Config, protocol: Protocol
) -> dict[str, Any]:
    """Records, paired records and values per query; the steps of one order are resampled together."""
    options, asked = config.evaluation, dict.fromkeys(tasks, found.asked)
    groups: Groups = {}
    if "next_item" in tasks:
        asked["next_item"] = found.steps()
        groups["next_item"] = found.step_orders()
    content = models["content"]
    assert isinstance(content, Content)
    if protocol.mask_bought:
        lists = new_items_only(lists)
    with step("measure"):
        table = per_query(lists, tasks, options.ks, models.stats.share, content.vectors(), protocol.ideal)
        rows = records(table, lists, len(found.data.items), options, groups)
        others = dict.fromkeys(name for name, _, _ in lists if name != HYBRID)
        pairs = others if any(name == HYBRID for name, _, _ in lists) else {}
        paired = [row for name in pairs for row in paired_records(table, rows, options, name, groups)]
    if protocol.mask_bought:  # nothing bought before is listed
        rows, paired = ([row for row in part if row["segment"] != "repeat"] for part in (rows, paired))
    values = {task: query_values(table, task, asked[task]) for task in tasks}
    return {"records": rows, "paired": paired, "values": values}


def said(config: Config, protocol: Protocol, shop: Shop, found: Exam) -> list[str]:
    """The protocol in sentences."""
    least = config.interactions.min_item_orders
    split = (
        "the last basket of each customer" if config.split.kind == "last_basket" else "the first order in the window"
    )
    notes = [
        f"asked: {split}, {found.asked.height:,} orders with {protocol.min_basket} known items or more",
        f"{len(found.known.items):,} known items: " + (
            "every item of the data" if shop.items else f"those with {least} orders or more before the test"
        ),
        f"nDCG: the ideal list holds {'all' if protocol.ideal == 'full' else 'min(k, relevant)'} relevant items",
    ]  # fmt: skip
    if shop.keys:
        notes.append(f"{len(shop.keys.teachers):,} users teach, {len(shop.keys.test):,} are in test")
    if protocol.mask_bought:
        notes.append("items the customer bought before are barred; they still count as relevant in all purchases")
    if "next_item" in protocol.tasks:
        notes.append(
            f"next_item: of orders with {FIRST_SHOWN + 1} items or more, {FIRST_SHOWN} are shown, then one more each "
            "time, in the order of a hash; the next one is asked; intervals are over orders"
        )
    return notes
