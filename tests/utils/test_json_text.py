"""JSON between bytes and values, lone surrogates and big integers included."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.utils.json_text import dump, load, replace_surrogates

VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
                      | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


@pytest.mark.parametrize(("data", "value"), [
    (b'{"a": [1, 2.5, null, true]}', {"a": [1, 2.5, None, True]}),
    ('"é\u2028🙂"'.encode(), "é\u2028🙂"),
    (b'"\\ud83d\\ude42"', "🙂"),
    (b'"a\\ud83d"', "a\ufffd"),
    (b'"\\ude42b"', "\ufffdb"),
    (b'{"k\\ud83d": ["x\\ud83d\\ud83d\\ude42"]}', {"k\ufffd": ["x\ufffd🙂"]}),
    (b'  [1]\n', [1]),
])
def test_what_is_json_is_read(data, value):
    assert load(data) == value


@pytest.mark.parametrize("data", [
    b"", b"{", b"{]", b"hello", b"NaN", b"Infinity", b"[-Infinity]", b'{"a":1,}', b"{'a':1}", b'"\\ud83d', b"\xff",
    b'["\\ud83d", NaN]', b'"\\ud83d\xff"', b'{"a":1} {"b":2}', b"[" * 5000, b"[" * 5000 + b'"\\ud83d"' + b"]" * 5000])
def test_what_is_no_json_is_an_error_of_one_kind(data):
    with pytest.raises(ValueError):
        load(data)


@pytest.mark.parametrize(("value", "data"), [
    ({"a": "é"}, '{"a":"é"}'.encode()),
    ("a\ud83d", '"a\ufffd"'.encode()),
    ({"k\ud83d": 1}, '{"k\ufffd":1}'.encode()),
    ("\ud83d\ude42", '"🙂"'.encode()),
    (2**70, str(2**70).encode()),
    ({"seed": 2**64, "a": ["\udc00"]}, f'{{"seed":{2**64},"a":["\ufffd"]}}'.encode()),
])
def test_values_are_written_in_utf_8(value, data):
    assert dump(value) == data


def test_what_json_cannot_say_is_an_error():
    with pytest.raises(TypeError):
        dump({"a": object()})


@given(VALUES)
def test_values_survive(value):
    assert json.loads(dump(value)) == json.loads(replace_surrogates(json.dumps(value, ensure_ascii=False)))


@given(st.text(st.characters(min_codepoint=0xD700, max_codepoint=0xE010) | st.characters()))
def test_no_text_is_too_odd_for_utf_8(text):
    sound = replace_surrogates(text)
    sound.encode()
    assert replace_surrogates(sound) == sound
    assert load(json.dumps(text).encode()) == sound
