"""Parts are named, the cosine's bars are ours, lifts of a window by hand, and a small shop runs through both parts."""

import json
import shutil
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from benchmarks import offers
from benchmarks.offering import bundles as bundle_part
from benchmarks.offering import cart as cart_part
from recsys.errors import InputError
from recsys.pair_counts import baskets

NOW = datetime(2024, 9, 1, tzinfo=UTC)


def test_parts_are_the_modules() -> None:
    assert {"cart", "bundles"} <= set(offers.known())
    assert "part" not in offers.known()
    assert offers.chosen("cart, bundles") == ["cart", "bundles"]
    for wrong in ("cart,nothing", ""):
        with pytest.raises(InputError, match="bundles, cart"):
            offers.chosen(wrong)


def test_lifts_of_a_window_by_hand() -> None:
    """Orders of two: a b, a b, a c, c d of customers 1, 1, 2 and a guest: a in 3, b in 2 of 4, so 1.5 to expect."""
    held = {"o1": ("x", "ab"), "o2": ("x", "ab"), "o3": ("y", "ac"), "o4": (None, "cd")}
    rows = [(order, who, item) for order, (who, items) in held.items() for item in items]
    lines = pl.DataFrame(rows, schema=["order_id", "customer_id", "item_id"], orient="row")
    window = bundle_part.Window.of(baskets(lines, "item_id"))
    assert sorted(window.groups.tolist()) == [0, 0, 1, 2]
    pairs = [("a", "b"), ("a", "c"), ("b", "d"), ("a", "gone")]
    joint, expected = window.joint_and_expected(pairs, np.ones((4, 1)))
    assert joint[:, 0].tolist() == [2, 1, 0, 0]
    assert expected[:, 0] == pytest.approx([3 * 2 / 4, 3 * 2 / 4, 2 * 1 / 4, 0])
    assert bundle_part.lifts(joint, expected)[:, 0] == pytest.approx([4 / 3, 2 / 3, 0, 0])
    only_y = (window.groups == 1).astype(float)[:, None]  # a resample that drew customer y alone
    joint, expected = window.joint_and_expected(pairs, only_y)
    assert joint[:, 0].tolist() == [0, 1, 0, 0]
    assert expected[:, 0].tolist() == [0, 1, 0, 0]


def test_missed_bars_are_named() -> None:
    good = {"contender": cart_part.OURS, "customers": "known", "policy": "keep", "ratio": 1.25, "ratio_low": 1.1,
            "substitutes": 0.0}  # fmt: skip
    assert cart_part._missed([good]) == []
    bad = good | {"ratio": 1.19, "ratio_low": 0.99, "substitutes": 0.02}
    assert len(cart_part._missed([bad])) == 3
    assert cart_part._missed([bad | {"contender": cart_part.COSINE}]) == []
    assert bundle_part._missed({"n": 200, "value": 2.5}) == []
    assert len(bundle_part._missed({"n": 199, "value": 2.4})) == 2


def test_a_small_shop_runs_through_both_parts(small_config, stages, tmp_path) -> None:
    store = tmp_path / "store"
    shutil.copytree(stages, store)
    config = small_config(tmp_path, {"run.store": str(store), "evaluation.resamples": 50})
    cart, bundled = (part.run(config, NOW) for part in (cart_part, bundle_part))
    by = {(r["contender"], r["customers"], r["policy"]): r for r in cart.records}
    ours, cosine = by[cart_part.OURS, "known", "keep"], by[cart_part.COSINE, "known", "keep"]
    assert ours["ratio"] == pytest.approx(ours["value"] / cosine["value"])
    assert ours["n"] == cosine["n"] > 0
    assert by[cart_part.OURS, "known", "exclude"]["same_type"] == 0
    assert ours["substitutes"] == 0
    assert bundled.records[0]["n"] > 0
    assert bundled.records[0]["most_per_item"] <= 2
    assert bundled.records[0]["pooled"] > bundled.records[1]["pooled"]
    offers.write([cart, bundled], tmp_path / "out")
    assert len(json.loads((tmp_path / "out" / "metrics.json").read_text())["records"]) == len(cart.records) + 2
    assert "## Bundles" in (tmp_path / "out" / "table.md").read_text()
