"""Companions have evidence, complements come first, and what is bought instead of an anchor stays out."""

from functools import cache

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.affinity import Affinity, Evidence, count_pairs, only_evident
from recsys.data.histories import Histories, IdMap, Ints, ItemFacts, no_carts
from recsys.data.interactions import lines_before, train_data
from recsys.data.synthetic import SyntheticShop, synthetic_shop
from recsys.errors import InputError
from recsys.offers.bundles import ShelfNow, bundles
from recsys.offers.cross_sell import (
    Companions,
    CrossSellOptions,
    companions,
    cross_sell_offers,
)
from recsys.offers.shelf import Shelf, shelf_of
from recsys.offers.substitutes import substitute_types, type_evidence

LENIENT = Evidence(min_joint=2, min_customers=0, min_lift=0, min_adjusted_low=0, min_taste_low=0, max_q=1)


@cache
def shop() -> SyntheticShop:
    return synthetic_shop()


@cache
def known() -> tuple[pl.DataFrame, Histories, Shelf, Ints]:
    """Lines, histories and shelf of the synthetic shop, and the types of its items."""
    orders = (
        shop()
        .orders.filter(pl.col("quantity") > 0)
        .with_columns(
            pl.col("ordered_at").dt.replace_time_zone("UTC"),
            pl.col("quantity").cast(pl.Float64),
            returned_at=pl.lit(None, pl.Datetime("us", "UTC")),
            returned_quantity=pl.lit(None, pl.Float64),
        )
    )
    lines = lines_before(orders, orders["ordered_at"].max())  # type: ignore[arg-type]
    data = train_data(lines, shop().catalog)
    shelf = shelf_of(data.items, data.facts)
    return lines, data.histories, shelf, shelf.types


def lines_of(orders: list[tuple[str, str]]) -> pl.DataFrame:
    """(customer, "a b c") per order."""
    rows = [(f"o{n}", who, item) for n, (who, items) in enumerate(orders) for item in items.split()]
    return pl.DataFrame(rows, schema=["order_id", "customer_id", "item_id"], orient="row")


def shelf_by(types: dict[str, int], prices: dict[str, float] | None = None) -> Shelf:
    items = IdMap.of(list(types))
    levels = np.array([[0, 0, types[i]] for i in items.ids], np.int32)
    cost = np.array([(prices or {}).get(i, np.nan) for i in items.ids], np.float32)
    return shelf_of(items, ItemFacts(items.ids, tuple(f"the {i}" for i in items.ids), levels, cost))


# --- the synthetic shop


def test_a_planted_partner_is_the_first_companion() -> None:
    lines, _, shelf, _ = known()
    rules = only_evident(count_pairs(lines))
    partners = shop().truth.pairs.select("item_a", "item_b").rows()
    firsts = [companions(rules, [a], shelf=shelf).kept[0].item_id == b for a, b in partners]
    firsts += [companions(rules, [b], shelf=shelf).kept[0].item_id == a for a, b in partners]
    assert np.mean(firsts) >= 0.95


def test_planted_substitutes_are_seen_by_type_and_ordinary_types_are_not() -> None:
    _, histories, shelf, types = known()
    evidence = type_evidence(histories, types)
    found = substitute_types(evidence)
    truth = shop().truth
    twins = truth.substitutes["item_a"].to_list() + truth.substitutes["item_b"].to_list()
    ladders = truth.trade_ups["from_item"].to_list() + truth.trade_ups["to_item"].to_list()
    instead = set(shelf.types_of(twins).tolist())
    assert found[sorted(instead)].all()
    assert set(np.flatnonzero(found).tolist()) <= instead | set(shelf.types_of(ladders).tolist())


@pytest.mark.parametrize(
    "evidence", [Evidence(), Evidence(min_lift=1.0, min_adjusted_low=1.0, min_taste_low=0, max_q=1)]
)
def test_substitutes_are_never_offered(evidence: Evidence) -> None:
    lines, histories, shelf, types = known()
    rules = only_evident(count_pairs(lines), evidence)
    substitutes = substitute_types(type_evidence(histories, types))
    twins = set(shop().truth.substitutes.select("item_a", "item_b").iter_rows())
    for a, b in twins | {(b, a) for a, b in twins}:
        found = companions(rules, [a], 300, shelf=shelf, substitutes=substitutes)
        assert b not in {c.item_id for c in found.kept}
        own = shelf.types_of([a])[0]
        assert own not in shelf.types_of([c.item_id for c in found.kept])


# --- small shops


def instead_shop() -> tuple[Affinity, Histories, Shelf]:
    """60 customers buy tea red or tea blue, each about half the time, almost never both; cups go with either."""
    rng = np.random.default_rng(0)
    orders = [
        (
            f"{n:02}",
            ("blue red" if n == o == 0 or (n, o) == (1, 1) else ("red", "blue")[(n + o) % 2]) + " cup" * bool(o % 3),
        )
        for n in range(60)
        for o in range(10)
    ] + [(f"x{n}", f"soap{rng.integers(3)}") for n in range(300)]
    lines = lines_of(orders)
    shelf = shelf_by({"red": 0, "blue": 0, "cup": 1, "soap0": 2, "soap1": 2, "soap2": 2}, {"cup": 3.0})
    return only_evident(count_pairs(lines, min_joint=2), LENIENT), histories_of(lines, shelf), shelf


def histories_of(lines: pl.DataFrame, shelf: Shelf) -> Histories:
    """Latest order first is all that matters here: the order number counts back."""
    rows = lines.with_columns(order=pl.col("order_id").str.slice(1).cast(pl.Int64)).sort(
        "customer_id", "order", "item_id"
    )
    coded = rows.with_columns(
        back=pl.col("order").rank("dense", descending=True).over("customer_id").cast(pl.Int32) - 1,
    )
    count = rows.group_by("customer_id", maintain_order=True).len()["len"].to_numpy()
    ones = np.ones(rows.height, np.float32)
    return Histories(
        indptr=np.concatenate([[0], np.cumsum(count.astype(np.int64))]),
        items=shelf.items.positions(rows["item_id"].to_list()).astype(np.int32),
        orders=coded["back"].to_numpy(),
        ages=ones,
        weights=ones,
        cart=no_carts(len(count), len(shelf.items)),
        customers=np.arange(len(count)),
    )


def test_a_substitute_with_some_joint_orders_is_left_out_with_its_reason() -> None:
    rules, histories, shelf = instead_shop()
    substitutes = substitute_types(type_evidence(histories, shelf.types))
    assert substitutes.tolist() == [True, False, False]
    found = companions(rules, ["red"], shelf=shelf, substitutes=substitutes)
    assert [c.item_id for c in found.kept] == ["cup"]
    assert [(o.item_id, o.anchor_id) for o in found.left_out] == [("blue", "red")]
    assert "substitute of the red" in found.left_out[0].reason
    allowed = companions(rules, ["red"], shelf=shelf)  # nobody said that the type holds substitutes
    assert [(c.item_id, c.same_type) for c in allowed.kept] == [("cup", False), ("blue", True)]
    barred = companions(rules, ["red"], shelf=shelf, options=CrossSellOptions(same_type="exclude"))
    assert [o.reason for o in barred.left_out] == ["same type as the red"]


def test_type_evidence_of_a_hand_worked_customer() -> None:
    """Orders {a b} {a} {c}: 4 lines, two of them meet with probability 2·1 / (4·3); pairs of type 0: a b, twice."""
    shelf = shelf_by({"a": 0, "b": 0, "c": 1})
    lines = lines_of([("x", "a b"), ("x", "a"), ("x", "c"), ("y", "a b")])  # y came once: says nothing
    evidence = type_evidence(histories_of(lines, shelf), shelf.types)
    assert evidence.joint.tolist() == [1, 0]
    assert evidence.expected.tolist() == pytest.approx([2 / 6, 0.0])


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("xyz"), st.sets(st.sampled_from("abcdef"), min_size=1)), min_size=1, max_size=12)
)
def test_type_evidence_equals_a_plain_count(orders: list[tuple[str, set[str]]]) -> None:
    shelf = shelf_by({"a": 0, "b": 0, "c": 0, "d": 1, "e": 1, "f": -1})
    kinds = [set("abc"), set("de")]
    joint, expected = [0, 0], [0.0, 0.0]
    for who in "xyz":
        mine = [items for w, items in orders if w == who]
        total = sum(map(len, mine))
        meet = sum(len(o) * (len(o) - 1) for o in mine) / max(total * (total - 1), 1)
        for t, kind in enumerate(kinds):
            if len(mine) > 1:
                joint[t] += sum(len(o & kind) * (len(o & kind) - 1) // 2 for o in mine)
                times = [sum(i in o for o in mine) for i in kind]
                expected[t] += (sum(times) ** 2 - sum(n * n for n in times)) / 2 * meet
    lines = lines_of([(who, " ".join(sorted(items))) for who, items in orders])
    evidence = type_evidence(histories_of(lines, shelf), shelf.types)
    assert evidence.joint.tolist() == joint
    assert evidence.expected.tolist() == pytest.approx(expected)


def cart_shop() -> tuple[Affinity, Shelf]:
    orders = [("x", "pen ink")] * 6 + [("y", "pen pad")] * 3 + [("z", "nib pad")] * 4 + [("z", "nib"), ("y", "ink pad")]
    types = {"pen": 0, "nib": 0, "ink": 1, "pad": 2}
    return only_evident(count_pairs(lines_of(orders), min_joint=1), replace_min(1)), shelf_by(types, {"ink": 2.5})


def replace_min(least: int) -> Evidence:
    return Evidence(min_joint=least, min_customers=0, min_lift=0, min_adjusted_low=0, min_taste_low=0, max_q=1)


def test_a_cart_sums_over_its_anchors_and_never_offers_them() -> None:
    rules, shelf = cart_shop()
    alone = {c.item_id: c for c in companions(rules, ["pen"], 9, shelf=shelf).kept}
    nib = {c.item_id: c for c in companions(rules, ["nib"], 9, shelf=shelf).kept}
    cart = companions(rules, ["pen", "nib", "pen"], 9, shelf=shelf).kept
    assert {c.item_id for c in cart} == {"ink", "pad"}
    pad = next(c for c in cart if c.item_id == "pad")
    assert pad.score == pytest.approx(alone["pad"].score + nib["pad"].score)
    assert pad.anchor_id == "nib"  # 4 of 5 orders, against 3 of 9 with the pen
    assert (alone["ink"].joint, alone["ink"].customers) == (6, 1)
    assert alone["ink"].confidence == pytest.approx(6 / 9)
    assert alone["ink"].score == pytest.approx(6 / np.sqrt((9 + 20) * (7 + 20)))


def test_unknown_anchors_are_named_and_a_silly_k_is_refused() -> None:
    rules, shelf = cart_shop()
    assert companions(rules, ["no", "such", "no"], shelf=shelf) == Companions((), (), ("no", "such"))
    assert companions(rules, [], shelf=shelf) == Companions((), (), ())
    with pytest.raises(InputError, match="k is 0"):
        companions(rules, ["pen"], 0, shelf=shelf)


def test_offers_carry_price_and_evidence() -> None:
    rules, shelf = cart_shop()
    ink, pad = cross_sell_offers(companions(rules, ["pen"], shelf=shelf), ["pen"], shelf, "x")
    assert (ink.kind, ink.customer_id, ink.anchor_items, ink.items) == ("cross_sell", "x", ("pen",), ("ink",))
    assert (ink.list_price, ink.offer_price, pad.list_price) == (2.5, 2.5, None)
    assert ink.reason.startswith("in 67% of the orders with the pen, 6 orders of 1 customer")


def test_bundles_are_the_planted_pairs_and_hold_no_substitutes() -> None:
    """Precision and recall of at least .95; pairs whose prices or costs say no are not counted."""
    lines, histories, shelf, types = known()
    now = ShelfNow(substitutes=substitute_types(type_evidence(histories, types)))
    found, left_out = bundles(only_evident(count_pairs(lines)), shelf=shelf, now=now)
    planted = set(shop().truth.pairs.select("item_a", "item_b").iter_rows())
    twins = set(shop().truth.substitutes.select("item_a", "item_b").iter_rows())
    made = {b.items for b in found}
    assert len(made & planted) >= 0.95 * max(len(made), len(planted))
    assert not made & twins
    assert len(found) + len(left_out) == len(only_evident(count_pairs(lines)))
