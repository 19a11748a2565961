"""Words in any script, and which texts are alike."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.models.content import Content, normalise


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        # Latin: case, accents, ligatures, letters that decompose into nothing
        ("CRÈME Brûlée", "creme brulee"),
        ("Straße STRASSE", "strasse strasse"),
        ("smørrebrød Łódź Đurđevi", "smorrebrod lodz durdevi"),
        ("Æon œuvre ﬁne", "aeon oeuvre fine"),
        ("ǽ Ǿ", "ae o"),
        ("Iğdır İzmir", "igdir izmir"),
        # signs between words
        ("  milk,1.5%—fat_free/(2×) ", "milk 1 5 fat free 2"),
        ("", ""),
        ("—!?", ""),
        # compatibility forms and digits of any script
        ("ＡＢＣ １２３ ½", "abc 123 1 2"),
        ("۱۲۳ ٤٥٦ १२ ๓", "123 456 12 3"),
        ("x² ①", "x2 1"),
        # Arabic and Persian letters of two code points, tatweel, vowel signs, the non-joiner
        ("كيك", "کیک"),
        ("علي على علی", "علی علی علی"),
        ("أحمد إحمد آحمد ٱحمد", "احمد احمد احمد احمد"),
        ("مدرسة خانۀ", "مدرسه خانه"),
        ("مـــربـى", "مربی"),
        ("مُحَمَّد", "محمد"),
        ("می\u200cخواهم", "می خواهم"),
        ("مؤمن شيئ", "مومن شیی"),
        # Greek, Cyrillic, Hebrew
        ("ΟΔΌΣ όδος", "οδοσ οδοσ"),
        ("Ёлка елка", "елка елка"),
        ("שָׁלוֹם", "שלום"),
        # CJK stays, half-width katakana becomes whole
        ("牛奶 1L", "牛奶 1l"),
        ("ｶﾞｽ", "カス"),
        ("ガス", "カス"),
    ],
)
def test_normalisation_table(raw, plain):
    assert normalise(raw) == plain


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=30))
def test_normalisation_settles(text):
    once = normalise(text)
    assert normalise(once) == once
    assert normalise(unicodedata.normalize("NFD", text)) == normalise(unicodedata.normalize("NFC", text))
    assert once == " ".join(once.split())


NAMES = {
    "a1": "Green tea bags 20", "a2": "Green tea bags 40", "a3": "Black tea bags 20",
    "b1": "Dish soap lemon", "b2": "Dish soap apple",
    "c1": "کیک شکلاتی", "c2": "كيك شكلاتي بزرگ",
    "d1": "牛奶巧克力", "d2": "黑巧克力",
    "n1": None, "n2": None,
}  # fmt: skip


@pytest.fixture(scope="module")
def shelf(tiny_data):
    return tiny_data(("o", "ann", 10, list(NAMES)), catalog={item: {"name": name} for item, name in NAMES.items()})


def scores_of(model, query, item):
    at = list(NAMES).index(item)
    return dict(zip(NAMES, model.score(query(len(NAMES), [], [at]))[0].tolist(), strict=True))


@pytest.mark.parametrize(("item", "alike"), [("a1", "a2"), ("b1", "b2"), ("c1", "c2"), ("d1", "d2")])
def test_alike_texts_are_near(shelf, query, item, alike):
    scores = scores_of(Content().fit(shelf), query, item)
    del scores[item]
    assert max(scores, key=scores.get) == alike
    assert scores[alike] > 0.1


def test_an_item_is_most_like_itself(shelf, query):
    model = Content().fit(shelf)
    for item in [name for name, text in NAMES.items() if text]:
        assert scores_of(model, query, item)[item] == pytest.approx(1, abs=1e-5)


def test_items_without_text_are_like_nothing(shelf, query):
    model = Content().fit(shelf)
    assert set(scores_of(model, query, "n1").values()) == {0.0}
    assert scores_of(model, query, "a1")["n2"] == 0
    vectors = model.vectors()
    lengths = np.sqrt((vectors.toarray() ** 2).sum(axis=1))
    np.testing.assert_allclose(lengths, [1] * 9 + [0] * 2, rtol=1e-5)


def test_equal_texts_share_one_row(tiny_data, query):
    catalog = {"a": {"name": "Rye bread"}, "b": {"name": "RYE bread!"}, "c": {"name": "Oat milk"}}
    model = Content().fit(tiny_data(("o", "ann", 3, ["a", "b", "c"]), catalog=catalog))
    assert model.text_.tolist() == [1, 1, 0]
    scores = model.score(query(3, [], [0]))[0]
    assert scores[0] == scores[1] > scores[2]


def test_no_words_at_all(tiny_data, query):
    model = Content().fit(tiny_data(("o", "ann", 3, ["a", "b"])))
    assert model.score(query(2, [], [0])).tolist() == [[0, 0]]


def test_history_is_decayed_and_a_cart_stands_before_it(shelf, query):
    model = Content(half_life=10).fit(shelf)
    n, history = len(NAMES), [(0, 20.0), (3, 10.0)]
    alone = [model.score(query(n, [], [at]))[0] for at in (0, 3)]
    np.testing.assert_allclose(model.score(query(n, history))[0], 0.25 * alone[0] + 0.5 * alone[1], rtol=1e-5)
    np.testing.assert_array_equal(model.score(query(n, history, [3]))[0], alone[1])


def test_only_the_most_alike_are_kept(shelf):
    kept = Content(neighbours=2).fit(shelf).alike_
    whole = Content().fit(shelf).alike_.toarray()
    assert np.diff(kept.indptr).max() == 2
    for row in range(len(whole)):
        np.testing.assert_allclose(np.sort(kept[row].data), np.sort(whole[row])[-2:][np.sort(whole[row])[-2:] > 0])


def test_a_large_catalog_finds_neighbours_by_its_rarer_terms(tiny_data):
    """Every text says "red"; two say "wool": with little work allowed, only those two are found alike."""
    words = ("wool", "wool hat", "cup", "mug", "jar", "pan")
    names = {f"i{n}": {"name": f"red {word}"} for n, word in enumerate(words)}
    data = tiny_data(("1", "ann", 9, list(names)), catalog=names)
    rows = Content(max_df=1.0).fit(data)
    whole, telling = rows.rows_, Content(max_df=1.0, max_work=20)._telling(rows.rows_)
    texts = np.bincount(telling.indices[telling.data > 0], minlength=telling.shape[1]).astype(float)
    assert (texts**2).sum() <= 20
    kept = texts > 0
    np.testing.assert_array_equal(telling.toarray()[:, kept], whole.toarray()[:, kept])
    everywhere = np.bincount(whole.indices, minlength=whole.shape[1]) == len(names)
    assert everywhere.any()
    assert not kept[everywhere].any()
    assert rows._telling(whole) is whole
