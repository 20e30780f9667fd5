import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.utils import jsonc

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.sampled_from(["http://x//y", "/* no */", "a,]", '"', "\\"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.just("a//b"), inner, max_size=4),
    max_leaves=12,
)
NOISE = st.lists(
    st.sampled_from(
        ["// note\n", "/* a\nb */", " ", "\n", "\r\n", "\t", '// "quoted" , ]\n', "/**/", "//\r\n", '/*",*/']
    ),
    max_size=3,
).map("".join)


@given(value=VALUES, data=st.data())
def test_comments_and_trailing_commas_change_nothing(value, data):
    assert jsonc.decode(noisy(value, lambda: data.draw(NOISE), lambda: data.draw(st.booleans()))) == value


def noisy(value, noise, flag):
    """Write `value` as JSON with noise between all tokens, and a trailing comma here and there."""
    if isinstance(value, list):
        parts = [noisy(item, noise, flag) for item in value]
        opening, closing = "[", "]"
    elif isinstance(value, dict):
        parts = [f"{noise()}{json.dumps(k)}{noise()}:{noisy(v, noise, flag)}" for k, v in value.items()]
        opening, closing = "{", "}"
    else:
        return f"{noise()}{json.dumps(value, ensure_ascii=False)}{noise()}"
    comma = f",{noise()}" if parts and flag() else ""
    return f"{noise()}{opening}{noise()}{','.join(parts)}{comma}{closing}{noise()}"


@pytest.mark.parametrize(
    ("text", "value"),
    (
        ('{"a": "http://x"} // end', {"a": "http://x"}),
        ('\ufeff{\r\n  // one\r\n  "a": 1,\r\n}\r\n', {"a": 1}),
        ('{"a": "\\"// not a comment", /* b */ "b": [1, 2, /* last */],}', {"a": '"// not a comment', "b": [1, 2]}),
        ('{"a": ",}"}', {"a": ",}"}),
        ('{"a":1, // why\n}', {"a": 1}),
        ("[/*,*/]", []),
    ),
)
def test_jsonc_is_read(text, value):
    assert jsonc.decode(text) == value


@pytest.mark.parametrize(
    ("text", "line", "column"),
    (
        ('{\n  "a": 1\n  "b": 2\n}', 3, 3),
        ('{\n  /* two\n lines */ "a": oops\n}', 3, 16),
        ('\ufeff{"a" 1}', 1, 6),
        ("[1,,2]", 1, 4),
        ("[,]", 1, 2),
        ("{,}", 1, 2),
        ('{"a":,}', 1, 6),
        ('{"a": 1 /* never closed', 1, 9),
        ("", 1, 1),
    ),
)
def test_faults_are_placed(text, line, column):
    with pytest.raises(jsonc.JsoncError) as caught:
        jsonc.decode(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert f"line {line}, column {column}" in str(caught.value)


def test_deep_nesting_is_an_error_not_a_crash():
    with pytest.raises(jsonc.JsoncError, match="too deeply"):
        jsonc.decode("[" * 200_000)


@given(VALUES)
def test_plain_json_is_left_alone(value):
    text = json.dumps(value)
    assert jsonc.strip(text) == text
