"""10,000 requests as nobody should send them: each gets a list that keeps every promise, or an error of its own."""

from collections import Counter

import numpy as np
import pytest

from recsys.serving.recommender import Answer
from recsys.serving.requests import MAX_BASKET
from tests.serving.hostile import MB, Hostile, check

N, BATCH = 10_000, 1000


def requests(data, n, seed):
    """n rows, seven of ten broken, and which."""
    hostile = Hostile(data, np.random.default_rng(seed))
    broken = hostile.rng.random(n) < 0.7
    return [hostile.broken() if bad else hostile.sound() for bad in broken], broken


def ask(recommender, rows) -> list[Answer]:
    return recommender.recommend(*map(list, zip(*rows, strict=True)))


@pytest.fixture(scope="module")
def asked(fitted, small_shop):
    """(row, is it broken, answer) of each."""
    rows, broken = requests(small_shop.data, N, seed=20)
    answers = [a for at in range(0, N, BATCH) for a in ask(fitted.recommender, rows[at : at + BATCH])]
    return list(zip(rows, broken.tolist(), answers, strict=True))


def test_every_row_has_its_answer_and_no_answer_breaks_a_promise(asked, small_shop):
    assert len(asked) == N
    for row, broken, answer in asked:
        assert bool(answer.error) == broken, (row, answer.error)
        check(small_shop.data, row, answer)


def test_the_requests_are_of_all_kinds(asked):
    """What is generated reaches every rung of the chain, every refusal, long lists, short ones and empty ones."""
    said = Counter(answer.fallback for _, _, answer in asked)
    assert all(said[rung] > 50 for rung in ("personal", "cart", "popular_in_category", "popular", "")), said
    refusals = {answer.error.split(";")[0][:24] for _, broken, answer in asked if broken}
    assert len(refusals) > 40, refusals
    sizes = Counter(len(answer.item_ids) for _, broken, answer in asked if not broken)
    assert min(sizes[0], sizes[1], sizes[3], sizes[10]) > 50
    assert max(sizes) > 50


def test_a_row_is_answered_alone_as_among_others(asked, fitted):
    """The batch's other rows, good and bad, change nothing."""
    for row, _, together in asked[:: N // 120]:
        alone = ask(fitted.recommender, [row])[0]
        assert alone.error == together.error
        assert (alone.item_ids, alone.reasons, alone.fallback) == (
            together.item_ids,
            together.reasons,
            together.fallback,
        )
        np.testing.assert_allclose(alone.scores, together.scores, rtol=1e-4, atol=1e-5)


def test_carts_of_ten_thousand_and_strings_of_five_megabytes(fitted, small_shop):
    data, long = small_shop.data, "x" * 5 * MB
    ids = list(data.items.ids)
    rows = [
        (None, (ids * MAX_BASKET)[:MAX_BASKET], None),  # nothing is left to list
        (None, [f"unknown {n}" for n in range(MAX_BASKET - 1)] + ids[:1], None),
        (long, [long, ids[0]], None),
        (None, ids[:1] * (MAX_BASKET + 1), None),
        (None, None, long),
        (None, None, '{"exclude": ["' + "x" * (MB - 20) + '"]}'),
        (None, ids[:1], None),
    ]
    answers = ask(fitted.recommender, rows)
    for row, answer in zip(rows, answers, strict=True):
        check(data, row, answer)
    assert [len(a.item_ids) for a in answers] == [0, 10, 10, 0, 0, 10, 10]
    assert answers[1].item_ids == answers[2].item_ids == answers[6].item_ids, "what is unknown changes nothing"
    assert "basket holds 10001 items; at most 10000 are read" in answers[3].error
    assert "options has 5000000 characters; at most 1000000 are read" in answers[4].error
