"""Words of a kind keep the price, words of a motif do not."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.histories import IdMap
from recsys.errors import InputError
from recsys.offers.shelf import Shelf
from recsys.offers.text_types import TextTypeOptions, text_types, with_text_types

KINDS = {"LUNCH BAG": 1.65, "ALARM CLOCK": 3.75, "PAPER NAPKINS": 0.85, "TEA SET": 9.95}
MOTIFS = ("RED RETROSPOT", "SUKI", "PINK POLKADOT", "WOODLAND")
NAMES = tuple(f"{motif} {kind}" if at % 2 else f"{kind} {motif}" for at, motif in enumerate(MOTIFS) for kind in KINDS)
PRICES = np.array([price * (1 + at / 20) for at in range(len(MOTIFS)) for price in KINDS.values()])


def test_kinds_are_found_among_motifs() -> None:
    codes, labels = text_types(NAMES, PRICES)
    of_kind = {kind: {codes[at] for at, name in enumerate(NAMES) if kind in name} for kind in KINDS}
    assert all(len(found) == 1 for found in of_kind.values())
    assert len(labels) == len(KINDS)
    for kind, (code,) in of_kind.items():
        assert labels[code] in kind.lower()


def test_share_of_the_spread_by_hand() -> None:
    """Log prices 0, 0, 0 and 2, 2, 2: variance 1; three alike with a doubt of 2 leave 2 / 5 of it."""
    names, prices = ("aaa", "aaa", "aaa", "bbb", "bbb", "bbb"), np.exp([0.0, 0, 0, 2, 2, 2])
    assert text_types(names, prices, TextTypeOptions(min_explained=0.6))[0].tolist() == [0, 0, 0, 1, 1, 1]
    assert text_types(names, prices, TextTypeOptions(min_explained=0.61))[1] == ()


def test_what_says_nothing_has_no_type() -> None:
    codes, labels = text_types((*NAMES, "", "12 CM", "odd one"), np.append(PRICES, [1.0, 2.0, np.nan]))
    assert codes[-3:].tolist() == [-1, -1, -1]
    assert text_types(NAMES, np.full(len(NAMES), np.nan)) == (pytest.approx(np.full(len(NAMES), -1)), ())
    assert labels
    with pytest.raises(InputError, match="min_items"):
        TextTypeOptions(min_items=1)


@given(st.permutations(range(len(NAMES))))
def test_the_order_of_items_does_not_matter(order: list[int]) -> None:
    codes, labels = text_types(NAMES, PRICES)
    shuffled, again = text_types(tuple(NAMES[i] for i in order), PRICES[order])
    assert (shuffled.tolist(), again) == ([int(codes[i]) for i in order], labels)


def test_types_of_the_catalog_stay() -> None:
    n = len(NAMES)
    ids = IdMap(tuple(f"i{at:02}" for at in range(n)))
    shelf = Shelf(ids, NAMES, np.full(n, -1), PRICES, np.full(n, np.nan))
    assert (with_text_types(shelf).types >= 0).all()
    typed = replace(shelf, types=np.array([0, *[-1] * (n - 1)]))
    assert with_text_types(typed) is typed
