"""Whatever stands in `options` is read strictly or refused with a stated reason."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.errors import InputError
from recsys.serving.options import MAX_K, MAX_TEXT, RequestOptions, parse_options

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner))
KEYS = st.sampled_from(["k", "exclude", "only", "owned", "min_probability", "K", ""])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, RequestOptions()),
        ("", RequestOptions()),
        ("{}", RequestOptions()),
        (' {"k": 1} ', RequestOptions(k=1)),
        (json.dumps({"k": MAX_K}), RequestOptions(k=MAX_K)),
        ('{"exclude": []}', RequestOptions()),
        ('{"exclude": ["a", "a"], "owned": "exclude"}', RequestOptions(exclude=("a", "a"), owned="exclude")),
        ('{"only": null, "owned": "allow"}', RequestOptions()),
        ('{"only": []}', RequestOptions(only=())),
        ('{"min_probability": 0}', RequestOptions()),
        ('{"min_probability": 0.25}', RequestOptions(min_probability=0.25)),
        ('{"only": ["00042", "é"]}', RequestOptions(only=("00042", "é"))),
        ('{"only": ["\\u00e9", "\\ud800"]}', RequestOptions(only=("é", "\ud800"))),
    ],
)
def test_what_is_read(text, expected):
    assert parse_options(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("null", "NoneType"),
        ("[]", "JSON list; give an object"),
        ("5", "JSON int"),
        ('"k"', "JSON str"),
        ("{", "no JSON"),
        ("{} {}", "no JSON"),
        ("{'k': 5}", "no JSON"),
        ('{"k": 5,}', "no JSON"),
        ("\x00", "no JSON"),
        ("\ud800", "no JSON"),
        (" ", "no JSON"),
        ('{"k": 5, "k": 6}', r"the key 'k' twice"),
        ('{"K": 5}', "unknown key 'K'; known are k, placement, exclude, only, categories_in"),
        ('{"k": 0}', "options.k is 0; give a whole number from 1 to 500"),
        ('{"k": 501}', "options.k is 501"),
        ('{"k": -1}', "options.k is -1"),
        ('{"k": true}', "options.k is true"),
        ('{"k": 5.0}', r"options.k is 5\.0"),
        ('{"k": "5"}', 'options.k is "5"'),
        ('{"k": null}', "options.k is null"),
        ('{"k": NaN}', "options.k is NaN"),
        ('{"k": -Infinity}', "options.k is -Infinity"),
        ('{"k": 1e999}', "options.k is Infinity"),
        ('{"k": ' + "9" * 4000 + "}", r"options.k is 9{57}\.\.\."),
        ('{"k": ' + "9" * 9000 + "}", "no JSON"),
        ('{"k": [5]}', r"options.k is \[5\]"),
        ('{"exclude": null}', "options.exclude is null; give a list of item ids as strings"),
        ('{"exclude": "a"}', 'options.exclude is "a"'),
        ('{"exclude": [1]}', r"options.exclude is \[1\]"),
        ('{"exclude": ["a", null]}', "options.exclude"),
        ('{"exclude": {"a": 1}}', "options.exclude"),
        ('{"only": "a"}', "options.only"),
        ('{"only": [["a"]]}', "options.only"),
        ('{"only": false}', "options.only is false"),
        ('{"owned": null}', 'options.owned is null; give "allow" or "exclude"'),
        ('{"owned": "ALLOW"}', "options.owned"),
        ('{"owned": ["allow"]}', "options.owned"),
        ('{"owned": true}', "options.owned is true"),
    ],
)
def test_what_is_refused(text, reason):
    with pytest.raises(InputError, match=reason) as caught:
        parse_options(text)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("asked", [5, 1.5, float("nan"), b"{}", {}, [], {"k": 5}, True, object()])
def test_other_types_are_refused(asked):
    with pytest.raises(InputError, match=f"options is {type(asked).__name__}; give a JSON object as a string"):
        parse_options(asked)


@pytest.mark.parametrize("depth", [10, 300, 480, 499, 700, 950, 1_100, 20_000, 400_000])
@pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ('{"k":', "}")])
@pytest.mark.parametrize("key", ["k", "only", "owned"])
def test_deep_nesting_is_refused(depth, opened, closed, key):
    with pytest.raises(InputError):
        parse_options(f'{{"{key}": {opened * depth}1{closed * depth}}}')


def test_a_long_text_is_refused_unread():
    with pytest.raises(InputError, match=f"at most {MAX_TEXT} are read"):
        parse_options(" " * MAX_TEXT + "{}")
    assert parse_options(" " * (MAX_TEXT - 2) + "{}") == RequestOptions()


def answer(asked):
    """RequestOptions, checked through, or the reason why not."""
    try:
        found = parse_options(asked)
    except InputError as error:
        return str(error)
    assert type(found.k) is int
    assert 1 <= found.k <= MAX_K
    assert found.owned in ("allow", "exclude")
    for ids in (found.exclude, found.only or ()):
        assert isinstance(ids, tuple)
        assert all(isinstance(name, str) for name in ids)
    return found


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40) | st.text('{}[]":,k1 nul\\', max_size=30))
def test_any_text_has_an_answer(text):
    answer(text)


@settings(max_examples=200, deadline=None)
@given(JSON | st.dictionaries(KEYS, JSON, max_size=4))
def test_any_json_has_an_answer(value):
    found = answer(json.dumps(value))
    if isinstance(found, RequestOptions):
        assert isinstance(value, dict)
        assert set(value) <= {"k", "exclude", "only", "owned"}
        defaults = RequestOptions()
        for key in ("k", "owned"):
            assert getattr(found, key) == value.get(key, getattr(defaults, key))
        for key in ("only", "exclude"):
            given_ids = value.get(key, getattr(defaults, key))
            assert getattr(found, key) == (given_ids if given_ids is None else tuple(given_ids))


@settings(max_examples=100, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "k": st.integers(1, MAX_K),
            "exclude": st.lists(st.text(max_size=4), max_size=4),
            "only": st.none() | st.lists(st.text(max_size=4), max_size=4),
            "owned": st.sampled_from(["allow", "exclude"]),
        },
    )
)
def test_every_valid_request_is_read(value):
    assert isinstance(answer(json.dumps(value)), RequestOptions)


@settings(max_examples=50, deadline=None)
@given(SCALARS | st.binary(max_size=5) | st.lists(SCALARS, max_size=2))
def test_any_value_has_an_answer(value):
    answer(value)
