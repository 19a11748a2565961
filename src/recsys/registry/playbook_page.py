"""The playbook: the strongest pairs, upgrades and bundles with the answer to what a customer will say; one HTML file.

For people who sell or serve. It says what orders, prices and sizes say; nothing of quality or of what an offer moves.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from recsys.affinity import adjusted_lift, expected_by_size, low_of
from recsys.offers.bundles import Bundle
from recsys.offers.kit import OfferKit
from recsys.offers.rules import Offer
from recsys.offers.substitutes import is_substitute
from recsys.offers.switches import count_switches
from recsys.offers.upsell import Upgrade, Upgrades
from recsys.registry.wording import DASH, FILTERS

PAGE = "playbook.html"
PER_ITEM = 2  # plays of a kind that an item is in
TRIED = 40  # of the most sold items for each upgrade shown, at most
SAVES = "less than as much of it in the smaller pack"  # of recsys.offers.price_words
KINDS = ("both", "larger", "better_brand", "dearer")  # of upgrades, by how much is known for them


@dataclass(frozen=True)
class Play:
    """What a seller reads: when the customer takes `first`, offer `then`; what they may say, and the answer."""

    first: str
    then: str
    prices: str
    evidence: str
    objection: str
    answer: str


def write_playbook(kit: OfferKit, facts: Mapping[str, Any], shown: int, folder: Path) -> str:
    """playbook.html in `folder`, at most `shown` plays of a kind; its name."""
    environment = Environment(
        loader=PackageLoader("recsys.registry"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(FILTERS)
    plays = {
        "pairs": pair_plays(kit, shown),
        "upgrades": upgrade_plays(kit, shown),
        "bundles": bundle_plays(kit, shown),
    }
    counts = count_switches(kit.seller.histories, kit.shelf.types, kit.shelf.prices)
    page = environment.get_template("playbook.html.j2").render(facts=facts, plays=plays, switches=counts.sentence())
    (folder / PAGE).write_text(page, encoding="utf-8")
    return PAGE


def money(amount: float | None, digits: int) -> str:
    return DASH if amount is None else f"{amount:,.{digits}f}"


def _name(kit: OfferKit, item: str, *others: str) -> str:
    """The item's name, with its id where another item beside it is called the same."""
    name = kit.shelf.name(item)
    same = any(other != item and kit.shelf.name(other) == name for other in others)
    return f"{name} ({item})" if same else name


# --- pairs


def pair_plays(kit: OfferKit, shown: int) -> list[Play]:
    """Pairs by joint orders · ln(lower bound of the size-adjusted lift), one of two types; nothing sold out."""
    rules, used = kit.seller.rules, Counter[object]()
    out: list[Play] = []
    low, lift = low_of(rules.joint, expected_by_size(rules)), adjusted_lift(rules)
    for at in np.argsort(-rules.joint * np.log(np.maximum(low, 1e-9)), kind="stable"):
        a, b = rules.items.ids[rules.a[at]], rules.items.ids[rules.b[at]]
        if (
            len(out) < shown
            and _may_pair(kit, a, b)
            and max(used[a], used[b]) < PER_ITEM
            and not used[_types(kit, a, b)]
        ):
            used.update((a, b, _types(kit, a, b)))
            first, then = (a, b) if rules.sold[rules.a[at]] <= rules.sold[rules.b[at]] else (b, a)
            sold = int(min(rules.sold[rules.a[at]], rules.sold[rules.b[at]]))
            out.append(_pair(kit, first, then, int(rules.joint[at]), int(rules.customers[at]), sold, float(lift[at])))
    return out


def _types(kit: OfferKit, *items: str) -> object:
    """All types where they are known, else the items themselves."""
    own = sorted(kit.shelf.types_of(list(items)).tolist())
    return tuple(own) if own[0] >= 0 else items


def _may_pair(kit: OfferKit, a: str, b: str) -> bool:
    own = kit.shelf.types_of([a, b])
    instead = own[0] == own[1] and is_substitute(kit.shelf, kit.seller.substitutes, a)
    return not instead and not {a, b} & set(kit.sold_out) and {a, b} <= set(kit.shelf.items.ids)


def _pair(kit: OfferKit, first: str, then: str, joint: int, customers: int, sold: int, lift: float) -> Play:
    digits, shelf = kit.options.bundles.digits, kit.shelf
    price = shelf.price(then)
    more = f"It is {money(price, digits)} more. " if price is not None else ""
    return Play(
        _name(kit, first, then),
        _name(kit, then, first),
        f"{money(shelf.price(first), digits)} + {money(price, digits)}",
        f"{joint:,} orders of {customers:,} customers hold both, {lift:.1f} times as many as orders of their size "
        "explain.",
        "I only came for this.",
        f"{more}Of 100 orders with it, {_of_hundred(joint, sold)} take the other along.",
    )


def _of_hundred(part: int, whole: int) -> str:
    share = 100 * part / max(whole, 1)
    return f"{share:.0f}" if share >= 1 else "fewer than one"


# --- upgrades


def upgrade_plays(kit: OfferKit, shown: int) -> list[Play]:
    """Of the most sold items, one of a type: first steps that cost less per unit, then what is larger or of a brand."""
    found = list(_steps(kit, shown * TRIED))
    found.sort(key=lambda one: (SAVES not in one[1].words, KINDS.index(one[1].kind)))
    types: set[int] = set()
    out: list[Play] = []
    for upgrades, best in found:
        own = int(kit.shelf.types_of([upgrades.anchor_id])[0])
        if len(out) < shown and own not in types:
            types.add(own)
            out.append(_upgrade(kit, upgrades, best))
    return out


def _steps(kit: OfferKit, tried: int) -> Iterator[tuple[Upgrades, Upgrade]]:
    for at in np.lexsort((np.arange(len(kit.recent)), -kit.recent))[:tried]:
        item = kit.shelf.items.ids[at]
        if kit.recent[at] and item not in kit.sold_out:
            found = kit.upgrades(item, k=1)
            if found.kept and found.kept[0].sold and kit.of_upgrades(found, None, kit.rules_for(None)).offers:
                yield found, found.kept[0]


def _upgrade(kit: OfferKit, found: Upgrades, best: Upgrade) -> Play:
    digits = kit.options.bundles.digits
    known = "Nothing more is known of the difference." if best.kind == "dearer" else ""
    return Play(
        _name(kit, found.anchor_id, best.item_id),
        _name(kit, best.item_id, found.anchor_id),
        f"{money(found.price, digits)} → {money(best.price, digits)}",
        f"The same kind of goods; in {best.sold:,} orders of the last {kit.options.recent_days:g} days.",
        "Why should I pay more?",
        f"It replaces the other and costs {best.words}. {known}".strip(),
    )


# --- bundles


def bundle_plays(kit: OfferKit, shown: int) -> list[Play]:
    """Bundles that the rules let pass, by joint orders · ln(size-adjusted lift), one of the same types."""
    made, kinds = {bundle.items: bundle for bundle in kit.found}, set()
    out: list[Play] = []
    for offer in sorted(kit.bundles().offers, key=lambda one: -_weight(made[one.items])):
        types = _types(kit, *offer.items)
        if len(out) < shown and types not in kinds:
            kinds.add(types)
            out.append(_bundle(kit, made[offer.items], offer))
    return out


def _weight(bundle: Bundle) -> float:
    return float(bundle.joint * np.log(max(bundle.adjusted_lift, 1e-9)))


def _bundle(kit: OfferKit, bundle: Bundle, offer: Offer) -> Play:
    digits, (first, *others) = kit.options.bundles.digits, [_name(kit, item, *bundle.items) for item in bundle.items]
    saved = bundle.list_price - (offer.offer_price or bundle.list_price)
    either = "either" if len(bundle.items) == 2 else "any of them"
    return Play(
        first,
        " + ".join(others),
        f"{money(bundle.list_price, digits)} → {money(offer.offer_price, digits)}",
        f"{bundle.customers:,} customers bought them together. For the shop: {bundle.together:.0%} of the orders with "
        f"{either} hold all anyway and pay less from now on.",
        "I need only one of them.",
        f"Together they cost {money(saved, digits)} less than one by one.{_beside(kit, bundle, digits)}",
    )


def _beside(kit: OfferKit, bundle: Bundle, digits: int) -> str:
    one = bundle.companion
    if one is None:
        return ""
    price = f"{money(one.price, digits)} ({one.off:.0%} off)"
    return f" Or: {kit.shelf.name(one.item_id)} for {price}, the rest at full price."
